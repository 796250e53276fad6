//! `auth`: who may come in.

use crate::addr;
use crate::model::{Access, Auth, Config, ForwardAuth, Proof};
use crate::print::{TomlWriter, is_url};
use crate::units::show_duration;

/// Of a site, or of a route of a site with `site`.
pub(super) fn print(
    out: &mut TomlWriter<'_>,
    (own, site): (&Access, Option<&Access>),
    config: &Config,
) {
    if site.map_or(own.ways.is_empty(), |site| own == site) {
        return;
    }
    let ways = own.ways.iter().filter_map(|way| config.auths.get(*way));
    let names: Vec<&str> = ways.map(|auth| auth.name.as_str()).collect();
    match names[..] {
        [] => out.flag("auth", false),
        [name] => out.text("auth", name),
        _ => out.texts("auth", &names),
    }
}

/// `[auth.NAME]`
pub(in crate::print) fn table(out: &mut TomlWriter<'_>, table: &Auth, config: &Config) {
    out.table(&format!("auth.{}", table.name));
    match &table.proof {
        Proof::Basic {
            realm,
            users,
            pass_on,
        } => out.inline("basic", |out| {
            out.text("realm", realm);
            out.text("users", &users.to_string_lossy());
            out.flag("pass_on", *pass_on);
        }),
        Proof::Forward(settings) => out.inline("forward", |out| forward(out, settings, config)),
        Proof::Certificate { user, allow } => out.inline("mtls", |out| {
            out.text("user", user.as_str());
            if !allow.is_empty() {
                out.texts("allow", allow);
            }
        }),
    }
    out.inline("pass", |out| match &table.user_field {
        Some(name) => out.text("user", name),
        None => out.flag("user", false),
    });
    if !table.or_from.is_empty() {
        let networks: Vec<String> = table.or_from.iter().map(addr::show_network).collect();
        out.texts("or_from", &networks);
    }
}

fn forward(out: &mut TomlWriter<'_>, settings: &ForwardAuth, config: &Config) {
    match config.upstreams.get(settings.upstream) {
        Some(upstream) if is_url(upstream) => {
            out.text("url", &format!("{}{}", upstream.name, settings.path));
        }
        Some(upstream) => {
            out.text("upstream", &upstream.name);
            out.text("path", &settings.path);
        }
        None => {}
    }
    out.text("method", settings.method.as_deref().unwrap_or("original"));
    out.text("timeout", &show_duration(settings.timeout));
    if !settings.copy.is_empty() {
        out.texts("copy", &settings.copy);
    }
    out.maybe_text("user_from", settings.user_from.as_deref());
    out.flag("cookies", settings.cookies);
}

//! `sticky` of an upstream as text. Called by `print`.

use super::TomlWriter;
use crate::model::{Sticky, StickyBy, StickyCookie};
use crate::units::show_duration;

pub(super) fn sticky(out: &mut TomlWriter<'_>, sticky: Option<&Sticky>) {
    let Some(sticky) = sticky else {
        return out.flag("sticky", false);
    };
    out.inline("sticky", |out| {
        match &sticky.by {
            StickyBy::Cookie(settings) => cookie(out, settings),
            StickyBy::App { cookie, prefix } => {
                out.text("app_cookie", cookie);
                out.flag("prefix", *prefix);
            }
            StickyBy::Header(name) => out.text("header", name),
            StickyBy::ClientIp => out.flag("client_ip", true),
        }
        out.maybe_path("secret_file", sticky.secret_file.as_deref());
        out.text(
            "fallback",
            if sticky.fallback { "rebalance" } else { "fail" },
        );
    });
}

fn cookie(out: &mut TomlWriter<'_>, cookie: &StickyCookie) {
    out.text("cookie", &cookie.name);
    out.flag("plain", cookie.plain);
    if let Some(ttl) = cookie.ttl {
        out.text("ttl", &show_duration(ttl));
    }
    out.text("path", &cookie.path);
    out.maybe_text("domain", cookie.domain.as_deref());
    if let Some(secure) = cookie.secure {
        out.flag("secure", secure);
    }
    out.flag("http_only", cookie.http_only);
    let same_site = cookie.same_site.as_deref().unwrap_or("off");
    out.text("same_site", &same_site.to_ascii_lowercase());
}

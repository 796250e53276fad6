//! `[acl.NAME]` and `when`.

use crate::addr;
use crate::calendar::{show_instant, show_window};
use crate::lower::{show_path, show_value};
use crate::model::{Acl, Config, FieldMatch};
use crate::print::TomlWriter;

/// `[acl.NAME]`
pub(in crate::print) fn table(out: &mut TomlWriter<'_>, table: &Acl, config: &Config) {
    out.table(&format!("acl.{}", table.name));
    list(out, "host", table.host.iter().map(show_value));
    list(out, "path", table.path.iter().map(show_path));
    list(out, "method", table.method.iter().cloned());
    list(
        out,
        "client_ip",
        table.client_ip.iter().map(addr::show_network),
    );
    fields(out, "header", &table.header);
    fields(out, "cookie", &table.cookie);
    fields(out, "query", &table.query);
    if let Some(tls) = table.tls {
        out.flag("tls", tls);
    }
    list(out, "time", table.time.iter().map(show_window));
    out.maybe_text("after", table.after.map(show_instant).as_deref());
    out.maybe_text("before", table.before.map(show_instant).as_deref());
    names(out, ("not", &table.not), config);
    names(out, ("any", &table.any), config);
}

/// `when`
pub(in crate::print) fn when(out: &mut TomlWriter<'_>, when: &[usize], config: &Config) {
    names(out, ("when", when), config);
}

/// Conditions on fields with names, or nothing.
pub(in crate::print) fn fields(out: &mut TomlWriter<'_>, key: &str, fields: &[FieldMatch]) {
    let shown: Vec<String> = fields
        .iter()
        .map(|field| show_value(&field.value))
        .collect();
    let names = fields.iter().map(|field| field.name.as_str());
    out.pairs(key, names.zip(shown.iter().map(String::as_str)));
}

fn names(out: &mut TomlWriter<'_>, (key, indices): (&str, &[usize]), config: &Config) {
    let acls = indices.iter().filter_map(|index| config.acls.get(*index));
    list(out, key, acls.map(|acl| acl.name.clone()));
}

fn list(out: &mut TomlWriter<'_>, key: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        out.texts(key, &items);
    }
}

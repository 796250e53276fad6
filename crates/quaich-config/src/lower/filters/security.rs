//! `security`: fields that tell browsers to be careful.

use crate::document::Data;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word, is_off};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::model::Security;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Security>),
) -> Security {
    if !fields.has("security") {
        fields.entry(cx, "security");
        return site.cloned().unwrap_or_default();
    }
    let Some(table) = fields.bool_or_table(cx, "security") else {
        return Security::default();
    };
    // Where the site has none, what it says of each field is not said.
    let site = site.filter(|site| **site != Security::default());
    let mut of = Reader { cx, table: &table };
    Security {
        nosniff: match site.filter(|_| !table.has("nosniff")) {
            Some(site) => site.nosniff,
            None => table.flag(of.cx, "nosniff"),
        },
        frame: of.word("frame", site.map(|site| &site.frame)),
        referrer: of.text("referrer", site.map(|site| &site.referrer)),
        csp: of.policy("csp", site.map(|site| &site.csp)),
        csp_report_only: of.policy("csp_report_only", site.map(|site| &site.csp_report_only)),
        permissions: of.text("permissions", site.map(|site| &site.permissions)),
        opener: of.word("opener", site.map(|site| &site.opener)),
        embedder: of.word("embedder", site.map(|site| &site.embedder)),
        resource: of.word("resource", site.map(|site| &site.resource)),
    }
}

struct Reader<'r, 'c, 'd> {
    cx: &'r mut Lower<'c>,
    table: &'r Fields<'d>,
}

impl Reader<'_, '_, '_> {
    fn word(&mut self, key: &str, site: Option<&Option<String>>) -> Option<String> {
        if let Some(site) = site.filter(|_| !self.table.has(key)) {
            return site.clone();
        }
        let word = self.table.word(self.cx, key);
        (word != "off").then_some(word)
    }

    fn text(&mut self, key: &str, site: Option<&Option<String>>) -> Option<String> {
        if let Some(site) = site.filter(|_| !self.table.has(key)) {
            return site.clone();
        }
        let word = self.table.text_or_off(self.cx, key)?;
        self.valid(key, word)
    }

    /// Directives, one text or a list of them.
    fn policy(&mut self, key: &str, site: Option<&Option<String>>) -> Option<String> {
        if let Some(site) = site.filter(|_| !self.table.has(key)) {
            return site.clone();
        }
        let entry = self.table.entry(self.cx, key)?;
        if is_off(&entry.value) {
            return None;
        }
        let words = self.table.texts(self.cx, key)?;
        let span = entry.value.span;
        if matches!(&entry.value.data, Data::Array(items) if items.len() != words.len()) {
            return None;
        }
        let directives = words.iter().map(|word| word.0.trim_end_matches([';', ' ']));
        let joined: Vec<&str> = directives.collect();
        self.valid(key, (joined.join("; "), span))
    }

    fn valid(&mut self, key: &str, word: Word) -> Option<String> {
        if word.0.is_empty() || !is_field_value(&word.0) {
            let reason = "expected the value of a header field, in ASCII";
            self.cx.bad_word(key, &word, reason);
            return None;
        }
        Some(word.0)
    }
}

//! All certificates as rows, for `quaich cert list` and `quaich status`.

use std::path::Path;

use quaich_config::Config;
use quaich_server::link::Identity;
use quaich_server::tls::identity::Facts;
use serde_json::{Value, json};

use super::source::{Source, out_of_date};
use super::{Inventory, date, shown};

/// One certificate, or names that wait for one.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) hosts: Vec<String>,
    /// `file`, `acme` or `local`.
    pub(crate) source: &'static str,
    /// What the certificate says, when there is one.
    pub(crate) facts: Option<Facts>,
    /// Where it lies.
    pub(crate) file: Option<String>,
    /// An OCSP answer is stapled.
    pub(crate) stapled: bool,
    /// What is wrong with it.
    pub(crate) problem: Option<String>,
}

impl Inventory {
    /// All of them, the default one first; names that wait for a certificate last.
    pub(crate) fn entries(&self, config: &Config, now: i64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .sources
            .iter()
            .filter_map(|source| self.of_file(source, now))
            .collect();
        for (source, stored) in [("acme", &self.acme), ("local", &self.local)] {
            for stored in stored {
                let (identity, facts) = (&stored.identity, &stored.facts);
                let mut entry = self.entry(identity, facts, source, &stored.file, now);
                entry.problem = entry.problem.or_else(|| self.failure_for(&entry.hosts));
                entries.push(entry);
            }
        }
        for names in self.orders(config) {
            let names: Vec<String> = names
                .into_iter()
                .filter(|name| !self.covers(name))
                .collect();
            let Some(first) = names.first() else {
                continue;
            };
            let reason = self.failure_for(&names);
            entries.push(Entry {
                name: format!("acme:{first}"),
                source: "acme",
                facts: None,
                file: None,
                stapled: false,
                problem: Some(reason.unwrap_or_else(|| "not issued yet".to_owned())),
                hosts: names,
            });
        }
        entries
    }

    fn of_file(&self, source: &Source, now: i64) -> Option<Entry> {
        let table = source.table()?;
        let complaint = source.complaint().map(str::to_owned);
        let Some(checked) = source.checked() else {
            return Some(Entry {
                name: table.name.clone(),
                hosts: table.hosts.as_deref().map(shown).unwrap_or_default(),
                source: "file",
                facts: None,
                file: Some(table.cert.display().to_string()),
                stapled: false,
                problem: complaint,
            });
        };
        let (identity, facts) = (&checked.identity, &checked.facts);
        let mut entry = self.entry(identity, facts, "file", &checked.file, now);
        entry.problem = complaint.or(entry.problem);
        Some(entry)
    }

    fn entry(
        &self,
        identity: &Identity,
        facts: &Facts,
        source: &'static str,
        file: &Path,
        now: i64,
    ) -> Entry {
        Entry {
            name: identity.name.clone(),
            hosts: shown(&identity.hosts),
            source,
            facts: Some(facts.clone()),
            file: Some(file.display().to_string()),
            stapled: self.ocsp.contains_key(&identity.name),
            problem: (!facts.is_current(now)).then(|| out_of_date(facts, now)),
        }
    }

    /// Why the last order for one of these names failed.
    fn failure_for(&self, names: &[String]) -> Option<String> {
        let about = |failure: &&quaich_acme::store::Failure| {
            failure.names.iter().any(|name| names.contains(name))
        };
        self.failed
            .iter()
            .find(about)
            .map(|failure| failure.reason.clone())
    }
}

impl Entry {
    /// Days until it expires; negative when it has.
    pub(crate) fn days_left(&self, now: i64) -> Option<i64> {
        let facts = self.facts.as_ref()?;
        Some((facts.not_after - now).div_euclid(date::DAY))
    }

    /// One object; what is not known is null.
    pub(crate) fn to_json(&self, now: i64) -> Value {
        let facts = self.facts.as_ref();
        json!({
            "name": self.name,
            "hosts": self.hosts,
            "source": self.source,
            "file": self.file,
            "issuer": facts.map(|facts| &facts.issuer),
            "serial": facts.map(|facts| &facts.serial),
            "key": facts.map(|facts| facts.key.to_string()),
            "not_before": facts.map(|facts| facts.not_before),
            "not_after": facts.map(|facts| facts.not_after),
            "days_left": self.days_left(now),
            "ocsp_stapled": self.stapled,
            "problem": self.problem,
        })
    }
}

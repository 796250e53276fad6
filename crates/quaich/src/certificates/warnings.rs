//! What is odd about certificates that can be used: dates, names that they do not have, sites that
//! have none.

use quaich_config::Config;
use quaich_config::model::UnknownSni;

use super::cover::{any_covers, name_of, pattern, sites_with_tls};
use super::source::{Checked, Source, out_of_date};
use super::{Inventory, date};
use crate::exit::{Code, Failure};

/// Days before the end at which an operator is told, the nearest first.
const SOON: [i64; 2] = [3, 14];

impl Inventory {
    /// All of it, for a person who starts quaich or checks a file.
    pub(crate) fn warnings(&self, config: &Config, now: i64) -> Vec<Failure> {
        let mut found = Vec::new();
        for source in &self.sources {
            let Some(checked) = source.checked() else {
                continue;
            };
            found.extend(by_date(source, checked, now));
            found.extend(by_names(source, checked));
        }
        found.extend(self.sites_without(config));
        found
    }

    /// Certificates from files that end soon: the label, how soon as a step that is passed once
    /// (0 = it has ended), and what to say. Others are renewed by quaich.
    pub(crate) fn ending(&self, now: i64) -> Vec<(String, i64, String)> {
        let mut found = Vec::new();
        for source in &self.sources {
            let Some(checked) = source.checked() else {
                continue;
            };
            let left = checked.facts.not_after - now;
            let steps = [0].into_iter().chain(SOON);
            let Some(step) = steps.into_iter().find(|days| left < days * date::DAY) else {
                continue;
            };
            let (label, file) = (source.label(), checked.file.display());
            let day = date::day(checked.facts.not_after);
            let text = match step {
                0 => format!("{label}: {file} expired on {day}; clients refuse it"),
                _ => {
                    let left = plural(left.div_euclid(date::DAY), "day");
                    format!("{label}: {file} expires on {day}, in {left}")
                }
            };
            found.push((label.to_owned(), step, text));
        }
        found
    }

    /// Sites that are reached over TLS by names that no certificate has.
    fn sites_without(&self, config: &Config) -> Vec<Failure> {
        // The local CA makes one for every name.
        if config.tls.local_ca {
            return Vec::new();
        }
        let ordered: Vec<String> = self.orders(config).into_iter().flatten().collect();
        let missing = |name: &String| !self.covers(name) && !ordered.contains(name);
        // A certificate that cannot be read has a message of its own.
        if self
            .sources
            .iter()
            .any(|source| source.table().is_some() && source.content().is_none())
        {
            return Vec::new();
        }
        let mut found = Vec::new();
        for site in sites_with_tls(config) {
            let names: Vec<String> = site
                .hosts
                .iter()
                .filter_map(name_of)
                .filter(missing)
                .collect();
            if names.is_empty() {
                continue;
            }
            let (site, names) = (&site.name, quoted(&names));
            let message = format!("site `{site}`: no certificate has the name {names}");
            let cure = match config.tls.unknown_sni {
                UnknownSni::Reject => {
                    "clients that ask for it over TLS are refused; name a \
                                       certificate that has it in `[tls.cert.NAME]`"
                }
                UnknownSni::Default => {
                    "clients that ask for it over TLS get the first \
                                        certificate, and refuse it"
                }
            };
            found.push(Failure::new(Code::Config, message).cure(cure));
        }
        found
    }
}

fn by_date(source: &Source, checked: &Checked, now: i64) -> Option<Failure> {
    let (label, file) = (source.label(), checked.file.display());
    let facts = &checked.facts;
    if facts.is_current(now) {
        let left = (facts.not_after - now).div_euclid(date::DAY);
        let soon = left < SOON[1];
        let (day, left) = (date::day(facts.not_after), plural(left, "day"));
        let message = format!("{label}: {file} expires on {day}, in {left}");
        let cure = "renew it; a file that is replaced is taken without a restart";
        return soon.then(|| Failure::new(Code::Config, message).cure(cure));
    }
    let message = format!("{label}: {file} {}", out_of_date(facts, now));
    let cure = match now < facts.not_before {
        true => "clients refuse it until then; is the clock of this machine right?",
        false => "clients refuse it; renew it: a file that is replaced is taken without a restart",
    };
    Some(Failure::new(Code::Config, message).cure(cure))
}

/// `hosts` of its table that are not in the certificate.
fn by_names(source: &Source, checked: &Checked) -> Option<Failure> {
    let hosts = source.table()?.hosts.as_ref()?;
    let has: Vec<_> = checked
        .facts
        .names
        .iter()
        .map(|name| pattern(name))
        .collect();
    let names: Vec<String> = hosts.iter().filter_map(name_of).collect();
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !any_covers(&has, name))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let (label, file) = (source.label(), checked.file.display());
    let (missing, names) = (quoted(&missing), quoted(&checked.facts.names));
    let message = format!("{label}: {file} does not have the name {missing} of its `hosts`");
    Some(Failure::new(Code::Config, message).cure(format!("it has {names}; clients compare")))
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => "no names".to_owned(),
        false => names.join(", "),
    }
}

fn plural(count: i64, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

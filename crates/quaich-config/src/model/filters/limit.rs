//! `limit`, `allow`, `deny`: who may ask, and for how much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addr::show_network;
use crate::model::{Config, Network};
use crate::units::show_rate;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Indices into `Config::limits`: all must admit. A route has those of its site here, then its own.
    pub named: Vec<usize>,
    /// Networks of clients that may ask; empty = all that `deny` lets through.
    pub allow: Vec<Network>,
    /// Networks of clients that may not. The longest prefix of both lists decides, `deny` if equal.
    pub deny: Vec<Network>,
}

/// `[limit.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Table name.
    pub name: String,
    /// What is counted apart; a request for which all of these are empty is not counted.
    pub key: Vec<LimitKey>,
    /// How fast requests may come.
    pub rate: Option<LimitRate>,
    /// Requests at once; 0 = no limit.
    pub concurrency: u32,
    /// Bytes of response bodies per second; 0 = no limit.
    pub bandwidth: u64,
    /// Bytes of each body that `bandwidth` does not hold back.
    pub after: u64,
    /// Indices into `Config::acls`: requests for which none of these holds are not counted; empty = all
    /// are.
    pub when: Vec<usize>,
    /// Of the refusal.
    pub status: u16,
    /// Whether answers tell clients of it, in `RateLimit` fields.
    pub headers: bool,
    /// It only says what it would refuse.
    pub dry_run: bool,
    /// Keys that are held; with more, the oldest go.
    pub max_keys: u32,
}

/// `rate`, `burst`, `delay`: a bucket that holds `burst` requests and is filled again by the rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitRate {
    /// Requests ...
    pub count: u32,
    /// ... in this time.
    pub per: Duration,
    /// Requests that may come at once, at least 1.
    pub burst: u32,
    /// Of these the first so many go on at once, the others wait until the rate has them; `None` = none
    /// waits.
    pub delay: Option<u32>,
}

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LimitKey {
    /// The address of the client: IPv4 whole, IPv6 the first 64 bits.
    ClientIp,
    /// Who `auth` has found.
    User,
    /// The host, as routes see it.
    Host,
    /// The route.
    Route,
    /// Not at all.
    All,
    /// A field of the request, by its name in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A text with placeholders.
    Template(String),
}

impl LimitKey {
    /// As in the file.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::ClientIp => "client_ip".into(),
            Self::User => "user".into(),
            Self::Host => "host".into(),
            Self::Route => "route".into(),
            Self::All => "all".into(),
            Self::Header(name) => format!("header.{name}"),
            Self::Cookie(name) => format!("cookie.{name}"),
            Self::Template(text) => text.clone(),
        }
    }

    /// Whether it is empty until `auth` has looked.
    #[must_use]
    pub fn needs_user(&self) -> bool {
        match self {
            Self::User => true,
            Self::Template(text) => text.contains("{user}"),
            _ => false,
        }
    }
}

impl LimitRate {
    /// Nanoseconds from one request to the next.
    #[must_use]
    pub fn interval(&self) -> u64 {
        let per = u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX);
        (per / u64::from(self.count.max(1))).max(1)
    }

    /// As in the file, `10/s`.
    #[must_use]
    pub fn written(&self) -> String {
        let per = match self.per.as_millis() {
            1000 => "s".into(),
            60_000 => "min".into(),
            3_600_000 => "h".into(),
            86_400_000 => "d".into(),
            _ => crate::units::show_duration(self.per),
        };
        format!("{}/{per}", self.count)
    }
}

impl Limits {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, config: &Config) -> Option<String> {
        let mut words = Vec::new();
        for (what, list) in [("deny", &self.deny), ("allow", &self.allow)] {
            let shown: Vec<String> = list.iter().map(show_network).collect();
            if !shown.is_empty() {
                words.push(format!("{what} {}", shown.join(" ")));
            }
        }
        let named = self.named.iter().filter_map(|at| config.limits.get(*at));
        words.extend(named.map(Limit::describe));
        (!words.is_empty()).then(|| format!("limit: {}", words.join("; ")))
    }
}

impl Limit {
    fn describe(&self) -> String {
        let mut words = Vec::new();
        if let Some(rate) = &self.rate {
            words.push(format!("{}, {} at once", rate.written(), rate.burst));
        }
        if self.concurrency > 0 {
            words.push(format!("{} running", self.concurrency));
        }
        if self.bandwidth > 0 {
            words.push(show_rate(self.bandwidth));
        }
        let keys: Vec<String> = self.key.iter().map(LimitKey::written).collect();
        let dry = if self.dry_run { ", dry run" } else { "" };
        let (name, what, keys) = (&self.name, words.join(", "), keys.join(" and "));
        format!("{name} ({what} per {keys}{dry})")
    }
}

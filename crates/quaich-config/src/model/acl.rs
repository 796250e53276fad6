//! `[acl.NAME]`: conditions with a name.

use serde::{Deserialize, Serialize};

use super::{FieldMatch, Network, PathPattern};

/// `[acl.NAME]`: all keys that are there must hold; of a list, one. There is at least one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Acl {
    /// Table name.
    pub name: String,
    /// Any of these; globs are in lower case. Empty = every host.
    pub host: Vec<TextPattern>,
    /// Any of these, matched against the normalised, decoded path; empty = every path.
    pub path: Vec<PathPattern>,
    /// Any of these, case-sensitive; empty = all.
    pub method: Vec<String>,
    /// The client is in any of these; empty = anywhere.
    pub client_ip: Vec<Network>,
    /// All of these; names in lower case.
    pub header: Vec<FieldMatch>,
    /// All of these; names are case-sensitive.
    pub cookie: Vec<FieldMatch>,
    /// All of these; names are case-sensitive.
    pub query: Vec<FieldMatch>,
    /// Whether the client speaks TLS.
    pub tls: Option<bool>,
    /// It is in any of these; empty = at any time.
    pub time: Vec<Window>,
    /// From this second since 1970 on.
    pub after: Option<u64>,
    /// Before this second since 1970.
    pub before: Option<u64>,
    /// Indices into `Config::acls`: none of these may hold. There are no circles.
    pub not: Vec<usize>,
    /// Indices into `Config::acls`: one of these must hold; empty = no matter. There are no circles.
    pub any: Vec<usize>,
}

/// What a value must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TextPattern {
    /// `*` any run of bytes, `?` one byte; the whole value.
    Glob(String),
    /// `~regex`, held without its `~`: searched for.
    Regex(String),
}

/// `"mon-fri 08:00-18:00 +01:00"`: a part of each week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Days on which it begins: bit 0 is Monday. At least one.
    pub days: u8,
    /// Minute of the day at which it begins, below 1440.
    pub from: u16,
    /// Minute of the day at which it is over, at most 1440; not above `from` = on the next day.
    pub to: u16,
    /// Minutes that its clock is ahead of UTC.
    pub offset: i16,
}

impl Window {
    /// Whether `second` since 1970 lies in it.
    #[must_use]
    pub fn holds(&self, second: u64) -> bool {
        const DAY: i64 = 24 * 60;
        let minutes = i64::try_from(second / 60).unwrap_or(i64::MAX / 2) + i64::from(self.offset);
        let minute = minutes.rem_euclid(DAY);
        // The first day of 1970 was a Thursday.
        let today = (minutes.div_euclid(DAY) + 3).rem_euclid(7);
        let begins = |day: i64| self.days >> day.rem_euclid(7) & 1 == 1;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            return begins(today) && (from..to).contains(&minute);
        }
        (begins(today) && minute >= from) || (begins(today - 1) && minute < to)
    }
}

//! `expires`: how long answers may be kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Config, PathPattern};
use crate::units::show_duration;

/// Of a site or route: the first rule that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expires {
    /// In file order.
    pub rules: Vec<ExpiresRule>,
}

/// A rule; all conditions must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpiresRule {
    /// Media types in lower case without parameters, `*` for a part; empty = all.
    pub types: Vec<String>,
    /// Paths; empty = all.
    pub paths: Vec<PathPattern>,
    /// Statuses; empty = 200 201 204 206 301 302 303 304 307 308.
    pub statuses: Vec<u16>,
    /// How long.
    pub age: Age,
    /// Whether it says `immutable`; `None` = where the file name holds a hash.
    pub immutable: Option<bool>,
    /// Further directives of `Cache-Control`; empty = none.
    pub cache_control: String,
    /// Also in place of what the answer says itself.
    pub force: bool,
}

/// How long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Age {
    /// Nothing is said.
    Off,
    /// From now on.
    For(Duration),
    /// From `Last-Modified` on.
    Modified(Duration),
    /// Ten years.
    Max,
    /// It may be kept, but be used only after the server was asked.
    NoCache,
    /// Not at all.
    NoStore,
}

impl Age {
    /// As it is written in the file.
    #[must_use]
    pub fn show(self) -> String {
        match self {
            Self::Off => "off".into(),
            Self::For(time) => show_duration(time),
            Self::Modified(time) => format!("modified +{}", show_duration(time)),
            Self::Max => "max".into(),
            Self::NoCache => "no-cache".into(),
            Self::NoStore => "no-store".into(),
        }
    }
}

impl Expires {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        let words: Vec<String> = self.rules.iter().map(ExpiresRule::describe).collect();
        (!words.is_empty()).then(|| format!("expires: {}", words.join("; ")))
    }
}

impl ExpiresRule {
    fn describe(&self) -> String {
        let mut words = vec![self.age.show()];
        if !self.types.is_empty() {
            words.push(format!("for {}", self.types.join(" or ")));
        }
        if !self.paths.is_empty() {
            let paths: Vec<String> = self.paths.iter().map(crate::lower::show_path).collect();
            words.push(format!("at {}", paths.join(" or ")));
        }
        if !self.statuses.is_empty() {
            let statuses: Vec<String> = self.statuses.iter().map(u16::to_string).collect();
            words.push(format!("with status {}", statuses.join(" or ")));
        }
        words.join(" ")
    }
}

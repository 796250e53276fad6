//! `request_headers` and `response_headers`: fields that are set, added, removed.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headers {
    /// Of requests: those of the site, then those of the route. Each is made on what the one before
    /// has left.
    pub request: Vec<Edits>,
    /// Of answers, likewise.
    pub response: Vec<Edits>,
    /// Whether clients see which software apps and upstreams run on.
    pub show_versions: bool,
}

/// The edits of one table, in the order of its fields. Values are texts with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edits {
    /// Names, in which `*` stands for any run of characters.
    pub remove: Vec<String>,
    /// In place of all fields of the name.
    pub set: Vec<(String, String)>,
    /// Behind the value of the field, with a comma.
    pub append: Vec<(String, String)>,
    /// Beside the fields of the name.
    pub add: Vec<(String, String)>,
    /// Which answers; `Any` for requests.
    pub on: Answers,
}

/// Which answers are edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answers {
    /// All.
    #[default]
    Any,
    /// Those with a status below 400.
    Ok,
    /// Those with a status from 400 on.
    Error,
}

impl Edits {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && self.set.is_empty()
            && self.append.is_empty()
            && self.add.is_empty()
    }

    fn describe(&self) -> String {
        let names = |pairs: &[(String, String)]| {
            let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        };
        let lists = [
            ("remove", self.remove.join(", ")),
            ("set", names(&self.set)),
            ("append", names(&self.append)),
            ("add", names(&self.add)),
        ];
        let words: Vec<String> = lists
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(verb, names)| format!("{verb} {names}"))
            .collect();
        let when = match self.on {
            Answers::Any => "",
            Answers::Ok => " below status 400",
            Answers::Error => " from status 400",
        };
        format!("{}{when}", words.join(", "))
    }
}

impl Headers {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        let part = |what: &str, all: &[Edits]| {
            let words: Vec<String> = all.iter().map(Edits::describe).collect();
            (!words.is_empty()).then(|| format!("{what}: {}", words.join("; ")))
        };
        let parts = [
            part("request_headers", &self.request),
            part("response_headers", &self.response),
        ];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

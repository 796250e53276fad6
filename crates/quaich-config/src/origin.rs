//! Where every value of a configuration came from, and what may override the file.
//!
//! The binary fills `Overrides` from flags and environment; `load` applies them, and `lower`
//! keeps `Origins`.

use std::collections::BTreeMap;
use std::fmt;

/// Where one value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// `name:line`
    File {
        /// The file as shown to people.
        name: String,
        /// From 1.
        line: usize,
    },
    /// A flag, an environment variable, or a rule: its word.
    Given(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Given(word) => f.write_str(word),
        }
    }
}

/// Origin by dotted path: `server.listen`, `app.shop.workers`, `site.shop.route[0].path`.
pub type Origins = BTreeMap<String, Origin>;

/// One value from outside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) path: String,
    pub(crate) values: Vec<String>,
    pub(crate) origin: String,
}

/// What flags and environment say in place of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub(crate) list: Vec<Override>,
}

impl Overrides {
    /// Sets the key at a dotted path, e.g. `server.threads`; `app.*.workers` means every app.
    ///
    /// `value` is read as the key's type. The first to set a path wins: give flags before
    /// environment variables. Loading panics when no key has that path: paths come from the
    /// program, not from people. `origin` is the word shown to people: `--threads`,
    /// `$QUAICH_THREADS`.
    pub fn set(&mut self, path: &str, value: &str, origin: &str) -> &mut Self {
        self.set_all(path, &[value], origin)
    }

    /// The same for a key that takes a list.
    pub fn set_all<T: AsRef<str>>(&mut self, path: &str, values: &[T], origin: &str) -> &mut Self {
        if self.list.iter().all(|known| known.path != path) {
            self.list.push(Override {
                path: path.into(),
                values: values
                    .iter()
                    .map(|value| value.as_ref().to_owned())
                    .collect(),
                origin: origin.into(),
            });
        }
        self
    }
}

/// What the machine and its environment say; stands in for defaults of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Usable cores, at least 1.
    pub cores: usize,
    /// `$WEB_CONCURRENCY`: workers of an app that says `auto`.
    pub web_concurrency: Option<usize>,
    /// `$PORT`: listen on it, on all addresses, when nothing else says where.
    pub port: Option<u16>,
    /// `$FORWARDED_ALLOW_IPS`: `trust` when the file has none; comma-separated, `*` = everybody.
    pub forwarded_allow_ips: Option<String>,
    /// Whether standard output is a terminal: what access log format `auto` becomes.
    pub stdout_is_terminal: bool,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            cores: 1,
            web_concurrency: None,
            port: None,
            forwarded_allow_ips: None,
            stdout_is_terminal: false,
        }
    }
}

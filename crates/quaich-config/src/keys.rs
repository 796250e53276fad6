//! The one table of every key: name, type, default, meaning.
//!
//! It drives the check for unknown keys, did-you-mean, defaults, the JSON Schema and the reference.
//! A key that is not in this version stands here too, so that it is refused by name.

mod discovery;
pub(crate) mod filters;
mod health;
mod routing;
mod serving;
mod sticky;
mod tls;
mod upstream;

pub use discovery::{DISCOVER, SUBSCRIBE};
pub use health::{HEALTH, PASSIVE};
pub use routing::{FILES, REDIRECT, RESPOND, ROUTE, SITE};
pub use serving::{ACCESS_LOG, ADMIN, APP, LISTENER, LOG, SERVER};
pub use sticky::STICKY;
pub use tls::{ACME, CERT, CLIENT, EAB, HSTS, SITE_CLIENT, TLS, UPSTREAM_TLS};
pub use upstream::{UPSTREAM, UPSTREAM_SERVER};

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text, or `false`/`"off"` for none.
    TextOrOff,
    /// A text, or `true`.
    TextOrTrue,
    /// A file or directory; relative ones start at the file that they stand in.
    Path,
    /// `true` or `false`.
    Bool,
    /// `"auto"`, `true` or `false`/`"off"`.
    AutoBool,
    /// A whole number between both bounds; with a lower bound of 0, `false`/`"off"` is 0.
    Count(u64, u64),
    /// `"auto"` or a whole number between both bounds.
    AutoCount(u64, u64),
    /// A time with a unit, more than 0.
    Duration,
    /// A time with a unit; `"0s"` allowed.
    DurationOrZero,
    /// A size with a unit; `false`/`"off"` is 0.
    Size,
    /// Bytes per time; `false`/`"off"` is 0.
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words; `false` is `"off"`.
    Switch(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    /// A text or a list of texts, or `false`/`"off"` for none.
    TextsOrOff,
    /// A whole number between both bounds, or a list of such.
    Counts(u64, u64),
    /// A table of texts with free keys.
    Pairs,
    /// `{ ... }` with fixed keys.
    Table(&'static Keys),
    /// `{ ... }` with fixed keys, or `false`/`"off"`.
    TableOrOff(&'static Keys),
    /// A time with a unit, `true`, `false`/`"off"`, or `{ ... }` with fixed keys.
    DurationOrTable(&'static Keys),
    /// `true`, `false`/`"off"`, or `{ ... }` with fixed keys; `true` is an empty table.
    BoolOrTable(&'static Keys),
    /// `{ ... }` with fixed keys, a list of them, or `false`/`"off"`.
    TablesOrOff(&'static Keys),
    /// A path, `true`, `false`/`"off"`, or `{ ... }` with fixed keys.
    PathOrTable(&'static Keys),
    /// A table with free keys; each value is a path, `false`/`"off"`, or `{ ... }` with fixed keys.
    /// `false`/`"off"` in place of it all.
    Each(&'static Keys),
    /// `true`, `false`/`"off"`, a status or class of statuses, or a list of them.
    Statuses,
    /// A text, `false`/`"off"`, `{ ... }` with fixed keys, or a list of such.
    TextOrTables(&'static Keys),
    /// `[[...]]`
    Tables(&'static Keys),
    /// `[....NAME]`
    Named(&'static Keys),
}

impl Kind {
    /// The keys of the tables that it takes.
    #[must_use]
    pub fn inner(self) -> Option<&'static Keys> {
        match self {
            Self::Table(keys)
            | Self::TableOrOff(keys)
            | Self::DurationOrTable(keys)
            | Self::BoolOrTable(keys)
            | Self::TablesOrOff(keys)
            | Self::PathOrTable(keys)
            | Self::Each(keys)
            | Self::TextOrTables(keys)
            | Self::Tables(keys)
            | Self::Named(keys) => Some(keys),
            _ => None,
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default as written in the file, without quotes; empty = none.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Known, but refused by this version.
    pub later: bool,
}

/// The keys of one table.
#[derive(Debug)]
pub struct Keys {
    /// How the table is called in messages.
    pub name: &'static str,
    /// Its header in the reference.
    pub header: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// In the order of the reference.
    pub keys: &'static [Key],
}

impl Keys {
    /// The key of that name, also one that this version refuses.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names that this version takes.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys
            .iter()
            .filter(|key| !key.later)
            .map(|key| key.name)
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        doc,
        later: false,
    }
}

const fn later(name: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Text,
        default: "",
        doc: "",
        later: true,
    }
}

/// The top of the file.
pub static TOP: Keys = Keys {
    name: "the file",
    header: "",
    doc: "A configuration file is TOML; shared things are named at top level and used by name.",
    keys: &[
        key(
            "include",
            Kind::Texts,
            "",
            "Files to merge in, globs relative to this file.",
        ),
        key(
            "server",
            Kind::Table(&SERVER),
            "",
            "What holds for the whole server.",
        ),
        key(
            "app",
            Kind::Named(&APP),
            "",
            "Python programs that quaich runs.",
        ),
        key(
            "upstream",
            Kind::Named(&UPSTREAM),
            "",
            "Servers that run elsewhere.",
        ),
        key(
            "site",
            Kind::Named(&SITE),
            "",
            "Sets of host names and what happens there.",
        ),
        key(
            "tls",
            Kind::Table(&TLS),
            "",
            "TLS with clients, and where certificates come from.",
        ),
        key(
            "log",
            Kind::Table(&LOG),
            "",
            "quaich's own messages, and the access log.",
        ),
        key("admin", Kind::Table(&ADMIN), "", "The control socket."),
        key(
            "subscribe",
            Kind::Table(&SUBSCRIBE),
            "",
            "Where instances of uWSGI announce themselves.",
        ),
        filters::acl::TABLES,
        later("cache"),
        filters::limit::TABLES,
        filters::auth::TABLES,
        later("waf"),
        later("trace"),
        later("store"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn every(keys: &'static Keys, seen: &mut Vec<&'static Keys>) {
        seen.push(keys);
        for key in keys.keys {
            if let Some(inner) = key.kind.inner() {
                every(inner, seen);
            }
        }
    }

    #[test]
    fn no_table_names_a_key_twice_and_every_key_is_documented() {
        let mut tables = Vec::new();
        every(&TOP, &mut tables);
        for table in tables {
            let mut names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", table.name);
            for key in table.keys {
                assert!(
                    key.later || key.doc.ends_with('.'),
                    "{}.{}",
                    table.name,
                    key.name
                );
            }
        }
    }
}

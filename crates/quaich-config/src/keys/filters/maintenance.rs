//! `maintenance`: the site is closed for a while.

use crate::keys::{Key, Keys, Kind, key};

/// `maintenance` of a site or route.
pub const MAINTENANCE: Key = key(
    "maintenance",
    Kind::PathOrTable(&TABLE),
    "",
    "Answers 503 with this page; \"off\" = stays open whatever is switched on for the site.",
);

/// `maintenance = { ... }`
pub static TABLE: Keys = Keys {
    name: "maintenance",
    header: "maintenance = { ... }",
    doc: "A site or route that is closed for a while.",
    keys: &[
        key(
            "page",
            Kind::Path,
            "",
            "What is shown: .html, .htm, .json, .txt or .xml; else the error page of 503.",
        ),
        key(
            "allow",
            Kind::Texts,
            "",
            "Who is let in all the same: addresses, networks, names of `[acl.NAME]`.",
        ),
        key(
            "retry_after",
            Kind::Duration,
            "10m",
            "When clients are told to come again.",
        ),
        key(
            "when_file",
            Kind::Path,
            "",
            "Closed while there is such a file.",
        ),
        key(
            "on",
            Kind::Bool,
            "",
            "Whether it is closed from the start on; true unless there is `when_file`.",
        ),
    ],
};

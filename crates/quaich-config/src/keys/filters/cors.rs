//! `cors = { ... }`: which other origins may read answers.

use crate::keys::{Key, Keys, Kind, key};

/// `cors` of a site or route.
pub const CORS: Key = key(
    "cors",
    Kind::TableOrOff(&POLICY),
    "",
    "Which other origins may read answers; quaich answers preflights itself.",
);

/// `cors = { ... }`
pub static POLICY: Keys = Keys {
    name: "cors",
    header: "cors = { ... }",
    doc: "A policy as the Fetch standard has it. That of a route stands in place of its site's.",
    keys: &[
        key(
            "origins",
            Kind::Texts,
            "",
            "\"https://app.example.org\", \"https://*.example.org\" (any depth), \"http://localhost:*\" (any port), \"~regex\" of a whole origin, \"null\", \"*\".",
        ),
        key(
            "methods",
            Kind::Texts,
            "GET, HEAD, POST",
            "Methods that scripts may use; \"*\" = any.",
        ),
        key(
            "headers",
            Kind::Texts,
            "",
            "Request fields that scripts may send beside the harmless ones; \"*\" = any.",
        ),
        key(
            "expose",
            Kind::Texts,
            "",
            "Response fields that scripts may read beside the harmless ones; \"*\" = any, without credentials.",
        ),
        key(
            "credentials",
            Kind::Bool,
            "false",
            "Whether cookies and the like may come along; not with the origin \"*\".",
        ),
        key(
            "max_age",
            Kind::DurationOrZero,
            "10m",
            "How long browsers keep the answer to a preflight.",
        ),
    ],
};

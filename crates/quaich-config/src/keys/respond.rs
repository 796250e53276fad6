//! The keys of `respond`. Read through `keys`.

use super::{Keys, Kind, key};

/// `respond = { ... }`
pub static RESPOND: Keys = Keys {
    name: "respond",
    header: "respond = { ... }",
    doc: "A fixed answer.",
    keys: &[
        key("status", Kind::Count(200, 599), "200", "Status code."),
        key("body", Kind::Text, "", "The body."),
        key(
            "type",
            Kind::Text,
            "text/plain; charset=utf-8",
            "Content-Type.",
        ),
    ],
};

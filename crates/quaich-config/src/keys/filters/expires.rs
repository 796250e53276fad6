//! `expires`: how long answers may be kept.

use crate::keys::{Key, Keys, Kind, key};

/// `expires` of a site or route.
pub const EXPIRES: Key = key(
    "expires",
    Kind::TextOrTables(&RULE),
    "off",
    "How long answers may be kept: one age, or rules of which the first that fits counts.",
);

/// `expires = [{ ... }]`
pub static RULE: Keys = Keys {
    name: "expires",
    header: "expires = [{ ... }]",
    doc: "A rule. All of its conditions must hold; it is passed over where the answer says itself how long it may be kept.",
    keys: &[
        key(
            "type",
            Kind::Texts,
            "",
            "Media types of answers, any of them: \"text/css\", \"image/*\".",
        ),
        key(
            "path",
            Kind::Texts,
            "",
            "Paths of requests as routes have them, any of them: \"/static/*\", \"*.html\", \"~regex\".",
        ),
        key(
            "status",
            Kind::Counts(200, 599),
            "",
            "Statuses of answers, any of them; 200 201 204 206 301 302 303 304 307 308 if absent.",
        ),
        key(
            "age",
            Kind::Text,
            "",
            "\"30d\", \"modified +24h\" (since Last-Modified), \"max\" (ten years), \"no-cache\", \"no-store\", \"off\".",
        ),
        key(
            "immutable",
            Kind::AutoBool,
            "auto",
            "Say that the answer never changes; auto = where the file name holds a hash, app.3f2a9c1b.css.",
        ),
        key(
            "cache_control",
            Kind::Text,
            "",
            "Directives that are added, \"public\".",
        ),
        key(
            "force",
            Kind::Bool,
            "false",
            "Also in place of what the answer says itself.",
        ),
    ],
};

//! `[acl.NAME]` and `when`.

use crate::keys::{Key, Keys, Kind, key, later};

/// `when` of a route.
pub const WHEN: Key = key(
    "when",
    Kind::Texts,
    "",
    "Names of acls, any of which holds.",
);

/// `[acl.NAME]`
pub const TABLES: Key = key("acl", Kind::Named(&ACL), "", "Conditions with a name.");

/// `[acl.NAME]`
pub static ACL: Keys = Keys {
    name: "acl",
    header: "[acl.NAME]",
    doc: "Conditions with a name, for `when` and other keys: all keys must hold, of a list one.",
    keys: &[
        key(
            "host",
            Kind::Texts,
            "",
            "\"shop.example.org\", \"*.example.org\", other globs, \"~regex\"; case does not matter.",
        ),
        key(
            "path",
            Kind::Texts,
            "",
            "\"/login\", \"/static/*\", \"*.php\", \"~regex\".",
        ),
        key("method", Kind::Texts, "", "Methods, in capitals."),
        key(
            "client_ip",
            Kind::Texts,
            "",
            "Networks and addresses of clients: \"10.0.0.0/8\", \"2001:db8::1\".",
        ),
        key(
            "header",
            Kind::Pairs,
            "",
            "Header fields: name = glob or \"~regex\", all of them.",
        ),
        key(
            "cookie",
            Kind::Pairs,
            "",
            "Cookies: name = glob or \"~regex\", all of them.",
        ),
        key(
            "query",
            Kind::Pairs,
            "",
            "Query parameters: name = glob or \"~regex\", all of them.",
        ),
        key(
            "tls",
            Kind::Bool,
            "",
            "Whether the client speaks TLS, to quaich or to a trusted proxy.",
        ),
        key(
            "time",
            Kind::Texts,
            "",
            "Parts of the week: \"mon-fri 08:00-18:00 +01:00\", \"sat,sun\"; UTC without an offset.",
        ),
        key(
            "after",
            Kind::Text,
            "",
            "From then on: \"2026-12-24T18:00:00+01:00\" (RFC 3339).",
        ),
        key("before", Kind::Text, "", "Until then."),
        key("not", Kind::Texts, "", "Acls none of which may hold."),
        key("any", Kind::Texts, "", "Acls one of which must hold."),
        later("country"),
        later("asn"),
    ],
};

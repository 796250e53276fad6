//! `limit`, `allow`, `deny`: who may ask, and for how much.

use crate::keys::{Key, Keys, Kind, key};

/// `limit` of a site or route.
pub const LIMIT: Key = key(
    "limit",
    Kind::Texts,
    "",
    "Names of limits, all of which must admit a request. A route has those of its site besides; \"off\" in front drops them.",
);

/// `allow` of a site or route.
pub const ALLOW: Key = key(
    "allow",
    Kind::Texts,
    "",
    "Networks of clients that may ask, or \"all\"; 403 for others. The longest prefix in `allow` and `deny` decides.",
);

/// `deny` of a site or route.
pub const DENY: Key = key(
    "deny",
    Kind::Texts,
    "",
    "Networks of clients that get 403, or \"all\". Either list on a route replaces both of its site.",
);

/// `[limit.NAME]`
pub const TABLES: Key = key(
    "limit",
    Kind::Named(&LIMITS),
    "",
    "How much a client may ask for.",
);

/// The keys of it.
pub static LIMITS: Keys = Keys {
    name: "limit",
    header: "[limit.NAME]",
    doc: "How much a client may ask for. At least one of `rate`, `concurrency` and `bandwidth`.",
    keys: &[
        key(
            "rate",
            Kind::Text,
            "",
            "Requests per time: \"10/s\", \"100/min\", \"1000/h\", \"20/15m\".",
        ),
        key(
            "burst",
            Kind::Count(1, 1_000_000),
            "",
            "Requests that may come at once after a pause; the number of `rate` if absent.",
        ),
        key(
            "delay",
            Kind::CountOrTrue(1, 1_000_000),
            "false",
            "So many of a burst go on at once and the others wait until the rate has them; true = 1. All go on at once if absent.",
        ),
        key(
            "key",
            Kind::Texts,
            "client_ip",
            "What is counted apart: \"client_ip\" (IPv6: the /64), \"user\", \"host\", \"route\", \"all\", \"header.NAME\", \"cookie.NAME\", a text with {placeholders}, or several. Requests whose key is empty are not counted.",
        ),
        key(
            "when",
            Kind::Texts,
            "",
            "Names of acls: only requests for which any of them holds are counted.",
        ),
        key(
            "concurrency",
            Kind::Count(0, 1_000_000),
            "0",
            "Requests at once; 0 = no limit.",
        ),
        key(
            "bandwidth",
            Kind::Rate,
            "off",
            "Bytes of response bodies per time, shared by the answers of one key.",
        ),
        key(
            "after",
            Kind::Size,
            "off",
            "The first bytes of each body that `bandwidth` does not hold back.",
        ),
        key("status", Kind::Count(400, 599), "429", "Of refusals."),
        key(
            "headers",
            Kind::Bool,
            "true",
            "Whether answers have `RateLimit` and `RateLimit-Policy`.",
        ),
        key(
            "dry_run",
            Kind::Bool,
            "false",
            "Refuse nothing, only count and log what would be.",
        ),
        key(
            "max_keys",
            Kind::Count(1, 100_000_000),
            "1000000",
            "Keys that are held, about; with more, those with the most room go. 16 to 64 bytes each.",
        ),
        key(
            "store",
            Kind::Word(&["memory"]),
            "memory",
            "Where the counts are.",
        ),
    ],
};

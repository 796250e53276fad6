//! The keys of how the servers of an upstream are kept well: `health` and `passive`.

use super::{Keys, Kind, key};

/// `health = { ... }`
pub static HEALTH: Keys = Keys {
    name: "health",
    header: "health = { ... }",
    doc: "Checks that quaich makes itself.",
    keys: &[
        key(
            "type",
            Kind::Word(&["http", "tcp", "ping", "agent"]),
            "",
            "What a check does: asks for `path`; connects; pings over uwsgi or FastCGI; reads a line of words. \"http\" where there is a `path`, else \"tcp\".",
        ),
        key(
            "path",
            Kind::Text,
            "",
            "Path and query that are asked for; \"/\" if absent.",
        ),
        key(
            "every",
            Kind::Duration,
            "5s",
            "From one check of a server to the next; a tenth more or less.",
        ),
        key("timeout", Kind::Duration, "2s", "For a whole check."),
        key(
            "fall",
            Kind::Count(1, 1000),
            "3",
            "Failures in a row after which a server is down.",
        ),
        key(
            "rise",
            Kind::Count(1, 1000),
            "2",
            "Successes in a row after which it is up again.",
        ),
        key(
            "expect",
            Kind::Text,
            "2xx,3xx",
            "Statuses that are well: codes, classes and ranges, such as \"200-204,3xx,401\".",
        ),
        key(
            "body",
            Kind::Text,
            "",
            "Text that the first 64 KiB of the body must hold; \"~...\" = a regular expression.",
        ),
        key(
            "host",
            Kind::Text,
            "",
            "The field Host; the address of the server if absent, none at all with version 1.0.",
        ),
        key("method", Kind::Text, "GET", "Method of the request."),
        key(
            "version",
            Kind::Word(&["1.1", "1.0"]),
            "1.1",
            "Version of HTTP; 1.0 = the request has no field but `host`.",
        ),
        key(
            "port",
            Kind::Count(1, 65535),
            "",
            "Another port than that of the server.",
        ),
        key(
            "initial",
            Kind::Word(&["up", "down"]),
            "up",
            "Whether a server gets requests before its first check, which decides by itself.",
        ),
    ],
};

/// `passive = { ... }`
pub static PASSIVE: Keys = Keys {
    name: "passive",
    header: "passive = { ... }",
    doc: "What is learnt from the requests of clients.",
    keys: &[
        key(
            "errors",
            Kind::Count(1, 1_000_000),
            "5",
            "Failures in a row after which a server is ejected: it broke off, was late or broke the protocol.",
        ),
        key(
            "within",
            Kind::Duration,
            "10s",
            "From one of these failures to the next at most.",
        ),
        key(
            "eject",
            Kind::Duration,
            "30s",
            "How long a server then gets no requests; longer each time, up to ten times that.",
        ),
        key(
            "max_ejected",
            Kind::Text,
            "50%",
            "Share of the servers that may be ejected at once.",
        ),
    ],
};

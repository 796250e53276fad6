//! `auth`: who may come in.

use crate::keys::{Key, Keys, Kind, key, later};

/// `auth` of a site or route.
pub const AUTH: Key = key(
    "auth",
    Kind::TextsOrOff,
    "",
    "Who may come in: an [auth.NAME], or a list of which each lets in; that of a route replaces that of its site.",
);

/// `[auth.NAME]`
pub const TABLES: Key = key(
    "auth",
    Kind::Named(&TABLE),
    "",
    "Ways to find out who asks; named by `auth` of sites and routes.",
);

/// `[auth.NAME]`
pub static TABLE: Keys = Keys {
    name: "auth",
    header: "[auth.NAME]",
    doc: "One way to find out who asks: exactly one of `basic`, `forward`, `mtls`.",
    keys: &[
        key(
            "basic",
            Kind::Table(&BASIC),
            "",
            "User and password, which browsers ask for.",
        ),
        key(
            "forward",
            Kind::Table(&FORWARD),
            "",
            "Another server is asked whether a request may pass.",
        ),
        key(
            "mtls",
            Kind::Table(&MTLS),
            "",
            "The certificate of the client; its site has to ask for one (`tls_client`).",
        ),
        later("jwt"),
        later("oidc"),
        later("api_key"),
        key(
            "pass",
            Kind::Table(&PASS),
            "",
            "How apps and servers are told who it is, beside REMOTE_USER.",
        ),
        key(
            "or_from",
            Kind::Texts,
            "",
            "Networks whose clients are let in without proof.",
        ),
    ],
};

/// `basic = { ... }`
pub static BASIC: Keys = Keys {
    name: "basic",
    header: "basic = { ... }",
    doc: "User and password (RFC 7617), verified with a file of users.",
    keys: &[
        key(
            "realm",
            Kind::Text,
            "Restricted",
            "What browsers show when they ask for the password.",
        ),
        key(
            "users",
            Kind::Path,
            "",
            "The file of users, as htpasswd or `quaich hash-password` write it; read again when it changes.",
        ),
        key(
            "pass_on",
            Kind::Bool,
            "false",
            "Let apps and servers see user and password, too.",
        ),
    ],
};

/// `forward = { ... }`
pub static FORWARD: Keys = Keys {
    name: "forward",
    header: "forward = { ... }",
    doc: "A request without body to another server: 2xx lets in; 401, 403 and redirects go to the client; anything else is 503.",
    keys: &[
        key(
            "url",
            Kind::Text,
            "",
            "What is asked, for example \"http://127.0.0.1:9091/verify\".",
        ),
        key(
            "upstream",
            Kind::Text,
            "",
            "In place of `url`: an [upstream.NAME], with `path`.",
        ),
        key(
            "path",
            Kind::Text,
            "/",
            "With `upstream`: path and query of what is asked.",
        ),
        key(
            "method",
            Kind::Word(&["GET", "HEAD", "POST", "original"]),
            "GET",
            "Method of what is asked; `original` is that of the client.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "5s",
            "From the question to the end of the answer; 503 after it.",
        ),
        key(
            "copy",
            Kind::Texts,
            "",
            "Fields of the answer that the request goes on with; no client can send them.",
        ),
        key(
            "user_from",
            Kind::Text,
            "",
            "The field of the answer that names the user.",
        ),
        key(
            "cookies",
            Kind::Bool,
            "true",
            "Give `Set-Cookie` of an answer of 2xx to the client.",
        ),
    ],
};

/// `mtls = { ... }`
pub static MTLS: Keys = Keys {
    name: "mtls",
    header: "mtls = { ... }",
    doc: "The certificate that the client has shown and that was found to be good.",
    keys: &[
        key(
            "user",
            Kind::Word(&["cn", "subject", "san-email", "san-dns"]),
            "cn",
            "Which of its names is the user.",
        ),
        key(
            "allow",
            Kind::Texts,
            "",
            "Globs, one of which the user has to match; everybody if absent.",
        ),
    ],
};

/// `pass = { ... }`
pub static PASS: Keys = Keys {
    name: "pass",
    header: "pass = { ... }",
    doc: "Request fields that say who it is; no client can send them.",
    keys: &[key(
        "user",
        Kind::TextOrOff,
        "X-Remote-User",
        "The field that names the user.",
    )],
};

//! The keys of `sticky`: how a client stays with its server. Read through `keys`.

use super::{Keys, Kind, key};

/// `sticky = { ... }`
pub static STICKY: Keys = Keys {
    name: "sticky",
    header: "sticky = { ... }",
    doc: "How a client stays with its server: by one of `cookie`, `app_cookie`, `header`, `client_ip`.",
    keys: &[
        key(
            "cookie",
            Kind::Text,
            "",
            "Name of a cookie that quaich sets; the app never sees it.",
        ),
        key(
            "app_cookie",
            Kind::Text,
            "",
            "Name of a cookie of the app, whose value names the server after a dot.",
        ),
        key(
            "header",
            Kind::Text,
            "",
            "Requests with equal values of this field go to one server.",
        ),
        key(
            "client_ip",
            Kind::Bool,
            "false",
            "Requests of one address (IPv6: one /64) go to one server.",
        ),
        key(
            "fallback",
            Kind::Word(&["rebalance", "fail"]),
            "rebalance",
            "When that server cannot be used: another one, or 503.",
        ),
        key(
            "prefix",
            Kind::Bool,
            "false",
            "With `app_cookie`: quaich puts the server's name and `~` before the value, and takes them away again.",
        ),
        key(
            "plain",
            Kind::Bool,
            "false",
            "With `cookie`: names of servers, in place of signed values.",
        ),
        key(
            "secret_file",
            Kind::Path,
            "",
            "What values are signed with, 32 bytes or more, for several quaichs; one in the state directory if absent.",
        ),
        key(
            "ttl",
            Kind::Duration,
            "",
            "With `cookie`: how long browsers keep it; until they are closed if absent.",
        ),
        key("path", Kind::Text, "/", "With `cookie`: its `Path`."),
        key("domain", Kind::Text, "", "With `cookie`: its `Domain`."),
        key(
            "secure",
            Kind::AutoBool,
            "auto",
            "With `cookie`: `Secure`; auto = where the client speaks https.",
        ),
        key(
            "http_only",
            Kind::Bool,
            "true",
            "With `cookie`: `HttpOnly`.",
        ),
        key(
            "same_site",
            Kind::Word(&["off", "lax", "strict", "none"]),
            "off",
            "With `cookie`: `SameSite`.",
        ),
    ],
};

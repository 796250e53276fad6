//! The keys of what ends a route: files, redirects, fixed answers. Read through `keys`.

use super::{Keys, Kind, key};

/// `files = { ... }`
pub static FILES: Keys = Keys {
    name: "files",
    header: "files = { ... }",
    doc: "Files below a directory.",
    keys: &[
        key("root", Kind::Path, "", "The directory."),
        key(
            "index",
            Kind::Texts,
            "index.html",
            "Names tried in a directory.",
        ),
        key(
            "try",
            Kind::Texts,
            "{path}",
            "Names tried in order below the root.",
        ),
        key(
            "expires",
            Kind::TextOrOff,
            "",
            "Cache-Control: max-age, a duration.",
        ),
        key(
            "list",
            Kind::Bool,
            "false",
            "List directories without an index file.",
        ),
        key(
            "precompressed",
            Kind::Bool,
            "true",
            "Serve x.br, x.zst, x.gz in place of x.",
        ),
        key(
            "hidden",
            Kind::Bool,
            "false",
            "Serve names that begin with a dot.",
        ),
        key(
            "symlinks",
            Kind::Switch(&["inside", "follow", "off"]),
            "inside",
            "Symbolic links followed: those that stay below the root, all, or none.",
        ),
    ],
};

/// `sendfile = { ... }`
pub static SENDFILE: Keys = Keys {
    name: "sendfile",
    header: "sendfile = { ... }",
    doc: "Files that the app or upstream names in its answer, and quaich sends.",
    keys: &[
        key(
            "root",
            Kind::Path,
            "",
            "The directory; no file outside of it is sent.",
        ),
        key(
            "prefix",
            Kind::Text,
            "",
            "What X-Accel-Redirect puts before paths below the root, such as \"/protected\".",
        ),
    ],
};

/// `redirect = { ... }`
pub static REDIRECT: Keys = Keys {
    name: "redirect",
    header: "redirect = { ... }",
    doc: "Sends the client elsewhere.",
    keys: &[
        key(
            "to",
            Kind::Text,
            "",
            "URL or path; {host} {path} {query} {scheme}, {1} of the pattern and others are filled in, encoded as a URL needs it; {query} with its question mark.",
        ),
        key(
            "code",
            Kind::Count(301, 308),
            "308",
            "301, 302, 303, 307 or 308.",
        ),
    ],
};

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

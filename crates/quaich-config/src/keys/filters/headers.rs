//! `request_headers` and `response_headers`: fields that are set, added, removed.

use crate::keys::{Key, Keys, Kind, key};

/// `request_headers` of a site or route.
pub const REQUEST_HEADERS: Key = key(
    "request_headers",
    Kind::TableOrOff(&REQUEST_EDITS),
    "",
    "Fields of requests as apps and upstreams get them; a route's edits follow those of its site.",
);

/// `response_headers` of a site or route.
pub const RESPONSE_HEADERS: Key = key(
    "response_headers",
    Kind::TableOrOff(&RESPONSE_EDITS),
    "",
    "Fields of answers, error pages included; a route's edits follow those of its site.",
);

const REMOVE: Key = key(
    "remove",
    Kind::Texts,
    "",
    "Names that are taken away, first of all; `*` stands for any run of characters.",
);

const SET: Key = key(
    "set",
    Kind::Pairs,
    "",
    "Name = text with placeholders: the only field of that name then.",
);

const APPEND: Key = key(
    "append",
    Kind::Pairs,
    "",
    "Name = text with placeholders, behind the value that is there and a comma.",
);

const ADD: Key = key(
    "add",
    Kind::Pairs,
    "",
    "Name = text with placeholders: a further field, whatever is there.",
);

const INHERIT: Key = key(
    "inherit",
    Kind::Bool,
    "true",
    "Of a route: whether the edits of its site hold too.",
);

/// `request_headers = { ... }`
pub static REQUEST_EDITS: Keys = Keys {
    name: "request_headers",
    header: "request_headers = { ... }",
    doc: "Edits in the order remove, set, append, add.",
    keys: &[REMOVE, SET, APPEND, ADD, INHERIT],
};

/// `response_headers = { ... }`
pub static RESPONSE_EDITS: Keys = Keys {
    name: "response_headers",
    header: "response_headers = { ... }",
    doc: "Edits in the order remove, set, append, add.",
    keys: &[
        REMOVE,
        SET,
        APPEND,
        ADD,
        key(
            "on",
            Kind::Word(&["any", "ok", "error"]),
            "any",
            "Answers that are edited: any, those with a status below 400, those from 400 on.",
        ),
        INHERIT,
        key(
            "hide",
            Kind::Bool,
            "",
            "Whether X-Powered-By, X-AspNet-Version, X-AspNetMvc-Version and X-Runtime of apps and upstreams are taken away; as the site has it, else true.",
        ),
    ],
};

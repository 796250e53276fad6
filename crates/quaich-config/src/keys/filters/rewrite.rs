//! `rewrite = { ... }` and its kin: other paths, other hosts, and the way back of mounted apps.

use crate::keys::{Key, Keys, Kind, key};

/// `rewrite` of a site or route.
pub const REWRITE: Key = key(
    "rewrite",
    Kind::TablesOrOff(&RULE),
    "",
    "Other paths for apps, servers and files: a table or a list of which the first that matches counts.",
);

/// `canonical_host` of a site or route.
pub const CANONICAL_HOST: Key = key(
    "canonical_host",
    Kind::TextOrOff,
    "",
    "Requests for other hosts are redirected to this one.",
);

/// `slash` of a site or route.
pub const SLASH: Key = key(
    "slash",
    Kind::Switch(&["off", "add", "remove"]),
    "off",
    "Redirects paths without a slash at their end to those with one (not those whose last part has a dot), or the other way round.",
);

/// `rewrite_back` of a site or route.
pub const REWRITE_BACK: Key = key(
    "rewrite_back",
    Kind::Switch(&["auto", "always", "off"]),
    "auto",
    "Where a route has a `prefix`, paths in Location, Content-Location, Refresh, Link and Set-Cookie get it unless they have it; \"always\": also those that seem to have it.",
);

/// `rewrite = { ... }`
pub static RULE: Keys = Keys {
    name: "rewrite",
    header: "rewrite = { ... }",
    doc: "Another path, and query, for requests whose path matches.",
    keys: &[
        key(
            "path",
            Kind::Text,
            "",
            "\"/login\", \"/static/*\" ({1} is what `*` stands for), \"*.php\", \"~regex\".",
        ),
        key(
            "to",
            Kind::Text,
            "",
            "The new path, with {1} and {name} of the pattern, {path}, {query} and the like; the query is kept unless there is a `?`.",
        ),
        key(
            "then",
            Kind::Word(&["here", "route"]),
            "here",
            "\"here\": this route goes on; \"route\": the route is chosen again.",
        ),
    ],
};

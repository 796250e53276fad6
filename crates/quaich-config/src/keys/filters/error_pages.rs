//! `error_pages` and `replace_errors`: what answers of an error status show.

use crate::keys::{Key, Keys, Kind, key};

/// `error_pages` of a site or route.
pub const ERROR_PAGES: Key = key(
    "error_pages",
    Kind::Each(&ERROR_PAGE),
    "",
    "Files shown in place of the built-in page: 404, \"4xx\", \"5xx\" or \"*\" = \"errors/404.html\"; \"off\" = none of the site's.",
);

/// `replace_errors` of a site or route.
pub const REPLACE_ERRORS: Key = key(
    "replace_errors",
    Kind::Statuses,
    "false",
    "Whether the page takes the place of errors that the app or upstream sends itself: true = where `error_pages` has one, or the statuses.",
);

/// `404 = { ... }`
pub static ERROR_PAGE: Keys = Keys {
    name: "error_pages",
    header: "error_pages = { 404 = { ... } }",
    doc: "A page and the status that it is sent with.",
    keys: &[
        key(
            "page",
            Kind::Path,
            "",
            "The file: .html, .htm, .json, .txt or .xml.",
        ),
        key(
            "status",
            Kind::Count(200, 599),
            "",
            "Sent in place of the status of the answer.",
        ),
    ],
};

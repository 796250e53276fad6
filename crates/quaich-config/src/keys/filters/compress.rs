//! `compress`: content codings of answers.

use crate::keys::{Key, Keys, Kind, key};

/// `compress` of a site or route.
pub const COMPRESS: Key = key(
    "compress",
    Kind::TextsOrTable(&TABLE),
    "zstd, br, gzip",
    "Content codings for clients that accept them, best first; true = all, false = none. Routes have their site's.",
);

/// `compress_min` of a site or route.
pub const COMPRESS_MIN: Key = key(
    "compress_min",
    Kind::Size,
    "1KiB",
    "Bodies that are known to be smaller are not compressed.",
);

/// `compress = { ... }`
static TABLE: Keys = Keys {
    name: "compress",
    header: "compress = { ... }",
    doc: "Content codings of answers. What a route does not say is as its site has it.",
    keys: &[
        key(
            "codings",
            Kind::Texts,
            "zstd, br, gzip",
            "Which, best first; the client's weights come before this order.",
        ),
        key(
            "min",
            Kind::Size,
            "1KiB",
            "Bodies that are known to be smaller are not compressed.",
        ),
        key(
            "types",
            Kind::Texts,
            "",
            "Media types: \"text/html\", \"text/*\", \"application/*+json\"; text, scripts, JSON, XML, SVG, fonts if absent.",
        ),
        key(
            "level",
            Kind::Word(&["default", "fast", "best"]),
            "default",
            "How hard all codings try.",
        ),
        key(
            "zstd",
            Kind::Count(1, 19),
            "3",
            "Level of zstd, before `level`.",
        ),
        key(
            "br",
            // A lower bound of 0 would make it a switch.
            Kind::Count(1, 11),
            "4",
            "Level of Brotli, before `level`.",
        ),
        key(
            "gzip",
            Kind::Count(1, 9),
            "4",
            "Level of gzip, before `level`.",
        ),
        key(
            "cookies",
            Kind::Bool,
            "true",
            "Whether answers with Set-Cookie are compressed too.",
        ),
    ],
};

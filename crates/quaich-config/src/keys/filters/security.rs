//! `security`: fields that tell browsers to be careful.

use crate::keys::{Key, Keys, Kind, key};

/// `security` of a site or route.
pub const SECURITY: Key = key(
    "security",
    Kind::BoolOrTable(&FIELDS),
    "false",
    "Fields that tell browsers to be careful, where the answer has them not; true = nosniff, frame and referrer.",
);

/// `security = { ... }`
pub static FIELDS: Keys = Keys {
    name: "security",
    header: "security = { ... }",
    doc: "What a route does not name is as its site has it, else the default.",
    keys: &[
        key(
            "nosniff",
            Kind::Bool,
            "true",
            "X-Content-Type-Options: nosniff.",
        ),
        key(
            "frame",
            Kind::Switch(&["deny", "same-origin", "off"]),
            "same-origin",
            "X-Frame-Options: who may show the page in a frame.",
        ),
        key(
            "referrer",
            Kind::TextOrOff,
            "strict-origin-when-cross-origin",
            "Referrer-Policy.",
        ),
        key(
            "csp",
            Kind::Texts,
            "",
            "Content-Security-Policy; a list is joined with semicolons. \"off\" = none.",
        ),
        key(
            "csp_report_only",
            Kind::Texts,
            "",
            "Content-Security-Policy-Report-Only, likewise.",
        ),
        key(
            "permissions",
            Kind::TextOrOff,
            "",
            "Permissions-Policy, \"camera=(), geolocation=()\".",
        ),
        key(
            "opener",
            Kind::Switch(&[
                "same-origin",
                "same-origin-allow-popups",
                "noopener-allow-popups",
                "unsafe-none",
                "off",
            ]),
            "off",
            "Cross-Origin-Opener-Policy.",
        ),
        key(
            "embedder",
            Kind::Switch(&["require-corp", "credentialless", "unsafe-none", "off"]),
            "off",
            "Cross-Origin-Embedder-Policy.",
        ),
        key(
            "resource",
            Kind::Switch(&["same-origin", "same-site", "cross-origin", "off"]),
            "off",
            "Cross-Origin-Resource-Policy.",
        ),
    ],
};

//! The keys of TLS: `tls` and what is below it, `tls_client`, `hsts`, TLS to upstreams. Read
//! through `keys`.

use super::{Key, Keys, Kind, key, later};

/// `[tls]`
pub static TLS: Keys = Keys {
    name: "tls",
    header: "[tls]",
    doc: "TLS with clients: versions, certificates from files, from ACME or from a local CA.",
    keys: &[
        key(
            "min",
            Kind::Word(&["1.2", "1.3"]),
            "1.2",
            "Oldest version spoken with clients.",
        ),
        key(
            "session_tickets",
            Kind::Bool,
            "true",
            "Whether clients may resume sessions with tickets.",
        ),
        key(
            "ocsp",
            Kind::Bool,
            "true",
            "Fetch and staple an OCSP answer for certificates that name a responder.",
        ),
        key(
            "unknown_sni",
            Kind::Word(&["reject", "default"]),
            "reject",
            "Who asks for a name without certificate gets an alert, or the first certificate.",
        ),
        key(
            "local_ca",
            Kind::Bool,
            "false",
            "Sites without a certificate get one of a local development CA.",
        ),
        key(
            "acme",
            Kind::Table(&ACME),
            "",
            "Certificates from a CA, got and renewed by quaich.",
        ),
        key("cert", Kind::Named(&CERT), "", "Certificates from files."),
        key(
            "client",
            Kind::Table(&CLIENT),
            "",
            "Certificates of clients.",
        ),
    ],
};

/// `[tls.acme]`
pub static ACME: Keys = Keys {
    name: "tls.acme",
    header: "[tls.acme]",
    doc: "Certificates for the exact names of all sites with TLS, got and renewed by quaich (RFC 8555).",
    keys: &[
        key("email", Kind::Text, "", "Contact address of the account."),
        key(
            "directory",
            Kind::Text,
            "letsencrypt",
            "letsencrypt, letsencrypt-staging, zerossl, or the https URL of a directory.",
        ),
        key(
            "ca_file",
            Kind::Path,
            "",
            "CAs (PEM) believed for the directory itself; the system's if absent.",
        ),
        key(
            "challenge",
            Kind::Text,
            "auto",
            "auto, http-01 (over port 80) or tls-alpn-01 (over port 443).",
        ),
        key(
            "profile",
            Kind::Text,
            "",
            "Certificate profile, as the CA names them.",
        ),
        key("eab", Kind::Table(&EAB), "", "External account binding."),
        later("dns"),
        later("on_demand"),
    ],
};

/// `eab = { ... }`
pub static EAB: Keys = Keys {
    name: "eab",
    header: "eab = { ... }",
    doc: "Binds the ACME account to one that the CA knows already.",
    keys: &[
        key("kid", Kind::Text, "", "Key id, from the CA."),
        key(
            "key_file",
            Kind::Path,
            "",
            "File that holds the base64url key from the CA.",
        ),
    ],
};

/// `[tls.cert.NAME]`
pub static CERT: Keys = Keys {
    name: "tls.cert",
    header: "[tls.cert.NAME]",
    doc: "A certificate from files, which are watched. The first is the default certificate.",
    keys: &[
        key(
            "cert",
            Kind::Path,
            "",
            "PEM: the certificate, then its issuers.",
        ),
        key(
            "key",
            Kind::Path,
            "",
            "PEM: the private key, not encrypted.",
        ),
        key(
            "hosts",
            Kind::Texts,
            "from cert",
            "Names that it is used for: \"shop.example.org\", \"*.example.org\" (one label).",
        ),
    ],
};

const CLIENT_AUTH: &[Key] = &[
    key(
        "mode",
        Kind::Word(&["off", "request", "require"]),
        "off",
        "request: ask for a certificate; require: no connection without a good one.",
    ),
    key(
        "ca",
        Kind::Path,
        "",
        "CAs (PEM) whose certificates are good.",
    ),
    key("crl", Kind::Path, "", "Revocation lists (PEM)."),
];

/// `[tls.client]`
pub static CLIENT: Keys = Keys {
    name: "tls.client",
    header: "[tls.client]",
    doc: "Certificates of clients; apps see the result in SSL_CLIENT_*.",
    keys: CLIENT_AUTH,
};

/// `tls_client = { ... }` of a site
pub static SITE_CLIENT: Keys = Keys {
    name: "tls_client",
    header: "tls_client = { ... }",
    doc: "Certificates of clients of one site; without `ca` both files are those of `[tls.client]`.",
    keys: CLIENT_AUTH,
};

/// `hsts = { ... }`
pub static HSTS: Keys = Keys {
    name: "hsts",
    header: "hsts = { ... }",
    doc: "The Strict-Transport-Security field (RFC 6797), sent over TLS only.",
    keys: &[
        key(
            "max_age",
            Kind::DurationOrZero,
            "365d",
            "How long browsers remember it.",
        ),
        key(
            "include_subdomains",
            Kind::Bool,
            "false",
            "Also for every name below.",
        ),
        key(
            "preload",
            Kind::Bool,
            "false",
            "Asks to be built into browsers.",
        ),
    ],
};

/// `tls = { ... }` of an upstream
pub static UPSTREAM_TLS: Keys = Keys {
    name: "upstream tls",
    header: "tls = { ... }",
    doc: "TLS to the https servers of an upstream.",
    keys: &[
        key(
            "ca",
            Kind::Path,
            "",
            "CAs (PEM) that are believed; the system's if absent.",
        ),
        key(
            "sni",
            Kind::Text,
            "",
            "Name asked for and checked in place of the server's own.",
        ),
        key(
            "cert",
            Kind::Path,
            "",
            "Client certificate (PEM), with `key`.",
        ),
        key("key", Kind::Path, "", "Its private key (PEM)."),
        key(
            "verify",
            Kind::Bool,
            "true",
            "Whether the server's certificate is checked.",
        ),
    ],
};

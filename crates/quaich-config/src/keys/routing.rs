//! The keys of where requests go: `site`, `route`, actions. Read through `keys`.

use super::filters::{
    acl, auth, compress, cors, error_pages, expires, headers, limit, maintenance, rewrite, security,
};
use super::{HSTS, Keys, Kind, SITE_CLIENT, key, later};

/// `[site.NAME]`
pub static SITE: Keys = Keys {
    name: "site",
    header: "[site.NAME]",
    doc: "A set of host names. `root`, `app`, `upstream`, `proxy` make its last route.",
    keys: &[
        key(
            "hosts",
            Kind::Texts,
            "*",
            "\"shop.example.org\", \"*.example.org\", \"*\".",
        ),
        key(
            "listen",
            Kind::Texts,
            "",
            "Names or addresses of listeners; all if absent.",
        ),
        key(
            "root",
            Kind::Path,
            "",
            "Directory of files that are tried first.",
        ),
        key("app", Kind::Text, "", "App that answers."),
        key("upstream", Kind::Text, "", "Upstream that answers."),
        key(
            "proxy",
            Kind::Text,
            "",
            "URL of a single server that answers.",
        ),
        key(
            "redirect_https",
            Kind::AutoBool,
            "auto",
            "Send plain HTTP to https; auto = from port 80, where port 443 has a certificate.",
        ),
        key(
            "hsts",
            Kind::DurationOrTable(&HSTS),
            "off",
            "Browsers shall use https only, for that long; true = 365 days.",
        ),
        key(
            "tls_client",
            Kind::Table(&SITE_CLIENT),
            "",
            "Certificates of clients, when other than `[tls.client]`.",
        ),
        key(
            "access_log",
            Kind::Bool,
            "true",
            "Whether requests are logged.",
        ),
        key(
            "route",
            Kind::Tables(&ROUTE),
            "",
            "In file order; the first that matches wins.",
        ),
        rewrite::REWRITE,
        rewrite::CANONICAL_HOST,
        rewrite::SLASH,
        rewrite::REWRITE_BACK,
        headers::REQUEST_HEADERS,
        headers::RESPONSE_HEADERS,
        security::SECURITY,
        cors::CORS,
        compress::COMPRESS,
        compress::COMPRESS_MIN,
        expires::EXPIRES,
        error_pages::ERROR_PAGES,
        error_pages::REPLACE_ERRORS,
        maintenance::MAINTENANCE,
        limit::LIMIT,
        auth::AUTH,
        later("waf"),
    ],
};

/// `[[site.NAME.route]]`
pub static ROUTE: Keys = Keys {
    name: "route",
    header: "[[site.NAME.route]]",
    doc: "Conditions (all must hold), then one action; `files` may go before `app`/`upstream`.",
    keys: &[
        key("host", Kind::Texts, "", "Host patterns, any of them."),
        key(
            "path",
            Kind::Texts,
            "",
            "\"/login\", \"/static/*\", \"*.php\", \"~regex\".",
        ),
        key("method", Kind::Texts, "", "Methods, any of them."),
        key(
            "query",
            Kind::Pairs,
            "",
            "Query parameters: name = glob, all of them.",
        ),
        key(
            "header",
            Kind::Pairs,
            "",
            "Header fields: name = glob, all of them.",
        ),
        key(
            "prefix",
            Kind::Text,
            "",
            "Mount point: matches it and everything below.",
        ),
        key(
            "files",
            Kind::Table(&FILES),
            "",
            "Files that are tried before the action.",
        ),
        key("app", Kind::Text, "", "App that answers."),
        key("upstream", Kind::Text, "", "Upstream that answers."),
        key(
            "proxy",
            Kind::Text,
            "",
            "URL of a single server that answers.",
        ),
        key(
            "redirect",
            Kind::Table(&REDIRECT),
            "",
            "Sends the client elsewhere.",
        ),
        key("respond", Kind::Table(&RESPOND), "", "A fixed answer."),
        key(
            "status",
            Kind::Count(200, 599),
            "",
            "An empty answer; from 400 on an error page.",
        ),
        key(
            "sendfile",
            Kind::Table(&SENDFILE),
            "",
            "Files that the app or upstream may have sent: X-Accel-Redirect, X-Sendfile.",
        ),
        key("max_body", Kind::Size, "", "Request body; 413 beyond."),
        key(
            "timeout",
            Kind::Duration,
            "",
            "Overrides the timeout of the app or upstream.",
        ),
        key("log", Kind::Bool, "true", "Whether requests are logged."),
        key(
            "variables",
            Kind::Pairs,
            "",
            "Set for apps and for uwsgi, FastCGI and SCGI servers, in place of others of the same name: NAME = text with placeholders, {path} decoded.",
        ),
        acl::WHEN,
        rewrite::REWRITE,
        rewrite::CANONICAL_HOST,
        rewrite::SLASH,
        rewrite::REWRITE_BACK,
        headers::REQUEST_HEADERS,
        headers::RESPONSE_HEADERS,
        security::SECURITY,
        cors::CORS,
        compress::COMPRESS,
        compress::COMPRESS_MIN,
        expires::EXPIRES,
        error_pages::ERROR_PAGES,
        error_pages::REPLACE_ERRORS,
        maintenance::MAINTENANCE,
        limit::LIMIT,
        auth::AUTH,
        later("cache"),
        later("waf"),
        later("buffer"),
        later("websocket"),
        later("mirror"),
        later("split"),
        later("admin"),
    ],
};

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

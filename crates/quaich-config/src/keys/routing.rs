//! The keys of where requests go: `upstream`, `site`, `route`, actions. Read through `keys`.

use super::filters::{
    acl, auth, compress, cors, error_pages, expires, headers, limit, maintenance, rewrite, security,
};
use super::{
    DISCOVER, HEALTH, HSTS, Keys, Kind, PASSIVE, SITE_CLIENT, STICKY, UPSTREAM_TLS, key, later,
};

/// `[upstream.NAME]`
pub static UPSTREAM: Keys = Keys {
    name: "upstream",
    header: "[upstream.NAME]",
    doc: "Servers that run elsewhere.",
    keys: &[
        key(
            "servers",
            Kind::Texts,
            "",
            "\"host:port\", \"http://host:port\", \"https://host\", \"h2c://host:port\", \"uwsgi://host:port\", \"fastcgi://host:port\", \"scgi://host:port\"; \"http+unix:/path\" and so on. For listeners with tcp: \"tcp://host:port\", \"tcp+unix:/path\".",
        ),
        key(
            "server",
            Kind::Tables(&UPSTREAM_SERVER),
            "",
            "Servers with a name of their own.",
        ),
        key(
            "balance",
            Kind::Text,
            "round-robin",
            "Who gets the next request: \"round-robin\", \"least-conn\", \"p2c\" (the less busy of two random ones), \"random\", \"first\" (with room), or \"hash:KEY\" with client_ip, uri, path, header.NAME or cookie.NAME.",
        ),
        key(
            "slow_start",
            Kind::DurationOrZero,
            "0s",
            "A server that comes back gets a growing part of its weight for so long.",
        ),
        key(
            "max_queue",
            Kind::Count(0, 1 << 20),
            "1024",
            "Requests that may wait while every server has `max_conns`; 503 beyond.",
        ),
        key(
            "queue_timeout",
            Kind::Duration,
            "5s",
            "How long one of them waits; 503 after it.",
        ),
        key("connect_timeout", Kind::Duration, "2s", "Per attempt."),
        key(
            "timeout",
            Kind::Duration,
            "60s",
            "Between two bytes of the answer.",
        ),
        key(
            "retries",
            Kind::Count(0, 100),
            "1",
            "Other attempts after a failed connect, or a close without an answer to an idempotent request.",
        ),
        key(
            "retry_on",
            Kind::Texts,
            "connect",
            "What is worth another attempt: \"connect\" (always), \"timeout\", statuses of 500 to 599 and 429. Only idempotent requests whose body was not sent.",
        ),
        key(
            "retry_budget",
            Kind::TextOrOff,
            "20%",
            "Most retries as a share of the requests of the last ten seconds, beyond ten a second; off = no bound.",
        ),
        key(
            "keepalive",
            Kind::Count(0, 1 << 20),
            "256",
            "Idle connections kept per server, over all threads; 0 = none, and `Connection: close` with each request. 0 also where it is not set and all servers speak FastCGI: php-fpm holds a child for each kept one.",
        ),
        key(
            "keepalive_timeout",
            Kind::DurationOrZero,
            "60s",
            "Idle time of a kept connection.",
        ),
        key(
            "keepalive_age",
            Kind::DurationOrZero,
            "0s",
            "Age at which a connection is not kept any more; 0 = any.",
        ),
        key(
            "h2",
            Kind::AutoBool,
            "auto",
            "HTTP/2 with https servers: if the server chooses it, always, or never.",
        ),
        key(
            "send_proxy",
            Kind::Switch(&["off", "v1", "v2"]),
            "off",
            "Begin each connection with the PROXY protocol of this version; connections are then not kept.",
        ),
        key(
            "tls",
            Kind::Table(&UPSTREAM_TLS),
            "",
            "How https servers are checked.",
        ),
        key(
            "discover",
            Kind::Table(&DISCOVER),
            "",
            "Where other servers come from while quaich runs.",
        ),
        key(
            "resolve",
            Kind::Duration,
            "30s",
            "Names are looked up again when the time that the name server gave is over, at the latest after this.",
        ),
        key(
            "resolver",
            Kind::Texts,
            "",
            "Name servers, \"127.0.0.1:5353\"; those of /etc/resolv.conf if absent.",
        ),
        key(
            "sticky",
            Kind::TableOrOff(&STICKY),
            "",
            "How a client stays with its server.",
        ),
        key(
            "health",
            Kind::BoolOrTable(&HEALTH),
            "false",
            "Checks that quaich makes itself; true = connecting every 5 seconds.",
        ),
        key(
            "passive",
            Kind::BoolOrTable(&PASSIVE),
            "true",
            "What is learnt from the requests of clients, where there are several servers.",
        ),
        key(
            "retry_after",
            Kind::DurationOrZero,
            "1s",
            "A server that could not be connected to gets no requests until a probe, made every so often, succeeds; 0s = requests go on.",
        ),
        key(
            "params",
            Kind::Word(&["wsgi", "nginx", "apache"]),
            "wsgi",
            "Variables for uwsgi, FastCGI and SCGI, SCRIPT_NAME and PATH_INFO above all: as PEP 3333, nginx or Apache has them.",
        ),
    ],
};

/// `[[upstream.NAME.server]]`
pub static UPSTREAM_SERVER: Keys = Keys {
    name: "upstream server",
    header: "[[upstream.NAME.server]]",
    doc: "One server of an upstream.",
    keys: &[
        key("url", Kind::Text, "", "Where it listens, as in `servers`."),
        key("id", Kind::Text, "", "Its name in logs; the url if absent."),
        key(
            "cookie",
            Kind::Text,
            "",
            "Its name in sticky cookies that hold names; the `id` if absent.",
        ),
        key(
            "weight",
            Kind::Count(0, 65_535),
            "1",
            "Its share of the requests, compared with the others'; 0 = only clients that belong to it.",
        ),
        key(
            "backup",
            Kind::Bool,
            "false",
            "Used only while no other server can be.",
        ),
        key(
            "max_conns",
            Kind::Count(0, 1 << 20),
            "0",
            "Requests at once; others wait. 0 = no limit.",
        ),
        key(
            "modifier1",
            Kind::Count(0, 255),
            "0",
            "First byte of a uwsgi request: what the server is to do with it.",
        ),
        key(
            "modifier2",
            Kind::Count(0, 255),
            "0",
            "Last byte of the head of a uwsgi request.",
        ),
    ],
};

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
            "max_body",
            Kind::Size,
            "",
            "Request body, where a route says nothing else; 413 beyond. That of `[server]` if absent.",
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
        limit::ALLOW,
        limit::DENY,
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
        limit::ALLOW,
        limit::DENY,
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

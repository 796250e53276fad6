//! The keys of servers that run elsewhere: `upstream` and its `server`. Read through `keys`.

use super::{DISCOVER, HEALTH, Keys, Kind, PASSIVE, STICKY, UPSTREAM_TLS, key};

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

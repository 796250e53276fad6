//! The keys of what serves: `server`, `app`, `log`, `admin`. Read through `keys`.

use super::{Keys, Kind, key, later};

/// Larger counts have no use and would overflow what is computed from them.
const MANY: u64 = 1 << 40;

/// `[server]`
pub static SERVER: Keys = Keys {
    name: "server",
    header: "[server]",
    doc: "Addresses, threads, limits of the whole process tree.",
    keys: &[
        key(
            "listen",
            Kind::Texts,
            "127.0.0.1:8000",
            "Addresses: \":8000\" (all), \"127.0.0.1:8000\", \"[::1]:8000\", \"unix:/run/x.sock\", \
             \"fd:3\", \"systemd:NAME\".",
        ),
        key(
            "listener",
            Kind::Tables(&LISTENER),
            "",
            "Addresses with settings of their own.",
        ),
        key(
            "tls",
            Kind::AutoBool,
            "auto",
            "TLS on addresses that do not say it themselves; auto = port 443 only.",
        ),
        key(
            "threads",
            Kind::AutoCount(1, 1024),
            "auto",
            "Front threads; auto = one per core.",
        ),
        key(
            "backlog",
            Kind::Count(1, 65_535),
            "2048",
            "Connections that wait to be accepted.",
        ),
        key(
            "reuse_port",
            Kind::Bool,
            "true",
            "One socket per front thread and address.",
        ),
        key(
            "user",
            Kind::Text,
            "",
            "User that the front drops to when started as root.",
        ),
        key(
            "group",
            Kind::Text,
            "",
            "Group that the front drops to when started as root.",
        ),
        key(
            "max_connections",
            Kind::Count(1, MANY),
            "65536",
            "Connections held at once.",
        ),
        key(
            "max_per_ip",
            Kind::Count(0, MANY),
            "0",
            "Connections per client address (IPv6: per /64); 0 = no limit.",
        ),
        key(
            "header_timeout",
            Kind::Duration,
            "10s",
            "For the head of a request; 408 after it.",
        ),
        key(
            "body_timeout",
            Kind::Duration,
            "30s",
            "Between two reads of a body; 408 after it.",
        ),
        key(
            "keepalive",
            Kind::DurationOrZero,
            "75s",
            "Idle time of a kept connection.",
        ),
        key(
            "keepalive_requests",
            Kind::Count(1, MANY),
            "10000",
            "Requests on one connection before it is closed.",
        ),
        key(
            "write_timeout",
            Kind::Duration,
            "60s",
            "Without progress while sending to a client.",
        ),
        key(
            "min_rate",
            Kind::Rate,
            "240B/s",
            "Slowest allowed request body; off = any.",
        ),
        key(
            "max_header",
            Kind::Size,
            "32KiB",
            "All header fields together; 431 beyond.",
        ),
        key(
            "max_headers",
            Kind::Count(1, 65_535),
            "100",
            "Number of header fields; 431 beyond.",
        ),
        key("max_uri", Kind::Size, "8KiB", "Request target; 414 beyond."),
        key(
            "max_body",
            Kind::Size,
            "10MiB",
            "Request body; 413 beyond; off = no limit.",
        ),
        key(
            "shutdown_timeout",
            Kind::DurationOrZero,
            "20s",
            "How long running requests may finish after TERM.",
        ),
        key(
            "state_dir",
            Kind::Path,
            "state",
            "What must outlive the process; made on demand.",
        ),
        key(
            "pid_file",
            Kind::Path,
            "",
            "File that holds the supervisor's process id.",
        ),
        key(
            "trust",
            Kind::Texts,
            "",
            "Networks whose Forwarded and X-Forwarded-* fields are believed.",
        ),
        key(
            "server_header",
            Kind::TextOrOff,
            "quaich",
            "Text of the Server field.",
        ),
        key("date_header", Kind::Bool, "true", "Whether Date is sent."),
        key(
            "proxy_protocol",
            Kind::Switch(&["off", "accept", "require"]),
            "off",
            "Whether peers in `trust` may, or must, say with the PROXY protocol (version 1 or 2) who \
             the client is; with require, nobody else is served.",
        ),
        later("umask"),
        later("sandbox"),
    ],
};

/// `[[server.listener]]`
pub static LISTENER: Keys = Keys {
    name: "listener",
    header: "[[server.listener]]",
    doc: "One address to listen on, with settings of its own.",
    keys: &[
        key(
            "name",
            Kind::Text,
            "",
            "What sites call it in `listen`; the address if absent.",
        ),
        key(
            "addr",
            Kind::Text,
            "",
            "The address, as in `server.listen`.",
        ),
        key(
            "mode",
            Kind::Text,
            "0660",
            "Permission bits of a unix socket, octal.",
        ),
        key(
            "tls",
            Kind::AutoBool,
            "auto",
            "Whether clients speak TLS here; auto = as `server.tls` says.",
        ),
        key(
            "protocols",
            Kind::Texts,
            "h1, h2",
            "HTTP/1.1 and HTTP/2; without TLS h2 is for clients that know of it beforehand. Or one \
             of uwsgi, fastcgi, scgi (for requests that another web server passes on) and tcp (bytes \
             both ways).",
        ),
        key(
            "upstream",
            Kind::Text,
            "",
            "Where the connections of `protocols = [\"tcp\"]` go.",
        ),
        key(
            "proxy_protocol",
            Kind::Switch(&["off", "accept", "require"]),
            "",
            "As `server.proxy_protocol`, for this address.",
        ),
        later("alt_svc"),
    ],
};

/// `[app.NAME]`
pub static APP: Keys = Keys {
    name: "app",
    header: "[app.NAME]",
    doc: "A Python program (WSGI) in worker processes.",
    keys: &[
        key(
            "module",
            Kind::Text,
            "",
            "`module:callable`, or the module alone.",
        ),
        key(
            "file",
            Kind::Text,
            "",
            "A .py file, `file.py:callable`; relative to `dir`.",
        ),
        key(
            "factory",
            Kind::Bool,
            "false",
            "Call the object once to get the application.",
        ),
        key(
            "dir",
            Kind::Path,
            ".",
            "Working directory, first on sys.path.",
        ),
        key(
            "venv",
            Kind::Text,
            "",
            "Virtual environment, relative to `dir`.",
        ),
        key(
            "python",
            Kind::Text,
            "",
            "Interpreter: a name on PATH, or a path from `dir`.",
        ),
        key(
            "protocol",
            Kind::Text,
            "auto",
            "How the app is called: auto or wsgi.",
        ),
        key(
            "workers",
            Kind::AutoCount(1, 4096),
            "auto",
            "Processes; auto = $WEB_CONCURRENCY, else cores, at most 2 x cores + 1.",
        ),
        key(
            "threads",
            Kind::Count(1, 1024),
            "4",
            "Threads in each worker.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "30s",
            "Longest time until the answer begins, and between two parts of it; 504 if it has not begun, else it is cut.",
        ),
        key(
            "queue",
            Kind::Count(0, 1 << 20),
            "100",
            "Requests that may wait; 503 beyond.",
        ),
        key(
            "queue_timeout",
            Kind::DurationOrZero,
            "5s",
            "How long one waits; 503 after it.",
        ),
        key(
            "graceful_timeout",
            Kind::DurationOrZero,
            "20s",
            "How long a worker that must stop may finish its request.",
        ),
        key(
            "boot_timeout",
            Kind::Duration,
            "60s",
            "From spawn to ready.",
        ),
        key(
            "max_requests",
            Kind::Count(0, MANY),
            "0",
            "Requests per worker life; 0 = any.",
        ),
        key(
            "max_requests_jitter",
            Kind::Count(0, MANY),
            "0",
            "Random addition to it.",
        ),
        key("env", Kind::Pairs, "", "Added to the environment."),
        key(
            "user",
            Kind::Text,
            "",
            "User of the workers, when started as root.",
        ),
        key(
            "group",
            Kind::Text,
            "",
            "Group of the workers, when started as root.",
        ),
        later("command"),
        later("min_workers"),
        later("max_workers"),
        later("idle_after"),
        later("max_rss"),
        later("lifetime"),
        later("max_body"),
        later("preload"),
        later("reload"),
        later("reload_on"),
        later("touch_reload"),
        later("env_file"),
        later("cpu_affinity"),
        later("nice"),
        later("limits"),
        later("hooks"),
        later("before_start"),
    ],
};

/// `[log]`
pub static LOG: Keys = Keys {
    name: "log",
    header: "[log]",
    doc: "quaich's own messages.",
    keys: &[
        key(
            "level",
            Kind::Word(&["error", "warn", "info", "debug"]),
            "info",
            "Least severity.",
        ),
        key(
            "output",
            Kind::TextOrOff,
            "stderr",
            "stderr, stdout, off or \"file:PATH\".",
        ),
        key(
            "format",
            Kind::Word(&["auto", "text", "json"]),
            "auto",
            "auto = text on a terminal.",
        ),
        key("access", Kind::Table(&ACCESS_LOG), "", "The access log."),
    ],
};

/// `[log.access]`
pub static ACCESS_LOG: Keys = Keys {
    name: "log.access",
    header: "[log.access]",
    doc: "One line per request.",
    keys: &[
        key(
            "output",
            Kind::TextOrOff,
            "stdout",
            "stdout, stderr, off or \"file:PATH\".",
        ),
        key(
            "format",
            Kind::Text,
            "auto",
            "auto, common, combined, json, pretty, or a template with {placeholders}.",
        ),
        later("fields"),
        later("sample"),
        later("skip"),
        later("slow"),
        later("mask_ip"),
        later("rotate"),
    ],
};

/// `[admin]`
pub static ADMIN: Keys = Keys {
    name: "admin",
    header: "[admin]",
    doc: "The control socket, for `quaich status` and `quaich stop`.",
    keys: &[
        key(
            "listen",
            Kind::TextOrOff,
            "unix:quaich.sock",
            "A unix socket: \"unix:PATH\".",
        ),
        later("metrics"),
        later("dashboard"),
        later("token_file"),
    ],
};

//! The one table of every key: name, type, default, meaning.
//!
//! It drives the check for unknown keys, did-you-mean, defaults, the JSON Schema and the reference.
//! A key that is not in this version stands here too, so that it is refused by name.

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text, or `false`/`"off"` for none.
    TextOrOff,
    /// A file or directory; relative ones start at the file that they stand in.
    Path,
    /// `true` or `false`.
    Bool,
    /// A whole number between both bounds; with a lower bound of 0, `false`/`"off"` is 0.
    Count(u64, u64),
    /// `"auto"` or a whole number between both bounds.
    AutoCount(u64, u64),
    /// A time with a unit, more than 0.
    Duration,
    /// A time with a unit; `"0s"` allowed.
    DurationOrZero,
    /// A size with a unit; `false`/`"off"` is 0.
    Size,
    /// Bytes per time; `false`/`"off"` is 0.
    Rate,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or `true`/`false`.
    Switch(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    /// A table of texts with free keys.
    Pairs,
    /// `{ ... }` with fixed keys.
    Table(&'static Keys),
    /// `[[...]]`
    Tables(&'static Keys),
    /// `[....NAME]`
    Named(&'static Keys),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default as written in the file, without quotes; empty = none.
    pub default: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Known, but refused by this version.
    pub later: bool,
}

/// The keys of one table.
#[derive(Debug)]
pub struct Keys {
    /// How the table is called in messages.
    pub name: &'static str,
    /// Its header in the reference.
    pub header: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// In the order of the reference.
    pub keys: &'static [Key],
}

impl Keys {
    /// The key of that name, also one that this version refuses.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names that this version takes.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys
            .iter()
            .filter(|key| !key.later)
            .map(|key| key.name)
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        doc,
        later: false,
    }
}

const fn later(name: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Text,
        default: "",
        doc: "",
        later: true,
    }
}

/// Larger counts have no use and would overflow what is computed from them.
const MANY: u64 = 1 << 40;

/// The top of the file.
pub static TOP: Keys = Keys {
    name: "the file",
    header: "",
    doc: "A configuration file is TOML; shared things are named at top level and used by name.",
    keys: &[
        key(
            "include",
            Kind::Texts,
            "",
            "Files to merge in, globs relative to this file.",
        ),
        key(
            "server",
            Kind::Table(&SERVER),
            "",
            "What holds for the whole server.",
        ),
        key(
            "app",
            Kind::Named(&APP),
            "",
            "Python programs that quaich runs.",
        ),
        key(
            "upstream",
            Kind::Named(&UPSTREAM),
            "",
            "Servers that run elsewhere.",
        ),
        key(
            "site",
            Kind::Named(&SITE),
            "",
            "Sets of host names and what happens there.",
        ),
        key(
            "log",
            Kind::Table(&LOG),
            "",
            "quaich's own messages, and the access log.",
        ),
        key("admin", Kind::Table(&ADMIN), "", "The control socket."),
        later("tls"),
        later("acl"),
        later("cache"),
        later("limit"),
        later("auth"),
        later("waf"),
        later("trace"),
        later("subscribe"),
        later("store"),
    ],
};

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
        later("umask"),
        later("sandbox"),
        later("proxy_protocol"),
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
            Kind::Switch(&["auto", "off"]),
            "auto",
            "TLS; not in this version: off.",
        ),
        key("protocols", Kind::Texts, "", "Only h1 in this version."),
        later("alt_svc"),
        later("proxy_protocol"),
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
            "A request's longest run time; 504 after it.",
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

/// `[upstream.NAME]`
pub static UPSTREAM: Keys = Keys {
    name: "upstream",
    header: "[upstream.NAME]",
    doc: "HTTP servers that run elsewhere.",
    keys: &[
        key(
            "servers",
            Kind::Texts,
            "",
            "\"host:port\", \"http://host:port\" or \"http+unix:/path\".",
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
            "Who gets the next request.",
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
            "Other attempts after a failed connect.",
        ),
        key(
            "keepalive",
            Kind::Count(0, 1 << 20),
            "32",
            "Idle connections kept.",
        ),
        key(
            "keepalive_timeout",
            Kind::DurationOrZero,
            "60s",
            "Idle time of a kept connection.",
        ),
        later("discover"),
        later("slow_start"),
        later("sticky"),
        later("health"),
        later("passive"),
        later("retry_on"),
        later("retry_budget"),
        later("max_queue"),
        later("h2"),
        later("tls"),
        later("send_proxy"),
        later("resolve"),
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
        later("weight"),
        later("backup"),
        later("max_conns"),
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
        later("redirect_https"),
        later("hsts"),
        later("compress"),
        later("compress_min"),
        later("error_pages"),
        later("maintenance"),
        later("waf"),
        later("limit"),
        later("auth"),
        later("request_headers"),
        later("response_headers"),
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
        key("max_body", Kind::Size, "", "Request body; 413 beyond."),
        key(
            "timeout",
            Kind::Duration,
            "",
            "Overrides the timeout of the app or upstream.",
        ),
        key("log", Kind::Bool, "true", "Whether requests are logged."),
        later("when"),
        later("rewrite"),
        later("cache"),
        later("limit"),
        later("auth"),
        later("waf"),
        later("buffer"),
        later("websocket"),
        later("mirror"),
        later("split"),
        later("cors"),
        later("request_headers"),
        later("response_headers"),
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
            "URL or path; {host} {path} {query} {scheme} are filled in.",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn every(keys: &'static Keys, seen: &mut Vec<&'static Keys>) {
        seen.push(keys);
        for key in keys.keys {
            if let Kind::Table(inner) | Kind::Tables(inner) | Kind::Named(inner) = key.kind {
                every(inner, seen);
            }
        }
    }

    #[test]
    fn no_table_names_a_key_twice_and_every_key_is_documented() {
        let mut tables = Vec::new();
        every(&TOP, &mut tables);
        for table in tables {
            let mut names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", table.name);
            for key in table.keys {
                assert!(
                    key.later || key.doc.ends_with('.'),
                    "{}.{}",
                    table.name,
                    key.name
                );
            }
        }
    }
}

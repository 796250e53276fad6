//! `[upstream.NAME]`: servers that run elsewhere, and how one of them is chosen and kept well.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Discover, H2, UpstreamTls};

/// `[upstream.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// Table name, or the URL of the short form.
    pub name: String,
    /// Those of the file; with `discover` there may be none, and others at run time.
    pub servers: Vec<UpstreamServer>,
    /// Where other servers come from.
    pub discover: Option<Discover>,
    /// How long the addresses of a name are used at most; less where the name server says so.
    pub resolve: Duration,
    /// Name servers; empty = those of the system.
    pub resolver: Vec<SocketAddr>,
    /// Who gets the next request.
    pub balance: Balance,
    /// From its return to its full share of requests; 0 = at once.
    pub slow_start: Duration,
    /// How a client stays with its server.
    pub sticky: Option<Sticky>,
    /// Checks that quaich makes itself.
    pub health: Option<Health>,
    /// What is learnt from the requests of clients.
    pub passive: Option<Passive>,
    /// A server that could not be connected to gets no request until a probe, made every so often,
    /// succeeds; 0 = requests go on.
    pub retry_after: Duration,
    /// Per attempt.
    pub connect_timeout: Duration,
    /// Between two bytes of the answer, also before the first.
    pub timeout: Duration,
    /// Other attempts after a failed one.
    pub retries: u32,
    /// Which failures are worth another attempt.
    pub retry_on: RetryOn,
    /// Retries per hundred requests, beyond a few; 100 = no limit.
    pub retry_budget: u8,
    /// Requests that may wait while every server has `max_conns`; 503 beyond.
    pub max_queue: usize,
    /// How long one may wait; 503 after it.
    pub queue_timeout: Duration,
    /// Idle connections kept, over all threads, per server.
    pub keepalive: usize,
    /// Idle time of a kept connection.
    pub keepalive_timeout: Duration,
    /// Age at which a connection is not kept any more; 0 = any.
    pub keepalive_age: Duration,
    /// First bytes of each connection: who the client is.
    pub send_proxy: SendProxy,
    /// Names of the variables for uwsgi, FastCGI and SCGI.
    pub params: Params,
    /// For servers with `tls`.
    pub tls: UpstreamTls,
    /// HTTP/2.
    pub h2: H2,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamServer {
    /// As written, for logs.
    pub id: String,
    /// Where to connect.
    pub addr: UpstreamAddr,
    /// `https://`
    pub tls: bool,
    /// What it speaks, inside TLS if there is any.
    pub protocol: UpstreamProtocol,
    /// Its share of the requests, compared with the others'. 0 = none but those that stick to it.
    pub weight: u32,
    /// Used only while no other server is there.
    pub backup: bool,
    /// Requests at once; 0 = no limit.
    pub max_conns: usize,
    /// Its name in sticky cookies, when those are not signed; `None` = `id`.
    pub cookie: Option<String>,
    /// First and last byte of the head of a uwsgi request.
    pub modifiers: (u8, u8),
}

impl UpstreamServer {
    /// Its name in sticky cookies that hold names.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.cookie.as_deref().unwrap_or(&self.id)
    }
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpstreamProtocol {
    /// HTTP/1.1, or HTTP/2 if TLS finds it.
    Http,
    /// HTTP/2 without TLS and without asking.
    H2c,
    /// uwsgi, as uWSGI and gunicorn speak it.
    Uwsgi,
    /// FastCGI 1.0, responder role.
    FastCgi,
    /// SCGI.
    Scgi,
    /// Whatever the client speaks: bytes both ways.
    Tcp,
}

/// Where an upstream server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpstreamAddr {
    /// A host name or literal address (IPv6 without brackets) and a port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// `balance = "..."`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    /// In turn, by weight, evenly spread.
    RoundRobin,
    /// The one with the fewest running requests for its weight.
    LeastConn,
    /// The less busy one of two random ones.
    P2c,
    /// Any, by weight.
    Random,
    /// The first of the list that has room (`max_conns`).
    First,
    /// `hash:KEY`: equal keys to the same server while it is there.
    Hash(HashKey),
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HashKey {
    /// `client_ip`
    ClientIp,
    /// `uri`: path and query.
    Uri,
    /// `path`
    Path,
    /// `header.NAME`
    Header(String),
    /// `cookie.NAME`
    Cookie(String),
}

/// `sticky = { ... }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sticky {
    /// How a server is recognised.
    pub by: StickyBy,
    /// When that server cannot be used: another one, or 503.
    pub fallback: bool,
    /// What cookie values are signed with; `None` = a file in the state directory.
    pub secret_file: Option<PathBuf>,
}

/// How a client shows which server it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StickyBy {
    /// A cookie of quaich's: set, read and removed here, never seen by the app.
    Cookie(StickyCookie),
    /// A cookie of the app's: what follows the last `.` of its value (`JSESSIONID=x.SERVER`) or, with
    /// `prefix`, what stands before a `~` that quaich puts there and takes away.
    App {
        /// Name.
        cookie: String,
        /// quaich marks the value.
        prefix: bool,
    },
    /// Equal values of a header field to the same server.
    Header(String),
    /// Equal client addresses (IPv6: /64) to the same server.
    ClientIp,
}

/// The cookie that says which server a client belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StickyCookie {
    /// Name.
    pub name: String,
    /// `Max-Age`; `None` = until the browser ends.
    pub ttl: Option<Duration>,
    /// `Secure`; `None` = where the client speaks https.
    pub secure: Option<bool>,
    /// `HttpOnly`
    pub http_only: bool,
    /// `SameSite`
    pub same_site: Option<String>,
    /// `Path`
    pub path: String,
    /// `Domain`
    pub domain: Option<String>,
    /// Names of servers as they are, in place of signed values.
    pub plain: bool,
}

/// `health = { ... }`: checks that quaich makes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub kind: CheckKind,
    /// Between two checks of one server; a tenth more or less.
    pub every: Duration,
    /// For the whole check.
    pub timeout: Duration,
    /// Failures in a row after which a server is down.
    pub fall: u32,
    /// Successes in a row after which it is up.
    pub rise: u32,
    /// Another port than that of the server.
    pub port: Option<u16>,
    /// Whether a server that was not checked yet gets requests. It is down at its first failure.
    pub initially_up: bool,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CheckKind {
    /// Connects (and shakes hands, with TLS).
    Connect,
    /// Asks for a page: over HTTP, or over the protocol of the server.
    Http {
        /// Method.
        method: String,
        /// Path and query.
        path: String,
        /// `Host`; `None` = the address of the server.
        host: Option<String>,
        /// HTTP/1.0 and no field that was not asked for.
        http10: bool,
        /// Statuses that are well, as ranges with both ends.
        expect: Vec<(u16, u16)>,
        /// What the body must hold within its first 64 KiB; `~` before it = a regular expression.
        body: Option<String>,
    },
    /// uwsgi ping (modifier 100) or FastCGI `GET_VALUES`, as the server speaks.
    Ping,
    /// Reads one line of words (`up`, `75%`, `drain` ...) from `Health::port`, as HAProxy does.
    Agent,
}

/// `passive = { ... }`: what is learnt from the requests of clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passive {
    /// Failures in a row, each within `within` of the one before.
    pub errors: u32,
    /// See `errors`.
    pub within: Duration,
    /// How long a server then gets no request; longer each time.
    pub eject: Duration,
    /// Share of the servers, in percent, that may be out for this reason at once.
    pub max_ejected: u8,
}

/// `retry_on = [...]`: connecting is always among them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RetryOn {
    /// No byte of an answer within `timeout`.
    pub timeout: bool,
    /// These statuses, to requests that may be sent twice.
    pub statuses: Vec<u16>,
}

/// `send_proxy = "..."`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendProxy {
    /// Nothing.
    Off,
    /// PROXY protocol, version 1.
    V1,
    /// PROXY protocol, version 2.
    V2,
}

/// `params = "..."`: what SCRIPT_NAME and PATH_INFO are, and which other variables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Params {
    /// As PEP 3333 has it.
    Wsgi,
    /// As nginx's `fastcgi_params`, `uwsgi_params` and `scgi_params`.
    Nginx,
    /// As Apache's `mod_proxy_fcgi`, `mod_proxy_uwsgi` and `mod_proxy_scgi`.
    Apache,
}

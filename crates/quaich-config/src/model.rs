//! The validated configuration: every default filled in, every name resolved, every path absolute.
//!
//! `lower` makes it from a `Document`; the front and the supervisor are built from it and from
//! nothing else. It holds no spans and no optional value where a default exists. It can be written
//! as JSON (the supervisor hands it to the front so) and read back unchanged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod acl;
mod discovery;
mod filters;
mod tls;
mod upstream;

pub use acl::{Acl, TextPattern, Window};
pub use discovery::{Digest, Discover, Subscribe};
pub use filters::{
    Access, Age, Answers, Auth, CertificateName, Compress, Cors, CorsPolicy, Edits, ErrorPage,
    ErrorPages, Expires, ExpiresRule, Filters, ForwardAuth, Headers, Limit, Limits, Maintenance,
    OriginPattern, OriginPort, Proof, Replace, Rewrite, RewriteBack, RewriteRule, Security, Slash,
    Statuses, TextFile,
};
pub use tls::{
    Acme, AcmeChallenge, AcmeEab, Certificate, ClientAuth, ClientAuthMode, H2, Tls, TlsVersion,
    UnknownSni, UpstreamTls,
};
pub use upstream::{
    Balance, CheckKind, HashKey, Health, Params, Passive, RetryOn, SendProxy, Sticky, StickyBy,
    StickyCookie, Upstream, UpstreamAddr, UpstreamProtocol, UpstreamServer,
};

/// One whole configuration. Sites refer to apps and upstreams by index into these lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[app.NAME]`, in file order.
    pub apps: Vec<App>,
    /// `[upstream.NAME]` and the short form `proxy = URL`, in file order.
    pub upstreams: Vec<Upstream>,
    /// `[site.NAME]`, in file order.
    pub sites: Vec<Site>,
    /// `[log]`
    pub log: Log,
    /// `[log.access]`
    pub access_log: AccessLog,
    /// `[admin]`
    pub admin: Admin,
    /// `[subscribe]`
    pub subscribe: Option<Subscribe>,
    /// `[acl.NAME]`, in file order.
    pub acls: Vec<Acl>,
    /// `[limit.NAME]`, in file order.
    pub limits: Vec<Limit>,
    /// `[auth.NAME]`, in file order.
    pub auths: Vec<Auth>,
}

/// `[server]`: what holds for the whole process tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Every address to listen on, in file order.
    pub listeners: Vec<Listener>,
    /// Front threads, resolved: at least 1.
    pub threads: usize,
    /// `listen(2)` backlog.
    pub backlog: u32,
    /// One socket per front thread and address (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// User and group that the front drops to when started as root.
    pub user: Option<String>,
    /// See `user`.
    pub group: Option<String>,
    /// Connections that the front holds at once.
    pub max_connections: usize,
    /// Connections per client address (IPv6: per /64); 0 = no limit.
    pub max_per_ip: usize,
    /// From the first byte of a request to the end of its head; 408 after it.
    pub header_timeout: Duration,
    /// Between two reads of a request body; 408 after it.
    pub body_timeout: Duration,
    /// Idle time of a kept-alive connection.
    pub keepalive: Duration,
    /// Requests on one connection before it is closed.
    pub keepalive_requests: u64,
    /// Without any progress while sending to a client.
    pub write_timeout: Duration,
    /// Slowest allowed request body, bytes per second; 0 = off.
    pub min_rate: u64,
    /// All header fields of a request together, bytes; 431 beyond.
    pub max_header: usize,
    /// Number of header fields; 431 beyond.
    pub max_headers: usize,
    /// Request target, bytes; 414 beyond.
    pub max_uri: usize,
    /// Request body, bytes; 413 beyond. 0 = no limit.
    pub max_body: u64,
    /// How long TERM lets running requests finish.
    pub shutdown_timeout: Duration,
    /// Where quaich keeps what must outlive it; made on demand.
    pub state_dir: PathBuf,
    /// File that holds the supervisor's process id.
    pub pid_file: Option<PathBuf>,
    /// Networks whose forwarding headers are believed, as `address/prefix length`.
    pub trust: Vec<Network>,
    /// `Server:` response field; `None` = not sent.
    pub server_header: Option<String>,
    /// Whether `Date:` is sent.
    pub date_header: bool,
}

/// An address block, e.g. `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The first address.
    pub addr: std::net::IpAddr,
    /// Bits that must agree.
    pub prefix: u8,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// Given or made from the address; sites name it in `listen`.
    pub name: String,
    /// Where.
    pub addr: ListenAddr,
    /// Permission bits of a unix socket file.
    pub mode: u32,
    /// Whether clients speak TLS here.
    pub tls: bool,
    /// Whether HTTP/1.1 is spoken.
    pub h1: bool,
    /// Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.
    pub h2: bool,
    /// What is spoken in place of both.
    pub other: Option<OtherProtocol>,
    /// Whether a PROXY protocol header comes first.
    pub proxy_protocol: ProxyProtocol,
}

/// What clients speak where they speak no HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OtherProtocol {
    /// uwsgi.
    Uwsgi,
    /// FastCGI 1.0.
    FastCgi,
    /// SCGI.
    Scgi,
    /// Whatever servers and clients please.
    Tcp {
        /// Index into `Config::upstreams`.
        upstream: usize,
    },
}

/// `proxy_protocol = "..."`: what peers in `trust` may say of their clients. Nobody else may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyProtocol {
    /// Nothing.
    #[default]
    Off,
    /// A header may come.
    Accept,
    /// A header must come; peers that are not trusted are not served.
    Require,
}

/// Where a listener's socket comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ListenAddr {
    /// `127.0.0.1:8000`, `[::1]:8000`, `:8000` (all addresses, v6 and v4).
    Tcp(SocketAddr),
    /// `unix:/run/x.sock`; an abstract name begins with `@`.
    Unix(PathBuf),
    /// `fd:3`: an inherited, already listening descriptor.
    Fd(i32),
    /// `systemd:NAME`: inherited through `LISTEN_FDS` and `LISTEN_FDNAMES`.
    Systemd(String),
}

/// `[app.NAME]`: a Python program that quaich runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Table name.
    pub name: String,
    /// What is imported.
    pub target: AppTarget,
    /// Call the object once, without arguments, to get the application.
    pub factory: bool,
    /// Working directory, first on `sys.path`.
    pub dir: PathBuf,
    /// The interpreter, resolved.
    pub python: PathBuf,
    /// How `python` was found, in words for people, e.g. `.venv beside the app`.
    pub python_origin: String,
    /// Worker processes.
    pub workers: usize,
    /// Threads in each.
    pub threads: usize,
    /// Longest time without a byte of the answer; 504 and the worker is replaced.
    pub timeout: Duration,
    /// Requests that may wait for a free worker; 503 beyond.
    pub queue: usize,
    /// How long one may wait; 503 after it.
    pub queue_timeout: Duration,
    /// How long a worker that is told to stop may finish its request.
    pub graceful_timeout: Duration,
    /// From spawn to ready.
    pub boot_timeout: Duration,
    /// Requests after which a worker is replaced; 0 = never.
    pub max_requests: u64,
    /// Random addition to `max_requests`.
    pub max_requests_jitter: u64,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// User and group of the workers.
    pub user: Option<String>,
    /// See `user`.
    pub group: Option<String>,
}

/// What a worker imports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AppTarget {
    /// `module:callable`; the callable may be missing (`application`, then `app`).
    Module {
        /// Dotted module name.
        module: String,
        /// Attribute, dots allowed.
        callable: Option<String>,
    },
    /// A `.py` file outside any package.
    File {
        /// Absolute path.
        path: PathBuf,
        /// Attribute, dots allowed.
        callable: Option<String>,
    },
}

/// `[site.NAME]`: a set of host names and what happens there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Table name.
    pub name: String,
    /// Host patterns, lower case, without port.
    pub hosts: Vec<HostPattern>,
    /// Indices into `Server::listeners`; empty = all.
    pub listeners: Vec<usize>,
    /// In file order; the first that matches wins. Short forms of the site are its last route.
    pub routes: Vec<Route>,
    /// Whether requests appear in the access log.
    pub access_log: bool,
    /// Requests over plain HTTP are redirected to `https`. Resolved: `auto` is true where the site
    /// is on port 443 with TLS and in plain on port 80 only, and every exact host of it has or may
    /// have a certificate (from a file, ACME or the local CA).
    pub redirect_https: bool,
    /// Value of `Strict-Transport-Security`, sent over TLS; `None` = not sent.
    pub hsts: Option<String>,
    /// Client certificates, when other than `[tls.client]`.
    pub tls_client: Option<ClientAuth>,
    /// For requests that no route takes; routes have them from here already.
    pub filters: Filters,
}

/// A host name pattern. `exact` wins over the longest `suffix`, which wins over `any`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostPattern {
    /// `shop.example.org`
    Exact(String),
    /// `*.example.org`, held as `.example.org`: any number of labels before it, at least one.
    Suffix(String),
    /// `*`
    Any,
}

/// `[[site.NAME.route]]`: conditions, then one action. All conditions must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Where it stands, `file:line`, for `quaich route` and logs.
    pub origin: String,
    /// Any of these; empty = every host of the site.
    pub host: Vec<HostPattern>,
    /// Any of these; empty = every path. Matched against the normalised, decoded path.
    pub path: Vec<PathPattern>,
    /// Any of these, case-sensitive; empty = all.
    pub method: Vec<String>,
    /// All of these.
    pub query: Vec<FieldMatch>,
    /// All of these; names in lower case.
    pub header: Vec<FieldMatch>,
    /// Indices into `Config::acls`: one of these must hold; empty = no matter.
    pub when: Vec<usize>,
    /// Mount point without trailing slash, `""` = none: `/x` matches `/x` and `/x/...` only.
    pub prefix: String,
    /// Files that are tried before the action.
    pub files: Option<Files>,
    /// Files that an app or upstream may name in its answer, to be sent in its place.
    pub sendfile: Option<SendFile>,
    /// What answers (when `files` has nothing).
    pub action: Action,
    /// Overrides `Server::max_body`.
    pub max_body: Option<u64>,
    /// Overrides the app's or upstream's answer timeout.
    pub timeout: Option<Duration>,
    /// Name and text of variables for apps, and for servers that get variables.
    pub variables: Vec<(String, String)>,
    /// What happens before and behind the action.
    pub filters: Filters,
    /// Whether requests appear in the access log.
    pub log: bool,
}

/// A path condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PathPattern {
    /// `/login`
    Exact(String),
    /// `/static/*`, held as `/static/`: everything below, also `/static` itself.
    Prefix(String),
    /// Any other glob: `*` any run of bytes, `?` one byte. Or `~regex`, kept as text.
    Glob(String),
    /// `~^/v[0-9]+/`: a regular expression, searched for.
    Regex(String),
}

/// A condition on a header field, cookie or query parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldMatch {
    /// Its name.
    pub name: String,
    /// What one of its values must look like.
    pub value: TextPattern,
}

/// The end of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Index into `Config::apps`.
    App(usize),
    /// Index into `Config::upstreams`.
    Upstream(usize),
    /// Nothing but `files`: 404 when there is no file.
    NotFound,
    /// `redirect = { to, code }`
    Redirect {
        /// Text with placeholders `{host} {path} {query} {scheme}`.
        to: String,
        /// 301, 302, 303, 307 or 308.
        code: u16,
    },
    /// `respond = { status, body, type }` and `status = N` (empty body).
    Respond {
        /// Status code.
        status: u16,
        /// Body.
        body: String,
        /// `Content-Type`.
        content_type: String,
    },
    /// `status = N` with N >= 400: the error page of that status.
    Status(u16),
}

/// `files = { root, ... }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// Absolute path of the directory.
    pub root: PathBuf,
    /// File names tried in a directory.
    pub index: Vec<String>,
    /// Names tried in order below the root, with `{path}`.
    pub try_: Vec<String>,
    /// `Cache-Control: max-age` and `Expires`; `None` = not sent.
    pub expires: Option<Duration>,
    /// List directories without index file.
    pub list: bool,
    /// Serve `x.br`, `x.zst`, `x.gz` in place of `x` to clients that accept it.
    pub precompressed: bool,
    /// Serve names that begin with a dot.
    pub hidden: bool,
    /// Which symbolic links are followed.
    pub symlinks: Symlinks,
}

/// `sendfile = { root, prefix }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendFile {
    /// Absolute path of the directory.
    pub root: PathBuf,
    /// What `X-Accel-Redirect` has before a path below the root; no slash at its end, `""` = nothing.
    pub prefix: String,
}

/// Which symbolic links below a static root are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Symlinks {
    /// None.
    Off,
    /// Those that stay below the root.
    Inside,
    /// All, also out of the root.
    Follow,
}

/// `[log]`: quaich's own messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`.
    pub level: String,
    /// Where to.
    pub output: LogOutput,
    /// `auto` (text on a terminal, json else), `text`, `json`.
    pub format: String,
}

/// `[log.access]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessLog {
    /// Where to; `Off` = none.
    pub output: LogOutput,
    /// One line's shape.
    pub format: AccessFormat,
}

/// The shape of an access log line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccessFormat {
    /// Apache's common log format.
    Common,
    /// The same with referrer and user agent.
    Combined,
    /// One JSON object a line.
    Json,
    /// A coloured short line for people; what `auto` is on a terminal.
    Pretty,
    /// Text with placeholders `{name}`.
    Template(String),
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LogOutput {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to, reopened on USR1.
    File(PathBuf),
}

/// `[admin]`: the control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admin {
    /// Path of the unix socket; `None` = off.
    pub socket: Option<PathBuf>,
}

impl Config {
    /// Files that are read when quaich starts and when they change, and whose content the front works
    /// with: pages, lists of users. Each once.
    pub fn texts(&self) -> Vec<TextFile> {
        let auths = self.auths.iter().flat_map(|auth| {
            let place = format!("`[auth.{}]`", auth.name);
            let texts = auth.texts().into_iter();
            texts.map(move |text| text.of(place.clone()))
        });
        let sites = self.sites.iter().flat_map(|site| {
            let place = format!("site `{}`", site.name);
            let routes = site.routes.iter().map(|route| &route.filters);
            let filters = std::iter::once(&site.filters).chain(routes);
            let texts = filters.flat_map(Filters::texts);
            texts.map(move |text| text.of(place.clone()))
        });
        let mut seen = std::collections::BTreeSet::new();
        let mut texts: Vec<TextFile> = auths.chain(sites).collect();
        // Where one place can do without it and another cannot, it is needed.
        texts.sort_by_key(|text| text.optional);
        texts.retain(|text| seen.insert(text.path.clone()));
        texts
    }
}

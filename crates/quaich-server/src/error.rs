//! What can go wrong with one exchange, and the one place where that becomes a status.
//!
//! Handlers and wires return an [`Error`]; `downstream::service` turns it into an answer and a word
//! of the access log. Nothing else decides a status for a failure.

use std::fmt;
use std::time::Duration;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Downstream,
    /// A server behind quaich.
    Upstream,
    /// A Python app that quaich runs.
    App,
    /// quaich itself.
    Internal,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The client broke the protocol; carries the status and the word for log and metric.
    Rejected(u16, &'static str),
    /// The client has left or its connection failed: nobody is there to be answered.
    ClientGone,
    /// The client did not send its request in time.
    RequestTimeout,
    /// The client did not take its answer in time.
    WriteTimeout,
    /// The request body is over the limit.
    BodyTooLarge,
    /// The connection was opened for another site, whose certificate or rules do not hold here.
    Misdirected,
    /// No site for the host.
    NoSite,
    /// No route for the request, or no file.
    NotFound,
    /// A route that only says so.
    Status(u16),
    /// A limit has no room for it; carries the status, and the seconds until it has.
    RateLimited {
        /// Of the answer.
        status: u16,
        /// Seconds, at least 1.
        retry: u32,
    },
    /// Too many run at once; carries the status.
    ConcurrencyLimited(u16),
    /// Clients at this address may not ask.
    AddressDenied,
    /// The resource does not have this method; the allowed ones are in the header field.
    MethodNotAllowed,
    /// No server of the upstream can be used now.
    NoServer,
    /// Every attempt to connect failed.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// The answer took too long.
    ResponseTimeout,
    /// The upstream closed before it answered.
    UpstreamClosed,
    /// TLS with the upstream failed: its certificate, or what it can speak.
    UpstreamTls,
    /// The upstream has not looked at the request, and says so.
    UpstreamRefused,
    /// The upstream gave the request up before it answered.
    UpstreamReset,
    /// The upstream broke the protocol; carries the word for log and metric.
    BadResponse(&'static str),
    /// The answer broke off after its head was sent on.
    Truncated,
    /// The worker died while it ran the request.
    WorkerDied,
    /// The app raised, or broke the rules of its interface.
    AppFailed,
    /// The app took too long.
    AppTimeout,
    /// No room in the queue of the app.
    QueueFull,
    /// No worker became free in time.
    QueueTimeout,
    /// Nobody, or nobody who was believed.
    Unauthenticated,
    /// Somebody who may not come in.
    NotAdmitted,
    /// Too many wrong passwords from one address.
    TooManyPasswords,
    /// Too many passwords are being verified.
    AuthBusy,
    /// Whoever is to say who it is cannot be asked.
    AuthUnavailable,
    /// The site is closed for maintenance.
    Maintenance,
    /// The app or upstream has answered with this status, and its body is replaced. What is kept of its
    /// head is in the response.
    Replaced(u16),
    /// A request was sent on from route to route without end.
    RewriteLoop,
    /// A rewrite has made a path that is none.
    BadRewrite,
    /// Something on this machine failed: disk, memory, descriptors.
    Resources,
}

/// A failure of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    /// Whose fault it is.
    pub side: Side,
}

impl Error {
    /// The client has left.
    pub const CLIENT_GONE: Self = Self::new(Kind::ClientGone, Side::Downstream);

    /// A failure.
    pub const fn new(kind: Kind, side: Side) -> Self {
        Self { kind, side }
    }

    /// A failure of the client.
    pub const fn downstream(kind: Kind) -> Self {
        Self::new(kind, Side::Downstream)
    }

    /// A failure of an upstream server.
    pub const fn upstream(kind: Kind) -> Self {
        Self::new(kind, Side::Upstream)
    }

    /// A failure of an app.
    pub const fn app(kind: Kind) -> Self {
        Self::new(kind, Side::App)
    }

    /// A failure of this machine.
    pub const fn internal() -> Self {
        Self::new(Kind::Resources, Side::Internal)
    }

    /// The status that the client gets; `None` when no answer can be sent any more.
    pub fn status(&self) -> Option<u16> {
        Some(match self.kind {
            Kind::Rejected(status, _) | Kind::Status(status) | Kind::Replaced(status) => status,
            Kind::ClientGone | Kind::WriteTimeout => return None,
            Kind::RequestTimeout => 408,
            Kind::BodyTooLarge => 413,
            Kind::NoSite | Kind::Misdirected => 421,
            Kind::NotFound => 404,
            Kind::RateLimited { status, .. } | Kind::ConcurrencyLimited(status) => status,
            Kind::AddressDenied => 403,
            Kind::MethodNotAllowed => 405,
            Kind::Unauthenticated => 401,
            Kind::NotAdmitted => 403,
            Kind::TooManyPasswords => 429,
            Kind::Connect | Kind::UpstreamClosed | Kind::BadResponse(_) => 502,
            Kind::UpstreamTls | Kind::UpstreamRefused | Kind::UpstreamReset => 502,
            Kind::Truncated | Kind::WorkerDied => 502,
            Kind::ConnectTimeout | Kind::ResponseTimeout | Kind::AppTimeout => 504,
            Kind::AppFailed | Kind::RewriteLoop | Kind::BadRewrite => 500,
            Kind::NoServer | Kind::QueueFull | Kind::QueueTimeout => 503,
            Kind::Resources | Kind::Maintenance => 503,
            Kind::AuthBusy | Kind::AuthUnavailable => 503,
        })
    }

    /// Whether the connection to the client must end after the answer, because its framing is no
    /// longer known.
    pub fn closes(&self) -> bool {
        matches!(
            self.kind,
            Kind::Rejected(..) | Kind::RequestTimeout | Kind::BodyTooLarge
        )
    }

    /// When a client may try again.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = match self.kind {
            Kind::NoServer | Kind::QueueFull | Kind::QueueTimeout | Kind::Resources => 1,
            Kind::AuthBusy | Kind::AuthUnavailable => 1,
            Kind::RateLimited { retry, .. } => retry,
            Kind::ConcurrencyLimited(_) => 1,
            _ => return None,
        };
        Some(Duration::from_secs(seconds.into()))
    }

    /// The word for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self.kind {
            Kind::Rejected(_, word) | Kind::BadResponse(word) => word,
            Kind::ClientGone => "client_gone",
            Kind::RequestTimeout => "request_timeout",
            Kind::WriteTimeout => "write_timeout",
            Kind::BodyTooLarge => "body_too_large",
            Kind::Misdirected => "misdirected",
            Kind::NoSite => "no_site",
            Kind::NotFound => "not_found",
            Kind::Status(_) => "status",
            Kind::RateLimited { .. } => "rate_limited",
            Kind::ConcurrencyLimited(_) => "concurrency_limited",
            Kind::AddressDenied => "address_denied",
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::NoServer => "no_server",
            Kind::Connect => "connect_failed",
            Kind::ConnectTimeout => "connect_timeout",
            Kind::ResponseTimeout => "response_timeout",
            Kind::UpstreamClosed => "upstream_closed",
            Kind::UpstreamTls => "upstream_tls",
            Kind::UpstreamRefused => "upstream_refused",
            Kind::UpstreamReset => "upstream_reset",
            Kind::Truncated => "truncated",
            Kind::WorkerDied => "worker_died",
            Kind::AppFailed => "app_failed",
            Kind::AppTimeout => "app_timeout",
            Kind::QueueFull => "queue_full",
            Kind::QueueTimeout => "queue_timeout",
            Kind::Unauthenticated => "unauthenticated",
            Kind::NotAdmitted => "not_admitted",
            Kind::TooManyPasswords => "too_many_passwords",
            Kind::AuthBusy => "auth_busy",
            Kind::AuthUnavailable => "auth_unavailable",
            Kind::Maintenance => "maintenance",
            Kind::Replaced(_) => "error_replaced",
            Kind::RewriteLoop => "rewrite_loop",
            Kind::BadRewrite => "bad_rewrite",
            Kind::Resources => "resources",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for Error {}

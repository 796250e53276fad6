//! The shape of an access log line: a template, compiled once to a list of pieces.
//!
//! `common` and `combined` are templates too; JSON and the coloured line have code of their own.
//! Called by `access_log` for each line and by the configuration check. Nothing here allocates or
//! uses `std::fmt` once the template is compiled.

use quaich_config::model;
use quaich_proto::headers::HeaderId;

use super::escape;
use super::json_line;
use super::number::{client, decimal, millis};
use super::pretty_line;
use super::record::Record;
use super::timestamp::Timestamp;

/// The common log format of NCSA and Apache, as a template.
pub const COMMON: &str =
    "{client} - {user} [{time_common}] \"{method} {target} {protocol}\" {status} {bytes}";

/// The combined log format, as a template.
pub const COMBINED: &str = "{client} - {user} [{time_common}] \"{method} {target} {protocol}\" \
                            {status} {bytes} \"{referer}\" \"{user_agent}\"";

/// One line's shape, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with pieces between.
    Template(Vec<Piece>),
    /// One JSON object.
    Json,
    /// A short line for people.
    Pretty {
        /// With colours.
        colour: bool,
    },
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Copied as it is.
    Text(Vec<u8>),
    /// A value of the record.
    Value(Value),
    /// `{header.NAME}`: a field of the request.
    Header(String),
}

/// The placeholders of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented by its row in PLACEHOLDERS")]
pub enum Value {
    App,
    Bytes,
    Client,
    Connection,
    ConnectionRequest,
    ConnectMs,
    DurationMs,
    FirstByteMs,
    HeaderMs,
    Host,
    Method,
    Outcome,
    Protocol,
    QueueMs,
    ReceivedBytes,
    Referer,
    RequestId,
    Retries,
    Route,
    Scheme,
    SentBytes,
    Server,
    Site,
    Status,
    Target,
    Time,
    TimeCommon,
    Upstream,
    User,
    UserAgent,
}

/// Name, value and meaning of every placeholder, in alphabetical order.
pub const PLACEHOLDERS: &[(&str, Value, &str)] = &[
    ("app", Value::App, "app that answered"),
    ("bytes", Value::Bytes, "bytes of the answer's body"),
    ("client", Value::Client, "client address, or `unix`"),
    (
        "connect_ms",
        Value::ConnectMs,
        "until the upstream connection stood",
    ),
    ("connection", Value::Connection, "number of the connection"),
    (
        "connection_request",
        Value::ConnectionRequest,
        "which request of the connection, from 1",
    ),
    (
        "duration_ms",
        Value::DurationMs,
        "first byte of the request to last of the answer",
    ),
    (
        "first_byte_ms",
        Value::FirstByteMs,
        "request handed over to first byte of the answer",
    ),
    (
        "header_ms",
        Value::HeaderMs,
        "first byte of the request to the end of its head",
    ),
    ("host", Value::Host, "`Host` as sent"),
    ("method", Value::Method, "request method"),
    (
        "outcome",
        Value::Outcome,
        "how it ended, `ok` if as it should",
    ),
    (
        "protocol",
        Value::Protocol,
        "`HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`, or `TCP` for a whole connection",
    ),
    (
        "queue_ms",
        Value::QueueMs,
        "wait for a free worker or server",
    ),
    (
        "received_bytes",
        Value::ReceivedBytes,
        "bytes of the request's body",
    ),
    ("referer", Value::Referer, "`Referer` as sent"),
    ("request_id", Value::RequestId, "id of the request"),
    ("retries", Value::Retries, "further attempts upstream"),
    ("route", Value::Route, "where the route stands, `file:line`"),
    (
        "scheme",
        Value::Scheme,
        "`http` or `https`; `tcp` or `tls` for a TCP listener",
    ),
    ("sent_bytes", Value::SentBytes, "bytes of the whole answer"),
    (
        "server",
        Value::Server,
        "worker of the app or server of the upstream that answered",
    ),
    ("site", Value::Site, "name of the site"),
    (
        "status",
        Value::Status,
        "status code, 0 if no answer was sent",
    ),
    (
        "target",
        Value::Target,
        "request target as received, with query",
    ),
    (
        "time",
        Value::Time,
        "begin of the request, RFC 3339, UTC, milliseconds",
    ),
    (
        "time_common",
        Value::TimeCommon,
        "the same as the common log format writes it",
    ),
    ("upstream", Value::Upstream, "upstream that answered"),
    ("user", Value::User, "authenticated user"),
    ("user_agent", Value::UserAgent, "`User-Agent` as sent"),
];

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// `{` without `}`, at this byte of the template.
    Unclosed(usize),
    /// `}` without `{`, at this byte; write `}}` for the character itself.
    Unopened(usize),
    /// No placeholder has this name.
    Unknown {
        /// What stands between the braces.
        name: String,
        /// Byte of the template where the name begins.
        at: usize,
    },
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unclosed(at) => write!(f, "`{{` at byte {at} has no `}}`"),
            Self::Unopened(at) => write!(f, "`}}` at byte {at} has no `{{` before it"),
            Self::Unknown { name, .. } => write!(f, "no placeholder is called `{name}`"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Format {
    /// Compiles `format`. `colour` is for [`model::AccessFormat::Pretty`] only.
    pub fn new(format: &model::AccessFormat, colour: bool) -> Result<Self, TemplateError> {
        Ok(match format {
            model::AccessFormat::Common => Self::Template(compile(COMMON)?),
            model::AccessFormat::Combined => Self::Template(compile(COMBINED)?),
            model::AccessFormat::Template(template) => Self::Template(compile(template)?),
            model::AccessFormat::Json => Self::Json,
            model::AccessFormat::Pretty => Self::Pretty { colour },
        })
    }

    /// Appends the line of `record` with its line end.
    pub fn append(&self, out: &mut Vec<u8>, record: &Record<'_>, time: &mut Timestamp) {
        match self {
            Self::Json => json_line::append(out, record, time),
            Self::Pretty { colour } => pretty_line::append(out, record, time, *colour),
            Self::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Value(value) => append_value(out, *value, record, time),
                        Piece::Header(name) => {
                            quoted_or_dash(out, record.headers.by_name(name.as_bytes()));
                        }
                    }
                }
            }
        }
        out.push(b'\n');
    }
}

/// Splits a template at its placeholders `{name}`; `{{` and `}}` stand for braces.
pub fn compile(template: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut rest = template;
    while let Some(brace) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(brace);
        text.extend_from_slice(before.as_bytes());
        let at = template.len() - from.len();
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            text.extend_from_slice(&from.as_bytes()[..1]);
            rest = after;
            continue;
        }
        let inside = from.strip_prefix('{').ok_or(TemplateError::Unopened(at))?;
        let (name, after) = inside.split_once('}').ok_or(TemplateError::Unclosed(at))?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        let unknown = || TemplateError::Unknown {
            name: name.to_owned(),
            at: at + 1,
        };
        pieces.push(placeholder(name).ok_or_else(unknown)?);
        rest = after;
    }
    text.extend_from_slice(rest.as_bytes());
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn placeholder(name: &str) -> Option<Piece> {
    if let Some(header) = name.strip_prefix("header.") {
        return (!header.is_empty()).then(|| Piece::Header(header.to_ascii_lowercase()));
    }
    PLACEHOLDERS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, v, _)| Piece::Value(*v))
}

fn append_value(out: &mut Vec<u8>, value: Value, record: &Record<'_>, time: &mut Timestamp) {
    match value {
        Value::App => word_or(out, record.app, "-"),
        Value::Upstream => word_or(out, record.upstream, "-"),
        Value::Server => word_or(out, record.server, "-"),
        Value::Bytes => decimal(out, record.body_bytes),
        Value::Client => client(out, record.client),
        Value::Connection => decimal(out, record.connection),
        Value::ConnectionRequest => decimal(out, record.connection_request),
        Value::ConnectMs => millis_or_dash(out, record.timings.connect),
        Value::DurationMs => millis(out, record.timings.total),
        Value::FirstByteMs => millis_or_dash(out, record.timings.first_byte),
        Value::HeaderMs => millis_or_dash(out, record.timings.header),
        Value::QueueMs => millis_or_dash(out, record.timings.queue),
        Value::Host => quoted_or_dash(out, Some(record.host)),
        Value::Method => quoted_or_dash(out, Some(record.method)),
        Value::Target => quoted_or_dash(out, Some(record.target)),
        Value::Outcome => word_or(out, record.outcome, "ok"),
        Value::Protocol => word_or(out, record.protocol, "-"),
        Value::Scheme => word_or(out, record.scheme, "-"),
        Value::Site => word_or(out, record.site, "-"),
        Value::Route => word_or(out, record.route, "-"),
        Value::ReceivedBytes => decimal(out, record.received_bytes),
        Value::SentBytes => decimal(out, record.sent_bytes),
        Value::Referer => quoted_or_dash(out, record.headers.get(HeaderId::Referer)),
        Value::UserAgent => quoted_or_dash(out, record.headers.get(HeaderId::UserAgent)),
        Value::RequestId => quoted_or_dash(out, Some(record.request_id)),
        Value::Retries => decimal(out, u64::from(record.retries)),
        Value::Status => decimal(out, u64::from(record.status)),
        Value::Time => out.extend_from_slice(time.rfc3339(record.unix_millis)),
        Value::TimeCommon => out.extend_from_slice(time.common(record.unix_millis)),
        Value::User => match record.remote_user {
            Some(user) if !user.is_empty() => escape::word(out, user),
            _ => out.push(b'-'),
        },
    }
}

fn quoted_or_dash(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) if !value.is_empty() => escape::text(out, value),
        _ => out.push(b'-'),
    }
}

fn word_or(out: &mut Vec<u8>, value: &str, none: &str) {
    if value.is_empty() {
        out.extend_from_slice(none.as_bytes());
    } else {
        escape::word(out, value.as_bytes());
    }
}

fn millis_or_dash(out: &mut Vec<u8>, micros: Option<u64>) {
    match micros {
        Some(micros) => millis(out, micros),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
#[path = "access_format_tests.rs"]
mod tests;

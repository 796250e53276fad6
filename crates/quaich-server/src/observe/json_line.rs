//! The access log line as one JSON object. Names and meaning of its members are a promise: see
//! `docs/reference/access-log.md`.
//!
//! Called by `access_format`. A member whose value does not exist is left out.

use super::escape;
use super::number::{client, decimal, millis};
use super::record::Record;
use super::timestamp::Timestamp;
use quaich_proto::headers::HeaderId;

/// Appends the object, without line end.
pub(super) fn append(out: &mut Vec<u8>, record: &Record<'_>, time: &mut Timestamp) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(time.rfc3339(record.unix_millis));
    out.extend_from_slice(b"\",\"client\":\"");
    client(out, record.client);
    out.push(b'"');
    text(out, b"user", record.remote_user.unwrap_or_default());
    text(out, b"method", record.method);
    text(out, b"scheme", record.scheme.as_bytes());
    text(out, b"host", record.host);
    text(out, b"target", record.target);
    text(out, b"protocol", record.protocol.as_bytes());
    number(out, b"status", u64::from(record.status));
    number(out, b"bytes", record.body_bytes);
    number(out, b"sent_bytes", record.sent_bytes);
    number(out, b"received_bytes", record.received_bytes);
    durations(out, record);
    text(out, b"site", record.site.as_bytes());
    text(out, b"route", record.route.as_bytes());
    text(out, b"app", record.app.as_bytes());
    text(out, b"upstream", record.upstream.as_bytes());
    text(out, b"server", record.server.as_bytes());
    if record.retries > 0 {
        number(out, b"retries", u64::from(record.retries));
    }
    text(
        out,
        b"referer",
        record.headers.get(HeaderId::Referer).unwrap_or_default(),
    );
    text(
        out,
        b"user_agent",
        record.headers.get(HeaderId::UserAgent).unwrap_or_default(),
    );
    text(out, b"request_id", record.request_id);
    number(out, b"connection", record.connection);
    number(out, b"connection_request", record.connection_request);
    text(out, b"outcome", record.outcome.as_bytes());
    out.push(b'}');
}

fn durations(out: &mut Vec<u8>, record: &Record<'_>) {
    let timings = &record.timings;
    duration(out, b"duration_ms", Some(timings.total));
    duration(out, b"header_ms", timings.header);
    duration(out, b"queue_ms", timings.queue);
    duration(out, b"connect_ms", timings.connect);
    duration(out, b"first_byte_ms", timings.first_byte);
}

fn name_of(out: &mut Vec<u8>, name: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if !value.is_empty() {
        name_of(out, name);
        out.push(b'"');
        escape::json(out, value);
        out.push(b'"');
    }
}

fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    name_of(out, name);
    decimal(out, value);
}

fn duration(out: &mut Vec<u8>, name: &[u8], micros: Option<u64>) {
    if let Some(micros) = micros {
        name_of(out, name);
        millis(out, micros);
    }
}

//! The access log line for people at a terminal: short, aligned, coloured by status.
//!
//! Called by `access_format`. For eyes only: its shape may change at any time.

use super::escape;
use super::number::decimal;
use super::record::Record;
use super::timestamp::Timestamp;

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Appends the line, without line end: time, method, status, duration, size, target, who answered.
pub(super) fn append(out: &mut Vec<u8>, record: &Record<'_>, time: &mut Timestamp, colour: bool) {
    let paint = |out: &mut Vec<u8>, code: &str| {
        if colour {
            out.extend_from_slice(code.as_bytes());
        }
    };
    paint(out, DIM);
    out.extend_from_slice(&time.of_day(record.unix_millis));
    paint(out, RESET);
    out.push(b' ');
    paint(out, status_colour(record.status));
    column(out, 3, |out| decimal(out, u64::from(record.status)));
    paint(out, RESET);
    out.push(b' ');
    column(out, 7, |out| duration(out, record.timings.total));
    out.push(b' ');
    column(out, 9, |out| size(out, record.body_bytes));
    out.extend_from_slice(b"  ");
    paint(out, "\x1b[1m");
    escape::human(
        out,
        if record.method.is_empty() {
            b"-"
        } else {
            record.method
        },
    );
    paint(out, RESET);
    out.push(b' ');
    escape::human(
        out,
        if record.target.is_empty() {
            b"-"
        } else {
            record.target
        },
    );
    paint(out, DIM);
    if !record.server.is_empty() {
        out.extend_from_slice(b"  ");
        escape::human(out, record.server.as_bytes());
    }
    paint(out, RESET);
    if !record.outcome.is_empty() {
        paint(out, "\x1b[33m");
        out.extend_from_slice(b"  ");
        out.extend_from_slice(record.outcome.as_bytes());
        paint(out, RESET);
    }
}

fn status_colour(status: u16) -> &'static str {
    match status {
        100..300 => "\x1b[32m",
        300..400 => "\x1b[36m",
        400..500 => "\x1b[33m",
        _ => "\x1b[31m",
    }
}

/// Right-aligned in `width` columns. What is written must be ASCII.
fn column(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let length = out.len() - start;
    if let Some(missing) = width.checked_sub(length) {
        out.resize(start + width, b' ');
        out.copy_within(start..start + length, start + missing);
        out.get_mut(start..start + missing)
            .unwrap_or_default()
            .fill(b' ');
    }
}

/// `850us`, `1.2ms`, `340ms`, `12.5s`
fn duration(out: &mut Vec<u8>, micros: u64) {
    match micros {
        0..1000 => unit(out, micros, b"us"),
        1000..100_000 => tenths(out, micros / 100, b"ms"),
        100_000..1_000_000 => unit(out, micros / 1000, b"ms"),
        _ => tenths(out, micros / 100_000, b"s"),
    }
}

/// `812B`, `3.4KiB`, `1.0GiB`
fn size(out: &mut Vec<u8>, bytes: u64) {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        0..KIB => unit(out, bytes, b"B"),
        KIB..MIB => tenths(out, bytes * 10 / KIB, b"KiB"),
        MIB..GIB => tenths(out, bytes * 10 / MIB, b"MiB"),
        _ => tenths(out, bytes.saturating_mul(10) / GIB, b"GiB"),
    }
}

fn unit(out: &mut Vec<u8>, value: u64, name: &[u8]) {
    decimal(out, value);
    out.extend_from_slice(name);
}

fn tenths(out: &mut Vec<u8>, value: u64, name: &[u8]) {
    decimal(out, value / 10);
    out.push(b'.');
    unit(out, value % 10, name);
}

//! How an answer is dressed: which filters change it just before its head is written, and in which
//! order. Called by `downstream`.
//!
//! | step | why there |
//! |---|---|
//! | versions hidden | what nobody is to know is known to no filter |
//! | `mount` | speaks of the app's own words, and of no others |
//! | `expires` | `headers` has the last word |
//! | `headers` | sees what the app and `expires` have said |
//! | `security` | leaves what is there as it is |
//! | `cors` | in place of what the app says of it |
//! | `compress` | sees what leaves |
//! | the brake | holds back what leaves |
//! | `additions` | are of quaich |

use quaich_proto::h1::BodyLength;

use super::stage::{Brake, Stage};
use super::{Filters, headers, limit};
use crate::exchange::{Exchange, Origin};
use crate::thread::Thread;

impl Filters {
    /// Whether a response may leave otherwise than its handler gave it, for another reason than its
    /// coding.
    fn dresses(&self) -> bool {
        self.mount.is_some()
            || self.headers.is_some()
            || self.security.is_some()
            || self.expires.is_some()
            || self.cors.is_some()
            || self.all_limits().any(limit::Limits::brakes)
    }

    fn all_limits(&self) -> impl Iterator<Item = &limit::Limits> {
        self.limits.iter().chain(&self.user_limits)
    }

    /// What holds the body of this response back.
    fn brake(&self, exchange: &Exchange) -> Option<Brake> {
        let mut pace = limit::Pace::default();
        self.all_limits()
            .for_each(|limits| limits.brake(&mut pace, exchange));
        (!pace.is_idle()).then(|| Brake::new(pace))
    }
}

/// Whether a response with header lines that are rendered already, and a body of `length` bytes, may
/// leave otherwise than its handler gave it.
pub fn dresses_rendered(
    thread: &Thread,
    exchange: &Exchange,
    (lines, length): (&[u8], u64),
) -> bool {
    let filters = thread.generation.filters.of(exchange);
    let compresses = |filters: &Filters| {
        let compress = filters.compress.as_ref();
        compress.is_some_and(|compress| compress.changes_rendered(exchange, lines, length))
    };
    !exchange.additions.is_empty()
        || filters.is_some_and(|filters| filters.dresses() || compresses(filters))
}

/// Changes `exchange.response` as the filters of its route say: the length of its body then, and what
/// the body passes on its way.
pub fn response(
    thread: &Thread,
    exchange: &mut Exchange,
    length: BodyLength,
) -> (BodyLength, Option<Box<Stage>>) {
    let (mut length, mut stage) = (length, None);
    if let Some(filters) = thread.generation.filters.of(exchange) {
        if filters.hides_versions && matches!(exchange.notes.origin, Origin::App | Origin::Upstream)
        {
            headers::hide_versions(exchange);
        }
        if let Some(mount) = &filters.mount
            && exchange.notes.origin != Origin::Quaich
        {
            mount.response(thread, exchange);
        }
        if let Some(expires) = &filters.expires {
            expires.response(exchange, thread.clock.unix_second());
        }
        if let Some(headers) = &filters.headers {
            headers.response(exchange, &thread.counters);
        }
        if let Some(security) = &filters.security {
            security.response(exchange);
        }
        if let Some(cors) = &filters.cors {
            cors.response(exchange);
        }
        if let Some(compress) = &filters.compress {
            (length, stage) = compress.response(thread, exchange, length);
        }
        if let Some(brake) = filters.brake(exchange) {
            stage.get_or_insert_default().pace = Some(brake);
        }
    }
    for (_, name, value) in exchange.additions.iter() {
        // It was valid there.
        let _ = exchange.response.headers.push(name, value);
    }
    (length, stage)
}

/// Changes `exchange.response` where it has no body and other fields do not hold for it: what is said
/// before the answer, and the agreement to a tunnel.
pub fn before_answer(thread: &Thread, exchange: &mut Exchange) {
    let filters = thread.generation.filters.of(exchange);
    if let Some(mount) = filters.and_then(|filters| filters.mount.as_ref()) {
        mount.response(thread, exchange);
    }
}

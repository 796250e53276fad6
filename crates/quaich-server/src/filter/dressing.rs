//! How an answer is dressed: which filters change it just before its head is written, and in which
//! order. Called by `downstream`, and by who sends an answer of another as one of quaich's own.
//!
//! | step | why there |
//! |---|---|
//! | versions hidden | what nobody is to know is known to no filter |
//! | `mount` | speaks of the app's own words, and of no others |
//! | `cors` takes the app's `Access-Control-*` away | what the operator sets of them stays |
//! | `expires` | `headers` has the last word |
//! | `headers` | sees what the app and `expires` have said |
//! | `security` | leaves what is there as it is |
//! | `cors` says who may read it | beside what the operator says |
//! | `additions` | are of quaich: neither mapped nor edited |
//! | `private`, where they set a cookie | looks at what caches will see in the end |
//! | `compress` | its guard sees every cookie |
//! | the brake | holds back what leaves |

use quaich_proto::h1::BodyLength;
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::stage::{Brake, Stage};
use super::{Filters, headers, limit};
use crate::exchange::{Exchange, Origin};
use crate::thread::Thread;
use crate::upstream::sticky::is_cacheable;

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
        if exchange.request.method == Method::Head {
            // Nothing of a body leaves.
            return None;
        }
        let mut pace = limit::Pace::default();
        self.all_limits()
            .for_each(|limits| limits.brake(&mut pace, exchange));
        (!pace.is_idle()).then(|| Brake::new(pace))
    }

    /// All that changes fields before those of quaich are added.
    fn fields(&self, thread: &Thread, exchange: &mut Exchange) {
        let origin = exchange.notes.origin;
        if self.hides_versions && matches!(origin, Origin::App | Origin::Upstream) {
            headers::hide_versions(exchange);
        }
        if origin != Origin::Quaich {
            if let Some(mount) = &self.mount {
                mount.response(thread, exchange);
            }
            if let Some(cors) = &self.cors {
                cors.silence(exchange);
            }
        }
        if let Some(expires) = &self.expires {
            expires.response(exchange, thread.clock.unix_second());
        }
        if let Some(headers) = &self.headers {
            headers.response(exchange, &thread.counters);
        }
        if let Some(security) = &self.security {
            security.response(exchange);
        }
        if let Some(cors) = &self.cors {
            cors.response(exchange);
        }
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
    let filters = thread.generation.filters.of(exchange);
    if let Some(filters) = filters {
        filters.fields(thread, exchange);
    }
    add(exchange);
    if let Some(filters) = filters {
        if let Some(compress) = &filters.compress {
            (length, stage) = compress.response(thread, exchange, length);
        }
        if let Some(brake) = filters.brake(exchange) {
            stage.get_or_insert_default().pace = Some(brake);
        }
    }
    (length, stage)
}

/// What quaich adds to the answer. No cache may give one client the cookie of another.
fn add(exchange: &mut Exchange) {
    let response = &mut exchange.response;
    for (_, name, value) in exchange.additions.iter() {
        // It was valid there.
        let _ = response.headers.push(name, value);
    }
    if exchange.additions.contains(HeaderId::SetCookie)
        && is_cacheable(response.status, &response.headers)
    {
        // A word is valid. A further field is the same as a longer one.
        let _ = response.headers.push(b"Cache-Control", b"private");
    }
}

/// Changes `exchange.response` where it has no body and other fields do not hold for it: what is said
/// before the answer.
pub fn before_answer(thread: &Thread, exchange: &mut Exchange) {
    let filters = thread.generation.filters.of(exchange);
    if let Some(mount) = filters.and_then(|filters| filters.mount.as_ref()) {
        mount.response(thread, exchange);
    }
}

/// As [`before_answer`], for the agreement to a tunnel, which is the only answer: it has the cookies.
pub fn agreement(thread: &Thread, exchange: &mut Exchange) {
    before_answer(thread, exchange);
    for cookie in exchange.additions.get_all(HeaderId::SetCookie) {
        // It was valid there.
        let _ = exchange.response.headers.push(b"Set-Cookie", cookie);
    }
}

/// Does to the fields of an app or server what is done to nobody else's: an answer of quaich's own,
/// which is none of the app any more, is sent with them.
pub fn adopt(thread: &Thread, exchange: &mut Exchange) {
    before_answer(thread, exchange);
    foreign(thread, exchange);
}

/// The same for those of a server that speaks in quaich's place.
pub fn foreign(thread: &Thread, exchange: &mut Exchange) {
    let filters = thread.generation.filters.of(exchange);
    if let Some(cors) = filters.and_then(|filters| filters.cors.as_ref()) {
        cors.silence(exchange);
    }
}

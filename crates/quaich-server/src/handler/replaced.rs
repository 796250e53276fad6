//! Errors of apps and servers whose answer the client does not see, but the page for its status
//! (`replace_errors`). Called by `app` and `proxy`.

use quaich_proto::headers::HeaderId;

use crate::error::{Error, Kind, Side};
use crate::exchange::Exchange;
use crate::filter;
use crate::thread::Thread;

/// Whether the answer in `exchange` is to be replaced.
pub(super) fn applies(thread: &Thread, exchange: &Exchange) -> bool {
    filter::replaces(thread, exchange, exchange.response.status)
}

/// The answer in `exchange` as an error that becomes the page. What says how to ask better stays:
/// without it a browser could not sign in, nor a client know when to come again.
pub(super) fn error(thread: &Thread, exchange: &mut Exchange, side: Side) -> Error {
    thread.counters.errors_replaced.add();
    filter::adopt(thread, exchange);
    let response = &mut exchange.response;
    response.headers.retain(|id, name, _| is_kept(id, name));
    Error::new(Kind::Replaced(response.status), side)
}

fn is_kept(id: HeaderId, name: &[u8]) -> bool {
    const KEPT: [&[u8]; 4] = [
        b"www-authenticate",
        b"proxy-authenticate",
        b"retry-after",
        b"allow",
    ];
    let begins = |start: &[u8]| {
        let own = name.get(..start.len());
        own.is_some_and(|own| own.eq_ignore_ascii_case(start))
    };
    id == HeaderId::SetCookie
        || KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept))
        || begins(b"access-control-")
        || begins(b"ratelimit")
        || begins(b"x-ratelimit-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_body_goes_and_what_tells_clients_how_to_go_on_stays() {
        for (name, kept) in [
            ("WWW-Authenticate", true),
            ("Set-Cookie", true),
            ("retry-after", true),
            ("Allow", true),
            ("Access-Control-Allow-Origin", true),
            ("RateLimit-Policy", true),
            ("Content-Type", false),
            ("Content-Encoding", false),
            ("ETag", false),
            ("X-Powered-By", false),
            ("Location", false),
            ("a", false),
        ] {
            let id = HeaderId::from_name(name.as_bytes());
            assert_eq!(is_kept(id, name.as_bytes()), kept, "{name}");
        }
    }
}

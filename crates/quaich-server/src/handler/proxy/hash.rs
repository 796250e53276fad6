//! What a request is hashed by, where the upstream balances so.

use quaich_config::model::{Balance, HashKey};
use quaich_proto::headers::{HeaderId, Headers};

use crate::exchange::Exchange;
use crate::upstream::hash;

/// The hash of what `balance` goes by; `None` when it does not hash, or the request does not have it.
pub(super) fn of(exchange: &Exchange, balance: &Balance) -> Option<u64> {
    let Balance::Hash(key) = balance else {
        return None;
    };
    let request = &exchange.request;
    match key {
        HashKey::ClientIp => exchange.client.addr.map(hash::of_address),
        HashKey::Uri => Some(hash::of(request.target())),
        HashKey::Path => Some(hash::of(request.path())),
        HashKey::Header(name) => request.headers.by_name(name.as_bytes()).map(hash::of),
        HashKey::Cookie(name) => cookie(&request.headers, name.as_bytes()).map(hash::of),
    }
}

/// The value of the first cookie of that name (RFC 6265 section 5.4).
fn cookie<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    let fields = headers.get_all(HeaderId::Cookie);
    let pairs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })
}

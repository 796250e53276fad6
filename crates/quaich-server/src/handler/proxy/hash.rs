//! What a request is hashed by, where the upstream balances so.

use quaich_config::model::{Balance, HashKey};

use crate::exchange::Exchange;
use crate::route::cookie;
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
        HashKey::Cookie(name) => cookie::first(&request.headers, name.as_bytes()).map(hash::of),
    }
}

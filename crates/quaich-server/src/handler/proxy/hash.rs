//! What a request is hashed by, where the upstream balances so.

use std::net::IpAddr;

use quaich_config::model::{Balance, HashKey};
use quaich_proto::headers::{HeaderId, Headers};

use crate::exchange::Exchange;
use crate::upstream::balance::ring::hash;

/// The hash of what `balance` goes by; `None` when it does not hash, or the request does not have it.
pub(super) fn of(exchange: &Exchange, balance: &Balance) -> Option<u64> {
    let Balance::Hash(key) = balance else {
        return None;
    };
    let request = &exchange.request;
    match key {
        HashKey::ClientIp => exchange.client.addr.map(by_address),
        HashKey::Uri => Some(hash(request.target())),
        HashKey::Path => Some(hash(request.path())),
        HashKey::Header(name) => request.headers.by_name(name.as_bytes()).map(hash),
        HashKey::Cookie(name) => cookie(&request.headers, name.as_bytes()).map(hash),
    }
}

/// An IPv6 client may have any address of its /64.
fn by_address(addr: IpAddr) -> u64 {
    match addr {
        IpAddr::V4(addr) => hash(&addr.octets()),
        IpAddr::V6(addr) => hash(&(addr.to_bits() >> 64).to_be_bytes()),
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

//! Fields that quaich adds to responses of either version of HTTP.

use crate::exchange::Exchange;
use crate::thread::Thread;

/// Value of `Strict-Transport-Security` of a response: that of the site, over `https` only (RFC
/// 6797 section 7.2). An app or upstream that sends the field itself knows better.
pub fn transport_security<'t>(thread: &'t Thread, exchange: &Exchange) -> Option<&'t [u8]> {
    if !exchange.client.https {
        return None;
    }
    let value = thread.generation.routes.hsts(exchange.notes.site)?;
    let own = exchange
        .response
        .headers
        .by_name(b"strict-transport-security");
    own.is_none().then_some(value)
}

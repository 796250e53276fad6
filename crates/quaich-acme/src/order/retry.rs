//! Asking again when the authority refuses a nonce.

use instant_acme::Error;

use crate::order::failure::kind_of;

/// Attempts in all. The library itself makes three of each.
pub(crate) const ATTEMPTS: u32 = 8;

/// Whether the request was refused unread, for its nonce (RFC 8555 §6.5).
pub(crate) fn is_bad_nonce(error: &Error) -> bool {
    kind_of(error) == "badNonce"
}

/// Evaluates a request (an expression that makes a future) until its nonce is taken.
macro_rules! again {
    ($request:expr) => {{
        let mut attempt = 1;
        loop {
            match $request.await {
                Err(e)
                    if $crate::order::retry::is_bad_nonce(&e)
                        && attempt < $crate::order::retry::ATTEMPTS =>
                {
                    attempt += 1;
                }
                other => break other,
            }
        }
    }};
}

pub(crate) use again;

//! Answers certificate authorities that look for a file over plain HTTP (RFC 8555 section 8.3).
//!
//! Asked before any site is looked for: the authority may use any name that is being checked, also
//! one whose site redirects to https.

use quaich_proto::h1::BodyLength;
use quaich_proto::headers::HeaderId;

use crate::downstream::service::{Scope, leave_body};
use crate::error::Error;

/// Where authorities look.
const FOLDER: &[u8] = b"/.well-known/acme-challenge/";

/// Answers if this is such a request, for a token that is known; `false` otherwise.
pub async fn run(scope: &mut Scope<'_, '_>) -> Result<bool, Error> {
    let exchange = &*scope.exchange;
    let token = exchange.request.path().strip_prefix(FOLDER);
    let token = token.filter(|_| exchange.session.is_none());
    let token = token.and_then(|token| std::str::from_utf8(token).ok());
    let Some((tls, token)) = scope.thread.tls.as_ref().zip(token) else {
        return Ok(false);
    };
    let Some(answer) = tls.http_challenge(token) else {
        return Ok(false);
    };
    leave_body(scope);
    let response = &mut scope.exchange.response;
    response.status = 200;
    // The name and the value are valid.
    let _ = response
        .headers
        .push_known(HeaderId::ContentType, b"application/octet-stream");
    let length = BodyLength::Known(answer.len() as u64);
    scope.reply.begin(scope.exchange, length);
    scope.reply.add(answer.as_bytes());
    scope.reply.finish().await?;
    Ok(true)
}

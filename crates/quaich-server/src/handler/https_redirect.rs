//! `redirect_https`: sends a request over plain HTTP to the same place over `https`. Called before
//! any route is looked at, and after challenges of ACME were answered.

use quaich_proto::headers::HeaderId;

use crate::downstream::service::{Scope, bodyless};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::route::secure::{Secure, https_code, location};
use crate::tls::Terminator;

/// Whether the client is to be sent to `https`. One that spoke TLS to a trusted proxy is there, and
/// one that asks for a name of the site without certificate, be it that ACME has yet to get it, would
/// find nobody. A host that is not named is sent nevertheless: clients choose their `Host`.
pub fn applies(secure: &Secure, exchange: &Exchange, tls: Option<&Terminator>) -> bool {
    let host = exchange.request.host();
    secure.redirect
        && !exchange.client.https
        && (!secure.may_stay(host) || tls.is_some_and(|tls| tls.has_certificate(host)))
}

/// Sends it.
pub async fn run(scope: &mut Scope<'_, '_>, secure: &Secure) -> Result<(), Error> {
    let request = &scope.exchange.request;
    if request.host().is_empty() {
        // HTTP/1.0 without Host: there is no name to send it to.
        return Err(Error::downstream(Kind::Rejected(400, "missing_host")));
    }
    let ports = &scope.thread.ports;
    let port = secure.listener.and_then(|index| ports.get(index).copied());
    let query = request.has_query().then(|| request.query());
    let mut to = Vec::with_capacity(128);
    location(
        &mut to,
        (request.host(), port.unwrap_or(0)),
        (request.path(), query),
    );
    scope.exchange.response.status = https_code(request.method);
    // Host, path and query were checked when the request was read.
    scope
        .exchange
        .response
        .headers
        .push_known(HeaderId::Location, &to)
        .map_err(|_| Error::internal())?;
    bodyless(scope).await
}

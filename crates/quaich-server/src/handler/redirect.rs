//! `redirect`: sends the client to another URL.

use quaich_proto::headers::HeaderId;

use crate::downstream::service::{Scope, bodyless};
use crate::error::{Error, Kind, Side};
use crate::route::template::Template;

/// A redirect with its target compiled.
pub struct Redirect {
    code: u16,
    to: Template,
}

impl Redirect {
    /// Compiles `to`, in which placeholders stand for parts of the request.
    pub fn new(to: &str, code: u16) -> Self {
        Self {
            code,
            to: Template::compile(to),
        }
    }
}

/// Sends it.
pub async fn run(scope: &mut Scope<'_, '_>, redirect: &Redirect) -> Result<(), Error> {
    let mut location = Vec::with_capacity(128);
    redirect.to.write_url(&mut location, scope.exchange);
    send(scope, redirect.code, &location).await
}

/// Sends the client to `location`, a valid URL or path.
pub async fn send(scope: &mut Scope<'_, '_>, code: u16, location: &[u8]) -> Result<(), Error> {
    let response = &mut scope.exchange.response;
    response.status = code;
    // Whatever was filled in is encoded; configuration has refused texts of other bytes.
    response
        .headers
        .push_known(HeaderId::Location, location)
        .map_err(|_| Error::new(Kind::AppFailed, Side::Internal))?;
    bodyless(scope).await
}

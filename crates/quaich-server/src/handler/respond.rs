//! `respond`: a fixed response straight from the configuration.

use quaich_proto::headers::{HeaderId, Headers};

use crate::downstream::service::{Scope, leave_body};
use crate::error::Error;

/// A fixed response.
pub struct Respond {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Respond {
    /// A response of `status`. A content type that is no valid field value is left out.
    pub fn new(status: u16, body: &str, content_type: &str) -> Self {
        let mut headers = Headers::new();
        if !body.is_empty() {
            let _ = headers.push_known(HeaderId::ContentType, content_type.as_bytes());
        }
        Self {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        }
    }
}

/// Sends it.
pub async fn run(scope: &mut Scope<'_, '_>, respond: &Respond) -> Result<(), Error> {
    leave_body(scope);
    let response = &mut scope.exchange.response;
    response.status = respond.status;
    response.headers.clone_from(&respond.headers);
    scope.reply.whole(scope.exchange, &respond.body).await
}

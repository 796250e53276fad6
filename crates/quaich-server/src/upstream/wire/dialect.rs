//! HTTP/1.1, uwsgi and SCGI over a connection differ in how the head of a request is written and how
//! that of a response is read; bodies are bytes up to their length or to the end of the connection.
//!
//! Called by `http1`, which moves the bytes.

use quaich_config::model::UpstreamProtocol;
use quaich_proto::h1::{BadResponse, Limits, ResponseHead};
use quaich_proto::method::Method;
use quaich_proto::{cgi, h1, scgi, uwsgi};

use crate::error::{Error, Kind};
use crate::upstream::request::Request;

/// How heads are written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// HTTP/1.1.
    Http,
    /// uwsgi, with its two modifiers.
    Uwsgi((u8, u8)),
    /// SCGI.
    Scgi,
}

impl Dialect {
    /// Appends the head of `request`. Fails when it has none in this dialect: it is too large, or
    /// has a body of a length that is not known, of which these protocols know nothing.
    pub(super) fn write_head(self, out: &mut Vec<u8>, request: &Request) -> Result<(), Error> {
        let too_large = |_| Error::downstream(Kind::Rejected(431, "header_too_large"));
        match self {
            Self::Http => {
                out.extend_from_slice(request.http1());
                Ok(())
            }
            Self::Uwsgi(modifiers) => {
                let variables = variables(request, UpstreamProtocol::Uwsgi)?;
                uwsgi::encode(out, modifiers, variables).map_err(too_large)
            }
            Self::Scgi => {
                let variables = variables(request, UpstreamProtocol::Scgi)?;
                scgi::encode(out, variables).map_err(too_large)
            }
        }
    }

    /// Parses the head of a response, in the way of [`h1::parse_response`].
    pub(super) fn read_head(
        self,
        input: &[u8],
        limits: &Limits,
        method: &Method,
        head: &mut ResponseHead,
    ) -> Result<Option<usize>, BadResponse> {
        if self == Self::Http {
            return h1::parse_response(input, limits, method, head);
        }
        let parsed = cgi::parse_response(input, limits, method, head)?;
        if parsed.is_some() {
            // Only its beginning is marked in these protocols.
            head.keep_alive = false;
        }
        Ok(parsed)
    }
}

/// The variables of `request`. A server that turns up only after they were made for others is not
/// sent anything: another attempt, or another request, is.
pub(super) fn variables(
    request: &Request,
    protocol: UpstreamProtocol,
) -> Result<&cgi::Variables, Error> {
    let made = request.variables(protocol);
    let known = request.body() != h1::BodyLength::Chunked;
    made.filter(|_| known)
        .ok_or(Error::upstream(Kind::UpstreamRefused))
}

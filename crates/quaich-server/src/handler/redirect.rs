//! `redirect`: sends the client to another URL.

use quaich_proto::headers::HeaderId;

use crate::downstream::service::{Scope, bodyless};
use crate::error::{Error, Kind, Side};

/// A redirect with its target compiled to pieces.
pub struct Redirect {
    code: u16,
    to: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Host,
    Path,
    Query,
    Scheme,
}

impl Redirect {
    /// Compiles `to`, in which `{host} {path} {query} {scheme}` stand for parts of the request.
    /// `{host}` is the name without port, `{query}` comes with its question mark.
    pub fn new(to: &str, code: u16) -> Self {
        let mut pieces = Vec::new();
        let mut rest = to;
        while let Some(open) = rest.find('{') {
            let (text, after) = rest.split_at(open);
            let Some((name, tail)) = after[1..].split_once('}') else {
                break;
            };
            let piece = match name {
                "host" => Piece::Host,
                "path" => Piece::Path,
                "query" => Piece::Query,
                "scheme" => Piece::Scheme,
                other => Piece::Text(format!("{{{other}}}")),
            };
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(piece);
            rest = tail;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Self { code, to: pieces }
    }
}

/// Sends it.
pub async fn run(scope: &mut Scope<'_, '_>, redirect: &Redirect) -> Result<(), Error> {
    let exchange = &mut *scope.exchange;
    let mut location = Vec::with_capacity(128);
    for piece in &redirect.to {
        match piece {
            Piece::Text(text) => location.extend_from_slice(text.as_bytes()),
            Piece::Host => location.extend_from_slice(exchange.request.host()),
            Piece::Path => location.extend_from_slice(exchange.request.path()),
            Piece::Query if exchange.request.has_query() => {
                location.push(b'?');
                location.extend_from_slice(exchange.request.query());
            }
            Piece::Query => {}
            Piece::Scheme if exchange.client.https => location.extend_from_slice(b"https"),
            Piece::Scheme => location.extend_from_slice(b"http"),
        }
    }
    exchange.response.status = redirect.code;
    // Path and query are normal forms and hold no byte that a field value may not hold.
    exchange
        .response
        .headers
        .push_known(HeaderId::Location, &location)
        .map_err(|_| Error::new(Kind::AppFailed, Side::Internal))?;
    bodyless(scope).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_pieces_and_the_rest_stays_text() {
        let redirect = Redirect::new("{scheme}://www.{host}{path}{query}{x}", 308);
        assert_eq!(
            redirect.to,
            [
                Piece::Scheme,
                Piece::Text("://www.".into()),
                Piece::Host,
                Piece::Path,
                Piece::Query,
                Piece::Text("{x}".into()),
            ]
        );
    }
}

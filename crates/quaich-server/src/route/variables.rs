//! `variables` of a route: names, and texts in which a few things of the request stand in braces.

/// A thing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{host}`: without port.
    Host,
    /// `{path}`: in its normal form, decoded.
    Path,
    /// `{client_ip}`
    ClientIp,
    /// `{request_id}`
    RequestId,
    /// `{scheme}`
    Scheme,
}

/// One variable.
#[derive(Debug)]
pub struct Variable {
    name: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Place(Placeholder),
}

impl Variable {
    /// Compiles `text`. What stands in braces and is no placeholder, which the configuration's own
    /// check has refused before, stays as it is.
    pub fn compile(name: &str, text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, inner)) = rest.split_once('{') {
            let Some((placeholder, behind)) = inner.split_once('}') else {
                break;
            };
            let place = match placeholder {
                "host" => Placeholder::Host,
                "path" => Placeholder::Path,
                "client_ip" => Placeholder::ClientIp,
                "request_id" => Placeholder::RequestId,
                "scheme" => Placeholder::Scheme,
                _ => break,
            };
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Place(place));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.into()));
        pieces.retain(|piece| *piece != Piece::Text(Vec::new()));
        Self {
            name: name.into(),
            pieces,
        }
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Appends its text, where `get` knows what placeholders stand for.
    pub fn write<'t>(&self, out: &mut Vec<u8>, get: impl Fn(Placeholder) -> &'t [u8]) {
        for piece in &self.pieces {
            out.extend_from_slice(match piece {
                Piece::Text(text) => text,
                Piece::Place(placeholder) => get(*placeholder),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_between_text() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{host}", "Host"),
            ("a{path}b{client_ip}{request_id}", "aPathbClientIpRequestId"),
            ("{scheme}://", "Scheme://"),
            ("{other}", "{other}"),
            ("{host", "{host"),
        ] {
            let mut out = Vec::new();
            Variable::compile("A", text).write(&mut out, |place| match place {
                Placeholder::Host => b"Host",
                Placeholder::Path => b"Path",
                Placeholder::ClientIp => b"ClientIp",
                Placeholder::RequestId => b"RequestId",
                Placeholder::Scheme => b"Scheme",
            });
            assert_eq!(out, expected.as_bytes(), "{text}");
        }
    }
}

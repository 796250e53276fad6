//! What a WebSocket handshake needs when the two sides speak different versions of HTTP: over
//! HTTP/1.1 it has a key and its proof (RFC 6455 section 4), over HTTP/2 it has none (RFC 8441).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::rand::{GetRandomFlags, getrandom};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for a server.
pub(super) fn key() -> Vec<u8> {
    let mut nonce = [0_u8; 16];
    // The key proves only that the server has read it: without randomness it does its work, too.
    let _ = getrandom(&mut nonce, GetRandomFlags::empty());
    STANDARD.encode(nonce).into_bytes()
}

/// The proof that the other end has read `key`.
pub(super) fn accept(key: &[u8]) -> Vec<u8> {
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    STANDARD.encode(proof).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_rfc_6455() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(key().len(), 24);
    }
}

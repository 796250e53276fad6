//! Which request fields never travel on as the client sent them.
//!
//! Called for each field that the data path copies to an upstream or an app, so the common case
//! must be decided by the first byte.

use quaich_proto::headers::HeaderId;

/// Families of fields by which a proxy vouches for a client, in lower case.
const PREFIXES: [&[u8]; 6] = [
    b"x-forwarded-",
    b"x-ssl-",
    b"ssl-client-",
    b"x-client-cert",
    b"client-cert",
    b"x-auth-request-",
];

/// The same, whole names. Among them are those that some frameworks take the address, scheme or
/// path of a request from.
const NAMES: [&[u8]; 15] = [
    b"x-real-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-remote-user",
    b"x-original-url",
    b"x-rewrite-url",
    b"x-url-scheme",
    b"x-scheme",
    b"remote-user",
    b"remote-addr",
    b"true-client-ip",
    b"cf-connecting-ip",
    b"fastly-client-ip",
    b"front-end-https",
    b"forwarded",
];

/// Whether the request field `name`, as received, is left out of what is sent on.
///
/// The fields that `append` writes itself are always left out; a client that is not
/// `trusted` may not say anything about address, scheme, host, path, user or certificate.
pub fn is_dropped(id: HeaderId, name: &[u8], trusted: bool) -> bool {
    match id {
        HeaderId::XForwardedFor
        | HeaderId::XForwardedProto
        | HeaderId::XForwardedHost
        | HeaderId::XForwardedPort
        | HeaderId::XForwardedPrefix
        | HeaderId::Forwarded => true,
        _ if trusted => false,
        HeaderId::XRealIp => true,
        HeaderId::Other => is_claim(name),
        _ => false,
    }
}

/// Whether the request field `name` speaks of the client's certificate, of which this side knows
/// more than anybody before it once it has asked for one.
pub fn is_certificate(name: &[u8]) -> bool {
    let begins = |prefix: &[u8]| {
        name.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    begins(b"x-ssl-client-") || begins(b"client-cert")
}

fn is_claim(name: &[u8]) -> bool {
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    if !matches!(first, b'x' | b's' | b'c' | b'r' | b't' | b'f') {
        return false;
    }
    let begins = |prefix: &&[u8]| {
        name.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    PREFIXES.iter().any(begins) || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(name: &str, trusted: bool) -> bool {
        is_dropped(
            HeaderId::from_name(name.as_bytes()),
            name.as_bytes(),
            trusted,
        )
    }

    #[test]
    fn an_untrusted_client_may_not_speak_for_a_proxy() {
        for name in [
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-FORWARDED-HOST",
            "X-Forwarded-Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-User",
            "X-Forwarded-Ssl",
            "X-Real-IP",
            "Forwarded",
            "X-Client-Cert",
            "SSL-Client-Verify",
            "X-SSL-Client-S-DN",
            "Remote-User",
            "X-Remote-User",
            "Client-Cert-Chain",
            "X-Original-URL",
            "X-Rewrite-URL",
        ] {
            assert!(dropped(name, false), "{name}");
        }
    }

    #[test]
    fn a_trusted_proxy_may_but_what_we_write_ourselves_is_written_once() {
        for name in [
            "X-Real-IP",
            "X-Client-Cert",
            "Remote-User",
            "X-Forwarded-User",
        ] {
            assert!(!dropped(name, true), "{name}");
        }
        for name in ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"] {
            assert!(dropped(name, true), "{name}");
        }
    }

    #[test]
    fn ordinary_fields_pass() {
        for name in [
            "Host",
            "Cookie",
            "Accept",
            "X-Requested-With",
            "X-CSRFToken",
            "From",
            "TE",
        ] {
            assert!(!dropped(name, false), "{name}");
        }
    }
}

//! A check as variables, for servers of uwsgi, FastCGI and SCGI. Called by `http`.
//!
//! The app behind such a server sees a request of HTTP/1.1 from this machine, mounted at the root.

use quaich_config::model::{Params, UpstreamAddr, UpstreamProtocol, UpstreamServer};
use quaich_proto::cgi::Variables;

use crate::upstream::request::Request;

const SOFTWARE: &[u8] = concat!("quaich/", env!("CARGO_PKG_VERSION")).as_bytes();

/// Adds the variables of `request`, if `server` gets some.
pub(super) fn prepare(request: &mut Request, server: &UpstreamServer, params: Params) {
    use UpstreamProtocol::{FastCgi, Scgi, Uwsgi};
    if !matches!(server.protocol, Uwsgi | FastCgi | Scgi) {
        return;
    }
    let target = request.target();
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => target.split_at(at),
        None => (target, &b""[..]),
    };
    let path = decoded(path);
    let authority = request.authority();
    let host = match memchr::memrchr(b':', authority) {
        Some(at) if !authority.ends_with(b"]") => authority.get(..at).unwrap_or(authority),
        _ => authority,
    };
    let port = match &server.addr {
        UpstreamAddr::Tcp { port, .. } => port.to_string(),
        UpstreamAddr::Unix(_) => "80".to_owned(),
    };
    let mut all = Variables::new();
    all.push(b"REQUEST_METHOD", request.method_name());
    all.push(b"QUERY_STRING", query.get(1..).unwrap_or_default());
    all.push(b"REQUEST_URI", target);
    match (server.protocol, params) {
        (FastCgi, Params::Nginx | Params::Apache) | (Scgi, Params::Apache) => {
            all.push(b"SCRIPT_NAME", &path);
        }
        (Uwsgi, Params::Nginx) => all.push(b"PATH_INFO", &path),
        (Scgi, Params::Nginx) => {}
        _ => {
            all.push(b"SCRIPT_NAME", b"");
            all.push(b"PATH_INFO", &path);
        }
    }
    if params == Params::Nginx {
        all.push(b"DOCUMENT_URI", &path);
    }
    all.push(b"SERVER_PROTOCOL", b"HTTP/1.1");
    all.push(b"GATEWAY_INTERFACE", b"CGI/1.1");
    all.push(b"SERVER_SOFTWARE", SOFTWARE);
    all.push(
        b"SERVER_NAME",
        if host.is_empty() { b"localhost" } else { host },
    );
    all.push(b"SERVER_PORT", port.as_bytes());
    all.push(b"REMOTE_ADDR", b"127.0.0.1");
    all.push(b"REMOTE_PORT", b"0");
    all.push(b"REQUEST_SCHEME", b"http");
    if server.protocol == FastCgi {
        // php-fpm looks at nothing without it, not even whether it is to answer its `ping.path`.
        all.push(b"SCRIPT_FILENAME", &path);
    }
    if server.protocol == FastCgi || params == Params::Nginx {
        // PHP runs nothing without it.
        all.push(b"REDIRECT_STATUS", b"200");
    }
    if !authority.is_empty() {
        all.push(b"HTTP_HOST", authority);
    }
    let fields: Vec<_> = request.fields().collect();
    for (name, value) in fields {
        all.push_field(name, value);
    }
    request.set_variables(server.protocol, all);
}

/// With `%41` as `A`; what is no such triple stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let hex = digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        assert_eq!(decoded(b"/a%20b%2541%4"), b"/a b%41%4");
    }
}

//! Request heads that come taken apart already, as in HTTP/2 (RFC 9113 section 8.3): the same checks
//! as for a head of lines, so that everything behind sees one kind of request.

use super::RequestHead;
use super::lines::{MAX_METHOD, add_field, check_case, parse_target};
use super::meaning::check_head;
use crate::h1::reject::{Reject, RejectReason};
use crate::h1::{BodyLength, Limits, Version};
use crate::headers::HeaderId;
use crate::method::Method;
use crate::octets::{is_token, is_value, trim};
use crate::target::Authority;

/// What stands in the place of a request line.
#[derive(Clone, Copy, Debug)]
pub struct Structured<'p> {
    /// `:method`
    pub method: &'p [u8],
    /// `:scheme`, if there is one.
    pub scheme: Option<&'p [u8]>,
    /// `:authority`, if there is one.
    pub authority: Option<&'p [u8]>,
    /// `:path`; empty if there is none.
    pub path: &'p [u8],
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'p [u8]>,
    /// Whether the request ends with its head.
    pub ends: bool,
}

/// Makes a request head of `parts` and `fields`. An extended CONNECT becomes the `GET` with `Upgrade`
/// that asks for the same in HTTP/1.1, but for the fields that are about the switch itself.
pub fn assemble_request<'f>(
    parts: &Structured<'_>,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<(), Reject> {
    head.clear();
    head.version = Version::Http2;
    head.keep_alive = true;
    take_start(parts, limits, head)?;
    take_fields(fields, limits, head)?;
    // One that came without `Host` means the same with it, and is passed on with it.
    if let Some(authority) = parts.authority
        && !head.headers.contains(HeaderId::Host)
    {
        Authority::parse(authority).ok_or(RejectReason::BadTarget)?;
        head.headers
            .push_valid(HeaderId::Host, b"host", authority)
            .map_err(|_| RejectReason::FieldTooLarge)?;
    }
    check_head(head)?;
    if !parts.ends && head.body == BodyLength::Empty {
        head.body = BodyLength::Chunked;
        head.expect_continue = head.headers.contains(HeaderId::Expect);
    }
    if let Some(protocol) = parts.protocol {
        head.headers
            .push(b"upgrade", protocol)
            .map_err(|_| RejectReason::UnknownProtocol)?;
        head.upgrade = true;
        // What follows the head belongs to the other protocol.
        head.body = BodyLength::Empty;
        head.expect_continue = false;
    }
    Ok(())
}

fn take_start(
    parts: &Structured<'_>,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<(), RejectReason> {
    if parts.method.len() > MAX_METHOD || !is_token(parts.method) {
        return Err(RejectReason::BadMethod);
    }
    check_case(parts.method)?;
    head.method = Method::from_bytes(parts.method);
    let mut name = parts.method;
    match (head.method, parts.protocol) {
        (Method::Connect, None) => return Err(RejectReason::ConnectRefused),
        (Method::Connect, Some(protocol)) if protocol.eq_ignore_ascii_case(b"websocket") => {
            head.method = Method::Get;
            name = b"GET";
        }
        (_, Some(_)) => return Err(RejectReason::UnknownProtocol),
        (_, None) => {}
    }
    head.method_name = head.keep(name);
    head.progress.uri_port = match parts.scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => 443,
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => 80,
        Some(_) => return Err(RejectReason::BadScheme),
        None => 0,
    };
    if parts.path.len() > limits.max_uri {
        return Err(RejectReason::UriTooLong);
    }
    match parts.path {
        [b'/', ..] | b"*" => parse_target(parts.path, head)?,
        _ => return Err(RejectReason::BadTarget),
    }
    if let Some(authority) = parts.authority {
        head.progress.uri_authority = head.keep(authority);
    }
    Ok(())
}

fn take_fields<'f>(
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<(), RejectReason> {
    let mut size = 0;
    let mut cookie = Vec::new();
    for (name, value) in fields {
        if !is_token(name) {
            return Err(RejectReason::BadFieldName);
        }
        // No blanks around it, where no line has them (RFC 9113 section 8.2.1).
        if !is_value(value) || trim(value).len() != value.len() {
            return Err(RejectReason::BadFieldValue);
        }
        size += name.len() + value.len() + 4;
        if size + 2 > limits.max_header {
            return Err(RejectReason::HeaderTooLarge);
        }
        if name == b"cookie" {
            // Crumbs of one field (RFC 9113 section 8.2.3).
            if !cookie.is_empty() {
                cookie.extend_from_slice(b"; ");
            }
            cookie.extend_from_slice(value);
            continue;
        }
        if name.len() + value.len() + 2 > limits.max_field {
            return Err(RejectReason::FieldTooLarge);
        }
        add_field(name, value, limits, head)?;
    }
    if cookie.is_empty() {
        return Ok(());
    }
    if cookie.len() + b"cookie: ".len() > limits.max_field {
        return Err(RejectReason::FieldTooLarge);
    }
    add_field(b"cookie", &cookie, limits, head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Structured<'static> = Structured {
        method: b"GET",
        scheme: Some(b"https"),
        authority: Some(b"a.test"),
        path: b"/x/../y?q",
        protocol: None,
        ends: true,
    };

    fn assemble(
        parts: Structured<'_>,
        fields: &[(&str, &str)],
    ) -> Result<RequestHead, RejectReason> {
        let mut head = RequestHead::new();
        let fields = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        assemble_request(&parts, fields, &Limits::default(), &mut head)
            .map_err(|reject| reject.reason)?;
        Ok(head)
    }

    #[test]
    fn a_head_is_the_same_as_one_of_lines() {
        let head = assemble(
            GET,
            &[("accept", "*/*"), ("cookie", "a=1"), ("cookie", "b=2")],
        );
        let head = head.unwrap();
        assert_eq!(
            (head.method, head.method_name()),
            (Method::Get, &b"GET"[..])
        );
        assert_eq!(head.target(), b"/x/../y?q");
        assert_eq!((head.path(), head.query()), (&b"/y"[..], &b"q"[..]));
        assert_eq!(
            (head.host(), head.authority()),
            (&b"a.test"[..], &b"a.test"[..])
        );
        assert_eq!(head.headers.get(HeaderId::Host), Some(&b"a.test"[..]));
        assert_eq!(head.headers.get(HeaderId::Cookie), Some(&b"a=1; b=2"[..]));
        assert_eq!(
            (head.version, head.body),
            (Version::Http2, BodyLength::Empty)
        );
        assert!(head.keep_alive && !head.upgrade);
    }

    #[test]
    fn authority_and_host_must_agree_and_one_must_be_there() {
        let port = Structured {
            authority: Some(b"A.test:443"),
            ..GET
        };
        assert!(assemble(port, &[("host", "a.test")]).is_ok());
        let none = Structured {
            authority: None,
            ..GET
        };
        assert_eq!(
            assemble(none, &[("host", "b.test")]).unwrap().host(),
            b"b.test"
        );
        assert_eq!(assemble(none, &[]).unwrap_err(), RejectReason::NoHost);
        assert_eq!(
            assemble(GET, &[("host", "b.test")]).unwrap_err(),
            RejectReason::HostDiffers
        );
        for bad in [&b"a.test,b.test"[..], b"u@a.test", b"a.test/", b""] {
            let parts = Structured {
                authority: Some(bad),
                ..GET
            };
            assert!(assemble(parts, &[]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let with = |change: fn(&mut Structured<'static>)| {
            let mut parts = GET;
            change(&mut parts);
            assemble(parts, &[]).unwrap_err()
        };
        assert_eq!(with(|p| p.method = b"G T"), RejectReason::BadMethod);
        assert_eq!(with(|p| p.method = b"delete"), RejectReason::MethodCase);
        assert_eq!(with(|p| p.method = b"M-SEARCh"), RejectReason::MethodCase);
        assert_eq!(
            with(|p| p.method = b"CONNECT"),
            RejectReason::ConnectRefused
        );
        assert_eq!(with(|p| p.scheme = Some(b"ftp")), RejectReason::BadScheme);
        assert_eq!(
            with(|p| p.path = b"http://a.test/"),
            RejectReason::BadTarget
        );
        assert_eq!(with(|p| p.path = b"*"), RejectReason::BadTarget);
        assert_eq!(with(|p| p.path = b""), RejectReason::BadTarget);
        assert_eq!(with(|p| p.path = b"/%00"), RejectReason::BadPath);
        assert_eq!(
            with(|p| p.protocol = Some(b"websocket")),
            RejectReason::UnknownProtocol
        );
        for value in [" x", "x\t", " ", "a\nb"] {
            let refused = assemble(GET, &[("x", value)]).unwrap_err();
            assert_eq!(refused, RejectReason::BadFieldValue);
        }
    }

    #[test]
    fn limits_are_those_of_lines() {
        let limits = Limits {
            max_uri: 9,
            max_field: 12,
            max_header: 28,
            max_headers: 2,
        };
        let judge = |path: &'static [u8], fields: &[(&str, &str)]| {
            let mut head = RequestHead::new();
            let fields = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
            assemble_request(&Structured { path, ..GET }, fields, &limits, &mut head)
                .map_err(|reject| reject.reason)
        };
        assert_eq!(judge(b"/12345678", &[]), Ok(()));
        assert_eq!(judge(b"/123456789", &[]), Err(RejectReason::UriTooLong));
        assert_eq!(judge(b"/", &[("x", "123456789")]), Ok(()));
        assert_eq!(
            judge(b"/", &[("x", "1234567890")]),
            Err(RejectReason::FieldTooLarge)
        );
        assert_eq!(judge(b"/", &[("a", "12345678"), ("b", "12345678")]), Ok(()));
        let large = [("a", "12345678"), ("b", "123456789")];
        assert_eq!(judge(b"/", &large), Err(RejectReason::HeaderTooLarge));
        let many = [("a", ""), ("b", ""), ("c", "")];
        assert_eq!(judge(b"/", &many), Err(RejectReason::TooManyFields));
        let crumbs = [("cookie", "a"), ("cookie", "b"), ("cookie", "c")];
        assert_eq!(judge(b"/", &crumbs), Err(RejectReason::HeaderTooLarge));
    }

    #[test]
    fn a_websocket_over_connect_is_an_upgrade() {
        let parts = Structured {
            method: b"CONNECT",
            protocol: Some(b"websocket"),
            ends: false,
            ..GET
        };
        let head = assemble(parts, &[("sec-websocket-version", "13")]).unwrap();
        assert!(head.upgrade && head.method == Method::Get);
        assert_eq!(head.headers.get(HeaderId::Upgrade), Some(&b"websocket"[..]));
        assert_eq!(head.body, BodyLength::Empty);
        let other = Structured {
            protocol: Some(b"connect-udp"),
            ..parts
        };
        assert_eq!(
            assemble(other, &[]).unwrap_err(),
            RejectReason::UnknownProtocol
        );
    }

    #[test]
    fn a_body_without_length_goes_on_to_its_end() {
        let post = Structured {
            method: b"POST",
            ends: false,
            ..GET
        };
        assert_eq!(assemble(post, &[]).unwrap().body, BodyLength::Chunked);
        let known = assemble(post, &[("content-length", "3"), ("expect", "100-continue")]);
        let known = known.unwrap();
        assert_eq!(
            (known.body, known.expect_continue),
            (BodyLength::Known(3), true)
        );
        assert_eq!(
            assemble(post, &[("content-length", "3"), ("content-length", "3")]).unwrap_err(),
            RejectReason::ManyContentLengths
        );
    }
}

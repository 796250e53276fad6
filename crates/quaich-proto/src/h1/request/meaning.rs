//! What a request head says as a whole, once its last line has come: host, framing, connection
//! (RFC 9112 sections 3.2, 6 and 9). Called by `lines` alone.

use super::RequestHead;
use crate::h1::connection::Connection;
use crate::h1::framing::{body_length, keeps_alive, upgrade_protocol};
use crate::h1::reject::RejectReason;
use crate::h1::{BodyLength, Version};
use crate::headers::{HeaderId, Headers};
use crate::target::Authority;

pub(super) fn check_head(head: &mut RequestHead) -> Result<(), RejectReason> {
    // Out of the head for a moment, so that its text can grow while a value is looked at.
    let headers = std::mem::take(&mut head.headers);
    let checked = check(head, &headers);
    head.headers = headers;
    checked
}

fn check(head: &mut RequestHead, headers: &Headers) -> Result<(), RejectReason> {
    adopt_authority(head, headers)?;
    head.body = body_length(headers, head.version)?.unwrap_or(BodyLength::Empty);
    let has_body = !matches!(head.body, BodyLength::Empty | BodyLength::Known(0));
    let is_current = head.version != Version::Http10;
    let options = Connection::of(headers);
    if options.names_protected() {
        return Err(RejectReason::BadConnection);
    }
    head.keep_alive = keeps_alive(&options, head.version);
    head.expect_continue = expects_continue(headers)? && is_current && has_body;
    head.upgrade = is_current && options.upgrade && upgrade_protocol(headers).is_some();
    if head.upgrade && has_body {
        return Err(RejectReason::UpgradeWithBody);
    }
    Ok(())
}

fn expects_continue(headers: &Headers) -> Result<bool, RejectReason> {
    let mut expects = false;
    for expectation in headers.get_all(HeaderId::Expect) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            return Err(RejectReason::UnknownExpectation);
        }
        expects = true;
    }
    Ok(expects)
}

fn adopt_authority(head: &mut RequestHead, headers: &Headers) -> Result<(), RejectReason> {
    let mut hosts = headers.get_all(HeaderId::Host);
    let sent = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(RejectReason::ManyHosts),
        (None, _) if head.version != Version::Http10 => return Err(RejectReason::NoHost),
        (sent, _) => sent,
    };
    let uri = head.progress.uri_authority.clone();
    if let Some(sent) = sent {
        let host = Authority::parse(sent).ok_or(RejectReason::BadHost)?;
        let default = head.progress.uri_port;
        let is_same = |uri: &[u8]| Authority::parse(uri).is_some_and(|u| u.is_same(&host, default));
        if !uri.is_empty() && !is_same(head.slice(&uri)) {
            return Err(RejectReason::HostDiffers);
        }
        head.authority = head.keep(sent);
        adopt_host(head, host);
    } else if !uri.is_empty() {
        let named = head.slice(&uri).to_owned();
        let host = Authority::parse(&named).ok_or(RejectReason::BadTarget)?;
        head.authority = uri;
        adopt_host(head, host);
    }
    Ok(())
}

fn adopt_host(head: &mut RequestHead, authority: Authority<'_>) {
    head.host = head.keep(authority.host());
    if let Some(host) = head.text.get_mut(head.host.clone()) {
        host.make_ascii_lowercase();
    }
    head.port = authority.port();
}

//! The request as variables, for servers of uwsgi, FastCGI and SCGI.
//!
//! Called by `proxy` once such a server was chosen. Nothing of a client can get another name than
//! `HTTP_...` here, and what the route says comes last: the last of a name counts.

use quaich_config::model::{Params, UpstreamProtocol};
use quaich_proto::cgi::Variables;
use quaich_proto::h1::{self, BodyLength, Version};
use quaich_proto::headers::HeaderId;

use crate::downstream::service::Scope;
use crate::forwarded::Public;
use crate::handler::gateway::{self, Address};
use crate::route::Route;
use crate::upstream::request::Request;

const SOFTWARE: &[u8] = concat!("quaich/", env!("CARGO_PKG_VERSION")).as_bytes();

/// Makes the variables of `request` for a server of `protocol`, if its protocol has variables and
/// they are not made yet.
pub(super) fn prepare(
    scope: &Scope<'_, '_>,
    route: &Route,
    (protocol, params): (UpstreamProtocol, Params),
    request: &mut Request,
) {
    use UpstreamProtocol::{FastCgi, Scgi, Uwsgi};
    if matches!(protocol, Uwsgi | FastCgi | Scgi) && request.variables(protocol).is_none() {
        let variables = variables(scope, route, (protocol, params), request);
        request.set_variables(protocol, variables);
    }
}

fn variables(
    scope: &Scope<'_, '_>,
    route: &Route,
    (protocol, params): (UpstreamProtocol, Params),
    request: &Request,
) -> Variables {
    let exchange = &*scope.exchange;
    let (from, client) = (&exchange.request, &exchange.client);
    let authority = from.authority();
    let public = scope
        .thread
        .trust
        .public(client, &from.headers, authority, scope.local_port);
    let addr = Address::of(exchange);
    // What a browser's request needs; others grow it.
    let mut all = Variables::with_capacity(2048, 48);
    all.push(b"REQUEST_METHOD", from.method_name());
    all.push(b"QUERY_STRING", from.query());
    body(&mut all, scope, request, params);
    all.push(b"REQUEST_URI", from.target());
    paths(&mut all, scope, route, &public, (protocol, params));
    all.push(b"SERVER_PROTOCOL", version(from.version));
    all.push(b"GATEWAY_INTERFACE", b"CGI/1.1");
    all.push(b"SERVER_SOFTWARE", SOFTWARE);
    let name = gateway::server_name(public.host, from.host());
    all.push(b"SERVER_NAME", name);
    let port = gateway::server_port(&public, client);
    all.push_with(b"SERVER_PORT", |out| h1::decimal(out, port.into()));
    if !addr.as_bytes().is_empty() {
        all.push(b"REMOTE_ADDR", addr.as_bytes());
        all.push_with(b"REMOTE_PORT", |out| h1::decimal(out, client.port.into()));
    }
    all.push(b"REQUEST_SCHEME", client.scheme().as_bytes());
    if client.https {
        all.push(b"HTTPS", b"on");
    }
    if protocol == UpstreamProtocol::FastCgi || params == Params::Nginx {
        // PHP runs nothing without it.
        all.push(b"REDIRECT_STATUS", b"200");
    }
    let identity = &exchange.identity;
    if let Some((kind, user)) = identity.named() {
        all.push(b"AUTH_TYPE", kind.as_bytes());
        all.push(b"REMOTE_USER", user);
    // What nginx does, and what apps behind it count on: nobody has checked the password.
    } else if !identity.checked
        && params == Params::Nginx
        && let Some(user) = gateway::basic_user(&from.headers)
    {
        all.push(b"REMOTE_USER", &user);
    }
    for (name, value) in exchange.session.iter().flat_map(|s| s.variables()) {
        let name = name.strip_prefix('=').unwrap_or(name);
        all.push(name.as_bytes(), value.as_bytes());
    }
    fields(&mut all, request);
    for (name, template) in &route.variables {
        all.push_with(name, |out| template.write(out, exchange));
    }
    all
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
        Version::Http2 => b"HTTP/2.0",
    }
}

/// CONTENT_TYPE and CONTENT_LENGTH.
fn body(all: &mut Variables, scope: &Scope<'_, '_>, request: &Request, params: Params) {
    let always = params == Params::Nginx;
    let kind = scope.exchange.outgoing().0.get(HeaderId::ContentType);
    if kind.is_some() || always {
        all.push(b"CONTENT_TYPE", kind.unwrap_or_default());
    }
    match request.body() {
        BodyLength::Known(length) => {
            all.push_with(b"CONTENT_LENGTH", |out| h1::decimal(out, length));
        }
        _ if always => all.push(b"CONTENT_LENGTH", b""),
        _ => {}
    }
}

/// What is the app's name, and what its path: here the front servers differ most.
fn paths(
    all: &mut Variables,
    scope: &Scope<'_, '_>,
    route: &Route,
    public: &Public<'_>,
    of: (UpstreamProtocol, Params),
) {
    use UpstreamProtocol::{FastCgi, Scgi, Uwsgi};
    let path = scope.exchange.request.path_decoded();
    match of {
        (FastCgi, Params::Nginx | Params::Apache) | (Scgi, Params::Apache) => {
            all.push(b"SCRIPT_NAME", path);
        }
        (Uwsgi, Params::Nginx) => all.push(b"PATH_INFO", path),
        (Scgi, Params::Nginx) => {}
        _ => {
            let (script_name, path_info) = gateway::mounted(path, public, route);
            all.push(b"SCRIPT_NAME", &script_name);
            all.push(b"PATH_INFO", path_info);
        }
    }
    if of.1 == Params::Nginx {
        all.push(b"DOCUMENT_URI", path);
    }
    if let Some(root) = &route.document_root {
        all.push(b"DOCUMENT_ROOT", root);
    }
}

/// Whether no server can take a name for another one: PHP, for example, makes `X_Forwarded_For` of
/// `X.Forwarded.For`. Underscores are gone already.
fn has_one_spelling(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    name.iter().all(plain)
}

/// The header of the request, repeated fields joined to one (RFC 3875 section 4.1.18).
fn fields(all: &mut Variables, request: &Request) {
    all.push(b"HTTP_HOST", request.authority());
    if let Some(protocol) = request.protocol() {
        all.push(b"HTTP_CONNECTION", b"upgrade");
        all.push(b"HTTP_UPGRADE", protocol);
    }
    let mut fields = Vec::with_capacity(32);
    fields.extend(request.fields());
    for (index, (name, value)) in fields.iter().enumerate() {
        let same = |(other, _): &&(&[u8], &[u8])| other.eq_ignore_ascii_case(name);
        let (before, after) = fields.split_at(index);
        let known = before.iter().any(|field| same(&field));
        if known || name.eq_ignore_ascii_case(b"content-type") || !has_one_spelling(name) {
            continue;
        }
        all.push_field(name, value);
        let separator: &[u8] = match name.eq_ignore_ascii_case(b"cookie") {
            true => b"; ",
            false => b", ",
        };
        for (_, value) in after.iter().skip(1).filter(same) {
            all.extend_last(separator, value);
        }
    }
}

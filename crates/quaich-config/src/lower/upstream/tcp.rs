//! Servers of `tcp://`: they have an upstream of their own, and no route leads to it.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{
    Balance, Discover, HashKey, RetryOn, StickyBy, Upstream, UpstreamProtocol, UpstreamServer,
};
use crate::source::Span;

/// Connections that carry anything may be silent for long.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Whether the servers take the bytes of a client as they are, also those that are found later.
pub(crate) fn is_tcp(upstream: &Upstream) -> bool {
    let found = || upstream.discover.as_ref().and_then(Discover::protocol);
    let first = upstream.servers.first().map(|server| server.protocol);
    first.or_else(found) == Some(UpstreamProtocol::Tcp)
}

fn speaks_tcp(server: &UpstreamServer) -> bool {
    server.protocol == UpstreamProtocol::Tcp
}

/// Sets what is other for these servers by default.
pub(super) fn settle(upstream: &mut Upstream, fields: &Fields<'_>) {
    if is_tcp(upstream) && !fields.has("timeout") {
        upstream.timeout = TIMEOUT;
    }
}

/// What needs requests, and there are none.
pub(super) fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>) {
    if !is_tcp(upstream) {
        return;
    }
    let by = upstream.sticky.as_ref().map(|sticky| &sticky.by);
    if by.is_some_and(|by| !matches!(by, StickyBy::ClientIp)) {
        let help = "sticky = { client_ip = true }";
        cx.report(needs_requests("sticky", upstream, fields).help(help));
    }
    if matches!(&upstream.balance, Balance::Hash(key) if !matches!(key, HashKey::ClientIp)) {
        let help = "balance = \"hash:client_ip\"";
        cx.report(needs_requests("balance", upstream, fields).help(help));
    }
    if upstream.retry_on != RetryOn::default() {
        let help = "another server is tried while none was connected to: see `retries`";
        cx.report(needs_requests("retry_on", upstream, fields).help(help));
    }
}

fn needs_requests(key: &str, upstream: &Upstream, fields: &Fields<'_>) -> Diagnostic {
    let message = format!(
        "`{key}` looks at requests, and the servers of `{}` are tcp: they get bytes",
        upstream.name
    );
    Diagnostic::error("tcp-servers", fields.place(key), message)
}

/// Whether a route may lead to the upstream at this index, which `word` names; reports it if not.
pub(crate) fn takes_requests(
    cx: &mut Lower<'_>,
    upstreams: &[Upstream],
    index: usize,
    word: &Word,
) -> bool {
    let refused = upstreams.get(index).is_some_and(is_tcp);
    if refused {
        let message = format!(
            "`{}` takes bytes, not requests: its servers are tcp",
            word.0
        );
        let help = "[[server.listener]] with `protocols = [\"tcp\"]` and this `upstream`; or \
                    servers of http://host:port";
        cx.report(Diagnostic::error("tcp-servers", word.1, message).help(help));
    }
    !refused
}

/// All servers of an upstream, or none.
pub(super) fn check_alike(cx: &mut Lower<'_>, upstream: &Upstream, places: &[Span]) {
    let mut servers = upstream.servers.iter().zip(places);
    let Some((first, first_place)) = servers.next() else {
        return;
    };
    if let Some((other, place)) = servers.find(|(s, _)| speaks_tcp(s) != speaks_tcp(first)) {
        let message = format!("upstream `{}` mixes tcp servers with others", upstream.name);
        let (tcp, http) = match speaks_tcp(first) {
            true => (first, other),
            false => (other, first),
        };
        let label = format!("`{}` takes any bytes, `{}` requests", tcp.id, http.id);
        let diagnostic = Diagnostic::error("mixed-servers", *place, message).label(label);
        cx.report(diagnostic.also(*first_place, "unlike this"));
    }
}

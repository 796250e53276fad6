//! Servers of `tcp://`: they have an upstream of their own, and no route leads to it.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{Upstream, UpstreamProtocol, UpstreamServer};
use crate::source::Span;

/// Connections that carry anything may be silent for long.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Whether the servers take the bytes of a client as they are.
pub(crate) fn is_tcp(upstream: &Upstream) -> bool {
    upstream.servers.first().is_some_and(speaks_tcp)
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

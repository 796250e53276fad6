//! `params`, and what only servers of uwsgi, FastCGI and SCGI have. Called by `lower/upstream`.

use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::Fields;
use crate::model::{Discover, Params, Upstream, UpstreamProtocol, UpstreamServer};

/// `params = "..."`
pub(super) fn params(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Params {
    match fields.word(cx, "params").as_str() {
        "nginx" => Params::Nginx,
        "apache" => Params::Apache,
        _ => Params::Wsgi,
    }
}

/// `modifier1` and `modifier2` of a server.
pub(super) fn modifiers(cx: &mut Lower<'_>, table: &Fields<'_>, server: &mut UpstreamServer) {
    let mut modifier = |name| {
        let number = table.count(cx, name).unwrap_or(0);
        // The table of keys has refused others.
        u8::try_from(number).unwrap_or(0)
    };
    server.modifiers = (modifier("modifier1"), modifier("modifier2"));
    let given = ["modifier1", "modifier2"]
        .into_iter()
        .find(|name| table.has(name));
    if let Some(name) = given
        && server.protocol != UpstreamProtocol::Uwsgi
    {
        let message = format!("`{name}` is not used: `{}` does not speak uwsgi", server.id);
        let diagnostic = Diagnostic::warning("unused-key", table.place(name), message);
        cx.report(diagnostic.help("url = \"uwsgi://10.0.0.11:3031\""));
    }
}

/// Sets what is other for FastCGI servers by default: php-fpm holds a child for as long as its
/// connection is kept, so that a few kept ones are its whole pool.
pub(super) fn settle(upstream: &mut Upstream, fields: &Fields<'_>) {
    let found = match &upstream.discover {
        Some(Discover::Dns { server }) => Some(server.protocol),
        Some(Discover::Srv { protocol, .. }) => Some(*protocol),
        Some(Discover::Subscribe { .. }) | None => None,
    };
    let listed = upstream.servers.iter().map(|server| server.protocol);
    let mut protocols = listed.chain(found).peekable();
    if !fields.has("keepalive")
        && protocols.peek().is_some()
        && protocols.all(|protocol| protocol == UpstreamProtocol::FastCgi)
    {
        upstream.keepalive = 0;
    }
}

/// Whether the server gets variables.
fn gets_variables(server: &UpstreamServer) -> bool {
    has_variables(server.protocol)
}

fn has_variables(protocol: UpstreamProtocol) -> bool {
    matches!(
        protocol,
        UpstreamProtocol::Uwsgi | UpstreamProtocol::FastCgi | UpstreamProtocol::Scgi
    )
}

/// Whether some server may get variables, also one that is found later.
pub(crate) fn takes_variables(upstream: &Upstream) -> bool {
    let found = |discover: &Discover| discover.protocol().is_none_or(has_variables);
    upstream.servers.iter().any(gets_variables) || upstream.discover.as_ref().is_some_and(found)
}

/// What the protocol of the servers and the settings say to each other.
pub(super) fn check(cx: &mut Lower<'_>, upstream: &Upstream, fields: &Fields<'_>) {
    let servers = &upstream.servers;
    if fields.has("params") && !servers.is_empty() && !servers.iter().any(gets_variables) {
        let message = format!(
            "`params` is not used: upstream `{}` has no servers of uwsgi, FastCGI or SCGI",
            upstream.name
        );
        let diagnostic = Diagnostic::warning("unused-key", fields.place("params"), message);
        cx.report(diagnostic.help("servers = [\"uwsgi://10.0.0.11:3031\"]"));
    }
}

//! Prints what says where servers come from at run time.

use std::net::SocketAddr;

use super::TomlWriter;
use crate::addr;
use crate::model::{Digest, Discover, Subscribe, Upstream, UpstreamProtocol};
use crate::units::show_duration;

pub(super) fn upstream(out: &mut TomlWriter<'_>, upstream: &Upstream) {
    out.text("resolve", &show_duration(upstream.resolve));
    if !upstream.resolver.is_empty() {
        let servers: Vec<String> = upstream
            .resolver
            .iter()
            .map(SocketAddr::to_string)
            .collect();
        out.texts("resolver", &servers);
    }
    let Some(discover) = &upstream.discover else {
        return;
    };
    out.inline("discover", |out| match discover {
        Discover::Dns { server } => out.text("dns", &addr::show_server(server)),
        Discover::Srv {
            name,
            protocol,
            tls,
        } => {
            out.text("srv", name);
            out.text("scheme", scheme(*protocol, *tls));
        }
        Discover::Subscribe { key: Some(key) } => out.text("subscribe", key),
        Discover::Subscribe { key: None } => out.flag("subscribe", true),
    });
}

fn scheme(protocol: UpstreamProtocol, tls: bool) -> &'static str {
    match (protocol, tls) {
        (UpstreamProtocol::Http, true) => "https",
        (UpstreamProtocol::Http, false) => "http",
        (UpstreamProtocol::H2c, _) => "h2c",
        (UpstreamProtocol::Uwsgi, _) => "uwsgi",
        (UpstreamProtocol::FastCgi, _) => "fastcgi",
        (UpstreamProtocol::Scgi, _) => "scgi",
        (UpstreamProtocol::Tcp, _) => "tcp",
    }
}

pub(super) fn subscribe(out: &mut TomlWriter<'_>, subscribe: Option<&Subscribe>) {
    let Some(subscribe) = subscribe else { return };
    out.table("subscribe");
    let listen: Vec<String> = subscribe.listen.iter().map(addr::show_listen).collect();
    out.texts("listen", &listen);
    out.maybe_path("key_dir", subscribe.key_dir.as_deref());
    out.text(
        "digest",
        match subscribe.digest {
            Digest::Sha1 => "sha1",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha512 => "sha512",
        },
    );
    let allow: Vec<String> = subscribe.allow.iter().map(addr::show_network).collect();
    out.texts("allow", &allow);
    out.text("tolerance", &show_duration(subscribe.tolerance));
}

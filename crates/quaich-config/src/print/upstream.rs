//! Prints `[upstream.NAME]`.

use super::{TomlWriter, discovery, health, sticky, tls};
use crate::addr;
use crate::model::{Balance, HashKey, Params, RetryOn, SendProxy, Upstream, UpstreamServer};
use crate::units::show_duration;

pub(super) fn upstream(out: &mut TomlWriter<'_>, upstream: &Upstream) {
    let path = format!("upstream.{}", upstream.name);
    out.table(&path);
    out.text("balance", &show_balance(&upstream.balance));
    out.text("slow_start", &show_duration(upstream.slow_start));
    out.number("max_queue", upstream.max_queue);
    out.text("queue_timeout", &show_duration(upstream.queue_timeout));
    out.text("connect_timeout", &show_duration(upstream.connect_timeout));
    out.text("timeout", &show_duration(upstream.timeout));
    out.number("retries", upstream.retries);
    out.texts("retry_on", &show_retry_on(&upstream.retry_on));
    out.text("retry_budget", &format!("{}%", upstream.retry_budget));
    out.number("keepalive", upstream.keepalive);
    let (idle, age) = (upstream.keepalive_timeout, upstream.keepalive_age);
    out.text("keepalive_timeout", &show_duration(idle));
    out.text("keepalive_age", &show_duration(age));
    health::upstream(out, upstream);
    out.text(
        "send_proxy",
        match upstream.send_proxy {
            SendProxy::Off => "off",
            SendProxy::V1 => "v1",
            SendProxy::V2 => "v2",
        },
    );
    out.text(
        "params",
        match upstream.params {
            Params::Wsgi => "wsgi",
            Params::Nginx => "nginx",
            Params::Apache => "apache",
        },
    );
    tls::upstream(out, upstream);
    discovery::upstream(out, upstream);
    sticky::sticky(out, upstream.sticky.as_ref());
    for item in &upstream.servers {
        out.tables(&format!("{path}.server"));
        server(out, item);
    }
}

fn server(out: &mut TomlWriter<'_>, server: &UpstreamServer) {
    out.text("url", &addr::show_server(server));
    out.text("id", &server.id);
    out.number("weight", server.weight);
    out.flag("backup", server.backup);
    out.number("max_conns", server.max_conns);
    out.maybe_text("cookie", server.cookie.as_deref());
    if server.modifiers != (0, 0) {
        out.number("modifier1", server.modifiers.0);
        out.number("modifier2", server.modifiers.1);
    }
}

fn show_balance(balance: &Balance) -> String {
    match balance {
        Balance::RoundRobin => "round-robin".into(),
        Balance::LeastConn => "least-conn".into(),
        Balance::P2c => "p2c".into(),
        Balance::Random => "random".into(),
        Balance::First => "first".into(),
        Balance::Hash(HashKey::ClientIp) => "hash:client_ip".into(),
        Balance::Hash(HashKey::Uri) => "hash:uri".into(),
        Balance::Hash(HashKey::Path) => "hash:path".into(),
        Balance::Hash(HashKey::Header(name)) => format!("hash:header.{name}"),
        Balance::Hash(HashKey::Cookie(name)) => format!("hash:cookie.{name}"),
    }
}

fn show_retry_on(retry_on: &RetryOn) -> Vec<String> {
    let timeout = retry_on.timeout.then(|| "timeout".to_owned());
    let statuses = retry_on.statuses.iter().map(u16::to_string);
    let connect = std::iter::once("connect".to_owned());
    connect.chain(timeout).chain(statuses).collect()
}

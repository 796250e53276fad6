//! Servers for tests of choosing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaich_config::model::{
    Balance, H2, Params, RetryOn, SendProxy, Upstream, UpstreamServer, UpstreamTls,
};

use crate::link::UpstreamMaterial;
use crate::upstream::group::Group;

/// An upstream without servers.
pub fn upstream(balance: Balance) -> Upstream {
    Upstream {
        name: "test".into(),
        servers: Vec::new(),
        discover: None,
        resolve: Duration::from_secs(30),
        resolver: Vec::new(),
        balance,
        slow_start: Duration::ZERO,
        sticky: None,
        health: None,
        passive: None,
        retry_after: Duration::ZERO,
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        retries: 1,
        retry_on: RetryOn::default(),
        retry_budget: 100,
        max_queue: 1000,
        queue_timeout: Duration::from_secs(1),
        keepalive: 32,
        keepalive_timeout: Duration::from_secs(1),
        keepalive_age: Duration::ZERO,
        send_proxy: SendProxy::Off,
        params: Params::Wsgi,
        tls: UpstreamTls::default(),
        h2: H2::Auto,
    }
}

/// A server.
pub fn server(name: &str, weight: u32) -> UpstreamServer {
    let mut server = quaich_config::addr::server(name, Path::new("/")).expect("an address");
    server.weight = weight;
    server
}

/// A group of servers with these weights, named `s0:80` and so on, each changed by `edit`.
pub fn group(
    balance: Balance,
    weights: &[u32],
    edit: impl Fn(usize, &mut UpstreamServer),
) -> Arc<Group> {
    let mut settings = upstream(balance);
    for (index, weight) in weights.iter().enumerate() {
        let mut server = server(&format!("s{index}:80"), *weight);
        edit(index, &mut server);
        settings.servers.push(server);
    }
    Arc::new(Group::new(&settings, &UpstreamMaterial::default(), 2))
}

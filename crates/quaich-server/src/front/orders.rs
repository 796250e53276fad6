//! What the operator says of single servers (`quaich server`): found by name, carried out, answered.

use std::sync::Arc;

use quaich_config::nearest;
use serde_json::json;

use crate::link::{FromFront, NamedOrder, Order};
use crate::observe::log;
use crate::upstream::group::Group;
use crate::upstream::server::Server;

type Named<'g> = (&'g Arc<Group>, Arc<Server>);

/// Carries `order` out on the server called `name`: the answer to the supervisor.
pub(super) fn carry_out(upstreams: &[Arc<Group>], id: u64, name: &str, order: Order) -> FromFront {
    match find(upstreams, name) {
        Ok((group, server)) => {
            let was = shown(&server);
            let changed = group.order(server.name(), order);
            let is = shown(&server);
            let upstream = &group.settings().name;
            if changed {
                log::info!("a server was changed by command"; upstream = upstream,
                    server = server.name(), was = was, is = is);
            }
            let body = json!({
                "upstream": upstream,
                "server": server.name(),
                "changed": changed,
                "mode": server.wanted().name(),
                "weight": server.weight(),
                "state": super::status::state(&server),
                "running": server.running(),
            });
            let done = NamedOrder {
                upstream: upstream.clone(),
                server: server.name().to_owned(),
                order,
            };
            let done = Some(done);
            FromFront::Ordered { id, done, body }
        }
        Err(error) => FromFront::Ordered {
            id,
            done: None,
            body: json!({ "error": error }),
        },
    }
}

fn shown(server: &Server) -> String {
    format!("{}, weight {}", server.wanted().name(), server.weight())
}

/// `UPSTREAM/SERVER`, or the name of a server that only one upstream has.
fn find<'g>(upstreams: &'g [Arc<Group>], name: &str) -> Result<Named<'g>, String> {
    let mut all: Vec<(String, Named<'g>)> = Vec::new();
    for group in upstreams {
        for server in group.servers().iter() {
            let full = format!("{}/{}", group.settings().name, server.name());
            all.push((full, (group, server.clone())));
        }
    }
    if let Some(index) = all.iter().position(|(full, _)| full == name) {
        return Ok(all.swap_remove(index).1);
    }
    let alike = |(_, (_, server)): &(String, Named<'g>)| server.name() == name;
    let mut fitting: Vec<_> = all.iter().filter(|named| alike(named)).collect();
    match (fitting.pop(), fitting.len()) {
        (Some((_, (group, server))), 0) => Ok((group, server.clone())),
        (Some(last), _) => {
            fitting.push(last);
            let names: Vec<&str> = fitting.iter().map(|(full, _)| &**full).collect();
            let names = names.join(", ");
            Err(format!("several servers are called `{name}`: {names}"))
        }
        (None, _) => Err(unknown(name, &all)),
    }
}

fn unknown(name: &str, all: &[(String, Named<'_>)]) -> String {
    if all.is_empty() {
        return format!("there is no server `{name}`: no upstream has servers");
    }
    let short = all.iter().map(|(_, (_, server))| server.name());
    let names = all.iter().map(|(full, _)| &**full);
    if let Some(near) = nearest(name, names.clone().chain(short)) {
        return format!("there is no server `{name}`; did you mean `{near}`?");
    }
    let names: Vec<&str> = names.take(10).collect();
    let more = if all.len() > names.len() { ", ..." } else { "" };
    format!(
        "there is no server `{name}`; there are {}{more}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use quaich_config::{Surroundings, parse};
    use serde_json::Value;

    use super::*;
    use crate::link::{Mode, UpstreamMaterial};

    fn answer(upstreams: &[Arc<Group>], name: &str, order: Order) -> Value {
        match carry_out(upstreams, 7, name, order) {
            FromFront::Ordered { id: 7, body, .. } => body,
            _ => Value::Null,
        }
    }

    fn groups() -> Vec<Arc<Group>> {
        let text = "[upstream.a]\nservers = [\"one:80\", \"two:80\"]\n\
                    [upstream.b]\nservers = [\"two:80\"]\n[site.x]\nupstream = \"a\"\n";
        let loaded = parse("q.toml", text, Path::new("/"), &Surroundings::default());
        let config = loaded.config.expect("valid");
        let group = |settings| Arc::new(Group::new(settings, &UpstreamMaterial::default(), 1));
        config.upstreams.iter().map(group).collect()
    }

    #[test]
    fn a_server_is_found_by_its_full_name_or_by_one_that_nobody_shares() {
        let groups = groups();
        let drain = Order {
            mode: Some(Mode::Drain),
            weight: None,
        };
        let done = answer(&groups, "a/two:80", drain);
        assert_eq!(done["state"], "drain", "{done}");
        assert_eq!(done["changed"], true);
        assert_eq!(answer(&groups, "a/two:80", drain)["changed"], false);
        assert_eq!(answer(&groups, "one:80", drain)["upstream"], "a");
        let weight = Order {
            mode: None,
            weight: Some(0),
        };
        let ready = Order {
            mode: Some(Mode::Ready),
            weight: None,
        };
        assert_eq!(answer(&groups, "one:80", ready)["weight"], 1);
        assert_eq!(answer(&groups, "one:80", weight)["weight"], 0);
        let again = answer(&groups, "one:80", ready);
        assert_eq!(
            (&again["weight"], &again["changed"]),
            (&1.into(), &true.into())
        );
        let error = |name| answer(&groups, name, drain)["error"].to_string();
        assert!(error("two:80").contains("a/two:80, b/two:80"));
        assert!(error("b/tow:80").contains("did you mean `b/two:80`?"));
        assert!(error("nothing").contains("there are a/one:80, a/two:80, b/two:80"));
    }
}

//! What `quaich status` is told about the front.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::DataThread;
use super::event_loop::{AppStatus, Command};
use crate::discovery::subscription::Subscriptions;
use crate::filter::limit;
use crate::observe::counters::Counters;
use crate::upstream::group::Group;
use crate::upstream::server::{Health, Mode, Server};

/// A thread that does not answer in this time is left out.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sums of all threads.
pub(super) fn gather(
    threads: &[DataThread],
    upkeep: &Counters,
    upstreams: &[Arc<Group>],
    subscriptions: Option<&Subscriptions>,
    limits: &limit::Store,
) -> Value {
    let mut counters = BTreeMap::<&str, u64>::new();
    let of_threads = threads.iter().map(|thread| &*thread.counters);
    for counters_of in of_threads.chain([upkeep]) {
        for (name, value) in counters_of.values() {
            *counters.entry(name).or_default() += value;
        }
    }
    let (answer, answers) = std::sync::mpsc::channel();
    for thread in threads {
        thread.command(Command::Status {
            answer: answer.clone(),
        });
    }
    drop(answer);
    let mut apps = Vec::<AppStatus>::new();
    for _ in threads {
        let Ok(of_thread) = answers.recv_timeout(PATIENCE) else {
            break;
        };
        apps.resize_with(apps.len().max(of_thread.len()), AppStatus::default);
        for (sum, part) in apps.iter_mut().zip(of_thread) {
            sum.add(&part);
        }
    }
    json!({
        "connections": counters.get("connections"),
        "requests": counters.get("requests"),
        "counters": counters,
        "apps": apps,
        "limits": limits.status(),
        "subscriptions": subscriptions.map(Subscriptions::status),
        "upstreams": upstreams.iter().map(|group| upstream(group)).collect::<Vec<_>>(),
    })
}

fn upstream(group: &Group) -> Value {
    let servers = group.servers();
    json!({
        "name": group.settings().name,
        "queued": group.queue().length(),
        "queued_ever": group.queue().waited(),
        "servers": servers.iter().map(|server| one(server)).collect::<Vec<_>>(),
    })
}

fn one(server: &Server) -> Value {
    let condition = server.condition();
    let last = condition.last_check().map(|last| {
        json!({
            "well": last.well,
            "what": last.what,
            "took_ms": last.took.as_secs_f64() * 1000.0,
            "age_ms": last.at.elapsed().as_millis(),
        })
    });
    json!({
        "name": server.name(),
        "state": state(server),
        "takes_new": server.takes_new(),
        "health": condition.word(),
        "mode": server.mode().name(),
        "weight": server.weight(),
        "running": server.running(),
        "max_conns": server.max_conns(),
        "served": server.served(),
        "failed": server.failed(),
        "changes": condition.changes(),
        "ejections": condition.ejections(),
        "last_check": last,
    })
}

/// One word for what a server does: what the operator or its agent wants of it, else how it is.
pub(super) fn state(server: &Server) -> &'static str {
    match server.mode() {
        Mode::Maint => "maint",
        Mode::Drain if server.health() == Health::Up => "drain",
        Mode::Drain | Mode::Ready => server.condition().word(),
    }
}

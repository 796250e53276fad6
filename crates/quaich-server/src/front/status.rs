//! What `quaich status` is told about the front.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::DataThread;
use super::event_loop::{AppStatus, Command};
use crate::discovery::subscription::Subscriptions;
use crate::observe::counters::Counters;

/// A thread that does not answer in this time is left out.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sums of all threads.
pub(super) fn gather(
    threads: &[DataThread],
    upkeep: &Counters,
    subscriptions: Option<&Subscriptions>,
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
        "subscriptions": subscriptions.map(Subscriptions::status),
    })
}

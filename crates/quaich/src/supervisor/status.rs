//! What `quaich status` is answered: our own view, joined with the front's.
//!
//! The front is asked and has half a second; without its answer ours is sent alone.

use std::fs;
use std::time::{Duration, Instant};

use quaich_app::pool::{Pool, WorkerStatus};
use quaich_server::link::ToFront;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{Phase, Supervisor};

const PATIENCE: Duration = Duration::from_millis(500);

/// Questions that wait for the front's part.
#[derive(Default)]
pub(super) struct Asked {
    last: u64,
    waiting: Vec<Question>,
}

struct Question {
    id: u64,
    reply: oneshot::Sender<Value>,
    own: Value,
    deadline: Instant,
}

impl Asked {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|question| question.deadline).min()
    }

    /// The front's part has come.
    pub(super) fn answer(&mut self, id: u64, front: Value) {
        if let Some(index) = self.waiting.iter().position(|question| question.id == id) {
            let Question { reply, own, .. } = self.waiting.swap_remove(index);
            // What is not a status stands alone.
            let answer = match own.get("error") {
                Some(_) => front,
                None if front.is_null() => own,
                None => join(own, front),
            };
            send(reply, answer);
        }
    }

    pub(super) fn answer_overdue(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (overdue, waiting): (Vec<_>, Vec<_>) = waiting.partition(|asked| asked.deadline <= now);
        self.waiting = waiting;
        overdue
            .into_iter()
            .for_each(|question| send(question.reply, question.own));
    }
}

fn send(reply: oneshot::Sender<Value>, answer: Value) {
    // Whoever asked may have left.
    let _ = reply.send(answer);
}

impl Supervisor {
    pub(super) fn ask_status(&mut self, reply: oneshot::Sender<Value>, now: Instant) {
        let own = self.own_status(now);
        self.ask_front(|id| ToFront::Status { id }, (reply, own), now);
    }

    /// Asks the front something. Its answer is joined with `own`, which is the whole answer if it
    /// says nothing in time.
    pub(super) fn ask_front(
        &mut self,
        question: impl FnOnce(u64) -> ToFront,
        (reply, own): (oneshot::Sender<Value>, Value),
        now: Instant,
    ) {
        let ready = |front: &super::Front| front.ready.is_some();
        if !self.front.as_ref().is_some_and(ready) {
            return send(reply, own);
        }
        self.asked.last += 1;
        let id = self.asked.last;
        self.tell(question(id), Vec::new());
        self.asked.waiting.push(Question {
            id,
            reply,
            own,
            deadline: now + PATIENCE,
        });
    }

    fn own_status(&self, now: Instant) -> Value {
        let state = match self.phase {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Draining { .. } | Phase::Stopping { .. } => "stopping",
        };
        let listener =
            |bound: &super::sockets::Bound| json!({ "name": bound.name, "shown": bound.shown });
        let front = self.front.as_ref().map(|front| front.pid.as_raw_pid());
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_s": now.saturating_duration_since(self.started).as_secs(),
            "state": state,
            "source": self.plan.source,
            "listeners": self.equipment.sockets.iter().map(listener).collect::<Vec<_>>(),
            "front": {
                "pid": front,
                "rss_bytes": front.and_then(resident),
                "restarts": self.fronts.saturating_sub(1),
            },
            "certificates": self.certificates_status(),
            "maintenance": self.maintenance_status(),
            "agent": self.agent.status(now),
            "apps": self.pools.iter().map(|pool| app(pool, now)).collect::<Vec<_>>(),
        })
    }
}

fn app(pool: &Pool, now: Instant) -> Value {
    let worker = |status: WorkerStatus| {
        json!({
            "worker": status.worker,
            "pid": status.pid,
            "state": status.state,
            "age_s": status.age.as_secs(),
            "rss_bytes": resident(status.pid),
        })
    };
    let workers: Vec<Value> = pool.status(now).into_iter().map(worker).collect();
    let app = pool.app();
    json!({
        "name": app.name,
        "python": app.python,
        "threads": app.threads,
        "restarts": pool.restarts(),
        "workers": workers,
    })
}

/// The front's `apps` go to ours by place and its workers' counts to ours by id, its `upstreams`
/// beside them, the rest of its answer into `front`.
fn join(mut own: Value, mut front: Value) -> Value {
    let apps = front.as_object_mut().and_then(|front| front.remove("apps"));
    let apps = apps
        .as_ref()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let ours = own["apps"].as_array_mut().into_iter().flatten();
    for (ours, mut theirs) in ours.zip(apps) {
        let counts = theirs
            .as_object_mut()
            .and_then(|theirs| theirs.remove("workers"));
        for worker in ours["workers"].as_array_mut().into_iter().flatten() {
            let id = worker["worker"].to_string();
            worker["requests"] = counts
                .as_ref()
                .map_or(Value::Null, |counts| counts[&id].clone());
        }
        merge(ours, theirs);
    }
    if let Some(upstreams) = front.as_object_mut().and_then(|f| f.remove("upstreams")) {
        own["upstreams"] = upstreams;
    }
    merge(&mut own["front"], front);
    own
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        let new: Map<_, _> = from
            .into_iter()
            .filter(|(key, _)| !into.contains_key(key))
            .collect();
        into.extend(new);
    }
}

/// Resident memory of a process in bytes.
fn resident(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fronts_numbers_stand_beside_ours() {
        let own = json!({
            "front": { "pid": 7 },
            "apps": [{ "name": "a", "workers": [{ "worker": 3, "pid": 8 }] }],
        });
        let front = json!({
            "connections": 5,
            "apps": [{ "queued": 2, "name": "lie", "workers": { "3": 41 } }],
        });
        let expected = json!({
            "front": { "pid": 7, "connections": 5 },
            "apps": [{
                "name": "a",
                "queued": 2,
                "workers": [{ "worker": 3, "pid": 8, "requests": 41 }],
            }],
        });
        assert_eq!(join(own, front), expected);
    }

    #[test]
    fn a_front_that_sends_nonsense_changes_nothing_of_ours() {
        let own = json!({ "front": { "pid": 7 }, "apps": [] });
        assert_eq!(join(own.clone(), json!("nonsense")), own);
    }
}

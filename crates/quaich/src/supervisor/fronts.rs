//! The life of fronts: started, heard, replaced.
//!
//! Part of the supervisor's loop. A front that was ready is replaced at once, with the same
//! listeners and the same workers over fresh channels; one that cannot start is fatal at the start
//! of the program and tried again with growing waits later.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use quaich_app::channel::Channel;
use quaich_app::pool::Pool;
use quaich_server::link::FromFront;
use quaich_server::observe::log;

use super::front::{Front, State};
use super::{Phase, Supervisor};
use crate::certificates::date;
use crate::exit::{Code, Failure};

/// A front that dies sooner after it was ready is not replaced at once.
const TOO_SOON: Duration = Duration::from_secs(1);
const SOON_DELAY: Duration = Duration::from_millis(100);

impl Supervisor {
    pub(super) fn start_front(&mut self, now: Instant) {
        self.front_at = None;
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        self.fronts += 1;
        match self.try_front() {
            Ok((front, channels)) => {
                self.front = Some(front);
                for (pool, channel) in self.pools.iter_mut().zip(channels) {
                    pool.attach(channel);
                }
            }
            Err(error) => self.front_failed(&error.to_string(), now),
        }
    }

    pub(super) fn try_front(&self) -> std::io::Result<(Front, Vec<Channel>)> {
        let threads = self.equipment.config.server.threads;
        let apps = self.equipment.config.apps.iter();
        let channels: Vec<Channel> = apps
            .map(|app| Channel::new(app, threads))
            .collect::<std::io::Result<_>>()?;
        let heard = self.heard.clone();
        let state = State {
            material: self.plan.certificates.material(date::now()),
            texts: self.plan.texts.loaded(),
            orders: self.orders.clone(),
            closed: self.closing.closed(),
        };
        let front = Front::start(&self.equipment, state, &channels, self.fronts, heard)?;
        Ok((front, channels))
    }

    /// A front did not become ready: fatal at the start, else tried again later.
    pub(super) fn front_failed(&mut self, why: &str, now: Instant) {
        if self.phase == Phase::Starting {
            let message = format!("the front process cannot start: {why}");
            self.failure = Some(Failure::new(Code::Config, message));
            return self.stop(false, now);
        }
        let wait = self.front_backoff.failed();
        self.front_at = Some(now + wait);
        log::error!("the front cannot start: {why}; next attempt in {wait:?}");
    }

    pub(super) fn on_front_exit(&mut self, front: &Front, status: ExitStatus, now: Instant) {
        self.pools.iter_mut().for_each(Pool::detach);
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        let Some(ready) = front.ready else {
            return self.front_failed(&status.to_string(), now);
        };
        let soon = now.saturating_duration_since(ready) < TOO_SOON;
        self.front_at = soon.then(|| now + SOON_DELAY);
        log::error!("the front died and is replaced"; pid = front.pid.as_raw_pid(), how = status);
    }

    pub(super) fn on_heard(&mut self, incarnation: u64, message: Option<FromFront>, now: Instant) {
        let current = |front: &&mut Front| front.incarnation == incarnation;
        let Some(front) = self.front.as_mut().filter(current) else {
            return;
        };
        match message {
            Some(FromFront::Ready) => {
                front.ready = Some(now);
                self.front_backoff.reset();
                self.show_challenges();
                self.show_closed();
            }
            Some(FromFront::Drained) => {}
            Some(FromFront::Challenges { id }) => self.challenges_shown(id),
            Some(FromFront::Stuck {
                app,
                worker,
                detail,
            }) => {
                self.condemn(app, worker, format!("stuck: {detail}"), now);
            }
            Some(FromFront::Lied { app, worker, why }) => {
                self.condemn(app, worker, format!("it broke the channel: {why}"), now);
            }
            Some(FromFront::Done { id, body }) => self.asked.answer(id, body),
            Some(FromFront::Status { id, body }) => self.asked.answer(id, body),
            Some(FromFront::Ordered { id, done, body }) => {
                self.remember(done);
                self.asked.answer(id, body);
            }
            // Without its link it is of no use any more.
            None if !matches!(self.phase, Phase::Draining { .. } | Phase::Stopping { .. }) => {
                front.kill();
            }
            None => {}
        }
    }

    pub(super) fn condemn(&mut self, app: usize, worker: u32, reason: String, now: Instant) {
        let Some(pool) = self.pools.get_mut(app) else {
            return;
        };
        let name = &pool.app().name;
        log::error!("a worker is killed"; app = name, worker = worker, reason = reason);
        pool.condemn(worker, reason, now);
    }
}

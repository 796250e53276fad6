//! Signals, and the ways to end: drained, quick, killed.
//!
//! Part of the supervisor's loop; what each signal means stands in `on_signal`.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use quaich_app::pool::Pool;
use quaich_server::link::ToFront;
use quaich_server::observe::log;

use super::signals::Signal;
use super::{EXIT_TIME, LAST_TIME, Phase, Supervisor, files, has_terminal, notify, seconds};

/// Two signals within this time are one wish.
const ECHO: Duration = Duration::from_millis(50);

impl Supervisor {
    pub(super) fn on_signal(&mut self, signal: Signal, now: Instant) {
        let ending = matches!(self.phase, Phase::Draining { .. } | Phase::Stopping { .. });
        match signal {
            Signal::Child => self.reap(now),
            Signal::Stop | Signal::Quit if ending && self.is_echo(now) => {}
            Signal::Stop | Signal::Quit if ending => {
                log::warn!("told to stop again: everything is killed");
                self.kill_all(now);
            }
            Signal::Stop => {
                self.told = Some(now);
                self.drain(now);
            }
            Signal::Quit => {
                self.told = Some(now);
                log::info!("stopping at once: running requests are broken off");
                self.stop(false, now);
            }
            Signal::ReopenLogs => self.reopen_logs(),
            Signal::Hangup if self.terminal && !has_terminal() => self.drain(now),
            Signal::Hangup => {
                log::info!("HUP: certificates are read again; reload is not in this version");
                self.look_at_certificates(true);
                self.look_at_texts();
            }
        }
    }

    /// Whether a signal comes so soon after the first that it is the same wish: `timeout` and some
    /// shells send one to the process and one to its group.
    fn is_echo(&self, now: Instant) -> bool {
        self.told
            .is_some_and(|told| now.saturating_duration_since(told) < ECHO)
    }

    /// Finish what runs, then end.
    pub(super) fn drain(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        // What it has begun it can go on with later.
        self.agent.kill();
        let timeout = self.equipment.config.server.shutdown_timeout;
        log::info!("stopping: running requests may finish"; timeout = seconds(timeout));
        notify::send("STOPPING=1");
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.tell(ToFront::Drain { timeout_ms }, Vec::new());
        // Whoever connects from now on is refused, not left waiting in a backlog.
        self.equipment.sockets.clear();
        self.phase = Phase::Draining {
            until: now + timeout + EXIT_TIME,
        };
    }

    /// Ends front and workers. The front, if there is one still, breaks its connections off.
    pub(super) fn stop(&mut self, graceful: bool, now: Instant) {
        if matches!(self.phase, Phase::Starting | Phase::Running) {
            notify::send("STOPPING=1");
        }
        self.agent.kill();
        self.tell(ToFront::Drain { timeout_ms: 0 }, Vec::new());
        self.equipment.sockets.clear();
        for pool in &mut self.pools {
            let patience = pool.app().graceful_timeout.min(LAST_TIME);
            pool.stop(graceful, patience, now);
        }
        self.phase = Phase::Stopping {
            until: now + LAST_TIME + EXIT_TIME,
        };
    }

    pub(super) fn kill_front(&mut self) {
        if let Some(front) = &self.front {
            front.kill();
        }
        // Reaped soon; asked again only if it is not.
        self.phase = Phase::Draining {
            until: Instant::now() + EXIT_TIME,
        };
    }

    pub(super) fn kill_all(&mut self, now: Instant) {
        self.pools.iter_mut().for_each(Pool::kill);
        self.agent.kill();
        if let Some(front) = &self.front {
            front.kill();
        }
        self.phase = Phase::Stopping {
            until: now + EXIT_TIME,
        };
    }

    pub(super) fn reopen_logs(&mut self) {
        let config = &self.equipment.config;
        let opened = files::open_log(&config.access_log.output)
            .and_then(|access| Ok((access, files::open_log(&config.log.output)?)));
        let (access, own) = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                return log::error!("logs not reopened: {failure}");
            }
        };
        let mut fds = Vec::new();
        let mut index = |fd: &Option<OwnedFd>| {
            let copy = fd.as_ref()?.try_clone().ok()?;
            fds.push(copy);
            Some(fds.len() - 1)
        };
        let message = ToFront::ReopenLogs {
            access_log: index(&access),
            log: index(&own),
        };
        self.tell(message, fds);
        if let Some(own) = own.as_ref().and_then(|own| own.try_clone().ok()) {
            log::reopen(own);
        }
        // A later front starts with the new files.
        self.equipment.access_log = access;
        self.equipment.log = own;
        log::info!("log files reopened");
    }
}

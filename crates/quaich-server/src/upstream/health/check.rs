//! Checks of one server: one after the other, and what follows from them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaich_config::model::{CheckKind, Health};
use tokio::time::{sleep, timeout};

use super::condition::{Condition, LastCheck, Reason};
use super::http::Page;
use super::{agent, dial, jittered, ping, take_in, take_out};
use crate::deadline::Deadlines;
use crate::link::Mode;
use crate::upstream::group::Group;
use crate::upstream::secure::Offer;
use crate::upstream::server::Server;

/// The first checks of the servers are spread over so long.
const FIRST: Duration = Duration::from_secs(1);

/// What was found, in words: all is well, or it is not.
pub(super) type Found = Result<String, String>;

/// `health` of an upstream, ready to be used.
pub(super) struct Checks {
    health: Health,
    /// `None`: no page is asked for.
    page: Option<Page>,
}

impl Checks {
    /// `None`: the upstream has no checks.
    pub(super) fn new(group: &Group, deadlines: &Rc<Deadlines>) -> Option<Self> {
        let health = group.settings().health.clone()?;
        let page = Page::new(&health, deadlines);
        Some(Self { health, page })
    }

    /// From one check of a server to the next.
    pub(super) fn every(&self) -> Duration {
        self.health.every
    }

    /// One check of `server`. It is noted as its last one.
    pub(super) async fn ask(&self, group: &Group, server: &Arc<Server>) -> Found {
        let begin = Instant::now();
        let health = &self.health;
        let asked = self.question(group, server);
        let found = match timeout(health.timeout, asked).await {
            Ok(found) => found,
            Err(_) => Err(format!("no answer within {:?}", health.timeout)),
        };
        note(server.condition(), begin, &found);
        found
    }

    async fn question(&self, group: &Group, server: &Arc<Server>) -> Found {
        let port = self.health.port;
        match (&self.health.kind, &self.page) {
            (CheckKind::Http { .. }, Some(page)) => page.ask(group, server, port).await,
            (CheckKind::Ping, _) => ping::ask(group, server, port).await,
            _ => match dial::server(group, server, port, Offer::Usual).await {
                Ok(_) => Ok("connected".to_owned()),
                Err(error) => Err(dial::why(&error)),
            },
        }
    }
}

fn note(condition: &Condition, begin: Instant, found: &Found) {
    let (Ok(what) | Err(what)) = found;
    condition.note_check(LastCheck {
        at: Instant::now(),
        well: found.is_ok(),
        what: what.clone(),
        took: begin.elapsed(),
    });
}

/// Checks `server` for ever. `turn`: its place among how many that begin at once.
pub(super) async fn run(
    group: Arc<Group>,
    server: Arc<Server>,
    checks: Rc<Checks>,
    (place, among): (usize, usize),
) {
    let health = &checks.health;
    let part = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let spread = health.every.min(FIRST) / part(among);
    sleep(spread * u32::try_from(place).unwrap_or(0)).await;
    let mut streak = Streak::default();
    loop {
        if server.wanted() == Mode::Maint {
            streak = Streak::default();
            server.condition().told.notified().await;
            continue;
        }
        if health.kind == CheckKind::Agent {
            let begin = Instant::now();
            let told = timeout(health.timeout, agent::ask(&server, health.port)).await;
            let told =
                told.unwrap_or_else(|_| Err(format!("no answer within {:?}", health.timeout)));
            let shown = told
                .as_ref()
                .map(ToString::to_string)
                .map_err(String::clone);
            note(server.condition(), begin, &shown);
            if let Ok(words) = told {
                agent::obey(&group, &server, &words);
            }
        } else {
            let found = checks.ask(&group, &server).await;
            streak.add(found.is_ok());
            if found.is_ok() && health.port.is_none() {
                take_in(
                    &group,
                    &server,
                    Reason::Unreachable,
                    &"a check has reached it",
                );
            }
            if streak.decides(health) {
                streak.decided = true;
                conclude(&group, &server, streak.length, &found);
            }
        }
        // What the operator says may be a reason to look at once.
        let _ = timeout(jittered(health.every), server.condition().told.notified()).await;
    }
}

/// Checks with the same result, one after the other.
#[derive(Debug, Default)]
struct Streak {
    well: bool,
    length: u32,
    /// One check has decided already.
    decided: bool,
}

impl Streak {
    fn add(&mut self, well: bool) {
        match self.well == well {
            true => self.length = self.length.saturating_add(1),
            false => self.length = 1,
        }
        self.well = well;
    }

    /// Whether it is long enough. The first check decides alone.
    fn decides(&self, health: &Health) -> bool {
        let needed = if self.well { health.rise } else { health.fall };
        !self.decided || self.length >= needed
    }
}

fn conclude(group: &Group, server: &Server, times: u32, found: &Found) {
    let times = match times {
        1 => "1 check".to_owned(),
        times => format!("{times} checks in a row"),
    };
    match found {
        Ok(what) => take_in(group, server, Reason::Checks, &format!("{times}: {what}")),
        Err(what) => take_out(group, server, Reason::Checks, &format!("{times}: {what}")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health {
            kind: CheckKind::Connect,
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            fall: 3,
            rise: 2,
            port: None,
            initially_up: true,
        }
    }

    fn decisions(results: &[bool]) -> Vec<bool> {
        let mut streak = Streak::default();
        let mut decide = |well: &bool| {
            streak.add(*well);
            let decides = streak.decides(&health());
            streak.decided |= decides;
            decides
        };
        results.iter().map(&mut decide).collect()
    }

    #[test]
    fn the_first_check_decides_and_then_only_rows_do() {
        let (well, ill) = (true, false);
        assert_eq!(
            decisions(&[ill, ill, well, well]),
            [true, false, false, true]
        );
        assert_eq!(
            decisions(&[well, ill, ill, well, ill, ill, ill]),
            [true, false, false, false, false, false, true]
        );
    }
}

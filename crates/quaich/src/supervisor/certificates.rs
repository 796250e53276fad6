//! Looks after certificates while all of it serves: files that change, certificates that end,
//! what the agent brings. Part of the supervisor's loop.
//!
//! Nothing here ever takes a certificate that works from the front: it is told of new ones only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use quaich_acme::{Event, Level};
use quaich_server::link::{Challenge, ToFront};
use quaich_server::observe::log;
use serde_json::{Value, json};

use super::agent::AgentSaid;
use super::{Phase, Supervisor};
use crate::certificates::{Change, date};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at dates.
const DATES: Duration = Duration::from_secs(60);

/// What is to be done when, and what the front was told.
#[derive(Default)]
pub(super) struct Care {
    look_at: Option<Instant>,
    dates_at: Option<Instant>,
    /// How near the end of each certificate was when it was last logged, in days.
    told: HashMap<String, i64>,
    challenges: Vec<Challenge>,
    /// Of the last message to the front about them.
    shown: u64,
    /// What the agent waits for.
    wanted: Option<u64>,
    /// Names for which there is to be a new certificate, due or not.
    force: Vec<String>,
    /// There is a new certificate, for which the pass that runs has fetched no OCSP answer.
    again: bool,
}

impl Supervisor {
    /// From now on the front can show what authorities ask for.
    pub(super) fn begin_certificates(&mut self, now: Instant) {
        let config = &self.equipment.config;
        let certificates = &self.plan.certificates;
        if certificates.has_files() {
            self.care.look_at = Some(now + LOOK);
        }
        if certificates.has_files() || config.tls.local_ca || config.tls.acme.is_some() {
            // What there is to be said of dates was said at the start.
            for (label, step, _) in certificates.ending(date::now()) {
                self.care.told.insert(label, step);
            }
            self.care.dates_at = Some(now + DATES);
            self.agent.wake(now);
        }
        let waiting = certificates.waiting(config);
        if let (Some(acme), false) = (&config.tls.acme, waiting.is_empty()) {
            let (names, directory) = (waiting.join(", "), &acme.directory);
            log::warn!(
                "no certificate yet for {names}: until {directory} has issued one they are \
                answered over HTTP, and TLS to them is refused"
            );
        }
    }

    pub(super) fn certificates_deadline(&self) -> Option<Instant> {
        if self.phase != Phase::Running {
            return None;
        }
        let times = [
            self.care.look_at,
            self.care.dates_at,
            self.agent.next_deadline(),
        ];
        times.into_iter().flatten().min()
    }

    pub(super) fn care_for_certificates(&mut self, now: Instant) {
        if self.agent.finish(date::now(), now) {
            self.pass_ended(now);
        }
        if self.phase != Phase::Running {
            return;
        }
        if self.care.look_at.is_some_and(|at| at <= now) {
            self.care.look_at = Some(now + LOOK);
            self.look_at_certificates(false);
        }
        if self.care.dates_at.is_some_and(|at| at <= now) {
            self.care.dates_at = Some(now + DATES);
            self.look_at_dates();
        }
        self.agent.check_patience(now);
        if self.agent.is_due(now) {
            let force = std::mem::take(&mut self.care.force);
            let job = self.plan.certificates.job(&self.equipment.config, force);
            self.agent.start(job.as_ref(), now);
        }
    }

    /// Looks whether files have changed; `forced`: as if all had.
    pub(super) fn look_at_certificates(&mut self, forced: bool) {
        let mut new = false;
        for change in self.plan.certificates.look(date::now(), forced) {
            match change {
                Change::Bad(failure) => {
                    let why = failure.line();
                    log::error!("{why}; what was read before goes on being used");
                    continue;
                }
                Change::Other(label) => log::info!("{label}: its files were replaced"),
                Change::Certificate(name, facts) => {
                    let until = date::day(facts.not_after);
                    log::info!("certificate `{name}` replaced, valid until {until}");
                }
            }
            new = true;
        }
        if new {
            self.take_stored();
            self.agent.wake(Instant::now());
            self.send_material();
        }
    }

    fn look_at_dates(&mut self) {
        let now = date::now();
        for (label, step, text) in self.plan.certificates.ending(now) {
            if self.care.told.insert(label, step) == Some(step) {
                continue;
            }
            match step {
                0 => log::error!("{text}"),
                _ => log::warn!("{text}"),
            }
        }
        let mut new = self.plan.certificates.drop_stale_staples(now);
        if self
            .plan
            .certificates
            .local_due()
            .is_some_and(|at| at <= now)
        {
            match self.plan.certificates.take_local(&self.equipment.config) {
                Ok(changed) => new |= changed,
                Err(failure) => log::error!("{}", failure.line()),
            }
        }
        if new {
            self.send_material();
        }
    }

    fn take_stored(&mut self) {
        for why in self.plan.certificates.take_stored(&self.equipment.config) {
            log::error!("{why}");
        }
    }

    fn send_material(&self) {
        let material = self.plan.certificates.material(date::now());
        self.tell(ToFront::Material(Box::new(material)), Vec::new());
    }

    pub(super) fn on_agent(&mut self, said: AgentSaid, now: Instant) {
        let Some(event) = self.agent.hear(said, now) else {
            return;
        };
        match event {
            Event::Challenges { id, challenges } => {
                self.care.challenges = challenges.into_iter().map(challenge).collect();
                self.care.wanted = Some(id);
                self.show_challenges();
            }
            Event::Issued {
                names, not_after, ..
            } => {
                let until = date::day(i64::try_from(not_after).unwrap_or(i64::MAX));
                let names = names.join(", ");
                log::info!("a certificate for {names} was issued, valid until {until}");
                self.care.again = true;
                self.take_stored();
                self.send_material();
            }
            Event::Failed {
                names,
                reason,
                retry_at,
            } => {
                let names = names.join(", ");
                let left = retry_at.saturating_sub(u64::try_from(date::now()).unwrap_or(0));
                log::error!("no certificate for {names}: {reason}";
                    next_attempt_in = super::seconds(Duration::from_secs(left)));
            }
            Event::Ocsp {
                certificate,
                der,
                next_update,
            } => {
                let until = i64::try_from(next_update).unwrap_or(i64::MAX);
                if self.plan.certificates.staple(&certificate, der, until) {
                    self.send_material();
                }
            }
            Event::Revoked { certificate } => {
                log::error!(
                    "the certificate `{certificate}` is revoked by its authority: replace it"
                );
                if self.plan.certificates.unstaple(&certificate) {
                    self.send_material();
                }
            }
            Event::Log { level, message } => match level {
                Level::Error => log::error!("{message}"),
                Level::Warn => log::warn!("{message}"),
                Level::Info => log::info!("{message}"),
                Level::Debug => log::debug!("{message}"),
            },
            // Kept by the agent.
            Event::Next { .. } => {}
        }
    }

    /// What came of it lies in the state directory.
    fn pass_ended(&mut self, now: Instant) {
        self.take_stored();
        self.care.wanted = None;
        if !self.care.challenges.is_empty() {
            self.care.challenges.clear();
            self.show_challenges();
        }
        if std::mem::take(&mut self.care.again) || !self.care.force.is_empty() {
            self.agent.wake(now);
        }
    }

    /// Tells the front what authorities may ask for; also a front that has taken another's place.
    pub(super) fn show_challenges(&mut self) {
        let care = &mut self.care;
        if care.challenges.is_empty() && care.shown == 0 {
            return;
        }
        care.shown += 1;
        let (id, challenges) = (care.shown, care.challenges.clone());
        self.tell(ToFront::Challenges { id, challenges }, Vec::new());
    }

    /// The front answers them from now on.
    pub(super) fn challenges_shown(&mut self, id: u64) {
        if id == self.care.shown
            && let Some(wanted) = self.care.wanted.take()
        {
            self.agent.acknowledge(wanted);
        }
    }

    /// Has certificates got anew: all, or the one with this name. Gives the answer to whoever asks.
    pub(super) fn renew(&mut self, name: Option<&str>, now: Instant) -> Value {
        if self.phase != Phase::Running {
            return json!({ "error": "it is starting or stopping; try again later" });
        }
        let orders = self.plan.certificates.orders(&self.equipment.config);
        let wanted = name.map(|name| name.strip_prefix("acme:").unwrap_or(name));
        let mut first: Vec<String> = Vec::new();
        for names in orders {
            if wanted.is_none_or(|wanted| names.iter().any(|name| name == wanted)) {
                first.extend(names.into_iter().next());
            }
        }
        if first.is_empty() {
            return json!({ "error": match name {
                Some(name) => format!("no certificate called `{name}` comes from ACME; those from \
                    files are read again when the files change"),
                None => "no certificate comes from ACME; those from files are read again when the \
                    files change".to_owned(),
            }});
        }
        self.care.force.extend(first.iter().cloned());
        self.agent.wake(now);
        json!({ "renewing": first })
    }

    pub(super) fn certificates_status(&self) -> Vec<Value> {
        let now = date::now();
        let entries = self.plan.certificates.entries(&self.equipment.config, now);
        entries.iter().map(|entry| entry.to_json(now)).collect()
    }
}

/// The same in the words of the front.
fn challenge(challenge: quaich_acme::Challenge) -> Challenge {
    match challenge {
        quaich_acme::Challenge::Http01 { token, answer } => Challenge::Http01 { token, answer },
        quaich_acme::Challenge::TlsAlpn01 { host, chain, key } => {
            Challenge::TlsAlpn01 { host, chain, key }
        }
    }
}

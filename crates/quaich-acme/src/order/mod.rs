//! The ACME part of a pass: which certificates are due, and getting them.

mod account;
mod challenge;
mod failure;
mod place;
mod retry;
pub(crate) mod schedule;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use instant_acme::Account;
use quaich_config::model::Acme;

use crate::agent::Soonest;
use crate::agent::supervisor::Supervisor;
use crate::http::Http;
use crate::order::failure::Failure;
use crate::order::place::{Placing, list};
use crate::protocol::{Event, Job, Level};
use crate::store::file::Lock;
use crate::store::pair::Pair;
use crate::store::plan::{self, Plan};
use crate::store::{Entry, Store, Stored, file};
use crate::x509::{self, RenewalId};
use crate::{Error, Result, clock};

/// Looks after every entry of `job.names`; when something is due again.
pub(crate) async fn pass(job: &Job, acme: &Acme, supervisor: &mut Supervisor) -> Option<u64> {
    let store = Store::new(&job.state_dir, &acme.directory);
    let _lock = match Lock::try_take(store.folder()) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            let folder = store.folder().display();
            let message = format!("another process looks after {folder}: nothing is ordered");
            supervisor.log(Level::Warn, message);
            return Some(clock::now() + 60);
        }
        Err(e) => {
            supervisor.log(Level::Error, format!("no certificates can be got: {e}"));
            return Some(clock::now() + clock::HOUR);
        }
    };
    let mut pass = Pass {
        job,
        acme,
        authority: Authority::new(acme, &store),
        store: &store,
        supervisor,
    };
    let mut next = Soonest::default();
    for names in &job.names {
        next.consider(pass.look_after(names).await);
    }
    next.at
}

struct Pass<'a> {
    job: &'a Job,
    acme: &'a Acme,
    authority: Authority<'a>,
    store: &'a Store,
    supervisor: &'a mut Supervisor,
}

impl Pass<'_> {
    /// Orders the certificate of `names` if it is due; when there is something to do again.
    async fn look_after(&mut self, names: &[String]) -> Option<u64> {
        if names.is_empty() {
            return None;
        }
        let entry = match self.entry(names) {
            Ok(entry) => entry,
            Err(e) => {
                let retry_at = clock::now() + clock::DAY;
                self.report(names, e.to_string(), retry_at);
                return Some(retry_at);
            }
        };
        let mut plan = self.plan(&entry, names);
        let stored = self.stored(&entry, names);
        let forced = self.job.force.iter().any(|name| names.contains(name));
        let now = clock::now();
        if !forced && plan.failures > 0 && plan.retry_at > now && is_due(stored.as_ref(), now) {
            return Some(plan.retry_at);
        }
        if let Some(stored) = &stored
            && !forced
            && stored.renew_at > now
        {
            let renew_at = self.ask_renewal_time(&entry, stored, &mut plan).await;
            if renew_at > clock::now() {
                let mut next = Soonest { at: plan.ask_at };
                next.consider(Some(renew_at));
                return next.at;
            }
        }
        self.order(&entry, names, stored, plan).await
    }

    /// The files of the entry, if its names can be ordered at all.
    fn entry(&self, names: &[String]) -> Result<Entry> {
        if let Some(wildcard) = names.iter().find(|name| name.contains('*')) {
            return Err(Error::new(format!(
                "{wildcard}: an authority gives certificates for wildcards only after dns-01, \
                 which quaich does not do: name the certificate's files in [tls.cert.NAME]"
            )));
        }
        self.store.entry(names)
    }

    fn plan(&mut self, entry: &Entry, names: &[String]) -> Plan {
        let kept = plan::read::<Plan>(&entry.plan);
        let kept = kept.unwrap_or_else(|e| {
            let message = format!("{e}; the renewal is planned anew");
            self.supervisor.log(Level::Warn, message);
            None
        });
        // A pause belongs to the names that failed.
        kept.filter(|plan| plan.names == names)
            .unwrap_or_else(|| Plan {
                names: names.to_vec(),
                ..Plan::default()
            })
    }

    /// The certificate that is there for exactly these names.
    fn stored(&mut self, entry: &Entry, names: &[String]) -> Option<Stored> {
        match Stored::read(&entry.certificate, &self.store.directory) {
            Ok(stored) => stored.filter(|stored| stored.is_for(names)),
            Err(e) => {
                let message = format!("{e}; the certificate is ordered anew");
                self.supervisor.log(Level::Error, message);
                None
            }
        }
    }

    /// Asks the authority when `stored` is to be renewed (ARI, RFC 9773), if it is time to ask.
    async fn ask_renewal_time(&mut self, entry: &Entry, stored: &Stored, plan: &mut Plan) -> u64 {
        let now = clock::now();
        if plan.ask_at.is_some_and(|at| at > now) {
            return stored.renew_at;
        }
        let mut renew_at = stored.renew_at;
        plan.ask_at = Some(now + clock::DAY);
        let id = x509::facts(&stored.chain_pem).ok();
        if let Some(id) = id.and_then(|facts| facts.renewal_id)
            && let Ok(account) = self.authority.account().await
        {
            match account.renewal_info(&id.identifier()).await {
                Ok((info, after)) => {
                    let window = &info.suggested_window;
                    let start = clock::since_epoch(SystemTime::from(window.start));
                    let end = clock::since_epoch(SystemTime::from(window.end));
                    plan.ask_at = Some(schedule::ask_again(now, after.as_secs()));
                    // A time inside the window stays what it is: asking again must not shift it.
                    if !(start..=end).contains(&renew_at) {
                        let random = clock::random_below(u64::MAX);
                        renew_at = schedule::within_window(start, end, stored.not_after, random);
                    }
                    if let Some(url) = info.explanation_url {
                        let message = format!(
                            "{}: the authority explains the renewal time: {url:?}",
                            list(&plan.names)
                        );
                        self.supervisor.log(Level::Info, message);
                    }
                }
                Err(instant_acme::Error::Unsupported(_)) => {}
                Err(e) => {
                    plan.ask_at = Some(now + 6 * clock::HOUR);
                    let message = format!("{}: no renewal time: {e}", list(&plan.names));
                    self.supervisor.log(Level::Debug, message);
                }
            }
        }
        plan.renew_at = Some(renew_at);
        self.keep(entry, plan);
        renew_at
    }

    async fn order(
        &mut self,
        entry: &Entry,
        names: &[String],
        stored: Option<Stored>,
        plan: Plan,
    ) -> Option<u64> {
        let what = match &stored {
            Some(_) => "renewing the certificate",
            None => "ordering a certificate",
        };
        let message = format!("{}: {what} at {}", list(names), self.acme.directory);
        self.supervisor.log(Level::Info, message);
        let mut outcome = self.attempt(entry, names, stored.as_ref(), &plan).await;
        if outcome.as_ref().is_err_and(|failure| failure.no_account) {
            let message = format!(
                "{} does not know our account any more: a new one is made",
                self.acme.directory
            );
            self.supervisor.log(Level::Warn, message);
            self.authority.forget();
            let _ = file::remove(&entry.order);
            outcome = self.attempt(entry, names, stored.as_ref(), &plan).await;
        }
        match outcome {
            Ok(pair) => self.issued(entry, names, &pair),
            Err(failure) => self.failed(entry, names, plan, failure),
        }
    }

    async fn attempt(
        &mut self,
        entry: &Entry,
        names: &[String],
        stored: Option<&Stored>,
        plan: &Plan,
    ) -> std::result::Result<Pair, Failure> {
        let kinds = challenge::kinds(self.acme, self.job, plan.failures)?;
        let replaces = stored
            .filter(|_| plan.ask_at.is_some())
            .and_then(|stored| x509::facts(&stored.chain_pem).ok()?.renewal_id);
        let account = self.authority.account().await?;
        let placing = Placing {
            account: &account,
            http: self.authority.http()?,
            entry,
            names,
            kinds: &kinds,
            profile: self.acme.profile.as_deref(),
            replaces,
        };
        let pair = placing.run(self.supervisor).await?;
        pair.write(&entry.certificate)?;
        placing.done()?;
        Ok(pair)
    }

    fn issued(&mut self, entry: &Entry, names: &[String], pair: &Pair) -> Option<u64> {
        let (begin, end) = (pair.facts.not_before, pair.facts.not_after);
        let renew_at = schedule::renewal(begin, end, clock::random_below(u64::MAX))
            .max(schedule::earliest(clock::now(), end));
        let plan = Plan {
            names: names.to_vec(),
            renew_at: Some(renew_at),
            ..Plan::default()
        };
        self.keep(entry, &plan);
        self.supervisor.say(&Event::Issued {
            names: names.to_vec(),
            directory: self.store.directory.clone(),
            not_after: end,
        });
        // The renewal time is asked for in the next pass, when the authority has had time.
        Some(renew_at.min(clock::now() + clock::HOUR))
    }

    fn failed(
        &mut self,
        entry: &Entry,
        names: &[String],
        mut plan: Plan,
        failure: Failure,
    ) -> Option<u64> {
        let now = clock::now();
        plan.failures = plan.failures.saturating_add(1);
        let pause = schedule::pause(plan.failures, clock::random_below(u64::MAX));
        let asked = failure.retry_at.unwrap_or(0);
        let asked = asked.min(now + schedule::LONGEST_PAUSE);
        plan.retry_at = asked.max(now + pause);
        plan.reason = failure.reason;
        self.keep(entry, &plan);
        self.report(names, plan.reason, plan.retry_at);
        Some(plan.retry_at)
    }

    fn keep(&mut self, entry: &Entry, plan: &Plan) {
        if let Err(e) = plan::write(&entry.plan, plan) {
            self.supervisor.log(Level::Error, e.to_string());
        }
    }

    fn report(&mut self, names: &[String], reason: String, retry_at: u64) {
        self.supervisor.say(&Event::Failed {
            names: names.to_vec(),
            reason,
            retry_at,
        });
    }
}

fn is_due(stored: Option<&Stored>, now: u64) -> bool {
    stored.is_none_or(|stored| stored.renew_at <= now)
}

/// The authority of one pass. Nobody is asked before something is due, and one that cannot be
/// reached is tried once.
struct Authority<'a> {
    acme: &'a Acme,
    store: &'a Store,
    http: Option<Arc<Http>>,
    account: Option<std::result::Result<Account, Failure>>,
}

impl<'a> Authority<'a> {
    fn new(acme: &'a Acme, store: &'a Store) -> Self {
        Self {
            acme,
            store,
            http: None,
            account: None,
        }
    }

    fn http(&self) -> std::result::Result<&Http, Failure> {
        self.http
            .as_deref()
            .ok_or_else(|| Failure::new("there is no HTTP client".to_string()))
    }

    async fn account(&mut self) -> std::result::Result<Account, Failure> {
        if let Some(opened) = &self.account {
            return opened.clone();
        }
        let http = match &self.http {
            Some(http) => http.clone(),
            None => Arc::new(Http::new(roots(self.acme.ca_file.as_deref())?.as_deref())?),
        };
        self.http = Some(http.clone());
        let opened = account::open(self.acme, self.store, &http).await;
        self.account = Some(opened.clone());
        opened
    }

    /// Has the next account made anew.
    fn forget(&mut self) {
        self.account = None;
        let _ = account::forget(self.store);
    }
}

fn roots(ca_file: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = ca_file else {
        return Ok(None);
    };
    match file::read_text(path)? {
        Some(pem) => Ok(Some(pem)),
        None => Err(Error::new(format!(
            "tls.acme.ca_file: there is no {}",
            path.display()
        ))),
    }
}

impl RenewalId {
    fn identifier(&self) -> instant_acme::CertificateIdentifier<'static> {
        instant_acme::CertificateIdentifier::new(
            self.issuer_key.as_slice().into(),
            self.serial.as_slice().into(),
        )
    }
}

//! The limits of one route, as a request passes them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quaich_config::model::{self, LimitKey};

use super::addresses::Addresses;
use super::bucket::{Bucket, Verdict, seconds};
use super::key::Key;
use super::pace::Pace;
use super::store::State;
use crate::clock::precise_nanos;
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::exchange::tally::Counter;
use crate::filter::{Flow, Parts};
use crate::observe::{log, number::decimal};

/// Requests of one limit that may wait for their turn; more are refused.
const WAITING: usize = 10_000;

/// When a limit is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) enum Turn {
    /// Before it is known who the user is; with `allow` and `deny`.
    BeforeAuth,
    /// After that: limits whose key is made of the user.
    AfterAuth,
}

/// Of one route.
pub(in crate::filter) struct Limits {
    addresses: Option<Addresses>,
    list: Vec<Limit>,
}

/// One of them, on one thread.
struct Limit {
    name: String,
    index: usize,
    /// Acls of which one must hold; none = all requests are counted.
    when: Vec<usize>,
    key: Key,
    rate: Rc<Rate>,
    /// 0 = no limit.
    concurrency: u32,
    /// Bytes per second and bytes that are free of it; 0 = no limit.
    bandwidth: (u64, u64),
    status: u16,
    dry_run: bool,
    /// `RateLimit-Policy`; `None` = clients are not told.
    policy: Option<Vec<u8>>,
    scratch: Cell<Vec<u8>>,
}

/// What a limit knows of its keys, and how many requests of each it admits.
#[derive(Debug)]
struct Rate {
    state: Arc<State>,
    /// `None` = as many as come.
    bucket: Option<Bucket>,
}

/// What a limit has against a request.
enum Refusal {
    Rate { retry: u64 },
    Concurrency,
}

impl Limits {
    /// Those that are asked at `turn`; `None` when there is nothing to do.
    pub(in crate::filter) fn new(
        settings: &model::Limits,
        turn: Turn,
        parts: &Parts<'_>,
    ) -> Option<Self> {
        let list = settings.named.iter().filter_map(|&index| {
            let settings = parts.config.limits.get(index)?;
            let late = settings.key.iter().any(LimitKey::needs_user);
            (late == (turn == Turn::AfterAuth)).then(|| Limit::new(settings, index, parts))
        });
        let limits = Self {
            list: list.collect(),
            addresses: match turn {
                Turn::BeforeAuth => Addresses::new(settings),
                Turn::AfterAuth => None,
            },
        };
        (limits.addresses.is_some() || !limits.list.is_empty()).then_some(limits)
    }

    pub(in crate::filter) async fn request(
        &self,
        scope: &mut Scope<'_, '_>,
    ) -> Result<Flow, Error> {
        if let Some(addresses) = &self.addresses
            && !addresses.admits(scope.exchange.client.addr)
        {
            return Err(Error::downstream(Kind::AddressDenied));
        }
        if let Some((limit, wait)) = self.pass(scope)? {
            limit.hold_back(scope, wait).await?;
        }
        Ok(Flow::Pass)
    }

    /// Asks each; says which wants the request to wait the longest. One that is refused is counted by
    /// none.
    fn pass(&self, scope: &mut Scope<'_, '_>) -> Result<Option<(&Limit, u64)>, Error> {
        let mut longest: Option<(&Limit, u64)> = None;
        for limit in &self.list {
            if scope.exchange.tally.key(limit.index).is_some() {
                continue;
            }
            let routes = &scope.thread.generation.routes;
            let holds = |acl: &usize| routes.holds(*acl, scope.exchange);
            if !(limit.when.is_empty() || limit.when.iter().any(holds)) {
                continue;
            }
            let Some(key) = limit.key.of(scope.exchange) else {
                continue;
            };
            match limit.ask(key, scope.exchange) {
                Ok(wait) => {
                    let wait = if limit.dry_run { 0 } else { wait };
                    let tally = &mut scope.exchange.tally;
                    tally.count(limit.index, key, limit.rate.clone());
                    if wait > longest.map_or(0, |(_, wait)| wait) {
                        longest = Some((limit, wait));
                    }
                }
                Err(refusal) if limit.dry_run => limit.note(&refusal, scope),
                Err(refusal) => {
                    return Err(limit.refuse(&refusal, scope));
                }
            }
        }
        Ok(longest)
    }

    /// Whether bodies are held back.
    pub(in crate::filter) fn brakes(&self) -> bool {
        self.list.iter().any(|limit| limit.bandwidth.0 > 0)
    }

    /// Adds what holds the body of this response back.
    pub(in crate::filter) fn brake(&self, pace: &mut Pace, exchange: &Exchange) {
        for limit in self.list.iter().filter(|limit| limit.bandwidth.0 > 0) {
            if let Some(key) = exchange.tally.key(limit.index)
                && !limit.dry_run
            {
                pace.add(&limit.rate.state, key, limit.bandwidth);
            }
        }
    }
}

impl Limit {
    fn new(settings: &model::Limit, index: usize, parts: &Parts<'_>) -> Self {
        let store = &parts.shared.limits;
        let bucket = settings.rate.as_ref().map(Bucket::new);
        let policy = bucket.filter(|_| settings.headers && !settings.dry_run);
        let policy = policy.map(|bucket| {
            let (quota, window) = (bucket.burst(), seconds(bucket.window()));
            format!("\"{}\";q={quota};w={window}", settings.name).into_bytes()
        });
        Self {
            name: settings.name.clone(),
            index,
            when: settings.when.clone(),
            key: Key::new(&settings.key, store.secret()),
            rate: Rc::new(Rate {
                state: store.state(settings),
                bucket,
            }),
            concurrency: settings.concurrency,
            bandwidth: (settings.bandwidth, settings.after),
            status: settings.status,
            dry_run: settings.dry_run,
            policy,
            scratch: Cell::default(),
        }
    }

    /// Counts a request of `key`: how long it has to wait, in nanoseconds.
    fn ask(&self, key: u64, exchange: &mut Exchange) -> Result<u64, Refusal> {
        let mut wait = 0;
        let Rate { state, bucket } = &*self.rate;
        if let Some(bucket) = bucket {
            let now = precise_nanos();
            let verdict = state.rate.update(key, now, |full, admitted| {
                let (full, verdict) = bucket.ask(full, now);
                *admitted += u64::from(matches!(verdict, Verdict::Admitted { .. }));
                (full, verdict)
            });
            match verdict {
                Verdict::Admitted {
                    wait: turn,
                    left,
                    full_in,
                } => {
                    wait = turn;
                    self.tell(exchange, left, full_in);
                }
                Verdict::Refused { retry } => {
                    self.tell(exchange, 0, retry);
                    return Err(Refusal::Rate { retry });
                }
            }
        }
        if self.concurrency > 0 {
            match state.running.admit(key, self.concurrency) {
                Some(place) => exchange.tally.hold(place),
                None => {
                    self.rate.give_back(key);
                    return Err(Refusal::Concurrency);
                }
            }
        }
        Ok(wait)
    }

    /// The fields of draft-ietf-httpapi-ratelimit-headers-10, on whatever answer comes.
    fn tell(&self, exchange: &mut Exchange, left: u64, nanos: u64) {
        let Some(policy) = &self.policy else {
            return;
        };
        let mut text = self.scratch.take();
        text.clear();
        let name = policy.split(|&byte| byte == b';').next();
        text.extend_from_slice(name.unwrap_or_default());
        text.extend_from_slice(b";r=");
        decimal(&mut text, left);
        text.extend_from_slice(b";t=");
        decimal(&mut text, seconds(nanos));
        // Names are words, numbers digits: valid.
        let _ = exchange.additions.push(b"RateLimit-Policy", policy);
        let _ = exchange.additions.push(b"RateLimit", &text);
        self.scratch.set(text);
    }

    /// Waits for the turn of a request that has come early.
    async fn hold_back(&self, scope: &mut Scope<'_, '_>, nanos: u64) -> Result<(), Error> {
        let Some(_waits) = Waiting::enter(&self.rate.state) else {
            return Err(self.refuse(&Refusal::Rate { retry: nanos }, scope));
        };
        self.rate.state.delayed.fetch_add(1, Ordering::Relaxed);
        scope.thread.counters.rate_delayed.add();
        let turn = tokio::time::sleep(Duration::from_nanos(nanos));
        Box::pin(scope.unless_gone(turn)).await
    }

    /// A request that one limit refuses is counted by none, whenever the others were asked.
    fn refuse(&self, refusal: &Refusal, scope: &mut Scope<'_, '_>) -> Error {
        self.note(refusal, scope);
        scope.exchange.tally.give_back();
        self.error(refusal)
    }

    /// Counts a refusal, and logs one a second.
    fn note(&self, refusal: &Refusal, scope: &Scope<'_, '_>) {
        let counters = &scope.thread.counters;
        match (self.dry_run, refusal) {
            (true, _) => counters.limits_dry_run.add(),
            (false, Refusal::Rate { .. }) => counters.rate_limited.add(),
            (false, Refusal::Concurrency) => counters.concurrency_limited.add(),
        }
        self.rate.state.refused.fetch_add(1, Ordering::Relaxed);
        let second = scope.thread.clock.now() / 1000;
        let Some(more) = self.rate.state.line_is_due(second) else {
            return;
        };
        let key = self.key.shown(scope.exchange);
        let (limit, why) = (&self.name, self.error(refusal).label());
        match self.dry_run {
            true => {
                log::warn!("a limit would refuse"; limit = limit, why = why, key = key, suppressed = more)
            }
            false => {
                log::warn!("a limit refuses"; limit = limit, why = why, key = key, suppressed = more)
            }
        }
    }

    fn error(&self, refusal: &Refusal) -> Error {
        Error::downstream(match refusal {
            Refusal::Rate { retry } => Kind::RateLimited {
                status: self.status,
                retry: u32::try_from(seconds(*retry)).unwrap_or(u32::MAX),
            },
            Refusal::Concurrency => Kind::ConcurrencyLimited(self.status),
        })
    }
}

impl Counter for Rate {
    fn give_back(&self, key: u64) {
        if let Some(bucket) = &self.bucket {
            self.state
                .rate
                .update(key, precise_nanos(), |full, admitted| {
                    *admitted = admitted.saturating_sub(1);
                    (bucket.give_back(full), ())
                });
        }
    }
}

/// A request that waits for its turn.
struct Waiting<'s>(&'s State);

impl<'s> Waiting<'s> {
    /// `None` when too many do.
    fn enter(state: &'s State) -> Option<Self> {
        if state.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            state.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(state))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

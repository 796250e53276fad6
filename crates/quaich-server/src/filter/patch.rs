//! Rules that the operator puts in while quaich runs (`quaich patch`). They come before everything
//! else: no site, no route and no filter knows of them.

mod pattern;
mod rule;
mod views;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::clock::unix_millis;
use crate::downstream::service::Scope;
use crate::error::{Error, Kind, Side};
use crate::link::Patch;
use crate::observe::log;
use rule::Rule;

/// The rules of now, of all threads.
#[derive(Default)]
pub struct Board {
    any: AtomicBool,
    rules: RwLock<Arc<[Arc<Rule>]>>,
}

/// Whether `patch` can be put in; else why not, for people.
pub fn check(patch: &Patch) -> Result<(), String> {
    Rule::new(patch).map(drop)
}

impl Board {
    /// These instead of those before. A rule that stays keeps its counts.
    pub fn replace(&self, patches: &[Patch]) {
        // Requests wait for the lock, and expressions take their time to compile and to be dropped.
        let before = self.rules();
        let fresh = compiled(patches, &before);
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        self.any.store(!fresh.is_empty(), Ordering::Relaxed);
        *rules = fresh;
        drop(rules);
    }

    /// How often each rule has held.
    pub fn counts(&self) -> Value {
        let count = |rule: &Arc<Rule>| {
            let (hits, last) = rule.counts();
            json!({ "id": rule.patch().id, "hits": hits, "last": (last > 0).then_some(last) })
        };
        self.rules().iter().map(count).collect()
    }

    /// Whether there is no rule. Asked for every request.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    fn rules(&self) -> Arc<[Arc<Rule>]> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.clone()
    }

    /// Refuses the request if a rule says so. Those that want to see the body come last.
    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<(), Error> {
        let rules = self.rules();
        let views = views::Views::new(&scope.exchange.request);
        let mut held: Vec<&Rule> = Vec::new();
        for rule in rules.iter() {
            if !rule.head_holds(scope.exchange, &views) {
                continue;
            }
            match rule.wants_body() {
                true => held.push(rule),
                false => act(rule, scope)?,
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        let limit = held.iter().map(|rule| rule.patch().body_limit).max();
        scope.thread.counters.patch_bodies.add();
        let (body, whole) = scope.body.peek(limit.unwrap_or(0)).await?;
        held.retain(|rule| rule.body_holds(body, whole));
        held.into_iter().try_for_each(|rule| act(rule, scope))
    }
}

/// The rules for `patches`, where there are some of `known` these.
fn compiled(patches: &[Patch], known: &[Arc<Rule>]) -> Arc<[Arc<Rule>]> {
    let one = |patch: &Patch| {
        let known = known.iter().find(|rule| rule.patch() == patch);
        known.cloned().or_else(|| match Rule::new(patch) {
            Ok(rule) => Some(Arc::new(rule)),
            // The supervisor has compiled it as well.
            Err(why) => {
                log::error!("a patch cannot be used: {why}"; patch = patch.name);
                None
            }
        })
    };
    patches.iter().filter_map(one).collect()
}

/// A rule holds: counts, says and refuses.
fn act(rule: &Rule, scope: &Scope<'_, '_>) -> Result<(), Error> {
    rule.count(unix_millis());
    let (patch, exchange) = (rule.patch(), &*scope.exchange);
    let target = String::from_utf8_lossy(exchange.request.target());
    let client = exchange.client.addr.map(|addr| addr.to_string());
    let client = client.unwrap_or_default();
    let method = String::from_utf8_lossy(exchange.request.method_name());
    if patch.dry_run {
        scope.thread.counters.patch_dry_run.add();
        log::info_limited!("a patch would refuse a request"; patch = patch.name,
            client = client, method = method, target = target);
        return Ok(());
    }
    scope.thread.counters.patched.add();
    log::warn_limited!("a patch refuses a request"; patch = patch.name,
        client = client, method = method, target = target);
    Err(Error::new(Kind::Patched(patch.status), Side::Downstream))
}

#[cfg(test)]
mod tests;

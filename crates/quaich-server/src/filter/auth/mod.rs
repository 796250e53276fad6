//! `auth`: who may come in.
//!
//! What it finds out is in `exchange.identity`, for apps, servers, logs and texts; nothing of it is
//! ever put into the fields of the request, so that a route that the request is sent on to finds
//! them as they came. Whatever goes wrong lets nobody in.

mod basic;
mod certificate;
mod claims;
mod forward;
mod passwords;

use quaich_config::model::{self, Proof};
use quaich_proto::headers::Headers;

pub use claims::Claims;
pub use passwords::Passwords;

use self::basic::Basic;
use self::certificate::Certificate;
use self::forward::Forward;
use super::{Flow, Parts};
use crate::downstream::service::{Scope, leave_body};
use crate::error::{Error, Kind};
use crate::exchange::identity::Identity;
use crate::forwarded::Trust;

/// Of one route.
pub(super) struct Access {
    ways: Vec<Way>,
    /// Whose clients need no proof.
    free: Vec<Trust>,
    /// User and password are for quaich alone.
    hides_basic: bool,
}

/// One `[auth.NAME]`.
struct Way {
    check: Check,
    user_field: Option<Box<[u8]>>,
}

enum Check {
    Basic(Basic),
    Forward(Box<Forward>),
    Certificate(Certificate),
}

/// What a way says of a request.
enum Verdict {
    /// It comes in as this user; empty = without a name.
    Granted { user: Vec<u8>, kind: &'static str },
    /// It does not.
    Refused(Refusal),
}

/// What a client is told that may not come in.
enum Refusal {
    /// An error page, with these fields.
    Page(Error, Headers),
    /// What another server says.
    Answer(Box<forward::Answer>),
}

impl Refusal {
    fn page(kind: Kind) -> Verdict {
        Verdict::Refused(Self::Page(Error::downstream(kind), Headers::new()))
    }
}

impl Access {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Access, parts: &Parts<'_>) -> Option<Self> {
        if settings.ways.is_empty() {
            return None;
        }
        let auths = settings.ways.iter();
        let auths: Vec<_> = auths
            .filter_map(|way| parts.config.auths.get(*way))
            .collect();
        let alone = |proof: &Proof| matches!(proof, Proof::Basic { pass_on: false, .. });
        Some(Self {
            ways: auths
                .iter()
                .filter_map(|auth| Way::new(auth, parts))
                .collect(),
            free: auths.iter().map(|auth| Trust::new(&auth.or_from)).collect(),
            hides_basic: auths.iter().any(|auth| alone(&auth.proof)),
        })
    }

    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        let (exchange, counters) = (&mut *scope.exchange, &scope.thread.counters);
        exchange.identity.checked = true;
        exchange.identity.hides_basic = self.hides_basic;
        let addr = exchange.client.addr;
        if self.free.iter().any(|networks| networks.contains(addr)) {
            counters.auth_granted.add();
            return Ok(Flow::Pass);
        }
        let mut last = None;
        for way in &self.ways {
            match way.ask(scope).await? {
                Verdict::Granted { user, kind } => {
                    way.grant(&mut scope.exchange.identity, user, kind)?;
                    counters.auth_granted.add();
                    return Ok(Flow::Pass);
                }
                Verdict::Refused(refusal) => last = Some(refusal),
            }
        }
        refuse(scope, last).await
    }
}

/// Tells the client what the last way has said.
async fn refuse(scope: &mut Scope<'_, '_>, refusal: Option<Refusal>) -> Result<Flow, Error> {
    let counters = &scope.thread.counters;
    match refusal {
        Some(Refusal::Page(error, fields)) => {
            match error.kind {
                Kind::AuthUnavailable | Kind::AuthBusy => counters.auth_failed.add(),
                _ => counters.auth_refused.add(),
            }
            for (_, name, value) in fields.iter() {
                // It was valid there.
                let _ = scope.exchange.additions.push(name, value);
            }
            Err(error)
        }
        Some(Refusal::Answer(answer)) => {
            counters.auth_refused.add();
            leave_body(scope);
            answer.send(scope).await?;
            Ok(Flow::Answered)
        }
        // Every way of the route is missing: this is not a route for all.
        None => Err(Error::new(
            Kind::AuthUnavailable,
            crate::error::Side::Internal,
        )),
    }
}

impl Way {
    fn new(settings: &model::Auth, parts: &Parts<'_>) -> Option<Self> {
        let check = match &settings.proof {
            Proof::Basic { realm, users, .. } => {
                Check::Basic(Basic::new(realm, users, parts.shared))
            }
            Proof::Forward(settings) => {
                let upstream = parts.upstreams.get(settings.upstream)?;
                Check::Forward(Box::new(Forward::new(settings, upstream)))
            }
            Proof::Certificate { user, allow } => {
                Check::Certificate(Certificate::new(*user, allow))
            }
        };
        Some(Self {
            check,
            user_field: settings
                .user_field
                .as_ref()
                .map(|name| name.as_bytes().into()),
        })
    }

    async fn ask(&self, scope: &mut Scope<'_, '_>) -> Result<Verdict, Error> {
        match &self.check {
            Check::Basic(basic) => basic.ask(scope).await,
            // Its state is large, and few routes have it.
            Check::Forward(forward) => Box::pin(forward.ask(scope)).await,
            Check::Certificate(certificate) => Ok(certificate.ask(scope.exchange)),
        }
    }

    fn grant(
        &self,
        identity: &mut Identity,
        user: Vec<u8>,
        kind: &'static str,
    ) -> Result<(), Error> {
        if let Some(name) = self.user_field.as_ref().filter(|_| !user.is_empty()) {
            let set = identity.fields.set(name, &user);
            set.map_err(|_| Error::downstream(Kind::Unauthenticated))?;
        }
        identity.user = user;
        identity.kind = kind;
        Ok(())
    }
}

//! One order, from the names to the certificate (RFC 8555 §7.4). It can be cut off anywhere: the
//! next pass goes on with the same order.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::agent::supervisor::Supervisor;
use crate::http::Http;
use crate::order::challenge;
use crate::order::failure::{self, Failure, kind_of};
use crate::order::retry::{ATTEMPTS, again, is_bad_nonce};
use crate::protocol::Level;
use crate::store::pair::Pair;
use crate::store::plan::PendingOrder;
use crate::store::{self, Entry, file, plan};
use crate::x509::RenewalId;

/// How long the authority may take to check names, and to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

type Outcome<T> = std::result::Result<T, Failure>;

/// What an order is placed with.
pub(crate) struct Placing<'a> {
    pub account: &'a Account,
    pub http: &'a Http,
    pub entry: &'a Entry,
    pub names: &'a [String],
    pub kinds: &'a [ChallengeType],
    pub profile: Option<&'a str>,
    /// The certificate that is to be replaced, if the authority wants to know.
    pub replaces: Option<RenewalId>,
}

impl Placing<'_> {
    /// Gets a certificate. The caller stores it, and then calls [`Placing::done`].
    pub(crate) async fn run(&self, supervisor: &mut Supervisor) -> Outcome<Pair> {
        let (mut order, key) = match self.resume(supervisor).await? {
            Some(begun) => begun,
            None => self.begin().await?,
        };
        let outcome = self.bring_to_end(&mut order, &key, supervisor).await;
        supervisor.show_nothing();
        if outcome.as_ref().is_err_and(|failure| failure.order_is_dead) {
            self.done()?;
        }
        outcome
    }

    /// Forgets the order.
    pub(crate) fn done(&self) -> crate::Result<()> {
        file::remove(&self.entry.order)
    }

    /// The order that an earlier pass began for the same names.
    async fn resume(&self, supervisor: &mut Supervisor) -> Outcome<Option<(Order, KeyPair)>> {
        let pending = match plan::read::<PendingOrder>(&self.entry.order) {
            Ok(pending) => pending,
            Err(e) => {
                supervisor.log(Level::Warn, format!("{e}; the order is placed anew"));
                None
            }
        };
        let Some(pending) = pending.filter(|pending| pending.names == self.names) else {
            return Ok(None);
        };
        let Ok(key) = KeyPair::from_pem(&pending.key_pem) else {
            return Ok(None);
        };
        let mut order = match again!(self.account.order(pending.url.clone())) {
            Ok(order) => order,
            Err(e) => {
                let failure = Failure::of("asking for an order", &e, self.http);
                // An authority that does not know the order any more gets a new one.
                let unknown = failure.order_is_dead || failure.status == Some(404);
                return match unknown && !failure.no_account {
                    true => Ok(None),
                    false => Err(failure),
                };
            }
        };
        if order.state().status == OrderStatus::Invalid {
            return Ok(None);
        }
        let message = format!("{}: going on with order {}", self.list(), pending.url);
        supervisor.log(Level::Info, message);
        Ok(Some((order, key)))
    }

    async fn begin(&self) -> Outcome<(Order, KeyPair)> {
        let key =
            KeyPair::generate().map_err(|e| Failure::new(format!("cannot make a key: {e}")))?;
        let order = self.new_order().await?;
        let pending = PendingOrder {
            names: self.names.to_vec(),
            url: order.url().to_string(),
            key_pem: key.serialize_pem(),
        };
        plan::write(&self.entry.order, &pending)?;
        Ok((order, key))
    }

    async fn new_order(&self) -> Outcome<Order> {
        self.check_profile()?;
        let identifiers: Vec<_> = self.names.iter().map(|name| identifier(name)).collect();
        let plain = || {
            let order = NewOrder::new(&identifiers);
            match self.profile {
                Some(profile) => order.profile(profile),
                None => order,
            }
        };
        if let Some(old) = &self.replaces {
            let replaces = plain().replaces(old.identifier());
            // Saying what is replaced is a courtesy that lifts rate limits; an authority that
            // does not take it (`alreadyReplaced`) is asked without it.
            match again!(self.account.new_order(&replaces)) {
                Ok(order) => return Ok(order),
                Err(e) if kind_of(&e) == "rateLimited" => return Err(self.failed("order", &e)),
                Err(_) => {}
            }
        }
        let new = plain();
        again!(self.account.new_order(&new)).map_err(|e| self.failed("order", &e))
    }

    fn check_profile(&self) -> Outcome<()> {
        let Some(wanted) = self.profile else {
            return Ok(());
        };
        let mut offered: Vec<_> = self.account.profiles().map(|p| p.name).collect();
        if offered.contains(&wanted) {
            return Ok(());
        }
        offered.sort_unstable();
        let offered = match offered.is_empty() {
            true => "none".to_string(),
            false => offered.join(", "),
        };
        Err(Failure::new(format!(
            "tls.acme.profile: the authority has no profile {wanted:?}; it offers {offered}"
        )))
    }

    async fn bring_to_end(
        &self,
        order: &mut Order,
        key: &KeyPair,
        supervisor: &mut Supervisor,
    ) -> Outcome<Pair> {
        if order.state().status == OrderStatus::Pending {
            self.prove(order, supervisor).await?;
        }
        if order.state().status == OrderStatus::Ready {
            let request = self.signing_request(key)?;
            again!(order.finalize_csr(&request)).map_err(|e| self.failed("finalizing", &e))?;
        }
        let polled = again!(order.poll_certificate(&PATIENCE));
        let chain = polled.map_err(|e| {
            let mut failure = self.failed("issuing", &e);
            failure.order_is_dead |= order.state().status == OrderStatus::Invalid;
            failure
        })?;
        self.accept(chain, key).map_err(|e| {
            let reason = format!("{}: what the authority issued is no good: {e}", self.list());
            Failure {
                order_is_dead: true,
                ..Failure::new(reason)
            }
        })
    }

    /// Shows control over every name that the authority has not seen proved yet.
    async fn prove(&self, order: &mut Order, supervisor: &mut Supervisor) -> Outcome<()> {
        self.fetch_authorizations(order).await?;
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|e| self.failed("asking", &e))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            let kind = challenge::choose(&authorization, self.kinds)?;
            if let Some(challenge) = authorization.challenge(kind.clone()) {
                let answer = challenge.key_authorization();
                shown.push(challenge::shown(&kind, &name, &challenge.token, &answer)?);
            }
        }
        if !shown.is_empty() {
            supervisor.show(shown).await?;
        }
        self.say_ready(order).await?;
        match again!(order.poll_ready(&PATIENCE)) {
            Ok(OrderStatus::Invalid) => Err(self.unproved(order, None).await),
            Ok(_) => Ok(()),
            Err(e @ instant_acme::Error::Api(_)) => Err(self.unproved(order, Some(e)).await),
            Err(e) => Err(self.failed("checking the names", &e)),
        }
    }

    /// Fetches what the order's authorizations are: later walks over them ask nobody.
    async fn fetch_authorizations(&self, order: &mut Order) -> Outcome<()> {
        'again: for _ in 0..ATTEMPTS {
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                match authorization {
                    Ok(_) => {}
                    Err(e) if is_bad_nonce(&e) => continue 'again,
                    Err(e) => return Err(self.failed("asking what to prove", &e)),
                }
            }
            return Ok(());
        }
        let message = format!("{}: the authority takes no nonce", self.list());
        Err(Failure::new(message))
    }

    async fn say_ready(&self, order: &mut Order) -> Outcome<()> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|e| self.failed("asking", &e))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = authorization.identifier().to_string();
            let kind = challenge::choose(&authorization, self.kinds)?;
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                continue;
            };
            // After a restart in mid-order the authority may be at it already.
            if challenge.status != ChallengeStatus::Pending {
                continue;
            }
            again!(challenge.set_ready()).map_err(|e| match &e {
                instant_acme::Error::Api(problem) => Failure {
                    order_is_dead: true,
                    ..Failure::new(failure::of_name(&name, &kind, problem))
                },
                _ => self.failed("saying ready", &e),
            })?;
        }
        Ok(())
    }

    /// Which names could not be proved, and why.
    async fn unproved(&self, order: &mut Order, error: Option<instant_acme::Error>) -> Failure {
        let mut failure = match error {
            Some(e) => self.failed("checking the names", &e),
            None => Failure::new(format!("{}: the authority gave the order up", self.list())),
        };
        failure.order_is_dead = true;
        if self.fetch_authorizations(order).await.is_err() {
            return failure;
        }
        let mut reasons = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            let name = authorization.identifier().to_string();
            for challenge in &authorization.challenges {
                if let Some(problem) = &challenge.error {
                    reasons.push(failure::of_name(&name, &challenge.r#type, problem));
                }
            }
        }
        if !reasons.is_empty() {
            failure.reason = reasons.join("; ");
        }
        failure
    }

    fn signing_request(&self, key: &KeyPair) -> Outcome<Vec<u8>> {
        let failed = |e: rcgen::Error| Failure::new(format!("{}: {e}", self.list()));
        let mut params = CertificateParams::new(self.names.to_vec()).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(key).map_err(failed)?;
        Ok(request.der().to_vec())
    }

    /// Takes a chain only if it is what was ordered.
    fn accept(&self, chain: String, key: &KeyPair) -> crate::Result<Pair> {
        let pair = Pair::new(chain, key.serialize_pem())?;
        match self
            .names
            .iter()
            .find(|n| !store::has_name(&pair.facts.names, n))
        {
            Some(missing) => Err(crate::Error::new(format!("{missing} is not in it"))),
            None => Ok(pair),
        }
    }

    fn failed(&self, doing: &str, error: &instant_acme::Error) -> Failure {
        Failure::of(&format!("{}: {doing}", self.list()), error, self.http)
    }

    /// The names, for messages.
    fn list(&self) -> String {
        list(self.names)
    }
}

/// Names for a message: the first three, and how many more.
pub(crate) fn list(names: &[String]) -> String {
    let mut text = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 {
        text.push_str(&format!(" and {} more", names.len() - 3));
    }
    text
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(ip) => Identifier::Ip(ip),
        Err(_) => Identifier::Dns(name.to_ascii_lowercase()),
    }
}

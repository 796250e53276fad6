//! Conditions with a name, compiled once and asked by routes and filters.

use std::net::IpAddr;

use quaich_config::model::{self, Network, Window};
use quaich_proto::h1::RequestHead;

use super::field::{Field, Value};
use super::path::PathMatch;
use crate::clock;
use crate::exchange::Exchange;
use crate::forwarded::{Client, is_within};

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'x> {
    /// What is asked.
    pub(super) request: &'x RequestHead,
    /// Who asks.
    pub(super) client: &'x Client,
    /// When, in seconds since 1970; `None` = now.
    pub(super) at: Option<u64>,
}

/// The acls of a configuration, in its order.
#[derive(Debug)]
pub(super) struct Acls {
    acls: Vec<Acl>,
}

#[derive(Debug)]
struct Acl {
    name: String,
    hosts: Vec<Value>,
    paths: Vec<PathMatch>,
    methods: Vec<String>,
    clients: Vec<Network>,
    headers: Vec<Field>,
    cookies: Vec<Field>,
    queries: Vec<Field>,
    tls: Option<bool>,
    time: Vec<Window>,
    after: Option<u64>,
    before: Option<u64>,
    not: Vec<usize>,
    any: Vec<usize>,
}

impl<'x> Facts<'x> {
    /// Of an exchange whose client is known, now.
    pub(super) fn of(exchange: &'x Exchange) -> Self {
        Self {
            request: &exchange.request,
            client: &exchange.client,
            at: None,
        }
    }

    /// The time of the thread, unless another is asked about.
    fn second(&self) -> u64 {
        self.at.unwrap_or_else(clock::unix_second_of_thread)
    }
}

impl Acls {
    pub(super) fn compile(acls: &[model::Acl]) -> Result<Self, regex::Error> {
        let acls = acls.iter().map(Acl::compile).collect::<Result<_, _>>()?;
        Ok(Self { acls })
    }

    /// Whether all conditions of an acl hold; of one that is not there none does.
    pub(super) fn holds(&self, acl: usize, facts: &Facts<'_>) -> bool {
        self.failed(acl, facts).is_none()
    }

    /// The key of the first condition that does not hold.
    pub(super) fn failed(&self, acl: usize, facts: &Facts<'_>) -> Option<&'static str> {
        let Some(acl) = self.acls.get(acl) else {
            return Some("name");
        };
        if let Some(key) = acl.failed(facts) {
            return Some(key);
        }
        if acl.not.iter().any(|&other| self.holds(other, facts)) {
            return Some("not");
        }
        let any = acl.any.is_empty() || acl.any.iter().any(|&other| self.holds(other, facts));
        (!any).then_some("any")
    }

    /// Why an acl does not hold, in words; `None` = it does.
    pub(super) fn explain(&self, index: usize, facts: &Facts<'_>) -> Option<String> {
        let acl = self.acls.get(index)?;
        let why = match self.failed(index, facts)? {
            "not" => {
                let mut not = acl.not.iter().copied();
                let other = not.find(|&other| self.holds(other, facts))?;
                format!("acl `{}` holds", self.acls.get(other)?.name)
            }
            "any" => {
                let any = acl
                    .any
                    .iter()
                    .filter_map(|&other| self.explain(other, facts));
                format!(
                    "none of its `any` holds ({})",
                    any.collect::<Vec<_>>().join("; ")
                )
            }
            "client_ip" if facts.client.addr.is_none() => {
                "client_ip does not match (no client is given)".into()
            }
            key @ ("after" | "before" | "time") => format!("{key} does not match now"),
            key => format!("{key} does not match"),
        };
        Some(format!("`{}`: {why}", acl.name))
    }

    /// The paths of an acl.
    pub(super) fn paths(&self, acl: usize) -> &[PathMatch] {
        self.acls.get(acl).map_or(&[], |acl| &acl.paths)
    }
}

impl Acl {
    fn compile(acl: &model::Acl) -> Result<Self, regex::Error> {
        Ok(Self {
            name: acl.name.clone(),
            hosts: acl
                .host
                .iter()
                .map(Value::compile_caseless)
                .collect::<Result<_, _>>()?,
            paths: PathMatch::compile_all(&acl.path)?,
            methods: acl.method.clone(),
            clients: acl.client_ip.clone(),
            headers: Field::compile_all(&acl.header)?,
            cookies: Field::compile_all(&acl.cookie)?,
            queries: Field::compile_all(&acl.query)?,
            tls: acl.tls,
            time: acl.time.clone(),
            after: acl.after,
            before: acl.before,
            not: acl.not.clone(),
            any: acl.any.clone(),
        })
    }

    /// The key of the first of its own conditions that does not hold; cheap ones come first.
    fn failed(&self, facts: &Facts<'_>) -> Option<&'static str> {
        let request = facts.request;
        if self.tls.is_some_and(|tls| tls != facts.client.https) {
            return Some("tls");
        }
        if !self.clients.is_empty() && !is_in(facts.client.addr, &self.clients) {
            return Some("client_ip");
        }
        if !self.methods.is_empty() {
            let name = request.method_name();
            if !self.methods.iter().any(|method| method.as_bytes() == name) {
                return Some("method");
            }
        }
        if !self.paths.is_empty() {
            let path = request.path_decoded();
            if !self.paths.iter().any(|pattern| pattern.matches(path)) {
                return Some("path");
            }
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|host| host.fits(request.host())) {
            return Some("host");
        }
        if !self.headers.iter().all(|field| field.in_header(request)) {
            return Some("header");
        }
        if !self.cookies.iter().all(|field| field.in_cookies(request)) {
            return Some("cookie");
        }
        let query = request.query();
        if !self.queries.iter().all(|field| field.in_query(query)) {
            return Some("query");
        }
        self.untimely(facts)
    }

    fn untimely(&self, facts: &Facts<'_>) -> Option<&'static str> {
        if self.time.is_empty() && self.after.is_none() && self.before.is_none() {
            return None;
        }
        let second = facts.second();
        if self.after.is_some_and(|after| second < after) {
            return Some("after");
        }
        if self.before.is_some_and(|before| second >= before) {
            return Some("before");
        }
        let in_time = self.time.is_empty() || self.time.iter().any(|part| part.holds(second));
        (!in_time).then_some("time")
    }
}

/// Clients of unix sockets have no address: they are in no network.
fn is_in(client: Option<IpAddr>, networks: &[Network]) -> bool {
    client.is_some_and(|addr| {
        let addr = addr.to_canonical();
        networks.iter().any(|network| is_within(addr, network))
    })
}

//! The conditions of one route. All must hold.

use quaich_config::model::{HostPattern, Route};

use super::acl::{Acls, Facts};
use super::field::Field;
use super::host;
use super::path::{PathMatch, strip_mount};

/// The conditions of a route.
#[derive(Debug)]
pub(super) struct Matcher {
    hosts: Vec<HostPattern>,
    pub(super) paths: Vec<PathMatch>,
    prefix: Vec<u8>,
    methods: Vec<String>,
    queries: Vec<Field>,
    headers: Vec<Field>,
    /// Acls one of which must hold.
    pub(super) when: Vec<usize>,
}

impl Matcher {
    pub(super) fn compile(route: &Route) -> Result<Self, regex::Error> {
        Ok(Self {
            hosts: route.host.clone(),
            paths: PathMatch::compile_all(&route.path)?,
            prefix: route.prefix.clone().into_bytes(),
            methods: route.method.clone(),
            queries: Field::compile_all(&route.query)?,
            headers: Field::compile_all(&route.header)?,
            when: route.when.clone(),
        })
    }

    /// Whether the request meets all conditions; else the name of the first that it does not meet.
    pub(super) fn matches(&self, acls: &Acls, facts: &Facts<'_>) -> Result<(), &'static str> {
        let request = facts.request;
        let path = request.path_decoded();
        if !self.prefix.is_empty() && strip_mount(path, &self.prefix).is_none() {
            return Err("prefix");
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|pattern| pattern.matches(path)) {
            return Err("path");
        }
        if !self.methods.is_empty() {
            let name = request.method_name();
            if !self.methods.iter().any(|method| method.as_bytes() == name) {
                return Err("method");
            }
        }
        if !self.hosts.is_empty()
            && !self
                .hosts
                .iter()
                .any(|pattern| host::matches(pattern, request.host()))
        {
            return Err("host");
        }
        if !self.headers.iter().all(|field| field.in_header(request)) {
            return Err("header");
        }
        let query = request.query();
        if !self.queries.iter().all(|field| field.in_query(query)) {
            return Err("query");
        }
        if !self.when.is_empty() && !self.when.iter().any(|&acl| acls.holds(acl, facts)) {
            return Err("when");
        }
        Ok(())
    }
}

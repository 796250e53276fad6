//! Which site and which route a request belongs to. Pure: knows requests and the configuration, no
//! sockets and no handlers.

mod acl;
mod capture;
pub mod cookie;
pub mod explain;
mod field;
pub mod glob;
mod host;
mod index;
mod literal;
mod matcher;
mod path;
pub mod secure;
pub mod template;

use quaich_config::model::{self, Config};
use quaich_proto::h1::RequestHead;
use quaich_proto::target::{Part, append_encoded};

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use acl::{Acls, Facts};
use host::Hosts;
use index::Index;
use matcher::Matcher;
use secure::Secure;
use template::Template;

pub use capture::CapturingPath;
pub use path::{PathMatch, strip_mount};

#[cfg(test)]
mod tests;

/// All sites with their routes, ready to be asked.
#[derive(Debug)]
pub struct RouteTable {
    sites: Vec<Site>,
    hosts: Hosts,
    acls: Acls,
}

/// A site.
#[derive(Debug)]
pub struct Site {
    /// Place in the configuration.
    pub index: usize,
    /// Table name.
    pub name: String,
    /// `redirect_https` and `hsts`.
    pub secure: Secure,
    listeners: Vec<usize>,
    routes: Vec<Route>,
    /// `None` = there are so few routes that all of them are tried.
    by_path: Option<Index>,
    log: bool,
}

/// Most routes that are tried one by one.
const FEW: usize = 8;

/// A route: conditions and what its handler needs to know of it.
#[derive(Debug)]
pub struct Route {
    /// Place in the configuration.
    pub index: usize,
    /// Place over all sites: which handler is its end.
    pub handler: usize,
    /// `file:line`
    pub origin: String,
    /// Mount point without trailing slash; empty = none.
    pub prefix: Vec<u8>,
    /// The same as it stands in paths, percent-encoded.
    pub mount: Vec<u8>,
    /// Its own limit of the request body.
    pub max_body: Option<u64>,
    /// Its own limit of the time to the answer.
    pub timeout: Option<std::time::Duration>,
    /// For apps, and for servers that get variables.
    pub variables: Vec<(Vec<u8>, Template)>,
    /// Where its files are, if it has some.
    pub document_root: Option<Vec<u8>>,
    matcher: Matcher,
    /// A path condition, its own or of an acl, is a regular expression.
    catches: bool,
    upstream: String,
    log: bool,
}

impl RouteTable {
    /// Compiles the sites of `config`. Fails only for a regular expression that does not compile,
    /// which the configuration's own check has refused before.
    pub fn compile(config: &Config) -> Result<Self, regex::Error> {
        let mut sites = Vec::with_capacity(config.sites.len());
        let mut handler = 0;
        for (index, site) in config.sites.iter().enumerate() {
            let mut routes = Vec::with_capacity(site.routes.len());
            for (index, route) in site.routes.iter().enumerate() {
                routes.push(Route::compile(index, handler, route, config)?);
                handler += 1;
            }
            sites.push(Site {
                index,
                name: site.name.clone(),
                secure: Secure::new(site, config),
                listeners: site.listeners.clone(),
                routes,
                by_path: (site.routes.len() > FEW).then(|| Index::new(&site.routes)),
                log: site.access_log,
            });
        }
        Ok(Self {
            sites,
            hosts: Hosts::compile(&config.sites),
            acls: Acls::compile(&config.acls)?,
        })
    }

    /// The site of a request that came in over `listener`.
    pub fn find(&self, listener: usize, request: &RequestHead) -> Result<&Site, Error> {
        self.site(listener, request.host())
            .ok_or(Error::downstream(Kind::NoSite))
    }

    /// The site for a host name: an exact name wins over the longest suffix, that over `*`.
    pub fn site(&self, listener: usize, host: &[u8]) -> Option<&Site> {
        self.hosts
            .candidates(host)
            .filter_map(|index| self.sites.get(index))
            .find(|site| site.listeners.is_empty() || site.listeners.contains(&listener))
    }

    /// The first route of `site` that takes the exchange.
    pub fn choose<'t>(
        &'t self,
        site: &'t Site,
        exchange: &mut Exchange,
    ) -> Result<&'t Route, Error> {
        let facts = Facts::of(exchange);
        let route = site
            .find(&self.acls, &facts)
            .ok_or(Error::downstream(Kind::NotFound))?;
        if route.catches {
            self.catch(route, exchange);
        }
        Ok(route)
    }

    /// Notes what the path of a route has caught; if it has no expressions, that of its acl.
    fn catch(&self, route: &Route, exchange: &mut Exchange) {
        let own = &route.matcher.paths;
        let patterns = if own.iter().any(PathMatch::catches) {
            Some(own.as_slice())
        } else {
            let facts = Facts::of(exchange);
            let mut when = route.matcher.when.iter().copied();
            let holds = when.find(|&acl| self.acls.holds(acl, &facts));
            holds.map(|acl| self.acls.paths(acl))
        };
        let path = exchange.request.path_decoded();
        if let Some(patterns) = patterns {
            path::catch(patterns, path, &mut exchange.captures);
        }
    }

    /// Whether the acl with this place in the configuration holds for `exchange`, whose client is
    /// known.
    pub fn holds(&self, acl: usize, exchange: &Exchange) -> bool {
        self.acls.holds(acl, &Facts::of(exchange))
    }

    /// Whether the exchange is to be logged.
    pub fn logs(&self, site: Option<usize>, route: Option<usize>) -> bool {
        let Some(site) = site.and_then(|site| self.sites.get(site)) else {
            return true;
        };
        site.log
            && route
                .and_then(|r| site.routes.get(r))
                .is_none_or(|route| route.log)
    }

    /// Value of `Strict-Transport-Security` of a site.
    pub fn hsts(&self, site: Option<usize>) -> Option<&[u8]> {
        self.sites.get(site?)?.secure.hsts.as_deref()
    }

    /// Name of a site, for logs.
    pub fn site_name(&self, site: Option<usize>) -> &str {
        site.and_then(|site| self.sites.get(site))
            .map_or("", |site| &site.name)
    }

    /// Name of the upstream of a route, for logs; empty for other routes.
    pub fn upstream_name(&self, site: Option<usize>, route: Option<usize>) -> &str {
        self.route(site, route).map_or("", |route| &route.upstream)
    }

    fn route(&self, site: Option<usize>, route: Option<usize>) -> Option<&Route> {
        self.sites.get(site?)?.routes.get(route?)
    }

    /// `file:line` of a route, for logs.
    pub fn route_origin(&self, site: Option<usize>, route: Option<usize>) -> &str {
        self.route(site, route).map_or("", |route| &route.origin)
    }
}

impl Site {
    /// The first route that takes the request.
    fn find(&self, acls: &Acls, facts: &Facts<'_>) -> Option<&Route> {
        let takes = |route: &Route| route.matcher.matches(acls, facts).is_ok();
        match &self.by_path {
            None => self.routes.iter().find(|route| takes(route)),
            Some(by_path) => {
                let takes = |place: usize| self.routes.get(place).is_some_and(takes);
                let place = by_path.first(facts.request.path_decoded(), takes)?;
                self.routes.get(place)
            }
        }
    }
}

impl Route {
    fn compile(
        index: usize,
        handler: usize,
        route: &model::Route,
        config: &Config,
    ) -> Result<Self, regex::Error> {
        Ok(Self {
            index,
            handler,
            origin: route.origin.clone(),
            prefix: route.prefix.clone().into_bytes(),
            mount: {
                let mut mount = Vec::new();
                append_encoded(&mut mount, route.prefix.as_bytes(), Part::Path);
                mount
            },
            max_body: route.max_body,
            timeout: route.timeout,
            variables: {
                let variables = route.variables.iter();
                // Such servers make names of files of it.
                let text = |text: &String| Template::compile(text).with_decoded_path();
                variables
                    .map(|(name, value)| (name.clone().into_bytes(), text(value)))
                    .collect()
            },
            document_root: {
                let files = route.files.as_ref();
                files.map(|files| files.root.as_os_str().as_encoded_bytes().to_vec())
            },
            matcher: Matcher::compile(route)?,
            catches: {
                let acls = route.when.iter().filter_map(|acl| config.acls.get(*acl));
                let mut paths = acls.flat_map(|acl| &acl.path).chain(&route.path);
                paths.any(|path| matches!(path, model::PathPattern::Regex(_)))
            },
            upstream: match route.action {
                model::Action::Upstream(index) => config.upstreams[index].name.clone(),
                _ => String::new(),
            },
            log: route.log,
        })
    }
}

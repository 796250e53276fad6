//! `rewrite`: other paths.

use quaich_config::model;

use super::{Flow, Parts};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind, Side};
use crate::exchange::Exchange;
use crate::observe::log;
use crate::route::CapturingPath;
use crate::route::template::Template;

/// Of one route.
pub(super) struct Rewrite {
    rules: Vec<Rule>,
}

struct Rule {
    path: CapturingPath,
    to: Template,
    reroute: bool,
}

impl Rewrite {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Rewrite, _parts: &Parts<'_>) -> Option<Self> {
        let rule = |rule: &model::RewriteRule| {
            Some(Rule {
                // Configuration has compiled it before.
                path: CapturingPath::compile(&rule.path).ok()?,
                to: Template::compile(&rule.to),
                reroute: rule.reroute,
            })
        };
        let rules: Vec<Rule> = settings.rules.iter().filter_map(rule).collect();
        (!rules.is_empty()).then_some(Self { rules })
    }

    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        let Exchange {
            request, captures, ..
        } = &mut *scope.exchange;
        let path = request.path_decoded();
        let mut rules = self.rules.iter();
        let Some(rule) = rules.find(|rule| rule.path.capture(path, captures)) else {
            return Ok(Flow::Pass);
        };
        let mut to = Vec::with_capacity(128);
        rule.to.write_url(&mut to, scope.exchange);
        // Groups may stand in it several times, and it may be written again.
        let fits = to.len() <= scope.thread.limits.max_uri;
        let changed = match fits.then(|| apply(scope.exchange, &to)).flatten() {
            Some(changed) => changed,
            None => return Err(invalid(scope, &to)),
        };
        scope.thread.counters.rewrites.add();
        // A rule that leaves everything as it is would be tried again without end.
        match rule.reroute && changed {
            true => Ok(Flow::Reroute),
            false => Ok(Flow::Pass),
        }
    }
}

/// Gives the request the path and, if there is one, the query of `to`: whether it has others now.
/// `None` when they are none.
fn apply(exchange: &mut Exchange, to: &[u8]) -> Option<bool> {
    let request = &mut exchange.request;
    let mark = memchr::memchr(b'?', to);
    let (path, query) = to.split_at(mark.unwrap_or(to.len()));
    let mut changed = false;
    if let [b'?', query @ ..] = query {
        changed = request.query() != query;
        // A question mark alone takes the query away.
        if !request.set_query((!query.is_empty()).then_some(query)) {
            return None;
        }
    }
    let before = request.path().to_vec();
    request
        .set_path(path)
        .then(|| changed || request.path() != before)
}

fn invalid(scope: &Scope<'_, '_>, to: &[u8]) -> Error {
    let notes = &scope.exchange.notes;
    let routes = &scope.thread.generation.routes;
    let shown = to.get(..to.len().min(200)).unwrap_or_default();
    log::warn_limited!(
        "a rewrite has made a path that no request may have";
        route = routes.route_origin(notes.site, notes.route),
        path = String::from_utf8_lossy(shown)
    );
    Error::new(Kind::BadRewrite, Side::Internal)
}

#[cfg(test)]
mod tests {
    use quaich_proto::h1::{Limits, parse_request};

    use super::*;

    fn exchange(target: &str) -> Exchange {
        let mut exchange = Exchange::default();
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let limits = Limits {
            max_uri: 100,
            max_field: 100,
            max_header: 1000,
            max_headers: 10,
        };
        parse_request(head.as_bytes(), &limits, &mut exchange.request).expect("valid");
        exchange
    }

    #[test]
    fn the_query_stays_unless_there_is_a_question_mark() {
        for (to, changed, path, query) in [
            ("/b", true, "/b", Some("x=1")),
            ("/a", false, "/a", Some("x=1")),
            ("/b?", true, "/b", None),
            ("/a?x=1", false, "/a", Some("x=1")),
            ("/a?y", true, "/a", Some("y")),
            ("//b/./c", true, "/b/c", Some("x=1")),
        ] {
            let mut exchange = exchange("/a?x=1");
            assert_eq!(apply(&mut exchange, to.as_bytes()), Some(changed), "{to}");
            let request = &exchange.request;
            assert_eq!(request.path(), path.as_bytes(), "{to}");
            let has = request.has_query().then(|| request.query());
            assert_eq!(has, query.map(str::as_bytes), "{to}");
        }
        for to in ["", "b", "/../b", "/a\\b", "/%00", "/b?\r\n"] {
            assert_eq!(apply(&mut exchange("/a"), to.as_bytes()), None, "{to:?}");
        }
    }
}

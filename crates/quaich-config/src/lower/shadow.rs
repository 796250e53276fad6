//! Warns of routes that can never match: hidden by an earlier one, or contradicting themselves.
//!
//! Says nothing when unsure.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::lower::fields::Fields;
use crate::lower::{Lower, pattern};
use crate::model::{FieldMatch, HostPattern, PathPattern, Route};
use crate::source::Span;

/// Checks the routes of one site, each with its table (the site's own for the short form).
pub(crate) fn warn(
    cx: &mut Lower<'_>,
    (hosts, site): (&[HostPattern], &Fields<'_>),
    routes: &[(Route, Fields<'_>)],
) {
    for (index, (route, fields)) in routes.iter().enumerate() {
        let place = place(fields);
        if fields.doubtful {
            continue;
        }
        if let Some(diagnostic) = contradiction(route, fields, (hosts, site)) {
            cx.report(diagnostic);
            continue;
        }
        let mut earlier = routes.iter().take(index);
        let hides =
            |(other, fields): &&(Route, Fields<'_>)| !fields.doubtful && covers(other, route);
        let hidden_by = earlier.find(hides);
        if let Some((_, earlier)) = hidden_by {
            let message = "this route can never match: an earlier one takes all its requests";
            let diagnostic = Diagnostic::warning("unreachable-route", place, message);
            let diagnostic = diagnostic.also(self::place(earlier), "this one answers first");
            // The short form of a site is its last route wherever it stands.
            let short = std::ptr::eq(fields.keys, &raw const keys::SITE);
            let help = "put the narrower route first";
            cx.report(if short {
                diagnostic
            } else {
                diagnostic.help(help)
            });
        }
    }
}

/// Warns of routes with `cors` that no preflight reaches: browsers ask with OPTIONS first.
pub(crate) fn preflights(cx: &mut Lower<'_>, site: &Fields<'_>, routes: &[(Route, Fields<'_>)]) {
    let grants = |route: &Route| route.filters.cors.policy.is_some();
    for (route, fields) in routes {
        let options = || vec!["OPTIONS".to_owned()];
        let is_open = route.method.is_empty() || route.method.contains(&options()[0]);
        if is_open || !grants(route) || fields.doubtful {
            continue;
        }
        let preflight = Route {
            method: options(),
            ..route.clone()
        };
        let takes = |(other, _): &(Route, Fields<'_>)| grants(other) && covers(other, &preflight);
        if routes.iter().any(takes) {
            continue;
        }
        let message = "browsers cannot use this `cors`: no route with it takes their OPTIONS";
        let diagnostic = Diagnostic::warning("no-preflight", fields.place("method"), message);
        let cors = match fields.has("cors") {
            true => fields.place("cors"),
            false => site.place("cors"),
        };
        let mut methods = route.method.clone();
        methods.extend(options());
        let help = format!("method = {methods:?}");
        cx.report(diagnostic.also(cors, "this one").help(help));
    }
}

/// What shows a route best: its path, else its header or the short form's key.
fn place(fields: &Fields<'_>) -> Span {
    let keys = ["path", "prefix", "app", "upstream", "proxy", "root"];
    let written = keys.into_iter().find(|key| fields.has(key));
    written.map_or(fields.span, |key| fields.place(key))
}

fn contradiction(
    route: &Route,
    fields: &Fields<'_>,
    (hosts, site): (&[HostPattern], &Fields<'_>),
) -> Option<Diagnostic> {
    let meets = |a: &HostPattern| {
        hosts
            .iter()
            .any(|b| pattern::host_covers(a, b) || pattern::host_covers(b, a))
    };
    if let Some(host) = route.host.first().filter(|_| !route.host.iter().any(meets)) {
        let shown = addr::show_host(host);
        let message = format!("this route can never match: `{shown}` is no host of its site");
        let diagnostic = Diagnostic::warning("unreachable-route", fields.place("host"), message);
        return Some(diagnostic.also(site.place("hosts"), "the hosts of the site"));
    }
    let outside = |path: &PathPattern| pattern::outside(&route.prefix, path);
    if !route.prefix.is_empty() && !route.path.is_empty() && route.path.iter().all(outside) {
        let message = "this route can never match: its path is not below its prefix";
        let diagnostic = Diagnostic::warning("unreachable-route", fields.place("path"), message);
        return Some(diagnostic.also(fields.place("prefix"), "the prefix"));
    }
    None
}

/// Whether `a` takes every request that `b` would.
fn covers(a: &Route, b: &Route) -> bool {
    let any = |list: &[String], item: &String| list.contains(item);
    let methods = a.method.is_empty()
        || (!b.method.is_empty() && b.method.iter().all(|method| any(&a.method, method)));
    let all_of = |a: &[FieldMatch], b: &[FieldMatch]| a.iter().all(|field| b.contains(field));
    // One of the acls must hold: what has fewer of them is narrower.
    let when =
        a.when.is_empty() || (!b.when.is_empty() && b.when.iter().all(|acl| a.when.contains(acl)));
    methods
        && when
        && all_of(&a.query, &b.query)
        && all_of(&a.header, &b.header)
        && hosts(a, b)
        && paths(a, b)
}

fn hosts(a: &Route, b: &Route) -> bool {
    let covered = |host: &HostPattern| a.host.iter().any(|wide| pattern::host_covers(wide, host));
    a.host.is_empty() || (!b.host.is_empty() && b.host.iter().all(covered))
}

/// A prefix is one more path condition: both must hold.
fn paths(a: &Route, b: &Route) -> bool {
    let mount = |route: &Route| {
        let prefix = &route.prefix;
        (!prefix.is_empty()).then(|| PathPattern::Prefix(format!("{prefix}/")))
    };
    let narrow: Vec<PathPattern> = match mount(b) {
        Some(prefix) if b.path.is_empty() => vec![prefix],
        Some(prefix)
            if !b
                .path
                .iter()
                .all(|path| pattern::path_covers(&prefix, path)) =>
        {
            vec![prefix]
        }
        _ => b.path.clone(),
    };
    let covered_by = |wide: &[PathPattern]| {
        !narrow.is_empty()
            && narrow
                .iter()
                .all(|path| wide.iter().any(|wide| pattern::path_covers(wide, path)))
    };
    let prefix_covers = mount(a).is_none_or(|prefix| covered_by(&[prefix]));
    prefix_covers && (a.path.is_empty() || covered_by(&a.path))
}

//! `[site.NAME]`: hosts, listeners, routes, and the short forms that make its last route.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::{Lower, action, files, filters, https, pattern, route, shadow, unknown};
use crate::model::{
    Acl, Action, App, Auth, Filters, HostPattern, Limit, Listener, OtherProtocol, Route, Server,
    Site, Tls, Upstream,
};
use crate::source::Span;

/// What routes refer to by name.
pub(crate) struct Names<'a> {
    pub(crate) apps: &'a [App],
    /// Grows by one for each new `proxy = URL`.
    pub(crate) upstreams: &'a mut Vec<Upstream>,
    pub(crate) acls: &'a [Acl],
    pub(crate) limits: &'a [Limit],
    pub(crate) auths: &'a [Auth],
    pub(crate) server: &'a Server,
    /// Its ACME names grow with each site.
    pub(crate) tls: &'a mut Tls,
}

/// What sites say that concerns others.
#[derive(Default)]
struct Seen {
    hosts: Vec<HostAt>,
    /// Of `canonical_host`.
    canonical: Vec<(String, Span)>,
}

/// A host of a site, for finding it in two of them.
struct HostAt {
    host: HostPattern,
    span: Span,
    listeners: Vec<usize>,
}

pub(crate) fn lower(cx: &mut Lower<'_>, top: &Fields<'_>, names: &mut Names<'_>) -> Vec<Site> {
    let mut seen = Seen::default();
    let tables = top.named(cx, "site");
    let has_requests =
        |listener: &Listener| !matches!(listener.other, Some(OtherProtocol::Tcp { .. }));
    let listeners = &names.server.listeners;
    let wanted = listeners.is_empty() || listeners.iter().any(has_requests);
    if wanted && tables.is_empty() && !top.has("site") {
        let message = "there is no site: every request would get 404";
        let help = "[site.main]\nroot = \"public\"";
        top.missing(
            cx,
            Diagnostic::error("no-sites", top.span, message).help(help),
        );
    }
    let sites = tables
        .into_iter()
        .map(|(name, fields)| site(cx, names, (name, &fields), &mut seen))
        .collect();
    seen.warn_of_strangers(cx);
    sites
}

impl Seen {
    /// Warns of hosts that clients are sent to and then refused at.
    fn warn_of_strangers(&self, cx: &mut Lower<'_>) {
        for (host, span) in &self.canonical {
            let host = HostPattern::Exact(host.clone());
            let mut known = self.hosts.iter();
            if known.any(|at| pattern::host_covers(&at.host, &host)) {
                continue;
            }
            let shown = addr::show_host(&host);
            let message =
                format!("`{shown}` is a host of no site: who is redirected there gets 421");
            let diagnostic = Diagnostic::warning("unknown-host", *span, message);
            cx.report(diagnostic.help(format!("add \"{shown}\" to the `hosts` of the site")));
        }
    }
}

fn site(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (name, fields): (Word, &Fields<'_>),
    seen: &mut Seen,
) -> Site {
    let listeners = listeners(cx, names.server, fields);
    let hosts = hosts(cx, fields, &name, (&listeners, &mut seen.hosts));
    let filters = filters::lower(cx, names, (fields, None));
    let mut routes: Vec<(Route, Fields<'_>)> = Vec::new();
    let tables = fields.tables(cx, "route");
    let mut refused = false;
    for mut table in tables {
        let before = cx.diagnostics.len();
        let lowered = route::lower(cx, names, (&table, &filters));
        table.doubtful |= cx.diagnostics.len() > before;
        match lowered {
            Some(route) => routes.push((route, table)),
            None => refused = true,
        }
    }
    let last = short_form(cx, names, (fields, &filters));
    refused |= matches!(last, Short::Refused);
    if let Short::Route(route) = last {
        routes.push((*route, fields.clone()));
    }
    if routes.is_empty() && !refused {
        let message = format!("site `{}` has no routes", name.0);
        let help = "give it app, upstream, proxy or root, or a [[site.NAME.route]]";
        let diagnostic = Diagnostic::error("no-routes", fields.span, message);
        fields.missing(cx, diagnostic.help(help));
    }
    shadow::warn(cx, (&hosts, fields), &routes);
    shadow::preflights(cx, fields, &routes);
    for fields in std::iter::once(fields).chain(routes.iter().map(|(_, fields)| fields)) {
        seen.canonical.extend(filters::rewrite::canonical(fields));
    }
    let max_body = fields.size(cx, "max_body");
    for (route, _) in &mut routes {
        route.max_body = route.max_body.or(max_body);
    }
    let https = https::site(cx, names, fields, (&hosts, &listeners));
    let client = https.client.as_ref();
    filters::auth::check_certificates(cx, names, (fields, client), &routes);
    Site {
        name: name.0,
        hosts,
        listeners,
        routes: routes.into_iter().map(|(route, _)| route).collect(),
        access_log: fields.flag(cx, "access_log"),
        redirect_https: https.redirect,
        hsts: https.hsts,
        tls_client: https.client,
        filters,
    }
}

fn listeners(cx: &mut Lower<'_>, server: &Server, fields: &Fields<'_>) -> Vec<usize> {
    let mut found = Vec::new();
    for word in fields.texts(cx, "listen").unwrap_or_default() {
        let written = addr::listen(&word.0, &cx.directory(word.1)).ok();
        let index = server.listeners.iter().position(|listener| {
            listener.name == word.0 || Some(&listener.addr) == written.as_ref()
        });
        match index {
            Some(index) if !found.contains(&index) => found.push(index),
            Some(_) => {}
            None => {
                let names: Vec<&str> = server.listeners.iter().map(|l| l.name.as_str()).collect();
                let what = ("listener", word.0.as_str());
                cx.report(unknown::reference(
                    "undefined-listener",
                    what,
                    word.1,
                    &names,
                ));
            }
        }
    }
    found
}

/// Host patterns; reports those that a site before has on the same listener.
fn hosts(
    cx: &mut Lower<'_>,
    fields: &Fields<'_>,
    name: &Word,
    (listeners, seen): (&[usize], &mut Vec<HostAt>),
) -> Vec<HostPattern> {
    let words = match fields.texts(cx, "hosts") {
        Some(words) => words,
        None => vec![("*".to_owned(), name.1)],
    };
    if words.is_empty() {
        let message = format!("site `{}` has an empty list of hosts", name.0);
        let diagnostic = Diagnostic::error("bad-value", fields.place("hosts"), message);
        cx.report(diagnostic.help("without `hosts` a site answers for every host"));
    }
    let mut hosts = Vec::new();
    for word in words {
        let host = match addr::host(&word.0) {
            Ok(host) => host,
            Err(reason) => {
                cx.bad_word("hosts", &word, reason);
                continue;
            }
        };
        let meets = |at: &&HostAt| at.host == host && overlap(&at.listeners, listeners);
        match seen.iter().find(meets) {
            Some(first) => {
                let shown = addr::show_host(&host);
                let message = format!("host `{shown}` belongs to two sites");
                let diagnostic = Diagnostic::error("duplicate-host", word.1, message);
                let diagnostic = diagnostic
                    .label("again here")
                    .also(first.span, "first here");
                cx.report(diagnostic);
            }
            None => seen.push(HostAt {
                host: host.clone(),
                span: word.1,
                listeners: listeners.to_vec(),
            }),
        }
        hosts.push(host);
    }
    hosts
}

/// Whether two sets of listeners share one; an empty set is all.
fn overlap(a: &[usize], b: &[usize]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|index| b.contains(index))
}

enum Short {
    None,
    Refused,
    Route(Box<Route>),
}

/// The route that `root`, `app`, `upstream` and `proxy` of the site stand for.
fn short_form(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, filters): (&Fields<'_>, &Filters),
) -> Short {
    let given: Vec<&str> = ["app", "upstream", "proxy"]
        .into_iter()
        .filter(|name| fields.has(name))
        .collect();
    if given.is_empty() && !fields.has("root") {
        return Short::None;
    }
    let files = files::plain(cx, fields);
    if given.len() > 1 {
        action::two_actions(cx, fields, &given);
    }
    let mut action = Some(Action::NotFound);
    for name in &given {
        action = action::one_action(cx, names, fields, name);
    }
    let Some(action) = action else {
        return Short::Refused;
    };
    let written = ["root", "app", "upstream", "proxy"]
        .into_iter()
        .find(|name| fields.has(name));
    let place = written.map_or(fields.span, |name| fields.place(name));
    Short::Route(Box::new(Route {
        origin: cx.place(place),
        host: Vec::new(),
        path: Vec::new(),
        method: Vec::new(),
        query: Vec::new(),
        header: Vec::new(),
        prefix: String::new(),
        files,
        sendfile: None,
        action,
        max_body: None,
        timeout: None,
        variables: Vec::new(),
        when: Vec::new(),
        filters: filters.clone(),
        log: true,
    }))
}

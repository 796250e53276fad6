//! Says which site and route a request would get, and why not the others: `quaich route`.

use std::net::{IpAddr, SocketAddr};

use quaich_config::model::{Action, Config, ListenAddr};
use quaich_proto::h1::{Limits, RequestHead, parse_request};
use serde::Serialize;

use super::acl::Facts;
use super::secure::{https_code, location};
use super::{RouteTable, Site, strip_mount};
use crate::forwarded::Client;

/// Where a request would go.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Host as used for the choice of the site.
    pub host: String,
    /// Normalised path as it would be forwarded.
    pub path: String,
    /// Site name; `None` = 421.
    pub site: Option<String>,
    /// Every route that was looked at, in order, the chosen one last.
    pub routes: Vec<Tried>,
    /// What stands before the answer and behind it, in words, in the order in which it is met.
    pub filters: Vec<String>,
    /// What would answer, in words; an error status when no route matches.
    pub action: String,
}

/// One route that was looked at.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// `file:line`
    pub origin: String,
    /// The first condition that did not hold; `None` = this is the route.
    pub failed: Option<&'static str>,
    /// Of `when`: why each of its acls did not hold, in words.
    pub acls: Vec<String>,
}

/// The request that is asked about.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Its fields, `Host` among them.
    pub headers: &'a [(String, String)],
    /// Whether it comes over TLS; `None` = nobody said.
    pub https: Option<bool>,
    /// Who asks; `None` = nobody said.
    pub client: Option<IpAddr>,
    /// When, in seconds since 1970; `None` = now.
    pub at: Option<u64>,
}

/// Explains what would happen to a request. Fails with the reason when it is not a valid one.
pub fn explain(config: &Config, asked: &Asked<'_>) -> Result<Explanation, String> {
    let table = RouteTable::compile(config).map_err(|error| error.to_string())?;
    let request = request(config, asked)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut explanation = Explanation {
        host: text(request.host()),
        path: text(request.path()),
        site: None,
        routes: Vec::new(),
        filters: Vec::new(),
        action: "421: no site has this host".into(),
    };
    let Some(site) = site(config, &table, asked, &request) else {
        return Ok(explanation);
    };
    explanation.site = Some(site.name.clone());
    if site.secure.redirect && asked.https == Some(false) {
        explanation.action = redirect(config, site, &request);
        return Ok(explanation);
    }
    let peer = asked.client.map(|addr| SocketAddr::new(addr, 0));
    let client = Client::new(peer, asked.https == Some(true));
    let facts = Facts {
        request: &request,
        client: &client,
        at: asked.at,
    };
    explanation.action = "404: no route of the site matches".into();
    for route in &site.routes {
        let failed = route.matcher.matches(&table.acls, &facts).err();
        explanation.routes.push(Tried {
            origin: route.origin.clone(),
            failed,
            acls: match failed {
                Some("when") => {
                    let when = route.matcher.when.iter();
                    when.filter_map(|&acl| table.acls.explain(acl, &facts))
                        .collect()
                }
                _ => Vec::new(),
            },
        });
        if failed.is_none() {
            explanation.action = describe(config, site.index, route.index, &request);
            let settings = config.sites.get(site.index);
            let settings = settings.and_then(|site| site.routes.get(route.index));
            explanation.filters =
                settings.map_or_else(Vec::new, |route| route.filters.describe(config));
            break;
        }
    }
    Ok(explanation)
}

/// The site on the first listener that speaks as the URL says, else on any: the command is not told
/// which one is meant, and a proxy in front may be the one that speaks TLS.
fn site<'t>(
    config: &Config,
    table: &'t RouteTable,
    asked: &Asked<'_>,
    request: &RequestHead,
) -> Option<&'t Site> {
    let listeners = &config.server.listeners;
    let all = 0..listeners.len().max(1);
    let alike = |index: &usize| {
        let tls = listeners.get(*index).map(|listener| listener.tls);
        asked.https.is_none_or(|https| tls == Some(https))
    };
    all.clone()
        .filter(alike)
        .chain(all)
        .find_map(|index| table.site(index, request.host()))
}

/// What plain HTTP gets where `redirect_https` holds.
fn redirect(config: &Config, site: &Site, request: &RequestHead) -> String {
    let listener = site.secure.listener;
    let listener = listener.and_then(|index| config.server.listeners.get(index));
    let port = match listener.map(|listener| &listener.addr) {
        Some(ListenAddr::Tcp(addr)) => addr.port(),
        _ => 0,
    };
    let mut to = Vec::new();
    let query = request.has_query().then(|| request.query());
    location(&mut to, (request.host(), port), (request.path(), query));
    let code = https_code(request.method);
    let to = String::from_utf8_lossy(&to);
    format!("redirect {code} to {to}, as `redirect_https` of the site says")
}

fn request(config: &Config, asked: &Asked<'_>) -> Result<RequestHead, String> {
    let mut text = format!("{} {} HTTP/1.1\r\n", asked.method, asked.target);
    for (name, value) in asked.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let server = &config.server;
    let limits = Limits {
        max_uri: server.max_uri,
        max_field: server.max_header,
        max_header: server.max_header,
        max_headers: server.max_headers,
    };
    let mut head = RequestHead::new();
    match parse_request(text.as_bytes(), &limits, &mut head) {
        Ok(Some(_)) => Ok(head),
        Ok(None) => Err("the request is not complete".into()),
        Err(reject) => Err(format!("{}: {}", reject.status, reject.reason.explain())),
    }
}

fn describe(config: &Config, site: usize, route: usize, request: &RequestHead) -> String {
    let Some(route) = config
        .sites
        .get(site)
        .and_then(|site| site.routes.get(route))
    else {
        return String::new();
    };
    let mut words = String::new();
    if let Some(files) = &route.files {
        words.push_str(&format!("a file below {}, else ", files.root.display()));
    }
    words.push_str(&match &route.action {
        Action::App(app) => format!("app `{}`", config.apps[*app].name),
        Action::Upstream(upstream) => format!("upstream `{}`", config.upstreams[*upstream].name),
        Action::NotFound => "404".into(),
        Action::Redirect { to, code } => format!("redirect {code} to {to}"),
        Action::Respond { status, .. } | Action::Status(status) => format!("status {status}"),
    });
    if !route.prefix.is_empty() {
        let rest = strip_mount(request.path(), route.prefix.as_bytes()).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest);
        words.push_str(&format!(
            ", mounted at {}: it sees the path `{rest}`",
            route.prefix
        ));
    }
    for (name, text) in &route.variables {
        words.push_str(&format!(", with {name} = \"{text}\""));
    }
    words
}

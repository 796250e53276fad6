//! What routes and acls decide, and how fast.

use std::path::Path;

use quaich_config::model::{Config, PathPattern};
use quaich_config::{Surroundings, parse};
use quaich_proto::h1::{Limits, RequestHead, parse_request};

use super::*;

mod acls;
mod paths;
mod timing;

const LIMITS: Limits = Limits {
    max_uri: 8192,
    max_field: 8192,
    max_header: 32_768,
    max_headers: 100,
};

fn config(text: &str) -> Config {
    let loaded = parse("a.toml", text, Path::new("/srv"), &Surroundings::default());
    let config = loaded.config;
    config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn table(text: &str) -> RouteTable {
    RouteTable::compile(&config(text)).expect("valid expressions")
}

/// One site with a route for each pattern.
fn with_paths(patterns: &[PathPattern]) -> Config {
    let mut config = config("[[site.main.route]]\nstatus = 404\n");
    let site = &mut config.sites[0];
    let route = site.routes.remove(0);
    site.routes = patterns
        .iter()
        .map(|pattern| model::Route {
            path: vec![pattern.clone()],
            ..route.clone()
        })
        .collect();
    config
}

/// The head of a request; `None` = it was refused.
fn head(lines: &str) -> Option<RequestHead> {
    let mut head = RequestHead::new();
    let text = format!("{lines}\r\n\r\n");
    match parse_request(text.as_bytes(), &LIMITS, &mut head) {
        Ok(Some(length)) if length == text.len() => Some(head),
        _ => None,
    }
}

fn get(target: &str) -> Option<RequestHead> {
    head(&format!("GET {target} HTTP/1.1\r\nHost: a.example"))
}

fn exchange(lines: &str) -> Exchange {
    Exchange {
        request: head(lines).expect(lines),
        ..Exchange::default()
    }
}

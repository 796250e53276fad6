//! The few lines at the start: what listens where, what runs with what.
//!
//! On standard error. With `[log] format = "json"` they are a JSON message instead.

use std::path::Path;
use std::time::Duration;

use quaich_app::interpreter::Version;
use quaich_config::Config;
use quaich_config::model::{App, AppTarget, Discover, Route, Site};
use quaich_server::observe::log;

use crate::boot::Plan;
use crate::style::on_stderr;
use crate::supervisor::sockets::Bound;

/// Shown when everything is bound, before anything is spawned.
pub(crate) fn show(plan: &Plan, sockets: &[Bound], control: Option<&Path>) {
    if plan.config.log.format == "json" {
        let shown: Vec<&str> = sockets.iter().map(|bound| bound.shown.as_str()).collect();
        let version = env!("CARGO_PKG_VERSION");
        let listen = shown.join(", ");
        return log::info!("starting"; version = version, listen = listen);
    }
    eprint!("{}", text(plan, sockets, control));
}

/// Shown when all of it serves.
pub(crate) fn ready(plan: &Plan, took: Duration) {
    let took = format!("{:.2} s", took.as_secs_f64());
    if plan.config.log.format == "json" {
        return log::info!("ready"; took = took);
    }
    let ready = on_stderr("1;32").paint("ready");
    let dim = on_stderr("2");
    let hint = dim.paint(&format!("in {took}, process {}", std::process::id()));
    eprintln!("  {ready} {hint}");
}

fn text(plan: &Plan, sockets: &[Bound], control: Option<&Path>) -> String {
    let name = on_stderr("1;33").paint("quaich");
    let dim = on_stderr("2");
    let head = dim.paint(&format!("{} · {}", env!("CARGO_PKG_VERSION"), plan.source));
    let mut out = format!("\n  {name} {head}\n");
    let mut line = |label: &str, value: &str| {
        out.push_str(&format!(
            "  {} {value}\n",
            dim.paint(&format!("{label:<8}"))
        ));
    };
    for bound in sockets {
        line("listen", &on_stderr("1;36").paint(&bound.shown));
    }
    for note in &plan.notes {
        line("found", note);
    }
    for (app, version) in plan.config.apps.iter().zip(&plan.versions) {
        line("app", &app_line(app, plan.config.apps.len() > 1));
        let Version {
            implementation,
            version,
            ..
        } = version;
        let (path, origin) = (app.python.display(), &app.python_origin);
        line(
            "python",
            &format!("{implementation} {version} · {path} ({origin})"),
        );
    }
    for upstream in &plan.config.upstreams {
        let servers: Vec<&str> = upstream
            .servers
            .iter()
            .map(|server| server.id.as_str())
            .collect();
        let mut shown = servers.join(", ");
        if let Some(discover) = &upstream.discover {
            let also = if shown.is_empty() { "" } else { ", " };
            shown = format!("{shown}{also}{}", found_by(discover));
        }
        line("proxy", &shown);
    }
    for shown in file_lines(&plan.config) {
        line("files", &shown);
    }
    if let Some(command) = &plan.trust {
        let hint = format!("browsers warn of the local CA until you run: {command}");
        line("trust", &on_stderr("33").paint(&hint));
    }
    if let Some(path) = control {
        line("control", &path.display().to_string());
    }
    out
}

/// Where servers come from while quaich runs.
fn found_by(discover: &Discover) -> String {
    match discover {
        Discover::Dns { server } => format!("addresses of {}", server.id),
        Discover::Srv { name, .. } => format!("records of {name}"),
        Discover::Subscribe { key: Some(key) } => format!("instances announced as {key}"),
        Discover::Subscribe { key: None } => "instances announced for the host".to_owned(),
    }
}

fn app_line(app: &App, named: bool) -> String {
    let target = match &app.target {
        AppTarget::Module { module, callable } => with_callable(module, callable.as_deref()),
        AppTarget::File { path, callable } => {
            with_callable(&path.display().to_string(), callable.as_deref())
        }
    };
    let name = if named {
        format!("{}: ", app.name)
    } else {
        String::new()
    };
    let workers = plural(app.workers, "worker");
    let threads = plural(app.threads, "thread");
    format!(
        "{name}{target} in {} · {workers} × {threads}",
        app.dir.display()
    )
}

fn with_callable(target: &str, callable: Option<&str>) -> String {
    callable.map_or_else(
        || target.to_owned(),
        |callable| format!("{target}:{callable}"),
    )
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Each static root once, with where it is mounted.
fn file_lines(config: &Config) -> Vec<String> {
    let several = config.sites.len() > 1;
    let line = |site: &Site, route: &Route| {
        let root = route.files.as_ref()?.root.display();
        let site = if several {
            format!("{} ", site.name)
        } else {
            String::new()
        };
        let mount = if route.prefix.is_empty() {
            "/"
        } else {
            route.prefix.as_str()
        };
        Some(format!("{site}{mount} → {root}"))
    };
    let routes = config
        .sites
        .iter()
        .flat_map(|site| site.routes.iter().map(move |r| (site, r)));
    let mut lines: Vec<String> = routes
        .filter_map(|(site, route)| line(site, route))
        .collect();
    lines.dedup();
    lines
}

//! A `Config` as the text that loads to it again, with or without where values came from.
//!
//! `--print-config` and `config show` use `to_toml`; commands that build a file use `TomlWriter`.

use crate::addr;
use crate::lower::show_path;
use crate::model::{
    AccessFormat, Action, App, AppTarget, Config, Files, Listener, LogOutput, OtherProtocol,
    ProxyProtocol, Route, Server, Site, Symlinks, Upstream,
};
use crate::origin::Origins;
use crate::units::{show_duration, show_rate, show_size};

mod discovery;
mod filters;
mod health;
mod sticky;
mod tls;
mod upstream;
mod writer;

pub use writer::TomlWriter;

/// The whole configuration, every value written out.
///
/// Loading it gives an equal `Config`, but for `Route::origin` and `App::python_origin`. With
/// `origins` each line says in a comment where its value came from.
#[must_use]
pub fn to_toml(config: &Config, origins: Option<&Origins>) -> String {
    let mut out = TomlWriter::new(origins);
    server(&mut out, &config.server, &config.upstreams);
    tls::tls(&mut out, &config.tls);
    log(&mut out, config);
    out.table("admin");
    match &config.admin.socket {
        Some(path) => out.text("listen", &format!("unix:{}", path.display())),
        None => out.flag("listen", false),
    }
    discovery::subscribe(&mut out, config.subscribe.as_ref());
    for item in &config.acls {
        filters::acl::table(&mut out, item, config);
    }
    for item in &config.limits {
        filters::limit::table(&mut out, item, config);
    }
    for item in &config.auths {
        filters::auth::table(&mut out, item, config);
    }
    for item in &config.apps {
        app(&mut out, item);
    }
    for item in config.upstreams.iter().filter(|upstream| !is_url(upstream)) {
        upstream::upstream(&mut out, item);
    }
    for item in &config.sites {
        site(&mut out, item, config);
    }
    out.finish()
}

/// Whether the upstream stands for a `proxy = URL`; names of tables hold no colon.
fn is_url(upstream: &Upstream) -> bool {
    upstream.name.contains([':', '/'])
}

/// Whether an entry of `listen` says all.
fn is_plain(listener: &Listener) -> bool {
    listener.mode == 0o660
        && listener.name == addr::show_listen(&listener.addr)
        && listener.tls == addr::is_https_port(&listener.addr)
        && listener.h1
        && listener.h2
        && listener.proxy_protocol == ProxyProtocol::Off
}

fn server(out: &mut TomlWriter<'_>, server: &Server, upstreams: &[Upstream]) {
    out.table("server");
    let plain = server.listeners.iter().all(is_plain);
    if plain {
        let shown: Vec<String> = server
            .listeners
            .iter()
            .map(|l| addr::show_listen(&l.addr))
            .collect();
        out.texts("listen", &shown);
    }
    out.number("threads", server.threads);
    out.number("backlog", server.backlog);
    out.flag("reuse_port", server.reuse_port);
    out.maybe_text("user", server.user.as_deref());
    out.maybe_text("group", server.group.as_deref());
    out.number("max_connections", server.max_connections);
    out.number("max_per_ip", server.max_per_ip);
    out.text("header_timeout", &show_duration(server.header_timeout));
    out.text("body_timeout", &show_duration(server.body_timeout));
    out.text("keepalive", &show_duration(server.keepalive));
    out.number("keepalive_requests", server.keepalive_requests);
    out.text("write_timeout", &show_duration(server.write_timeout));
    out.text("min_rate", &show_rate(server.min_rate));
    out.text("max_header", &show_size(server.max_header as u64));
    out.number("max_headers", server.max_headers);
    out.text("max_uri", &show_size(server.max_uri as u64));
    out.text("max_body", &show_size(server.max_body));
    out.text("shutdown_timeout", &show_duration(server.shutdown_timeout));
    out.text("state_dir", &server.state_dir.to_string_lossy());
    out.maybe_path("pid_file", server.pid_file.as_deref());
    let trust: Vec<String> = server.trust.iter().map(addr::show_network).collect();
    out.texts("trust", &trust);
    match &server.server_header {
        Some(text) => out.text("server_header", text),
        None => out.flag("server_header", false),
    }
    out.flag("date_header", server.date_header);
    if plain {
        return;
    }
    for listener in &server.listeners {
        out.tables("server.listener");
        let shown = addr::show_listen(&listener.addr);
        if listener.name != shown {
            out.text("name", &listener.name);
        }
        out.text("addr", &shown);
        out.text("mode", &format!("{:04o}", listener.mode));
        out.flag("tls", listener.tls);
        protocols(out, listener, upstreams);
        out.text("proxy_protocol", proxy_protocol(listener.proxy_protocol));
    }
}

fn protocols(out: &mut TomlWriter<'_>, listener: &Listener, upstreams: &[Upstream]) {
    let http = [("h1", listener.h1), ("h2", listener.h2)];
    let spoken: Vec<&str> = match listener.other {
        None => http.iter().filter(|p| p.1).map(|p| p.0).collect(),
        Some(OtherProtocol::Uwsgi) => vec!["uwsgi"],
        Some(OtherProtocol::FastCgi) => vec!["fastcgi"],
        Some(OtherProtocol::Scgi) => vec!["scgi"],
        Some(OtherProtocol::Tcp { .. }) => vec!["tcp"],
    };
    out.texts("protocols", &spoken);
    if let Some(OtherProtocol::Tcp { upstream }) = listener.other {
        out.maybe_text("upstream", upstreams.get(upstream).map(|u| u.name.as_str()));
    }
}

fn proxy_protocol(setting: ProxyProtocol) -> &'static str {
    match setting {
        ProxyProtocol::Off => "off",
        ProxyProtocol::Accept => "accept",
        ProxyProtocol::Require => "require",
    }
}

fn log(out: &mut TomlWriter<'_>, config: &Config) {
    out.table("log");
    out.text("level", &config.log.level);
    output(out, &config.log.output);
    out.text("format", &config.log.format);
    out.table("log.access");
    output(out, &config.access_log.output);
    out.text(
        "format",
        match &config.access_log.format {
            AccessFormat::Common => "common",
            AccessFormat::Combined => "combined",
            AccessFormat::Json => "json",
            AccessFormat::Pretty => "pretty",
            AccessFormat::Template(template) => template,
        },
    );
}

fn output(out: &mut TomlWriter<'_>, output: &LogOutput) {
    match output {
        LogOutput::Off => out.flag("output", false),
        LogOutput::Stdout => out.text("output", "stdout"),
        LogOutput::Stderr => out.text("output", "stderr"),
        LogOutput::File(path) => out.text("output", &format!("file:{}", path.display())),
    }
}

fn app(out: &mut TomlWriter<'_>, app: &App) {
    out.table(&format!("app.{}", app.name));
    let with = |target: &str, callable: &Option<String>| match callable {
        Some(callable) => format!("{target}:{callable}"),
        None => target.to_owned(),
    };
    match &app.target {
        AppTarget::Module { module, callable } => out.text("module", &with(module, callable)),
        AppTarget::File { path, callable } => {
            out.text("file", &with(&path.to_string_lossy(), callable));
        }
    }
    out.flag("factory", app.factory);
    out.text("dir", &app.dir.to_string_lossy());
    if !app.python.as_os_str().is_empty() {
        out.text("python", &app.python.to_string_lossy());
    }
    out.number("workers", app.workers);
    out.number("threads", app.threads);
    out.text("timeout", &show_duration(app.timeout));
    out.number("queue", app.queue);
    out.text("queue_timeout", &show_duration(app.queue_timeout));
    out.text("graceful_timeout", &show_duration(app.graceful_timeout));
    out.text("boot_timeout", &show_duration(app.boot_timeout));
    out.number("max_requests", app.max_requests);
    out.number("max_requests_jitter", app.max_requests_jitter);
    out.pairs(
        "env",
        app.env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    out.maybe_text("user", app.user.as_deref());
    out.maybe_text("group", app.group.as_deref());
}

fn site(out: &mut TomlWriter<'_>, site: &Site, config: &Config) {
    let path = format!("site.{}", site.name);
    out.table(&path);
    let hosts: Vec<String> = site.hosts.iter().map(addr::show_host).collect();
    out.texts("hosts", &hosts);
    if !site.listeners.is_empty() {
        let listeners = &config.server.listeners;
        let named = site
            .listeners
            .iter()
            .filter_map(|index| listeners.get(*index));
        let names: Vec<&str> = named.map(|listener| listener.name.as_str()).collect();
        out.texts("listen", &names);
    }
    tls::site(out, site);
    out.flag("access_log", site.access_log);
    filters::print(out, (&site.filters, None), config);
    for item in &site.routes {
        out.tables(&format!("{path}.route"));
        conditions(out, item);
        filters::acl::when(out, &item.when, config);
        if let Some(item) = &item.files {
            files(out, item);
        }
        if let Some(item) = &item.sendfile {
            out.inline("sendfile", |out| {
                out.text("root", &item.root.to_string_lossy());
                if !item.prefix.is_empty() {
                    out.text("prefix", &item.prefix);
                }
            });
        }
        action(out, &item.action, config);
        if let Some(bytes) = item.max_body {
            out.text("max_body", &show_size(bytes));
        }
        if let Some(time) = item.timeout {
            out.text("timeout", &show_duration(time));
        }
        let variables = item.variables.iter();
        out.pairs(
            "variables",
            variables.map(|(name, text)| (&**name, &**text)),
        );
        filters::print(out, (&item.filters, Some(&site.filters)), config);
        out.flag("log", item.log);
    }
}

fn conditions(out: &mut TomlWriter<'_>, route: &Route) {
    let hosts: Vec<String> = route.host.iter().map(addr::show_host).collect();
    let paths: Vec<String> = route.path.iter().map(show_path).collect();
    for (key, list) in [
        ("host", &hosts),
        ("path", &paths),
        ("method", &route.method),
    ] {
        if !list.is_empty() {
            out.texts(key, list);
        }
    }
    filters::acl::fields(out, "query", &route.query);
    filters::acl::fields(out, "header", &route.header);
    if !route.prefix.is_empty() {
        out.text("prefix", &route.prefix);
    }
}

fn files(out: &mut TomlWriter<'_>, files: &Files) {
    out.inline("files", |out| {
        out.text("root", &files.root.to_string_lossy());
        out.texts("index", &files.index);
        out.texts("try", &files.try_);
        if let Some(time) = files.expires {
            out.text("expires", &show_duration(time));
        }
        out.flag("list", files.list);
        out.flag("precompressed", files.precompressed);
        out.flag("hidden", files.hidden);
        out.text(
            "symlinks",
            match files.symlinks {
                Symlinks::Off => "off",
                Symlinks::Inside => "inside",
                Symlinks::Follow => "follow",
            },
        );
    });
}

fn action(out: &mut TomlWriter<'_>, action: &Action, config: &Config) {
    match action {
        Action::App(index) => out.maybe_text("app", config.apps.get(*index).map(|a| &*a.name)),
        Action::Upstream(index) => match config.upstreams.get(*index) {
            Some(upstream) if is_url(upstream) => out.text("proxy", &upstream.name),
            Some(upstream) => out.text("upstream", &upstream.name),
            None => {}
        },
        Action::NotFound => {}
        Action::Redirect { to, code } => out.inline("redirect", |out| {
            out.text("to", to);
            out.number("code", *code);
        }),
        Action::Respond {
            status,
            body,
            content_type,
        } if *status < 400 && body.is_empty() && content_type.is_empty() => {
            out.number("status", *status);
        }
        Action::Respond {
            status,
            body,
            content_type,
        } => out.inline("respond", |out| {
            out.number("status", *status);
            out.text("body", body);
            out.text("type", content_type);
        }),
        Action::Status(status) => out.number("status", *status),
    }
}

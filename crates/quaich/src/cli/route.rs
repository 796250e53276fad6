//! `quaich route`: what would answer a request, and why not the others.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use quaich_config::{Overrides, calendar};
use quaich_server::route::explain::{Asked, Explanation, Tried, explain};

use super::source;
use crate::exit::{Code, Failure};
use crate::style;

const AFTER_HELP: &str = "\
Examples:
  quaich route http://shop.example.org/static/a.css
  quaich route /admin/ -X POST -c site.toml
  quaich route / -H 'Host: other.example.org'
  quaich route /admin/ --client 10.1.2.3 --at 2026-12-24T18:00:00Z";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// URL, or a path for the host localhost
    url: String,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE)]
    config: PathBuf,
    /// Request method
    #[arg(
        short = 'X',
        long,
        value_name = "METHOD",
        default_value = "GET",
        env = "QUAICH_METHOD"
    )]
    method: String,
    /// Request header fields
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        env = "QUAICH_HEADER"
    )]
    headers: Vec<String>,
    /// Address that the request comes from
    #[arg(long, value_name = "IP", env = "QUAICH_CLIENT")]
    client: Option<IpAddr>,
    /// The request comes over TLS, as for URLs with https
    #[arg(long, conflicts_with = "plain", env = "QUAICH_TLS")]
    tls: bool,
    /// The request comes without TLS
    #[arg(long, env = "QUAICH_PLAIN")]
    plain: bool,
    /// When it comes, as in 2026-12-24T18:00:00Z; now if absent
    #[arg(long, value_name = "TIME", env = "QUAICH_AT", value_parser = calendar::instant)]
    at: Option<u64>,
    /// Print it as JSON
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = source::accept(source::load(&args.config, Overrides::default())?)?;
    let (host, target) = split_url(&args.url)?;
    let https = match (args.tls, args.plain) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => args.url.split_once("://").map(|url| url.0 == "https"),
    };
    let mut headers = Vec::new();
    for line in &args.headers {
        let (name, value) = line.split_once(':').ok_or_else(|| {
            Failure::new(
                Code::Usage,
                format!("`-H {line}` is not of the shape NAME: VALUE"),
            )
        })?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        headers.insert(0, ("Host".to_owned(), host.to_owned()));
    }
    let asked = Asked {
        method: &args.method,
        target: &target,
        headers: &headers,
        https,
        client: args.client,
        at: args.at,
    };
    let explanation = explain(&config, &asked)
        .map_err(|why| Failure::new(Code::Usage, format!("this is no valid request: {why}")))?;
    if args.json {
        let text = serde_json::to_string_pretty(&explanation);
        let text = text.map_err(|error| Failure::new(Code::Config, error.to_string()))?;
        super::print(&format!("{text}\n"));
    } else {
        super::print(&describe(&explanation));
    }
    Ok(())
}

/// Host and request target; what stands behind `#` is never sent.
fn split_url(url: &str) -> Result<(&str, String), Failure> {
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') {
        return Ok(("localhost", url.to_owned()));
    }
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| {
        let message = format!("`{url}` is neither a URL nor a path");
        Failure::new(Code::Usage, message).cure("write http://HOST/PATH or /PATH")
    })?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((host, format!("{slash}{target}")))
}

fn describe(explanation: &Explanation) -> String {
    let (bold, dim) = (style::on_stdout("1"), style::on_stdout("2"));
    let mut out = String::new();
    let site = explanation.site.as_deref().unwrap_or("none");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "host    {}", explanation.host);
    let _ = writeln!(out, "path    {}", explanation.path);
    let _ = writeln!(out, "site    {}", bold.paint(site));
    for tried in &explanation.routes {
        let origin = &tried.origin;
        let _ = match tried.failed {
            Some(why) => {
                let why = dim.paint(&format!("no: {}", reason(why, tried)));
                writeln!(out, "route   {origin}  {why}")
            }
            None => writeln!(out, "route   {}", bold.paint(origin)),
        };
    }
    for words in &explanation.filters {
        let _ = writeln!(out, "filter  {words}");
    }
    let _ = writeln!(out, "action  {}", bold.paint(&explanation.action));
    out
}

/// What keeps a request from a route.
fn reason(key: &str, tried: &Tried) -> String {
    if tried.acls.is_empty() {
        return format!("its {key} does not match");
    }
    format!("when = {}", tried.acls.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_host_and_target() {
        let split = |url| {
            split_url(url)
                .ok()
                .map(|(host, target)| (host.to_owned(), target))
        };
        let expect = |host: &str, target: &str| Some((host.to_owned(), target.to_owned()));
        assert_eq!(
            split("http://a.org:81/x?y=1#z"),
            expect("a.org:81", "/x?y=1")
        );
        assert_eq!(split("https://[::1]"), expect("[::1]", "/"));
        assert_eq!(split("http://a.org?q"), expect("a.org", "/?q"));
        assert_eq!(split("/x"), expect("localhost", "/x"));
        assert_eq!(split("a.org/x"), None);
    }
}

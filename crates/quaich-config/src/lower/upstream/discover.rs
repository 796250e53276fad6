//! `discover`, `resolver`: where servers come from at run time, and who knows their names.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{Discover, Upstream, UpstreamAddr};

/// The port of name servers.
const DNS: u16 = 53;

/// Where servers come from; what is wrong with it is reported.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    top: &Fields<'_>,
    upstream: &Fields<'_>,
) -> Option<Discover> {
    if !upstream.has("discover") {
        return None;
    }
    let fields = upstream.table(cx, "discover");
    let kinds = ["dns", "srv", "subscribe"];
    let given: Vec<&str> = kinds.into_iter().filter(|name| fields.has(name)).collect();
    let kind = match given[..] {
        [kind] => kind,
        [] => {
            let message = "`discover` does not say where servers come from";
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            let help = "discover = { dns = \"http://app.internal:8000\" }, or `srv` or `subscribe`";
            fields.missing(cx, diagnostic.help(help));
            return None;
        }
        [first, second, ..] => {
            let message = format!("`discover` takes one of `{first}` and `{second}`");
            let diagnostic = Diagnostic::error("bad-value", fields.place(second), message);
            cx.report(diagnostic.also(fields.place(first), "and this is another one"));
            return None;
        }
    };
    if kind != "srv" && fields.has("scheme") {
        let message = "`scheme` is not used: it is for `srv`";
        cx.report(Diagnostic::warning(
            "unused-key",
            fields.place("scheme"),
            message,
        ));
    }
    match kind {
        "dns" => dns(cx, &fields),
        "srv" => srv(cx, &fields),
        _ => subscribe(cx, top, &fields),
    }
}

fn dns(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Discover> {
    let word = fields.text(cx, "dns")?;
    let mut server = super::server(cx, "dns", &word, None)?;
    server.id = addr::show_server(&server);
    match &server.addr {
        UpstreamAddr::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => {
            Some(Discover::Dns { server })
        }
        _ => {
            let reason = "expected a name to look up, such as \"http://app.internal:8000\"";
            cx.bad_word("dns", &word, reason);
            None
        }
    }
}

fn srv(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Discover> {
    let word = fields.text(cx, "srv")?;
    let scheme = fields.text_or_default(cx, "scheme");
    let name = word.0.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    let labels: Vec<&str> = name.split('.').collect();
    let fits = labels.len() > 2
        && name.len() <= 253
        && labels.iter().all(|label| (1..=63).contains(&label.len()))
        && labels.iter().take(2).all(|label| label.starts_with('_'))
        && name.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        let reason = "expected the name of SRV records, such as \"_http._tcp.app.internal\"";
        cx.bad_word("srv", &word, reason);
        return None;
    }
    let example = format!("{}://a:1", scheme.0);
    match addr::server(&example, Path::new("/")) {
        Ok(server) => Some(Discover::Srv {
            name,
            protocol: server.protocol,
            tls: server.tls,
        }),
        Err(reason) => {
            cx.bad_word("scheme", &scheme, reason);
            None
        }
    }
}

fn subscribe(cx: &mut Lower<'_>, top: &Fields<'_>, fields: &Fields<'_>) -> Option<Discover> {
    let key = text_or_true(cx, fields)?;
    if !top.has("subscribe") {
        let message = "there is no `[subscribe]` that servers could announce themselves to";
        let diagnostic = Diagnostic::error("missing-key", fields.place("subscribe"), message);
        fields.missing(
            cx,
            diagnostic.help("[subscribe]\nlisten = [\"127.0.0.1:5005\"]"),
        );
    }
    let Some(word) = key else {
        return Some(Discover::Subscribe { key: None });
    };
    let key = Discover::normal_key(&word.0);
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        let reason = "expected a key of at most 255 characters, such as \"shop.example.org\"";
        cx.bad_word("subscribe", &word, reason);
        return None;
    }
    Some(Discover::Subscribe { key: Some(key) })
}

/// `Some(None)` for `true`.
fn text_or_true(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Option<Word>> {
    let value = &fields.entry(cx, "subscribe")?.value;
    match &value.data {
        Data::Bool(true) => Some(None),
        Data::Text(text) => Some(Some((text.clone(), value.span))),
        _ => {
            cx.wrong_type("subscribe", value, "a text or true");
            None
        }
    }
}

/// Addresses of a name have no names of their own: their certificates are for the name that was
/// looked up.
pub(super) fn name_of_certificates(upstream: &mut Upstream) {
    if let Some(Discover::Dns { server }) = &upstream.discover
        && let UpstreamAddr::Tcp { host, .. } = &server.addr
        && server.tls
        && upstream.tls.sni.is_none()
    {
        upstream.tls.sni = Some(host.clone());
    }
}

/// The name servers.
pub(super) fn resolver(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<SocketAddr> {
    let words = fields.texts(cx, "resolver").unwrap_or_default();
    words
        .iter()
        .filter_map(|word| name_server(cx, word))
        .collect()
}

fn name_server(cx: &mut Lower<'_>, word: &Word) -> Option<SocketAddr> {
    let text = word.0.as_str();
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS));
    let addr = text.parse::<SocketAddr>().or(bare).ok();
    if addr.is_none() {
        let reason = "expected the address of a name server: \"10.0.0.2\" or \"127.0.0.1:5353\"";
        cx.bad_word("resolver", word, reason);
    }
    addr
}

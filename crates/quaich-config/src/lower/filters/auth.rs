//! `auth`: who may come in.

use std::path::PathBuf;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::conditions::is_token;
use crate::lower::fields::{Fields, Word};
use crate::lower::server::is_field_value;
use crate::lower::site::Names;
use crate::lower::{Lower, unknown, upstream};
use crate::model::{
    Access, Auth, CertificateName, ClientAuth, ClientAuthMode, ForwardAuth, Network, Proof, Route,
    Upstream, UpstreamProtocol,
};

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Access>),
) -> Access {
    let Some(words) = fields.texts_or_off(cx, "auth") else {
        return site.cloned().unwrap_or_default();
    };
    if words.is_empty() && fields.flag_is_set("auth") {
        let message = "`auth` is an empty list: everybody would come in";
        let diagnostic = Diagnostic::error("bad-value", fields.place("auth"), message);
        cx.report(diagnostic.help("auth = \"off\" says so"));
    }
    let defined: Vec<&str> = names.auths.iter().map(|auth| auth.name.as_str()).collect();
    let mut ways = Vec::new();
    for word in words {
        match defined.iter().position(|name| *name == word.0) {
            Some(way) if !ways.contains(&way) => ways.push(way),
            Some(_) => {}
            None => cx.report(unknown::reference(
                "undefined-auth",
                ("auth", &word.0),
                word.1,
                &defined,
            )),
        }
    }
    Access { ways }
}

/// Warns where certificates let in and none is ever asked for.
pub(crate) fn check_certificates(
    cx: &mut Lower<'_>,
    names: &Names<'_>,
    (site, client): (&Fields<'_>, Option<&ClientAuth>),
    routes: &[(Route, Fields<'_>)],
) {
    let client = client.unwrap_or(&names.tls.client);
    if client.mode != ClientAuthMode::Off {
        return;
    }
    let by_certificate = |way: &&usize| {
        let auth = names.auths.get(**way);
        auth.is_some_and(|auth| matches!(auth.proof, Proof::Certificate { .. }))
    };
    let wants = |(route, _): &&(Route, Fields<'_>)| {
        let ways = &route.filters.auth.ways;
        !ways.is_empty() && ways.iter().all(|way| by_certificate(&way))
    };
    let Some((route, fields)) = routes.iter().find(wants) else {
        return;
    };
    let place = match fields.has("auth") {
        true => fields.place("auth"),
        false => site.place("auth"),
    };
    let way = route.filters.auth.ways.first();
    let name = way.and_then(|way| names.auths.get(*way));
    let message = format!(
        "`{}` lets nobody in: clients of this site are not asked for a certificate",
        name.map_or("auth", |auth| &auth.name)
    );
    let help = "tls_client = { mode = \"request\", ca = \"clients.pem\" } in the site";
    cx.report(Diagnostic::warning("never-asks", place, message).help(help));
}

/// `[auth.NAME]`
pub(crate) fn tables(
    cx: &mut Lower<'_>,
    top: &Fields<'_>,
    upstreams: &mut Vec<Upstream>,
) -> Vec<Auth> {
    let mut found = Vec::new();
    for (name, fields) in top.named(cx, "auth") {
        if name.0 == "off" {
            let reason = "`auth = \"off\"` lets everybody in: choose another name";
            cx.bad_word("auth", &name, reason);
        }
        let pass = fields.table(cx, "pass");
        let or_from = or_from(cx, &fields);
        let user_field = pass.text_or_off(cx, "user");
        let user_field = user_field.and_then(|word| field_name(cx, "user", &word));
        // What was refused still has its name, so that it is not missed elsewhere; it asks for nothing
        // that could be missed.
        let proof = proof(cx, upstreams, (&name, &fields)).unwrap_or(Proof::Basic {
            realm: String::new(),
            users: PathBuf::new(),
            pass_on: false,
        });
        found.push(Auth {
            name: name.0,
            proof,
            user_field,
            or_from,
        });
    }
    found
}

/// The one way; `None` = it was refused.
fn proof(
    cx: &mut Lower<'_>,
    upstreams: &mut Vec<Upstream>,
    (name, fields): (&Word, &Fields<'_>),
) -> Option<Proof> {
    let given: Vec<&str> = ["basic", "forward", "mtls"]
        .into_iter()
        .filter(|way| fields.has(way))
        .collect();
    match given[..] {
        [way] => {
            let table = fields.table(cx, way);
            match way {
                "basic" => basic(cx, &table),
                "forward" => forward(cx, upstreams, &table),
                _ => Some(certificate(cx, &table)),
            }
        }
        [] => {
            let message = format!(
                "auth `{}` does not say how users prove who they are",
                name.0
            );
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            fields.missing(
                cx,
                diagnostic.help("basic = { users = \"users.htpasswd\" }"),
            );
            None
        }
        [first, second, ..] => {
            let message = format!("auth `{}` has `{first}` and `{second}`: it has one", name.0);
            let diagnostic = Diagnostic::error("two-ways", fields.place(second), message);
            let help = "make two tables, and name both where either lets in: auth = [\"a\", \"b\"]";
            cx.report(diagnostic.also(fields.place(first), "this").help(help));
            None
        }
    }
}

fn basic(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<Proof> {
    let realm = fields.text_or_default(cx, "realm");
    if !is_field_value(&realm.0) {
        cx.bad_word("realm", &realm, "expected printable ASCII");
    }
    let pass_on = fields.flag(cx, "pass_on");
    let users = fields.path(cx, "users");
    if !fields.has("users") && fields.table.is_some() {
        let diagnostic = Diagnostic::error("missing-key", fields.span, "`basic` has no `users`");
        let help = "basic = { users = \"users.htpasswd\" }: a line for each user, made with \
                    `quaich hash-password USER`";
        fields.missing(cx, diagnostic.help(help));
    }
    Some(Proof::Basic {
        realm: realm.0,
        users: users?,
        pass_on,
    })
}

fn certificate(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Proof {
    let user = match fields.word(cx, "user").as_str() {
        "subject" => CertificateName::Subject,
        "san-email" => CertificateName::Email,
        "san-dns" => CertificateName::Dns,
        _ => CertificateName::Common,
    };
    let allow = fields.texts(cx, "allow");
    if allow.as_ref().is_some_and(Vec::is_empty) {
        let message = "`allow` is empty: nobody could come in";
        let diagnostic = Diagnostic::error("bad-value", fields.place("allow"), message);
        cx.report(diagnostic.help("without `allow` every good certificate lets in"));
    }
    let allow = allow.unwrap_or_default();
    Proof::Certificate {
        user,
        allow: allow.into_iter().map(|word| word.0).collect(),
    }
}

fn forward(
    cx: &mut Lower<'_>,
    upstreams: &mut Vec<Upstream>,
    fields: &Fields<'_>,
) -> Option<Proof> {
    let method = match fields.word(cx, "method").as_str() {
        "original" => None,
        name => Some(name.to_owned()),
    };
    let timeout = fields.time(cx, "timeout");
    let cookies = fields.flag(cx, "cookies");
    let copy = fields.texts(cx, "copy").unwrap_or_default();
    let copy = copy.iter().filter_map(|word| field_name(cx, "copy", word));
    let copy = copy.collect();
    let user_from = fields.text(cx, "user_from");
    let user_from = user_from.and_then(|word| field_name(cx, "user_from", &word));
    let (upstream, host, path) = server(cx, upstreams, fields)?;
    Some(Proof::Forward(Box::new(ForwardAuth {
        upstream,
        path,
        host,
        method,
        timeout,
        copy,
        user_from,
        cookies,
    })))
}

/// Who is asked: index of the upstream, `Host`, and path with query.
fn server(
    cx: &mut Lower<'_>,
    upstreams: &mut Vec<Upstream>,
    fields: &Fields<'_>,
) -> Option<(usize, Option<String>, String)> {
    if fields.has("url") && fields.has("upstream") {
        let message = "`forward` has `url` and `upstream`: it has one";
        let diagnostic = Diagnostic::error("two-ways", fields.place("upstream"), message);
        cx.report(diagnostic.also(fields.place("url"), "this"));
        return None;
    }
    if let Some(url) = fields.text(cx, "url") {
        return by_url(cx, upstreams, &url);
    }
    let path = fields.text_or_default(cx, "path");
    if !is_target(&path.0) {
        cx.bad_word("path", &path, "expected a path such as \"/verify\"");
    }
    let Some(word) = fields.text(cx, "upstream") else {
        if !fields.has("url") && !fields.has("upstream") && fields.table.is_some() {
            let message = "`forward` does not say which server is asked";
            let diagnostic = Diagnostic::error("missing-key", fields.span, message);
            let help = "forward = { url = \"http://127.0.0.1:9091/verify\" }";
            fields.missing(cx, diagnostic.help(help));
        }
        return None;
    };
    let named = upstreams.iter().filter(|u| !u.name.contains([':', '/']));
    let defined: Vec<&str> = named.map(|upstream| upstream.name.as_str()).collect();
    let index = defined.iter().position(|name| *name == word.0);
    let Some(index) = index else {
        let what = ("upstream", word.0.as_str());
        cx.report(unknown::reference(
            "undefined-upstream",
            what,
            word.1,
            &defined,
        ));
        return None;
    };
    speaks_http(cx, upstreams, (index, "upstream", &word)).then_some((index, None, path.0))
}

fn by_url(
    cx: &mut Lower<'_>,
    upstreams: &mut Vec<Upstream>,
    url: &Word,
) -> Option<(usize, Option<String>, String)> {
    let Some((scheme, rest)) = url.0.split_once("://") else {
        let reason = "expected a URL such as \"http://127.0.0.1:9091/verify\"; for a unix socket \
                      use `upstream` and `path`";
        cx.bad_word("url", url, reason);
        return None;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let server = (format!("{scheme}://{authority}"), url.1);
    if let Err(reason) = addr::server(&server.0, &cx.directory(url.1)) {
        cx.bad_word("url", url, reason);
        return None;
    }
    if !is_target(&path) {
        cx.bad_word(
            "url",
            url,
            "expected printable ASCII without blanks and `#`",
        );
    }
    let index = upstream::from_url(cx, upstreams, &server)?;
    let host = authority.to_owned();
    speaks_http(cx, upstreams, (index, "url", url)).then_some((index, Some(host), path))
}

/// Path and query as they may stand in a request line.
fn is_target(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn speaks_http(
    cx: &mut Lower<'_>,
    upstreams: &[Upstream],
    (index, key, word): (usize, &str, &Word),
) -> bool {
    let servers = upstreams.get(index).map(|upstream| &upstream.servers[..]);
    let http = |protocol| matches!(protocol, UpstreamProtocol::Http | UpstreamProtocol::H2c);
    let all = servers.unwrap_or_default().iter().all(|s| http(s.protocol));
    if !all {
        cx.bad_word(key, word, "expected a server that speaks HTTP");
    }
    all
}

/// The name of a request field that quaich may set.
fn field_name(cx: &mut Lower<'_>, key: &str, word: &Word) -> Option<String> {
    /// Those that belong to the connection or to the message, and those that quaich writes itself.
    const OTHERS: [&str; 11] = [
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    let name = word.0.to_ascii_lowercase();
    let reason = if word.0.contains('_') {
        format!("write \"{}\": no field has `_`", word.0.replace('_', "-"))
    } else if !is_token(&word.0) {
        "expected the name of a field".to_owned()
    } else if OTHERS.contains(&&*name) || is_of_forwarding(&name) {
        "this field says something else of the request".to_owned()
    } else {
        return Some(word.0.clone());
    };
    cx.bad_word(key, word, reason);
    None
}

fn is_of_forwarding(name: &str) -> bool {
    let kind = name.strip_prefix("x-forwarded-");
    kind.is_some_and(|kind| matches!(kind, "for" | "proto" | "host" | "port" | "prefix"))
}

fn or_from(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<Network> {
    let words = fields.texts(cx, "or_from").unwrap_or_default();
    let read = |word: &Word| match addr::network(&word.0) {
        Ok(network) => Some(network),
        Err(reason) => {
            cx.bad_word("or_from", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

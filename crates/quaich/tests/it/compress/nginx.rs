//! The decision of quaich beside that of nginx, over the same origin, with the same settings. Where
//! they differ on purpose, the reason stands in the case; a difference that is gone is a failure too.

use quaich_testkit::{Origin, OriginRequest, Quaich, RawClient, Response, TempSite};

use super::text;
use crate::peers;

/// What is asked and what the origin answers.
struct Case {
    method: &'static str,
    version: &'static str,
    /// `/STATUS/TYPE/SIZE?FIELD` with `:` for a slash in the type.
    target: String,
    fields: String,
    /// Why quaich decides otherwise; empty = it does not.
    differs: &'static str,
}

const HTML: &str = "text:html";

fn case(target: String, fields: &str) -> Case {
    Case {
        method: "GET",
        version: "1.1",
        target,
        fields: fields.into(),
        differs: "",
    }
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

/// By `Accept-Encoding`.
fn accepting() -> impl Iterator<Item = Case> {
    let cases = [
        ("gzip", ""),
        ("gzip, deflate, br", ""),
        ("deflate, gzip", ""),
        ("gzip;q=1.0", ""),
        ("gzip;q=0.001", ""),
        ("gzip; q=0.5", ""),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("GZIP", ""),
        ("identity", ""),
        ("deflate, br", ""),
        ("gzipx", ""),
        ("", ""),
        ("*", "RFC 9110 12.5.3: `*` is any coding"),
        ("x-gzip", "RFC 9110 8.4.1.3: x-gzip is gzip"),
        (
            "identity, gzip;q=0.5",
            "the client likes the body as it is better",
        ),
    ];
    cases.into_iter().map(|(accepts, differs)| Case {
        differs,
        ..case(
            format!("/200/{HTML}/5000"),
            &format!("Accept-Encoding: {accepts}\r\n"),
        )
    })
}

/// By what the answer is.
fn answering() -> impl Iterator<Item = Case> {
    let types = [
        "text:html",
        "text:plain",
        "application:json",
        "TEXT:HTML",
        "image:png",
        "text:css",
    ];
    let types = types
        .into_iter()
        .map(|kind| case(format!("/200/{kind}/5000"), GZIP));
    let sizes = [0, 1, 19, 20, 21, 1000, 100_000, 1_500_000];
    let sizes = sizes
        .into_iter()
        .map(|size| case(format!("/200/{HTML}/{size}"), GZIP));
    let all = "error bodies are compressed as others";
    let statuses = [
        (200, ""),
        (201, all),
        (203, all),
        (204, ""),
        (206, ""),
        (304, ""),
        (400, all),
        (401, all),
        (403, ""),
        (404, ""),
        (410, all),
        (500, all),
        (503, all),
    ];
    let statuses = statuses.into_iter().map(|(status, differs)| Case {
        differs,
        ..case(format!("/{status}/{HTML}/5000"), GZIP)
    });
    types.chain(sizes).chain(statuses)
}

/// By other fields of both.
fn fields() -> impl Iterator<Item = Case> {
    let of_the_answer = [
        ("Content-Encoding:_gzip", ""),
        ("Content-Encoding:_br", ""),
        ("Cache-Control:_no-cache", ""),
        ("Cache-Control:_private,_max-age=0", ""),
        ("Cache-Control:_no-transform", "RFC 9111 5.2.2.6"),
        ("ETag:_\"a\"", ""),
        ("ETag:_W/\"a\"", ""),
        ("Vary:_Cookie", ""),
        ("Set-Cookie:_a=1", ""),
        ("Accept-Ranges:_bytes", ""),
        ("Last-Modified:_Sun,_06_Nov_1994_08:49:37_GMT", ""),
    ];
    let of_the_answer = of_the_answer.into_iter().map(|(field, differs)| Case {
        differs,
        ..case(format!("/200/{HTML}/5000?{field}"), GZIP)
    });
    let of_the_request = [
        ("Via: 1.1 x\r\n", ""),
        ("Cookie: a=1\r\n", ""),
        ("Authorization: Basic eDp5\r\n", ""),
        ("If-None-Match: \"b\"\r\n", ""),
        ("Cache-Control: no-cache\r\n", ""),
        ("TE: trailers\r\n", ""),
        (
            "Range: bytes=0-9\r\n",
            "parts are counted in the body as it is",
        ),
    ];
    let of_the_request = of_the_request.into_iter().map(|(field, differs)| Case {
        differs,
        ..case(format!("/200/{HTML}/5000"), &format!("{GZIP}{field}"))
    });
    of_the_answer.chain(of_the_request)
}

/// By method and version.
fn kinds() -> impl Iterator<Item = Case> {
    let kinds = [
        ("POST", "1.1", ""),
        ("OPTIONS", "1.1", ""),
        ("HEAD", "1.1", ""),
        ("GET", "1.0", ""),
    ];
    kinds.into_iter().map(|(method, version, differs)| Case {
        method,
        version,
        differs,
        ..case(format!("/200/{HTML}/5000"), GZIP)
    })
}

fn answer(request: &OriginRequest) -> Vec<u8> {
    let (path, field) = request
        .target()
        .split_once('?')
        .unwrap_or((request.target(), "X-A:_b"));
    let mut parts = path.split('/').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (status, kind) = (part(), part().replace(':', "/"));
    let body = text_of(part().parse().unwrap_or(0));
    let field = field.replace('_', " ");
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{field}\r\n");
    match status {
        "204" | "304" => format!("{head}\r\n").into_bytes(),
        _ => {
            let length = body.len();
            let body = if request.method() == "HEAD" {
                ""
            } else {
                &body
            };
            format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
        }
    }
}

/// Exactly this long.
fn text_of(size: usize) -> String {
    let mut text = text(size);
    text.truncate(size);
    text
}

fn ask(mut client: RawClient, case: &Case) -> Response {
    let Case {
        method,
        version,
        target,
        fields,
        ..
    } = case;
    let length = if *method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    client.send(format!(
        "{method} {target} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{fields}{length}\r\n"
    ));
    client.response_to(method)
}

#[test]
fn decides_as_nginx_does_but_where_there_is_a_reason() {
    let origin = Origin::answering(answer);
    let folder = TempSite::new();
    let pass = format!(
        "location / {{ proxy_pass {}; proxy_http_version 1.1; gzip on; gzip_min_length 20; gzip_proxied any; \
         gzip_http_version 1.0; gzip_vary on; gzip_types text/plain application/json; }}",
        origin.url()
    );
    let Some(_nginx) = peers::nginx(&folder, &pass) else {
        return;
    };
    let toml = format!(
        "[site.main]\nproxy = \"{}\"\ncompress = {{ codings = [\"gzip\"], min = \"20B\", \
         types = [\"text/html\", \"text/plain\", \"application/json\"] }}\n",
        origin.url()
    );
    let quaich = Quaich::serve(TempSite::new(), &toml);
    let cases: Vec<Case> = accepting()
        .chain(answering())
        .chain(fields())
        .chain(kinds())
        .collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let theirs = ask(RawClient::connect_unix(&folder.join("nginx.sock")), case);
        let ours = ask(quaich.raw(), case);
        let shown = format!("{} {} {:?}", case.method, case.target, case.fields);
        assert_eq!(ours.status, theirs.status, "{shown}");
        let coding = |answer: &Response| answer.header("content-encoding").map(str::to_owned);
        let same = coding(&ours) == coding(&theirs);
        if same != case.differs.is_empty() {
            wrong.push(format!(
                "{shown}: {:?}, nginx {:?}",
                coding(&ours),
                coding(&theirs)
            ));
        }
        if same && ours.header("etag") != theirs.header("etag") {
            wrong.push(format!("{shown}: {:?}, nginx {:?}", ours.head, theirs.head));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

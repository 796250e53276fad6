//! One line of each format, and what a hostile request does to it.

use std::net::IpAddr;

use proptest::prelude::*;
use quaich_proto::headers::Headers;

use super::super::record::Timings;
use super::*;

fn headers() -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("Host", "shop.example"),
        ("User-Agent", "curl/8.7 \"x\""),
        ("Referer", "https://a.example/ü"),
        ("X-Tenant", "blue"),
    ] {
        headers
            .push(name.as_bytes(), value.as_bytes())
            .expect("valid field");
    }
    headers
}

fn record(headers: &Headers) -> Record<'_> {
    Record {
        client: Some(IpAddr::from([192, 0, 2, 7])),
        remote_user: None,
        unix_millis: 1_785_229_503_123,
        method: b"GET",
        target: b"/a?b=c",
        protocol: "HTTP/1.1",
        scheme: "http",
        status: 200,
        body_bytes: 1234,
        sent_bytes: 1400,
        received_bytes: 0,
        host: b"shop.example",
        headers,
        timings: Timings {
            header: Some(15),
            queue: Some(7),
            total: 12_345,
            ..Timings::default()
        },
        request_id: b"0af7651916cd43dd8448eb211c80319c",
        site: "shop",
        route: "quaich.toml:12",
        app: "shop",
        upstream: "",
        server: "shop.1",
        outcome: "",
        connection: 9,
        connection_request: 2,
        retries: 0,
    }
}

fn line(format: &model::AccessFormat, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    let format = Format::new(format, false).expect("valid format");
    format.append(&mut out, record, &mut Timestamp::default());
    String::from_utf8(out).expect("UTF-8")
}

fn template(text: &str) -> model::AccessFormat {
    model::AccessFormat::Template(text.to_owned())
}

#[test]
fn common_and_combined_are_what_log_analysers_know() {
    let headers = headers();
    let record = record(&headers);
    let common = r#"192.0.2.7 - - [28/Jul/2026:09:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 1234"#;
    assert_eq!(
        line(&model::AccessFormat::Common, &record),
        format!("{common}\n")
    );
    let agent = r#""https://a.example/\xc3\xbc" "curl/8.7 \"x\"""#;
    assert_eq!(
        line(&model::AccessFormat::Combined, &record),
        format!("{common} {agent}\n")
    );
}

#[test]
fn json_has_the_documented_members() {
    let headers = headers();
    let mut record = record(&headers);
    let expected = concat!(
        r#"{"time":"2026-07-28T09:05:03.123Z","client":"192.0.2.7","method":"GET","#,
        r#""scheme":"http","host":"shop.example","target":"/a?b=c","protocol":"HTTP/1.1","#,
        r#""status":200,"bytes":1234,"sent_bytes":1400,"received_bytes":0,"#,
        r#""duration_ms":12.345,"header_ms":0.015,"queue_ms":0.007,"site":"shop","#,
        r#""route":"quaich.toml:12","app":"shop","server":"shop.1","#,
        r#""referer":"https://a.example/ü","user_agent":"curl/8.7 \"x\"","#,
        r#""request_id":"0af7651916cd43dd8448eb211c80319c","connection":9,"#,
        r#""connection_request":2}"#,
        "\n",
    );
    assert_eq!(line(&model::AccessFormat::Json, &record), expected);

    record.remote_user = Some(b"ann");
    record.app = "";
    record.upstream = "wiki";
    record.server = "10.0.0.1:80";
    record.retries = 1;
    record.outcome = "client_gone";
    record.timings.connect = Some(1);
    record.timings.first_byte = Some(2);
    let json: serde_json::Value =
        serde_json::from_str(&line(&model::AccessFormat::Json, &record)).expect("JSON");
    for (name, value) in [
        ("user", "ann"),
        ("upstream", "wiki"),
        ("server", "10.0.0.1:80"),
        ("outcome", "client_gone"),
    ] {
        assert_eq!(json[name], value);
    }
    assert_eq!(
        (&json["retries"], &json["connect_ms"]),
        (&1.into(), &0.001.into())
    );
    assert_eq!(json.get("app"), None);
}

#[test]
fn pretty_lines_are_aligned() {
    let headers = headers();
    let mut record = record(&headers);
    let pretty = model::AccessFormat::Pretty;
    assert_eq!(
        line(&pretty, &record),
        "09:05:03Z 200  12.3ms    1.2KiB  GET /a?b=c  shop.1\n"
    );
    record.timings.total = 850;
    record.body_bytes = 3 << 30;
    record.status = 502;
    record.outcome = "upstream_died";
    record.server = "";
    record.target = "/ü\x1b".as_bytes();
    assert_eq!(
        line(&pretty, &record),
        "09:05:03Z 502   850us    3.0GiB  GET /ü\\x1b  upstream_died\n"
    );
    let mut coloured = Vec::new();
    let format = Format::Pretty { colour: true };
    format.append(&mut coloured, &record, &mut Timestamp::default());
    assert!(coloured.starts_with(b"\x1b[2m09:05:03Z\x1b[0m \x1b[31m502\x1b[0m "));
}

#[test]
fn every_placeholder_compiles_and_shows_something() {
    let headers = headers();
    for (name, ..) in PLACEHOLDERS {
        let shown = line(&template(&format!("<{{{name}}}>")), &record(&headers));
        assert!(shown.len() > "<>\n".len(), "{name}");
    }
    assert!(
        PLACEHOLDERS.is_sorted_by_key(|(name, ..)| *name),
        "sorted for people"
    );
}

#[test]
fn the_manual_names_every_placeholder_and_every_json_member() {
    let manual = include_str!("../../../../docs/reference/access-log.md");
    for (name, _, meaning) in PLACEHOLDERS {
        let row = format!("| `{name}` | {meaning} |");
        assert!(manual.contains(&row), "missing: {row}");
    }
    let headers = headers();
    let mut record = record(&headers);
    (record.upstream, record.outcome, record.retries) = ("u", "client_gone", 1);
    (record.timings.connect, record.timings.first_byte) = (Some(1), Some(1));
    record.remote_user = Some(b"ann");
    let json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&line(&model::AccessFormat::Json, &record)).expect("JSON");
    for name in json.keys() {
        assert!(manual.contains(&format!("| `{name}` |")), "missing: {name}");
    }
}

#[test]
fn templates_have_text_braces_and_header_fields() {
    let headers = headers();
    let record = record(&headers);
    let shown = line(
        &template("{{{status}}} {header.x-tenant} {header.X-None} ü"),
        &record,
    );
    assert_eq!(shown, "{200} blue - ü\n");
}

#[test]
fn a_wrong_template_is_refused_with_its_place() {
    for (text, error) in [
        ("{status", TemplateError::Unclosed(0)),
        ("a}", TemplateError::Unopened(1)),
        (
            "a{stat}",
            TemplateError::Unknown {
                name: "stat".to_owned(),
                at: 2,
            },
        ),
        (
            "{}",
            TemplateError::Unknown {
                name: String::new(),
                at: 1,
            },
        ),
        (
            "{header.}",
            TemplateError::Unknown {
                name: "header.".to_owned(),
                at: 1,
            },
        ),
    ] {
        assert_eq!(compile(text), Err(error), "{text}");
    }
}

#[test]
fn a_user_name_with_spaces_stays_one_field() {
    let headers = headers();
    let mut record = record(&headers);
    record.remote_user = Some(b"a - [x] b");
    let shown = line(&template("{user}|"), &record);
    assert_eq!(shown, "a\\x20-\\x20[x]\\x20b|\n");
}

proptest! {
    #[test]
    fn any_request_is_one_line_without_controls(
        target: Vec<u8>, host: Vec<u8>, user: Vec<u8>, agent in "[ -~\\t\\u{80}-\\u{fff}]*",
    ) {
        let mut headers = Headers::new();
        headers.push(b"User-Agent", agent.trim().as_bytes()).expect("valid field");
        let mut record = record(&headers);
        (record.target, record.host) = (&target, &host);
        record.remote_user = Some(&user);
        for format in [
            model::AccessFormat::Common,
            model::AccessFormat::Combined,
            model::AccessFormat::Json,
            template("{host} {header.user-agent}"),
        ] {
            let shown = line(&format, &record);
            let body = shown.strip_suffix('\n').expect("a line end");
            prop_assert!(!body.chars().any(char::is_control), "{:?}", body);
        }
        let json = line(&model::AccessFormat::Json, &record);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn any_template_compiles_or_is_refused(text: String) {
        let _ = compile(&text);
    }
}

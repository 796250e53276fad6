//! The corpus of HTTP/1 requests that is quaich-proto's, through the whole program: what must be
//! refused is refused, whole and byte by byte, and no request of it ever reaches an upstream.

use std::path::Path;

use quaich_testkit::{Origin, OriginRequest, Quaich, RawClient, TempSite};

/// One entry of the corpus.
struct Entry {
    id: String,
    bytes: Vec<u8>,
    expected: Expected,
}

enum Expected {
    /// This status and the end of the connection.
    Refused(u16),
    /// Method, path in its normal form, body; `alone` when no other request follows.
    Passed {
        method: String,
        path: String,
        body: Vec<u8>,
        alone: bool,
    },
}

fn corpus() -> Vec<Entry> {
    let file = "../quaich-proto/tests/data/requests.txt";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    text.split("\n[").skip(1).map(entry).collect()
}

/// One record: `ID] what`, `expect ...`, then lines of bytes behind `| `.
fn entry(record: &str) -> Entry {
    let id = record.split(']').next().expect("an id").to_string();
    let expected = record.lines().find_map(|line| line.strip_prefix("expect "));
    let expected = expected.expect("what is expected");
    let pieces = record.lines().filter_map(|line| line.strip_prefix("| "));
    let bytes = pieces.flat_map(unescape).collect();
    let expected = match expected.parse() {
        Ok(status) => Expected::Refused(status),
        Err(_) => passed(expected),
    };
    Entry {
        id,
        bytes,
        expected,
    }
}

/// `METHOD PATH body="..." rest=N ...`
fn passed(text: &str) -> Expected {
    let mut words = text.split(' ');
    let method = words.next().expect("a method").to_string();
    let path = words.next().expect("a path").to_string();
    let body = text
        .split("body=\"")
        .nth(1)
        .and_then(|rest| rest.split("\" rest=").next());
    let alone = text.contains(" rest=0 ");
    Expected::Passed {
        method,
        path,
        body: unescape(body.unwrap_or_default()),
        alone,
    }
}

/// `\r \n \t \0 \\ \" \xHH` and `\{64*a}`, a run of one byte.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let taken = match escape.as_bytes()[0] {
            b'r' => one(&mut bytes, b'\r'),
            b'n' => one(&mut bytes, b'\n'),
            b't' => one(&mut bytes, b'\t'),
            b'0' => one(&mut bytes, 0),
            b'x' => {
                bytes.push(u8::from_str_radix(&escape[1..3], 16).expect("two hex digits"));
                3
            }
            b'{' => {
                let (run, _) = escape[1..].split_once('}').expect("the end of a run");
                let (count, byte) = run.split_once('*').expect("COUNT*BYTE");
                let count: usize = count.parse().expect("a count");
                bytes.extend(std::iter::repeat_n(byte.as_bytes()[0], count));
                run.len() + 2
            }
            other => one(&mut bytes, other),
        };
        rest = &escape[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn one(bytes: &mut Vec<u8>, byte: u8) -> usize {
    bytes.push(byte);
    1
}

/// Sends every entry that must be refused, and looks at what the upstream received.
fn refuse_all(choose: impl Fn(&Entry) -> bool, send: impl Fn(&mut RawClient, &[u8])) -> usize {
    let origin = Origin::ok();
    let quaich = in_front_of(&origin);
    let mut count = 0;
    for entry in corpus().iter().filter(|entry| choose(entry)) {
        let Expected::Refused(status) = entry.expected else {
            continue;
        };
        let before = origin.raw().len();
        let mut client = quaich.raw();
        send(&mut client, &entry.bytes);
        let response = client.response();
        assert_eq!(response.status, status, "{}: {}", entry.id, response.head);
        assert_eq!(client.rest(), b"", "{}: more than one answer", entry.id);
        let more = origin.raw().split_off(before);
        let shown = String::from_utf8_lossy(&more);
        assert!(more.is_empty(), "{}: {shown:?}", entry.id);
        count += 1;
    }
    let whole: Vec<OriginRequest> = origin
        .requests()
        .into_iter()
        .filter(|r| r.complete)
        .collect();
    assert!(whole.is_empty(), "requests reached the upstream: {whole:?}");
    count
}

fn in_front_of(origin: &Origin) -> Quaich {
    // HTTP/1 alone: the preface of HTTP/2 is in the corpus.
    let toml = format!(
        "[admin]\nlisten = \"unix:quaich.sock\"\n[server]\nthreads = 1\n\
         [[server.listener]]\naddr = \"127.0.0.1:0\"\nprotocols = \"h1\"\n\
         [site.main]\nproxy = \"{}\"\n",
        origin.url()
    );
    Quaich::serve_exactly(TempSite::new(), &toml)
}

#[test]
fn what_must_be_refused_is_refused() {
    let count = refuse_all(
        |_| true,
        |client, bytes| {
            client.send(bytes);
        },
    );
    assert!(count >= 54, "only {count} entries");
}

#[test]
fn what_must_be_refused_is_refused_one_byte_at_a_time() {
    // The large ones are about size, not about where they are split.
    let small = |entry: &Entry| entry.bytes.len() < 2000;
    refuse_all(small, |client, bytes| {
        client.send_bytewise(bytes);
    });
}

#[test]
fn what_has_one_meaning_is_passed_on_with_it() {
    let origin = Origin::ok();
    let quaich = in_front_of(&origin);
    for entry in corpus() {
        let Expected::Passed {
            method,
            path,
            body,
            alone,
        } = &entry.expected
        else {
            continue;
        };
        if path == "*" || !alone {
            continue;
        }
        let before = origin.requests().len();
        let mut client = quaich.raw();
        client.send(&entry.bytes);
        client.response_to(method).expect_status(200);
        let request = origin.wait_for_requests(before + 1);
        assert_eq!(request.method(), method, "{}", entry.id);
        assert_eq!(
            request.target().split('?').next(),
            Some(path.as_str()),
            "{}",
            entry.id
        );
        assert_eq!(&request.body, body, "{}", entry.id);
        assert_eq!(
            origin.requests().len(),
            before + 1,
            "{}: one request only",
            entry.id
        );
    }
}

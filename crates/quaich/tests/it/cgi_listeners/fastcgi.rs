//! Listeners with FastCGI: records, and connections that carry one request after the other.

use std::time::Duration;

use quaich_testkit::{Origin, RawClient, TempSite};

use super::{direct, serve};

/// A record of FastCGI.
pub(super) fn record(kind: u8, id: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    let mut record = vec![1, kind, 0, id, high, low, 0, 0];
    record.extend(content);
    record
}

/// Longer than a connection keeps its memory while nothing comes.
const REST: Duration = Duration::from_millis(1200);

/// The records that begin a request to `target` on a connection that is to stay.
pub(super) fn begin(id: u8, target: &str) -> Vec<u8> {
    begin_with(id, target, &[])
}

fn begin_with(id: u8, target: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut params = Vec::new();
    let common = [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", target),
        ("HTTP_HOST", "a"),
    ];
    for (name, value) in common.iter().chain(more) {
        params.extend([name.len() as u8, value.len() as u8]);
        params.extend(name.as_bytes());
        params.extend(value.as_bytes());
    }
    let begin = record(1, id, &[0, 1, 1, 0, 0, 0, 0, 0]);
    [begin, record(4, id, &params), record(4, id, b"")].concat()
}

/// Reads a record: kind, id, content.
fn read(client: &mut RawClient) -> (u8, u8, Vec<u8>) {
    let head = client.exactly(8);
    let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let content = client.exactly(length + usize::from(head[6]));
    (head[1], head[3], content[..length].to_vec())
}

/// Reads records to the end of a request; what its STDOUT was.
fn answer(client: &mut RawClient, id: u8) -> String {
    let mut out = Vec::new();
    loop {
        match read(client) {
            (6, of, content) if of == id => out.extend(content),
            (3, of, content) if of == id => {
                assert_eq!(content, [0; 8]);
                return String::from_utf8_lossy(&out).into_owned();
            }
            other => panic!("{other:?} in the answer to {id}"),
        }
    }
}

#[test]
fn fastcgi_requests_follow_each_other_on_one_connection() {
    let origin = Origin::ok();
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = serve(TempSite::new(), "fastcgi", &site);
    let mut client = direct(&quaich);
    client.send(record(9, 0, b"\x0f\0FCGI_MPXS_CONNS"));
    assert_eq!(
        read(&mut client),
        (10, 0, b"\x0f\x01FCGI_MPXS_CONNS0".to_vec())
    );
    client.send(record(77, 0, b""));
    assert_eq!(read(&mut client), (11, 0, vec![77, 0, 0, 0, 0, 0, 0, 0]));
    for id in [1, 7] {
        client.send(begin(id, "/x"));
        client.send(
            [
                record(5, id, b"he"),
                record(5, id, b"llo"),
                record(5, id, b""),
            ]
            .concat(),
        );
        let answer = answer(&mut client, id);
        assert!(answer.starts_with("Status: 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    assert_eq!(origin.wait_for_requests(2).body, b"hello");
    // Another one while the first still sends its body.
    client.send(begin(1, "/y"));
    client.send(record(5, 1, b"first"));
    client.send(record(1, 2, &[0, 1, 1, 0, 0, 0, 0, 0]));
    client.send(record(5, 1, b""));
    assert_eq!(read(&mut client), (3, 2, vec![0, 0, 0, 0, 1, 0, 0, 0]));
    let _ = answer(&mut client, 1);
    assert_eq!(origin.wait_for_requests(3).body, b"first");
    let status = quaich.status();
    assert_eq!(status["front"]["counters"]["accepted"], 1);
}

#[test]
fn a_rest_in_the_middle_of_a_record_changes_nothing() {
    let origin = Origin::ok();
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = serve(TempSite::new(), "fastcgi", &site);
    let request = [begin(1, "/x"), record(5, 1, b"")].concat();
    let mut clients: Vec<(RawClient, &[u8])> = [1, 7, 8, 9, 15, 16, 20, 30]
        .map(|at| {
            let mut client = direct(&quaich);
            client.send(&request[..at]);
            (client, &request[at..])
        })
        .into();
    // The end of the body comes long after the answer: its length was known.
    let mut late = direct(&quaich);
    let mut with_length = begin_with(1, "/late", &[("CONTENT_LENGTH", "3")]);
    with_length.extend(record(5, 1, b"abc"));
    late.send(with_length);
    assert!(answer(&mut late, 1).ends_with("\r\n\r\nok"));
    assert!(!late.answered_within(REST), "nothing is said about that");
    late.send([record(5, 1, b""), begin(2, "/next"), record(5, 2, b"")].concat());
    assert!(answer(&mut late, 2).ends_with("\r\n\r\nok"));
    for (client, rest) in &mut clients {
        client.send(*rest);
        assert!(answer(client, 1).ends_with("\r\n\r\nok"));
    }
}

#[test]
fn a_fastcgi_request_that_is_given_up_is_given_up_behind_too() {
    let origin = Origin::start(|talk| {
        talk.request();
        while !talk.read().is_empty() {}
    });
    let site = format!("[site.main]\nproxy = \"{}\"\n", origin.url());
    let quaich = serve(TempSite::new(), "fastcgi", &site);
    let mut client = direct(&quaich);
    client.send([begin(1, "/slow"), record(5, 1, b"")].concat());
    origin.wait_for_requests(1);
    client.send(record(2, 1, b""));
    origin.wait_for_ends(1);
    client.rest();
    quaich.log().wait_for("499");
}

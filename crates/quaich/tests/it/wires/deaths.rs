//! Servers that die again and again in the middle of their answers, wherever that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaich_testkit::{End, Origin, Quaich, RawClient, TempSite};

use super::scripted::{fastcgi_answer, record, server, url};

/// Deaths over each of the five kinds of answers.
const DEATHS: usize = 2_000;

const BODY: &[u8] = &[b'x'; 700];

/// A number that looks random, the same in each run.
fn next(seed: &AtomicU64) -> usize {
    let step = |old: u64| {
        old.wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
    };
    let old = seed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| Some(step(old)));
    (step(old.unwrap_or_default()) >> 33) as usize
}

/// How much of an answer of `length` bytes is sent, and how the connection then ends. One of sixteen
/// answers is whole, and its connection stays.
fn fate(seed: &AtomicU64, length: usize) -> (usize, End) {
    match next(seed) % 16 {
        0 => (length, End::Keep),
        odd if odd % 2 == 1 => (next(seed) % length, End::Reset),
        _ => (next(seed) % length, End::Fin),
    }
}

fn dying_origin(scheme: &'static str, answer: Vec<u8>) -> Origin {
    let seed = Arc::new(AtomicU64::new(4_711));
    if scheme != "http" {
        return server(scheme, move |_| {
            let (length, end) = fate(&seed, answer.len());
            // These close, but for FastCGI.
            let end = match end {
                End::Keep if scheme != "fastcgi" => End::Fin,
                end => end,
            };
            (answer[..length].to_vec(), end)
        });
    }
    Origin::start(move |conversation| {
        while conversation.request().is_some() {
            let (length, end) = fate(&seed, answer.len());
            conversation.write(&answer[..length]);
            if end != End::Keep {
                return conversation.end(end);
            }
        }
    })
}

fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let with_length = |first: &str| {
        let head = format!("{first}\r\nContent-Length: {}\r\n\r\n", BODY.len());
        [head.as_bytes(), BODY].concat()
    };
    let (one, two) = BODY.split_at(100);
    let chunked = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n",
        one,
        b"\r\n258\r\n",
        two,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let records = [record(6, b"Status: 200 OK\r\n\r\n"), fastcgi_answer(BODY)].concat();
    vec![
        ("http", with_length("HTTP/1.1 200 OK")),
        ("http", chunked),
        ("uwsgi", with_length("HTTP/1.1 200 OK")),
        ("scgi", with_length("Status: 200 OK")),
        ("fastcgi", records),
    ]
}

#[test]
fn ten_thousand_deaths_never_look_like_an_answer() {
    for (scheme, answer) in answers() {
        let origin = dying_origin(scheme, answer);
        let toml = format!(
            "threads = 1\n[upstream.up]\nservers = [\"{}\"]\nretries = 0\npassive = false\n\
             [site.main]\nupstream = \"up\"\n",
            url(scheme, &origin)
        );
        let quaich = Quaich::serve(TempSite::new(), &toml);
        let (mut whole, mut cut, mut refused) = (0, 0, 0);
        let mut client: Option<RawClient> = None;
        for number in 0..DEATHS {
            let mut asking = client.take().unwrap_or_else(|| quaich.raw());
            asking.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            match asking.response_or_end() {
                Some(response) if response.complete && response.status == 200 => {
                    assert_eq!(response.body, BODY, "{scheme} {number}");
                    whole += 1;
                    client = Some(asking);
                }
                Some(response) if response.complete => {
                    assert_eq!(response.status, 502, "{scheme} {number}");
                    refused += 1;
                    client = Some(asking);
                }
                // Broken off visibly: before its head, or within its body.
                _ => cut += 1,
            }
        }
        assert!(
            whole > 0 && refused > 0,
            "{whole} whole, {cut} cut, {refused} refused"
        );
        // Uwsgi, SCGI and HTTP over a fresh connection: an answer whose last byte is missing is cut.
        assert!(whole < DEATHS / 8, "{scheme}: {whole} whole of {DEATHS}");
    }
}

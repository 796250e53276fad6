//! Streams that are compressed stay live: every event can be read before the next is written, over
//! every wire, to every client, in every coding.

use quaich_testkit::{Caller, Request};

use super::CODINGS;
use super::decode::{decode, whole};
use crate::streaming::{EVENTS, Stage, step};

/// Reads on until `expected` can be read.
#[track_caller]
fn read_until(caller: &mut Caller, coding: &str, expected: &str) {
    let mut coded = Vec::new();
    loop {
        let before = coded.len();
        coded = caller.body(before + 1);
        assert!(coded.len() > before, "it has ended before {expected:?}");
        let (plain, ended) = decode(coding, &coded);
        if plain == expected.as_bytes() {
            return;
        }
        assert!(!ended && plain.len() < expected.len(), "{plain:?}");
    }
}

#[test]
fn every_event_can_be_read_before_the_next_is_written() {
    let stage = Stage::new();
    stage.everywhere(|transport, wire| {
        for coding in CODINGS {
            let mut caller = transport.connect(stage.quaich.addr(), "test");
            let request = Request::get("/events").host(wire);
            caller.begin(&request.field("accept-encoding", coding));
            let mut waiting = stage.steps.arrived();
            let mut expected = String::new();
            for n in 0..EVENTS {
                expected.push_str(&format!("data: {n}\n\n"));
                read_until(&mut caller, coding, &expected);
                step(&mut waiting);
            }
            let answer = caller.answer();
            let shown = format!("{transport:?} {wire} {coding}");
            assert_eq!(answer.header("content-encoding"), Some(coding), "{shown}");
            assert!(answer.complete, "{shown}");
            assert_eq!(whole(coding, &answer.body), expected, "{shown}");
        }
    });
}

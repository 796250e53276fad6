//! Frames that cost much and say little, counted: a client that sends too many of them is not served
//! any longer. The `h2` crate bounds some; these are the others. Sans-I/O.
//!
//! | flood | bound |
//! |---|---|
//! | PING | 100 before one is answered, 1,000 a minute |
//! | SETTINGS | 50 a minute |
//! | PRIORITY, unknown frames | 1,000 a minute |
//! | RST_STREAM | 200 a minute |
//! | CONTINUATION | 8 of one header block |
//! | DATA without data | 100 a minute |
//! | header lists over the limit | 10 |
//!
//! Of the crate: resets of requests not begun (20), errors of streams (100), small DATA.

use h2::Reason;

use super::form::Form;
use super::frames::{Frame, Frames, kind};
use crate::clock::Millis;

const MINUTE: Millis = 60_000;

const PINGS_WAITING: u32 = 100;
const PINGS: u32 = 1_000;
const SETTINGS: u32 = 50;
const PRIORITIES: u32 = 1_000;
const RESETS: u32 = 200;
const CONTINUATIONS: u32 = 8;
const EMPTY_DATA: u32 = 100;
const OVERSIZE: u32 = 10;

/// `PROTOCOL_ERROR`
const PROTOCOL_ERROR: u32 = 1;

/// The octets before a client's first frame.
pub(super) const PREFACE: usize = 24;

/// What a client sent too much of; a word for the log.
pub(super) type Flood = &'static str;

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    /// Too much of something.
    Flood(Flood),
    /// Against a rule, with its error code.
    Rule(Reason),
}

impl Breach {
    /// What the client is told.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Flood(_) => Reason::ENHANCE_YOUR_CALM,
            Self::Rule(reason) => reason,
        }
    }
}

/// The counts of one connection.
#[derive(Debug)]
pub(super) struct Floods {
    received: Frames,
    sent: Frames,
    form: Form,
    minute: Millis,
    pings_waiting: u32,
    pings: u32,
    settings: u32,
    priorities: u32,
    resets: u32,
    continuations: u32,
    empty_data: u32,
    oversize: u32,
    /// The stream that was answered last with nothing but a head.
    answered: u32,
}

impl Floods {
    /// A connection whose preface is still to come.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            received: Frames::after(PREFACE),
            sent: Frames::default(),
            form: Form::new(),
            minute: now,
            pings_waiting: 0,
            pings: 0,
            settings: 0,
            priorities: 0,
            resets: 0,
            continuations: 0,
            empty_data: 0,
            oversize: 0,
            answered: 0,
        }
    }

    /// Counts and checks what came; why the connection is to be ended, if it is.
    pub(super) fn receive(&mut self, input: &[u8], now: Millis) -> Option<Breach> {
        if now.saturating_sub(self.minute) >= MINUTE {
            self.minute = now;
            for count in [
                &mut self.pings,
                &mut self.settings,
                &mut self.priorities,
                &mut self.resets,
                &mut self.empty_data,
            ] {
                *count = 0;
            }
        }
        let mut rest = input;
        while !rest.is_empty() {
            let payload = self.received.payload().min(rest.len());
            let payload = rest.get(..payload).unwrap_or_default();
            if let Some(reason) = self.form.payload(payload) {
                return Some(Breach::Rule(reason));
            }
            let (count, frame) = self.received.next(rest);
            if let Some(breach) = frame.and_then(|frame| self.judge(&frame)) {
                return Some(breach);
            }
            rest = rest.get(count..).unwrap_or_default();
        }
        None
    }

    fn judge(&mut self, frame: &Frame) -> Option<Breach> {
        let is_first = !self.form.has_begun();
        let broken = self.form.frame(frame).map(Breach::Rule);
        // The SETTINGS of the preface are no sign of anything.
        if is_first {
            return broken;
        }
        broken.or_else(|| self.count(frame).map(Breach::Flood))
    }

    fn count(&mut self, frame: &Frame) -> Option<Flood> {
        let over = |count: &mut u32, bound: u32| {
            *count += 1;
            *count > bound
        };
        match frame.kind {
            kind::DATA if frame.length == 0 && !frame.has_first_flag() => {
                over(&mut self.empty_data, EMPTY_DATA).then_some("empty_data")
            }
            kind::DATA => None,
            kind::HEADERS => {
                self.continuations = 0;
                None
            }
            kind::CONTINUATION => {
                over(&mut self.continuations, CONTINUATIONS).then_some("continuation")
            }
            kind::RST_STREAM => over(&mut self.resets, RESETS).then_some("reset"),
            kind::SETTINGS if !frame.has_first_flag() => {
                over(&mut self.settings, SETTINGS).then_some("settings")
            }
            kind::PING if !frame.has_first_flag() => {
                let waiting = over(&mut self.pings_waiting, PINGS_WAITING);
                (over(&mut self.pings, PINGS) || waiting).then_some("ping")
            }
            kind::PRIORITY => over(&mut self.priorities, PRIORITIES).then_some("priority"),
            unknown if unknown > kind::CONTINUATION => {
                over(&mut self.priorities, PRIORITIES).then_some("unknown_frame")
            }
            _ => None,
        }
    }

    /// Counts what we sent: the crate answers a header list over the limit with a head and a reset.
    pub(super) fn send(&mut self, output: &[u8]) -> Option<Flood> {
        let mut rest = output;
        let mut flood = None;
        while !rest.is_empty() {
            let (count, frame) = self.sent.next(rest);
            rest = rest.get(count..).unwrap_or_default();
            match frame {
                Some(frame) if frame.kind == kind::HEADERS && frame.has_first_flag() => {
                    self.answered = frame.stream;
                }
                Some(frame) if frame.kind == kind::RST_STREAM => {
                    if frame.code == PROTOCOL_ERROR && frame.stream == self.answered {
                        self.oversize += 1;
                    }
                    if self.oversize >= OVERSIZE {
                        flood = Some("header_list");
                    }
                }
                _ => {}
            }
        }
        flood
    }

    /// Everything that we had to say is with the kernel, answers to pings too.
    pub(super) fn flushed(&mut self) {
        self.pings_waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    }

    fn begun() -> Floods {
        let mut floods = Floods::new(0);
        assert_eq!(floods.receive(&[b'x'; PREFACE], 0), None);
        assert_eq!(floods.receive(&frame(4, 0, 0, &[]), 0), None);
        floods
    }

    /// How many such frames pass, and the word for the next one.
    fn passes(floods: &mut Floods, bytes: &[u8], now: Millis, flush: bool) -> (u32, Flood) {
        for count in 0..10_000 {
            match floods.receive(bytes, now) {
                Some(Breach::Flood(flood)) => return (count, flood),
                Some(Breach::Rule(reason)) => panic!("{reason}"),
                None => {}
            }
            if flush {
                floods.flushed();
            }
        }
        panic!("no bound")
    }

    #[test]
    fn each_kind_has_its_bound() {
        for (bytes, flush, expected) in [
            (frame(6, 0, 0, &[0; 8]), false, (100, "ping")),
            (frame(6, 0, 0, &[0; 8]), true, (1_000, "ping")),
            (frame(4, 0, 0, &[]), true, (50, "settings")),
            (frame(2, 0, 1, &[0; 5]), true, (1_000, "priority")),
            (frame(16, 0, 0, &[0; 5]), true, (1_000, "unknown_frame")),
            (frame(3, 0, 1, &[0; 4]), true, (200, "reset")),
            (frame(9, 0, 1, &[]), true, (8, "continuation")),
            (frame(0, 0, 1, &[]), true, (100, "empty_data")),
        ] {
            assert_eq!(passes(&mut begun(), &bytes, 0, flush), expected);
        }
    }

    #[test]
    fn answers_and_data_are_no_flood() {
        let mut floods = begun();
        for _ in 0..2_000 {
            assert_eq!(floods.receive(&frame(6, 1, 0, &[0; 8]), 0), None);
            assert_eq!(floods.receive(&frame(4, 1, 0, &[]), 0), None);
            assert_eq!(floods.receive(&frame(0, 0, 1, b"x"), 0), None);
            assert_eq!(floods.receive(&frame(8, 0, 1, &[0; 4]), 0), None);
        }
    }

    #[test]
    fn a_minute_later_all_begins_anew() {
        let mut floods = begun();
        let settings = frame(4, 0, 0, &[]);
        assert_eq!(passes(&mut floods, &settings, 1, true).0, 50);
        assert_eq!(passes(&mut floods, &settings, MINUTE, true).0, 50);
    }

    #[test]
    fn a_header_block_may_have_eight_continuations_each_time() {
        let mut floods = begun();
        for _ in 0..100 {
            assert_eq!(floods.receive(&frame(1, 0, 1, b"x"), 0), None);
            for _ in 0..8 {
                assert_eq!(floods.receive(&frame(9, 0, 1, b"x"), 0), None);
            }
        }
    }

    #[test]
    fn ten_header_lists_over_the_limit_are_a_flood() {
        let mut floods = begun();
        for stream in 0..10 {
            assert_eq!(floods.send(&frame(1, 5, stream, b"x")), None);
            let flood = floods.send(&frame(3, 0, stream, &[0, 0, 0, 1]));
            assert_eq!(flood, (stream == 9).then_some("header_list"));
        }
        // A reset of another stream, or with another reason, is none.
        let mut floods = begun();
        for _ in 0..100 {
            floods.send(&frame(1, 5, 1, b"x"));
            assert_eq!(floods.send(&frame(3, 0, 1, &[0; 4])), None);
            assert_eq!(floods.send(&frame(3, 0, 3, &[0, 0, 0, 1])), None);
        }
    }
}

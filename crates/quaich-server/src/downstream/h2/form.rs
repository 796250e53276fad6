//! The rules of RFC 9113 that the `h2` crate leaves out, or answers with another error code than the
//! RFC has: the form of frames, the first frame, and streams that their client has ended. Sans-I/O.
//!
//! | rule | section | error |
//! |---|---|---|
//! | the first frame is SETTINGS | 3.4 | `PROTOCOL_ERROR` |
//! | frames have the length of their type | 6.3-6.9 | `FRAME_SIZE_ERROR` |
//! | no window is larger than 2^31-1 | 6.5.2 | `FLOW_CONTROL_ERROR` |
//! | no DATA and HEADERS behind the end of a stream | 5.1 | `STREAM_CLOSED` |

use h2::Reason;

use super::frames::{Frame, kind};

/// Streams whose end is remembered. Of those before them the crate decides.
const REMEMBERED: usize = 64;

/// `SETTINGS_INITIAL_WINDOW_SIZE`
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// What the rules need to know of a connection.
#[derive(Debug)]
pub(super) struct Form {
    begun: bool,
    /// The last streams that the client has ended, and where the next one goes.
    ended: [u32; REMEMBERED],
    next: usize,
    /// The highest stream that was begun.
    highest: u32,
    /// One setting, and how much of it has come, while the payload of SETTINGS comes.
    setting: ([u8; 6], Option<usize>),
}

impl Form {
    pub(super) fn new() -> Self {
        Self {
            begun: false,
            ended: [0; REMEMBERED],
            next: 0,
            highest: 0,
            setting: ([0; 6], None),
        }
    }

    /// Whether a frame has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Looks at the head of the next frame; an error that ends the connection, if it is one.
    pub(super) fn frame(&mut self, frame: &Frame) -> Option<Reason> {
        let is_settings = frame.kind == kind::SETTINGS && !frame.has_first_flag();
        if !std::mem::replace(&mut self.begun, true) && !is_settings {
            return Some(Reason::PROTOCOL_ERROR);
        }
        self.setting.1 = is_settings.then_some(0);
        if !has_right_length(frame) {
            return Some(Reason::FRAME_SIZE_ERROR);
        }
        match frame.kind {
            kind::DATA | kind::HEADERS => self.message(frame),
            kind::RST_STREAM => {
                self.end(frame.stream);
                None
            }
            _ => None,
        }
    }

    /// Looks at a part of the payload of the frame that came last.
    pub(super) fn payload(&mut self, bytes: &[u8]) -> Option<Reason> {
        let (setting, Some(filled)) = (&mut self.setting.0, &mut self.setting.1) else {
            return None;
        };
        for byte in bytes {
            if let Some(place) = setting.get_mut(*filled) {
                *place = *byte;
            }
            *filled = (*filled + 1) % setting.len();
            // The top bit of the value is the one that must not be set.
            if *filled == 0 && setting.starts_with(&INITIAL_WINDOW_SIZE) && setting[2] & 0x80 != 0 {
                return Some(Reason::FLOW_CONTROL_ERROR);
            }
        }
        None
    }

    fn message(&mut self, frame: &Frame) -> Option<Reason> {
        let stream = frame.stream;
        if stream <= self.highest && stream != 0 && self.ended.contains(&stream) {
            return Some(Reason::STREAM_CLOSED);
        }
        self.highest = self.highest.max(stream);
        if frame.has_first_flag() {
            self.end(stream);
        }
        None
    }

    fn end(&mut self, stream: u32) {
        // Idle streams cannot be ended; the crate says so.
        if stream <= self.highest
            && !self.ended.contains(&stream)
            && let Some(place) = self.ended.get_mut(self.next)
        {
            *place = stream;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}

fn has_right_length(frame: &Frame) -> bool {
    let length = frame.length;
    match frame.kind {
        kind::PRIORITY => length == 5,
        kind::RST_STREAM | kind::WINDOW_UPDATE => length == 4,
        kind::SETTINGS if frame.has_first_flag() => length == 0,
        kind::SETTINGS => length.is_multiple_of(6),
        kind::PING => length == 8,
        kind::GOAWAY => length >= 8,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Frame {
        Frame {
            length,
            kind,
            flags,
            stream,
            code: 0,
        }
    }

    fn begun() -> Form {
        let mut form = Form::new();
        assert_eq!(form.frame(&frame(kind::SETTINGS, 0, 0, 0)), None);
        form
    }

    #[test]
    fn the_first_frame_is_settings() {
        for first in [frame(kind::PING, 0, 0, 8), frame(kind::SETTINGS, 1, 0, 0)] {
            assert_eq!(Form::new().frame(&first), Some(Reason::PROTOCOL_ERROR));
            assert_eq!(begun().frame(&first), None);
        }
    }

    #[test]
    fn frames_have_the_length_of_their_type() {
        for (kind, flags, right, wrong) in [
            (kind::PRIORITY, 0, 5, 4),
            (kind::RST_STREAM, 0, 4, 5),
            (kind::WINDOW_UPDATE, 0, 4, 3),
            (kind::SETTINGS, 0, 12, 13),
            (kind::SETTINGS, 1, 0, 6),
            (kind::PING, 1, 8, 0),
            (kind::GOAWAY, 0, 20, 7),
        ] {
            let size = Some(Reason::FRAME_SIZE_ERROR);
            assert_eq!(begun().frame(&frame(kind, flags, 0, right)), None);
            assert_eq!(begun().frame(&frame(kind, flags, 0, wrong)), size);
        }
    }

    #[test]
    fn nothing_of_a_message_comes_behind_its_end() {
        let ends = [
            vec![frame(kind::HEADERS, 1, 1, 5)],
            vec![frame(kind::HEADERS, 0, 1, 5), frame(kind::DATA, 1, 1, 5)],
            vec![
                frame(kind::HEADERS, 0, 1, 5),
                frame(kind::RST_STREAM, 0, 1, 4),
            ],
        ];
        for frames in ends {
            let mut form = begun();
            for frame in &frames {
                assert_eq!(form.frame(frame), None);
            }
            let closed = Some(Reason::STREAM_CLOSED);
            assert_eq!(form.frame(&frame(kind::WINDOW_UPDATE, 0, 1, 4)), None);
            assert_eq!(form.frame(&frame(kind::CONTINUATION, 4, 1, 4)), None);
            assert_eq!(form.frame(&frame(kind::DATA, 0, 1, 4)), closed);
            assert_eq!(form.frame(&frame(kind::HEADERS, 1, 1, 4)), closed);
            assert_eq!(form.frame(&frame(kind::HEADERS, 1, 3, 4)), None);
        }
    }

    #[test]
    fn a_trailer_is_not_behind_the_end() {
        let mut form = begun();
        for (kind, flags) in [(kind::HEADERS, 0), (kind::DATA, 0), (kind::HEADERS, 1)] {
            assert_eq!(form.frame(&frame(kind, flags, 1, 5)), None);
        }
    }

    #[test]
    fn a_window_is_not_too_large_in_any_pieces() {
        let payload = [0, 3, 0xff, 0, 0, 0, 0, 4, 0x80, 0, 0, 0];
        for size in 1..=payload.len() {
            let mut form = begun();
            form.frame(&frame(kind::SETTINGS, 0, 0, 12));
            let mut pieces = payload.chunks(size);
            let found = pieces.find_map(|piece| form.payload(piece));
            assert_eq!(found, Some(Reason::FLOW_CONTROL_ERROR), "pieces of {size}");
        }
        let mut form = begun();
        form.frame(&frame(kind::DATA, 0, 1, 12));
        assert_eq!(form.payload(&payload), None);
    }
}

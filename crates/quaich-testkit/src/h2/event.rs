//! What a connection of HTTP/2 tells, one frame or one whole block of fields at a time.

use super::frame::Frame;

/// What the other side did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole block of fields, names and values as text.
    Headers {
        /// Of this stream.
        stream: u32,
        /// In their order, pseudo-fields included.
        fields: Vec<(String, String)>,
        /// Whether the stream ends with it.
        end: bool,
    },
    /// A part of a body.
    Data {
        /// Of this stream.
        stream: u32,
        /// Without padding.
        bytes: Vec<u8>,
        /// Whether the stream ends with it.
        end: bool,
    },
    /// A stream was reset.
    Reset {
        /// This stream.
        stream: u32,
        /// Why.
        code: u32,
    },
    /// The connection is to end.
    GoAway {
        /// The last stream that may have been worked on.
        last: u32,
        /// Why.
        code: u32,
    },
    /// Settings of the other side; acknowledged already.
    Settings(Vec<(u16, u32)>),
    /// Ours were acknowledged.
    SettingsAck,
    /// A PING of ours came back.
    Pong([u8; 8]),
    /// A window grew.
    Window {
        /// This stream's, or the connection's (0).
        stream: u32,
        /// By so many bytes.
        by: u32,
    },
    /// Any other frame.
    Other(Frame),
    /// The connection ended.
    Closed,
}

impl Event {
    /// The stream whose message it belongs to.
    pub(super) fn stream(&self) -> Option<u32> {
        match self {
            Self::Headers { stream, .. }
            | Self::Data { stream, .. }
            | Self::Reset { stream, .. } => Some(*stream),
            _ => None,
        }
    }
}

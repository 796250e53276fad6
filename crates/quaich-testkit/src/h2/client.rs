//! A client of HTTP/2 whose every frame can be chosen and whose every event can be seen.

use std::collections::{HashMap, VecDeque};

use loona_hpack::Decoder;

use super::block::Block;
use super::event::Event;
use super::frame::{Frame, PREFACE, code, flag, kind, setting};
use super::response::{Ended, H2Response};
use crate::client::RawClient;

/// One connection.
pub struct H2Client {
    raw: RawClient,
    decoder: Decoder<'static>,
    /// A block that goes on in CONTINUATION: its stream, whether it ends the stream, what came.
    open_block: Option<(u32, bool, Vec<u8>)>,
    /// Events that came while others were waited for.
    held: VecDeque<Event>,
    next_stream: u32,
    /// What may be sent, on the connection and on each stream that was used.
    window: i64,
    windows: HashMap<u32, i64>,
    initial_window: i64,
    max_frame: usize,
    /// Whether windows are opened again as data comes.
    reads: bool,
    settings: Vec<(u16, u32)>,
    scheme: &'static str,
}

impl std::fmt::Debug for H2Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("H2Client");
        shown.field("raw", &self.raw).field("held", &self.held);
        shown.finish_non_exhaustive()
    }
}

impl H2Client {
    /// Begins: sends the preface and SETTINGS, and waits for the other side's SETTINGS.
    ///
    /// # Panics
    /// When they do not come.
    #[must_use]
    #[track_caller]
    pub fn over(raw: RawClient) -> Self {
        Self::with_settings(raw, &[])
    }

    /// The same with settings of ours.
    ///
    /// # Panics
    /// When the other side's SETTINGS do not come.
    #[must_use]
    #[track_caller]
    pub fn with_settings(raw: RawClient, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(raw);
        client.bytes(PREFACE);
        client.frame(&Frame::settings(settings));
        client.wait("SETTINGS", |event| matches!(event, Event::Settings(_)));
        client
    }

    /// Over a connection on which nothing has been sent, and on which nothing is sent unasked but
    /// acknowledgements.
    #[must_use]
    pub fn silent(raw: RawClient) -> Self {
        Self {
            scheme: if raw.is_tls() { "https" } else { "http" },
            raw,
            decoder: Decoder::new(),
            open_block: None,
            held: VecDeque::new(),
            next_stream: 1,
            window: 65_535,
            windows: HashMap::new(),
            initial_window: 65_535,
            max_frame: 16_384,
            reads: true,
            settings: Vec::new(),
        }
    }

    /// Stops opening windows: the other side may send what it has been allowed, and no more.
    pub fn stop_reading(&mut self) -> &mut Self {
        self.reads = false;
        self
    }

    /// Sends raw bytes.
    pub fn bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.raw.send(bytes);
        self
    }

    /// Sends a frame as it is, and believes nothing of it.
    pub fn frame(&mut self, frame: &Frame) -> &mut Self {
        self.bytes(frame.encode())
    }

    /// Sends frames in one write.
    pub fn frames<'a>(&mut self, frames: impl IntoIterator<Item = &'a Frame>) -> &mut Self {
        let bytes: Vec<u8> = frames.into_iter().flat_map(Frame::encode).collect();
        self.bytes(bytes)
    }

    /// The number of the next stream of ours, which counts as used from now on.
    pub fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// The scheme that a request on this connection has.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Begins a request with this block; returns its stream.
    pub fn begin(&mut self, block: &Block, end: bool) -> u32 {
        let stream = self.stream();
        self.send_block(stream, block, end);
        stream
    }

    /// Sends a block on a stream, in as many frames as it needs.
    pub fn send_block(&mut self, stream: u32, block: &Block, end: bool) -> &mut Self {
        let mut parts = block.bytes().chunks(self.max_frame);
        let first = parts.next().unwrap_or_default();
        let mut frames = vec![Frame::new(kind::HEADERS, 0, stream, first)];
        frames.extend(parts.map(|part| Frame::continuation(stream, part)));
        if let Some(last) = frames.last_mut() {
            last.flags |= flag::END_HEADERS;
        }
        if end {
            frames[0].flags |= flag::END_STREAM;
        }
        self.frames(&frames)
    }

    /// Sends a part of a body, as the windows allow; false when the stream or the connection ended
    /// before all was sent (what ended it is still to be read).
    #[track_caller]
    pub fn data(&mut self, stream: u32, mut bytes: &[u8], end: bool) -> bool {
        loop {
            let open = *self.windows.entry(stream).or_insert(self.initial_window);
            let room = usize::try_from(open.min(self.window)).unwrap_or(0);
            let (now, later) = bytes.split_at(room.min(self.max_frame).min(bytes.len()));
            if !now.is_empty() || bytes.is_empty() {
                self.spend(stream, now.len());
                let last = end && later.is_empty();
                let frame = Frame::data(stream, now);
                self.frame(&if last { frame.end() } else { frame });
            }
            bytes = later;
            if bytes.is_empty() {
                return true;
            }
            if !self.make_room(stream, 1) {
                return false;
            }
        }
    }

    /// Waits until the windows allow so many bytes; false when the stream or the connection ended
    /// instead (what ended it is still to be read).
    #[track_caller]
    pub fn make_room(&mut self, stream: u32, count: usize) -> bool {
        loop {
            let open = *self.windows.entry(stream).or_insert(self.initial_window);
            if usize::try_from(open.min(self.window)).unwrap_or(0) >= count {
                return true;
            }
            if !self.wait_for_room(stream) {
                return false;
            }
        }
    }

    /// Takes note of DATA that was sent as a raw frame, its padding included.
    pub fn spend(&mut self, stream: u32, count: usize) {
        let count = i64::try_from(count).expect("a frame's length");
        self.window -= count;
        *self.windows.entry(stream).or_insert(self.initial_window) -= count;
    }

    /// Reads until a window grows; false when the stream ended instead.
    #[track_caller]
    fn wait_for_room(&mut self, stream: u32) -> bool {
        let stopped = |event: &Event| match event {
            Event::Reset { stream: of, .. } => *of == stream,
            Event::GoAway { code, .. } => *code != code::NO_ERROR,
            Event::Closed => true,
            _ => false,
        };
        if self.held.iter().any(stopped) {
            return false;
        }
        loop {
            let event = self.read_event();
            let grown = matches!(event, Event::Window { .. } | Event::Settings(_));
            let over = stopped(&event);
            self.held.push_back(event);
            if grown || over {
                return !over;
            }
        }
    }

    /// A GET of this path; returns its stream.
    pub fn get(&mut self, path: &str) -> u32 {
        let block = self.request("GET", path);
        self.begin(&block, true)
    }

    /// The pseudo-fields of a request to `test`.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Block {
        Block::new()
            .field(":method", method)
            .field(":scheme", self.scheme)
            .field(":path", path)
            .field(":authority", "test")
    }

    /// Reads the response of a stream to its end.
    ///
    /// # Panics
    /// When it does not come to an end.
    #[track_caller]
    pub fn response(&mut self, stream: u32) -> H2Response {
        let mut response = H2Response::new();
        while self.advance(stream, &mut response) {}
        response
    }

    /// Takes the next event of a stream into its response; false when that has come to its end.
    #[track_caller]
    pub(crate) fn advance(&mut self, stream: u32, response: &mut H2Response) -> bool {
        let event = self.of_stream(stream);
        match event {
            Event::Headers { fields, end, .. } => return !response.take_fields(fields, end),
            Event::Data { bytes, end, .. } => {
                response.body.extend(bytes);
                if !end {
                    return true;
                }
                response.ended = Ended::Whole;
            }
            Event::Reset { code, .. } => response.ended = Ended::Reset(code),
            // Others may want to see the connection's end as well.
            other => self.held.push_back(other),
        }
        false
    }

    /// The next event of this stream, or the end of the connection.
    #[track_caller]
    pub fn of_stream(&mut self, stream: u32) -> Event {
        self.wait("an event of a stream", |event| {
            event.stream() == Some(stream) || *event == Event::Closed
        })
    }

    /// Whether the other side answers a PING.
    #[track_caller]
    pub fn is_alive(&mut self) -> bool {
        let opaque = *b"alive?\0\0";
        self.frame(&Frame::ping(opaque));
        let event = self.wait("an answer to PING", |event| {
            matches!(event, Event::Pong(o) if *o == opaque) || matches!(event, Event::Closed)
        });
        if event == Event::Closed {
            self.held.push_back(event);
            return false;
        }
        true
    }

    /// The oldest event that fits; those before it stay for others.
    ///
    /// # Panics
    /// When it does not come in time, or the connection ended before.
    #[track_caller]
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Event) -> bool) -> Event {
        if let Some(at) = self.held.iter().position(&fits) {
            return self.held.remove(at).expect("it is there");
        }
        loop {
            let event = self.read_event();
            if fits(&event) {
                return event;
            }
            assert!(
                event != Event::Closed,
                "the connection ended before {what}; {self:?}"
            );
            self.held.push_back(event);
        }
    }

    /// The next event of any kind.
    ///
    /// # Panics
    /// When nothing comes in time.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        match self.held.pop_front() {
            Some(event) => event,
            None => self.read_event(),
        }
    }

    /// The last settings that the other side announced.
    #[must_use]
    pub fn settings(&self) -> &[(u16, u32)] {
        &self.settings
    }

    /// Whether the other side takes extended CONNECT (RFC 8441).
    #[must_use]
    pub fn allows_connect(&self) -> bool {
        self.settings
            .contains(&(setting::ENABLE_CONNECT_PROTOCOL, 1))
    }

    /// The connection under it.
    pub fn raw(&mut self) -> &mut RawClient {
        &mut self.raw
    }

    /// Ends the connection by a reset.
    pub fn reset_connection(self) {
        self.raw.reset();
    }

    #[track_caller]
    fn read_event(&mut self) -> Event {
        loop {
            let Some(frame) = self.read_frame() else {
                return Event::Closed;
            };
            if let Some(event) = self.take(frame) {
                return event;
            }
        }
    }

    #[track_caller]
    fn read_frame(&mut self) -> Option<Frame> {
        let header = self.raw.exactly_or_end(9)?;
        let header = header.try_into().expect("nine bytes");
        let (length, kind, flags, stream) = Frame::read_header(header);
        let payload = self.raw.exactly_or_end(length)?;
        Some(Frame::new(kind, flags, stream, payload))
    }

    /// Keeps the books and acknowledges; `None` for a frame that is no event by itself.
    fn take(&mut self, frame: Frame) -> Option<Event> {
        let stream = frame.stream;
        match frame.kind {
            kind::HEADERS => {
                let begun = (
                    stream,
                    frame.has(flag::END_STREAM),
                    frame.content().to_vec(),
                );
                self.open_block = Some(begun);
                self.close_block(frame.has(flag::END_HEADERS))
            }
            kind::CONTINUATION => {
                let open = self.open_block.as_mut();
                open.expect("CONTINUATION only behind HEADERS")
                    .2
                    .extend_from_slice(&frame.payload);
                self.close_block(frame.has(flag::END_HEADERS))
            }
            kind::DATA => Some(self.take_data(&frame)),
            kind::RST_STREAM => Some(Event::Reset {
                stream,
                code: frame.number(0),
            }),
            kind::GOAWAY => Some(Event::GoAway {
                last: frame.number(0),
                code: frame.number(4),
            }),
            kind::SETTINGS if frame.has(flag::ACK) => Some(Event::SettingsAck),
            kind::SETTINGS => Some(self.take_settings(&frame)),
            kind::PING if frame.has(flag::ACK) => {
                let opaque = frame.payload.try_into();
                Some(Event::Pong(opaque.expect("PING has eight bytes")))
            }
            kind::PING => {
                self.frame(&frame.with(flag::ACK));
                None
            }
            kind::WINDOW_UPDATE => {
                let by = frame.number(0);
                match stream {
                    0 => self.window += i64::from(by),
                    _ => {
                        *self.windows.entry(stream).or_insert(self.initial_window) += i64::from(by)
                    }
                }
                Some(Event::Window { stream, by })
            }
            _ => Some(Event::Other(frame)),
        }
    }

    fn take_data(&mut self, frame: &Frame) -> Event {
        let (stream, end) = (frame.stream, frame.has(flag::END_STREAM));
        let length = u32::try_from(frame.payload.len()).expect("a frame's length");
        if self.reads && length > 0 {
            self.frame(&Frame::window_update(0, length));
            if !end {
                self.frame(&Frame::window_update(stream, length));
            }
        }
        Event::Data {
            stream,
            bytes: frame.content().to_vec(),
            end,
        }
    }

    fn take_settings(&mut self, frame: &Frame) -> Event {
        let pairs = frame.pairs();
        for (id, value) in &pairs {
            match *id {
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(*value) - self.initial_window;
                    self.initial_window += change;
                    self.windows.values_mut().for_each(|w| *w += change);
                }
                setting::MAX_FRAME_SIZE => self.max_frame = *value as usize,
                _ => {}
            }
        }
        self.settings.clone_from(&pairs);
        self.frame(&Frame::settings_ack());
        Event::Settings(pairs)
    }

    fn close_block(&mut self, closed: bool) -> Option<Event> {
        if !closed {
            return None;
        }
        let (stream, end, block) = self.open_block.take()?;
        let fields = self.decoder.decode(&block);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let fields = fields.expect("a header block that can be read");
        let fields = fields
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        Some(Event::Headers {
            stream,
            fields,
            end,
        })
    }
}

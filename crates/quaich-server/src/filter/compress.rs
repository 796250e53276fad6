//! `compress`: content codings of answers. Decides here, by the heads alone, whether an answer is
//! coded and with what; `body` does it.
//!
//! | an answer is left as it is | because |
//! |---|---|
//! | of 1xx, 204, 205, 206, 304, or with `Content-Range` | it has no body, or a part of one |
//! | with `Content-Encoding` | it is coded |
//! | with `Cache-Control: no-transform` | RFC 9111 section 5.2.2.6 |
//! | without `Content-Type`, or with one that is not in `types` | it would not gain |
//! | known to be smaller than `min` | it would not gain |
//! | to a request with `Range` | its parts are counted in the body as it is |
//! | with `Set-Cookie`, where `cookies = false` | what secrets it tells by its size (BREACH) |
//!
//! Whatever is compressed for one client says `Vary: Accept-Encoding` to all.

mod body;
mod coder;
mod eligible;
#[cfg(test)]
mod testing;
mod whole;

use quaich_config::model::{self, CompressLevels, ContentCoding};
use quaich_proto::coding::{Coding, choose};
use quaich_proto::h1::BodyLength;
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::method::Method;

use super::Parts;
use super::stage::Stage;
use crate::exchange::Exchange;
use crate::thread::Thread;
use coder::Shape;

pub(super) use body::Coded;
pub use eligible::Eligible;
pub(crate) use whole::sweep;

/// Of one route.
pub(super) struct Compress {
    eligible: Eligible,
    codings: Vec<Coding>,
    levels: CompressLevels,
    cookies: bool,
}

/// What the head of an answer says that matters here.
#[derive(Default)]
struct Facts {
    eligible: bool,
    /// It must stay as it is.
    fixed: bool,
    cookie: bool,
    event_stream: bool,
}

impl Compress {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Compress, _parts: &Parts<'_>) -> Option<Self> {
        Some(Self {
            eligible: Eligible::new(settings)?,
            codings: settings.codings.iter().copied().map(coding).collect(),
            levels: settings.levels,
            cookies: settings.cookies,
        })
    }

    /// Whether an answer with these header lines and a body of `length` bytes would be changed. What
    /// files say of themselves has its `Vary` already.
    pub(super) fn changes_rendered(&self, exchange: &Exchange, lines: &[u8], length: u64) -> bool {
        let accepts = &exchange.request.headers;
        // To HEAD, the length is told in the lines.
        let length = Some(length).filter(|_| exchange.request.method != Method::Head);
        accepts.contains(HeaderId::AcceptEncoding)
            && (exchange.response.status == 304
                || self.eligible.takes_size(length)
                    && rendered_type(lines).is_some_and(|one| self.eligible.takes_type(one)))
    }

    /// The length of the body as it will be sent, and what it passes on its way.
    pub(super) fn response(
        &self,
        thread: &Thread,
        exchange: &mut Exchange,
        length: BodyLength,
    ) -> (BodyLength, Option<Box<Stage>>) {
        let known = match length {
            BodyLength::Empty => {
                self.not_modified(exchange);
                return (length, None);
            }
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        let Some(shape) = self.decide(exchange, known) else {
            return (length, None);
        };
        dress(&mut exchange.response.headers, shape.coding);
        if exchange.request.method == Method::Head {
            // The same fields as for GET, but nobody has counted the bytes.
            return (BodyLength::Chunked, None);
        }
        let coded = Coded::new(shape, length, &thread.counters);
        (BodyLength::Chunked, Some(Box::new(Stage::coding(coded))))
    }

    /// How the body is to be coded, if it is. Says `Vary` where another client's would be.
    fn decide(&self, exchange: &mut Exchange, length: Option<u64>) -> Option<Shape> {
        let status = exchange.response.status;
        if status == 304 {
            self.not_modified(exchange);
            return None;
        }
        if status < 200 || matches!(status, 204..=206) {
            return None;
        }
        let asked = exchange.notes.asks_gzip && length.is_none();
        if !asked && !self.eligible.takes_size(length) {
            return None;
        }
        let facts = self.facts(&exchange.response.headers);
        if facts.fixed || !(facts.eligible || asked) || (facts.cookie && !self.cookies) {
            return None;
        }
        vary(&mut exchange.response.headers);
        let request = &exchange.request.headers;
        if request.contains(HeaderId::Range) {
            return None;
        }
        let coding = match asked {
            true => choose(request, [Coding::Gzip])?,
            false => choose(request, self.codings.iter().copied())?,
        };
        let levels = match facts.event_stream {
            true => CompressLevels::FAST,
            false => self.levels,
        };
        Some(Shape {
            coding,
            level: match coding {
                Coding::Zstd => levels.zstd,
                Coding::Brotli => levels.br,
                Coding::Gzip => levels.gzip,
            },
            live: facts.event_stream,
        })
    }

    fn facts(&self, headers: &Headers) -> Facts {
        let mut facts = Facts::default();
        for (id, _, value) in headers.iter() {
            match id {
                HeaderId::ContentType => {
                    facts.eligible = self.eligible.takes_type(value);
                    facts.event_stream = starts_with(value, b"text/event-stream");
                }
                HeaderId::ContentEncoding | HeaderId::ContentRange => facts.fixed = true,
                HeaderId::CacheControl => facts.fixed |= lists(value, b"no-transform"),
                HeaderId::SetCookie => facts.cookie = true,
                _ => {}
            }
        }
        facts
    }

    /// A client that knows an answer by a weak tag which we have made got it coded: the 304 names it
    /// by the same tag.
    fn not_modified(&self, exchange: &mut Exchange) {
        if exchange.response.status != 304 {
            return;
        }
        let headers = &mut exchange.response.headers;
        let Some(tag) = headers.get(HeaderId::Etag) else {
            return;
        };
        let request = &exchange.request.headers;
        // Who takes no coding is told of the body as it is.
        if choose(request, self.codings.iter().copied()).is_none() {
            return;
        }
        let mut known = request.get_all(HeaderId::IfNoneMatch);
        let weak = [b"W/", tag].concat();
        if tag.starts_with(b"\"") && known.any(|tags| lists(tags, &weak)) {
            let _ = headers.set(b"ETag", &weak);
            vary(headers);
        }
    }
}

fn coding(settings: ContentCoding) -> Coding {
    match settings {
        ContentCoding::Zstd => Coding::Zstd,
        ContentCoding::Brotli => Coding::Brotli,
        ContentCoding::Gzip => Coding::Gzip,
    }
}

/// The `Content-Type` among header lines that quaich has rendered; `None` if the body is coded.
fn rendered_type(lines: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    for line in lines.split(|byte| *byte == b'\n') {
        if starts_with(line, b"content-encoding:") {
            return None;
        }
        if starts_with(line, b"content-type:") {
            found = line.get(b"content-type:".len()..);
        }
    }
    found.map(<[u8]>::trim_ascii)
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let head = text.get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Whether a list separated by commas holds `word`, in any case.
fn lists(value: &[u8], word: &[u8]) -> bool {
    let mut words = value.split(|byte| *byte == b',');
    words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
}

/// The answer depends on `Accept-Encoding`.
fn vary(headers: &mut Headers) {
    const NAME: &[u8] = b"Accept-Encoding";
    let said = |value: &[u8]| lists(value, NAME) || lists(value, b"*");
    if headers.get_all(HeaderId::Vary).any(said) {
        return;
    }
    let mut all = headers.get_all(HeaderId::Vary).collect::<Vec<_>>();
    all.push(NAME);
    let all = all.join(&b", "[..]);
    // Parts of valid values, joined.
    let _ = headers.set(b"Vary", &all);
}

/// The fields of a coded answer.
fn dress(headers: &mut Headers, coding: Coding) {
    let tag = headers.get(HeaderId::Etag);
    // Other bytes under the same strong tag would be taken for the same (RFC 9110 section 8.8.3).
    let weak = tag
        .filter(|tag| tag.starts_with(b"\""))
        .map(|tag| [b"W/", tag].concat());
    if let Some(weak) = weak {
        let _ = headers.set(b"ETag", &weak);
    }
    headers.retain(|id, _, _| {
        !matches!(
            id,
            HeaderId::ContentLength
                | HeaderId::AcceptRanges
                | HeaderId::ContentDigest
                | HeaderId::ContentMd5
        )
    });
    // A token is valid.
    let _ = headers.push(b"Content-Encoding", coding.token().as_bytes());
}

#[cfg(test)]
mod tests;

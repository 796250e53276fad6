//! Checks what an application gives to `start_response` and writes it as a head block.
//!
//! Called by `start_response` before anything is kept: an error here leaves the former head as it
//! was. Nothing gets out of here that could split a response or change its framing: the front may
//! trust names and values to be well formed (RFC 9110 sections 5.1, 5.5, 15).

use quaich_proto::worker::frame::{MAX_HEAD, TooBig, begin_head, push_field};

use crate::python::{Kind, PyResult, Raised, Ref, raise};

/// What a Content-Length field takes at most.
const ROOM_FOR_LENGTH: usize = 64;

/// The head that an application has given, ready to be sent.
#[derive(Default)]
pub(super) struct Head {
    /// 0 before `start_response`.
    status: u16,
    /// The payload of a `Head` frame.
    block: Vec<u8>,
    /// The application's Content-Length.
    pub(super) content_length: Option<u64>,
}

impl Head {
    /// Forgets everything, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.status = 0;
        self.block.clear();
        self.content_length = None;
    }

    /// `start_response` has been called.
    pub(super) fn is_given(&self) -> bool {
        self.status != 0
    }

    /// The status never has a body: 204 and 304 (RFC 9110 section 6.4.1).
    pub(super) fn forbids_body(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    /// Adds the Content-Length that the server knows; the application gave none.
    pub(super) fn set_length(&mut self, length: u64) {
        self.content_length = Some(length);
        // Its room is kept free by `push`, and two short texts are never too big.
        let _ = push_field(
            &mut self.block,
            b"content-length",
            length.to_string().as_bytes(),
        );
    }

    /// The payload of the `Head` frame.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Takes `(status, headers)` as given by the application, or raises and stays unusable.
    pub(super) fn fill(&mut self, status: &Ref, headers: &Ref) -> PyResult<()> {
        self.clear();
        let code = self.take_status(status)?;
        let listed;
        let (headers, count) = match headers.sequence_len() {
            Some(count) => (headers, count),
            None => {
                listed = headers.to_list()?;
                let count = listed.sequence_len().unwrap_or_default();
                (&listed, count)
            }
        };
        for index in 0..count {
            let Some(field) = headers.item(index) else {
                break;
            };
            self.take_field(&field, code)?;
        }
        self.status = code;
        Ok(())
    }

    /// `"200 OK"`: three digits, a space, a reason; the reason may be missing.
    fn take_status(&mut self, status: &Ref) -> PyResult<u16> {
        let text = native(status, "status")?;
        let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
        let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.parse().ok().filter(|code| digits && *code >= 200);
        let Some(code) = code else {
            let message = format!("status must be like '200 OK' and final, not {text:?}");
            return Err(raise(Kind::Value, &message));
        };
        if reason.is_ascii() && reason.bytes().all(is_value_byte) {
            begin_head(&mut self.block, code, reason.as_bytes());
            return Ok(code);
        }
        let mut bytes = Vec::with_capacity(reason.len());
        if !put_latin1(&mut bytes, reason) {
            return Err(raise(
                Kind::Value,
                "the status has a character that HTTP does not allow",
            ));
        }
        begin_head(&mut self.block, code, &bytes);
        Ok(code)
    }

    fn take_field(&mut self, field: &Ref, status: u16) -> PyResult<()> {
        let (Some(name), Some(value)) = (field.item(0), field.item(1)) else {
            return Err(not_a_pair(field));
        };
        if field.sequence_len() != Some(2) {
            return Err(not_a_pair(field));
        }
        let name = native(&name, "a header name")?;
        let value = native(&value, "a header value")?;
        if name.is_empty() || name.len() > usize::from(u16::MAX) || !name.bytes().all(is_token) {
            return Err(raise(
                Kind::Value,
                &format!("{name:?} is not a header name"),
            ));
        }
        match special(name.as_bytes()) {
            Special::No => {}
            Special::HopByHop => {
                let message = format!("{name} is a hop-by-hop header, which WSGI forbids to apps");
                return Err(raise(Kind::Assertion, &message));
            }
            Special::ContentLength => {
                self.take_length(value)?;
                // RFC 9110 section 8.6: not with 204.
                if status == 204 {
                    self.content_length = None;
                    return Ok(());
                }
            }
        }
        self.put(name, value)
    }

    fn take_length(&mut self, value: &str) -> PyResult<()> {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse().ok().filter(|_| digits);
        if length.is_none() || self.content_length.is_some() {
            let message = format!("Content-Length must be one number, not {value:?}");
            return Err(raise(Kind::Value, &message));
        }
        self.content_length = length;
        Ok(())
    }

    fn put(&mut self, name: &str, value: &str) -> PyResult<()> {
        let value = value.trim_matches([' ', '\t']);
        if value.is_ascii() && value.bytes().all(is_value_byte) {
            return self.push(name, value.as_bytes());
        }
        let mut bytes = Vec::with_capacity(value.len());
        if !put_latin1(&mut bytes, value) {
            let message =
                format!("the value of {name} has a character that HTTP does not allow: {value:?}");
            return Err(raise(Kind::Value, &message));
        }
        self.push(name, &bytes)
    }

    fn push(&mut self, name: &str, value: &[u8]) -> PyResult<()> {
        let pushed = push_field(&mut self.block, name.as_bytes(), value);
        if pushed == Err(TooBig) || self.block.len() > MAX_HEAD - ROOM_FOR_LENGTH {
            return Err(raise(
                Kind::Value,
                &format!("{name} makes the response head too long"),
            ));
        }
        Ok(())
    }
}

/// The text of a "native string" (PEP 3333, "A Note On String Types").
fn native<'a>(object: &'a Ref, what: &str) -> PyResult<&'a str> {
    object.text().map_err(|Raised| {
        let message = format!("{what} must be str, not {}", object.type_name());
        raise(Kind::Type, &message)
    })
}

fn not_a_pair(field: &Ref) -> Raised {
    let message = format!(
        "each header must be a tuple (name, value), not {}",
        field.type_name()
    );
    raise(Kind::Type, &message)
}

/// Appends latin-1 without control characters; false if `text` is not that.
fn put_latin1(out: &mut Vec<u8>, text: &str) -> bool {
    for character in text.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(byte) if is_value_byte(byte) => out.push(byte),
            _ => return false,
        }
    }
    true
}

/// RFC 9110 section 5.5: visible, space, tab and obs-text.
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// The characters of a token.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

/// Fields that this server treats in its own way.
enum Special {
    No,
    ContentLength,
    HopByHop,
}

fn special(name: &[u8]) -> Special {
    let names: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        7 => &[b"trailer", b"upgrade"],
        8 => &[b"trailers"],
        10 => &[b"connection", b"keep-alive"],
        14 if name.eq_ignore_ascii_case(b"content-length") => return Special::ContentLength,
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => return Special::No,
    };
    if names.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Special::HopByHop;
    }
    Special::No
}

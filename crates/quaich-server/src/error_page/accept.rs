//! Which form of a page the client prefers: `Accept`, RFC 9110 section 12.5.1.
//!
//! Called by `error_page` with bytes from outside; what is malformed is passed over.

/// Which form a page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `text/plain`
    Text,
    /// `text/html`
    Html,
    /// `application/json`
    Json,
    /// `application/problem+json`
    Problem,
}

/// The form of highest quality; of equal ones that of the most specific range, then the first in
/// the field. A range with a wildcard as type prefers nothing.
pub(super) fn negotiate(accept: &[u8]) -> Form {
    let mut best = (Form::Text, 0, false);
    for range in accept.split(|&byte| byte == b',') {
        let mut parts = range.split(|&byte| byte == b';');
        let kind = parts.next().unwrap_or_default().trim_ascii();
        let quality = parts.find_map(quality).unwrap_or(1000);
        let Some((form, specific)) = form_of(kind) else {
            continue;
        };
        if quality > 0 && (quality, specific) > (best.1, best.2) {
            best = (form, quality, specific);
        }
    }
    best.0
}

fn form_of(kind: &[u8]) -> Option<(Form, bool)> {
    const FORMS: [(&[u8], Form, bool); 7] = [
        (b"text/html", Form::Html, true),
        (b"application/xhtml+xml", Form::Html, true),
        (b"application/json", Form::Json, true),
        (b"application/problem+json", Form::Problem, true),
        (b"text/plain", Form::Text, true),
        (b"text/*", Form::Text, false),
        (b"application/*", Form::Json, false),
    ];
    let found = FORMS
        .into_iter()
        .find(|(name, ..)| kind.eq_ignore_ascii_case(name));
    found.map(|(_, form, specific)| (form, specific))
}

/// The value of `q=0.8` in thousandths; `None` = another parameter. Malformed counts as 0.
fn quality(parameter: &[u8]) -> Option<u32> {
    let [b'q' | b'Q', b'=', value @ ..] = parameter.trim_ascii() else {
        return None;
    };
    let (whole, fraction) = match value {
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        [whole] => (*whole, &[][..]),
        _ => return Some(0),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return Some(0);
    }
    match whole {
        b'1' => Some(1000),
        b'0' => {
            let digit = |at: usize| fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
            Some(digit(0) * 100 + digit(1) * 10 + digit(2))
        }
        _ => Some(0),
    }
}

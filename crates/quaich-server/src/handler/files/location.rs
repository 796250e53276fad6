//! URLs in answers: the redirect to a directory's slash, and escapes.
//!
//! `FileHandler` and `listing` call it. It must never write a byte into a URL that a header field or
//! an attribute could not hold.

use std::io::Write;

/// `raw_path` with a slash at its end, then `query`: an absolute path in visible ASCII. Exactly one
/// slash leads, since `//host/` would be another host's address.
pub(super) fn with_slash(raw_path: &[u8], query: &[u8]) -> Vec<u8> {
    let leading = raw_path.iter().take_while(|byte| **byte == b'/').count();
    let path = raw_path.get(leading..).unwrap_or_default();
    let mut location = Vec::with_capacity(path.len() + query.len() + 3);
    location.push(b'/');
    push_visible(&mut location, path);
    location.push(b'/');
    if !query.is_empty() {
        location.push(b'?');
        push_visible(&mut location, query);
    }
    location
}

fn push_visible(location: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'!'..=b'~' if *byte != b'\\' => location.push(*byte),
            _ => push_escape(location, *byte),
        }
    }
}

/// Appends `%XX`.
pub(super) fn push_escape(text: &mut Vec<u8>, byte: u8) {
    let _ = write!(text, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::with_slash;

    #[test]
    fn a_redirect_never_leaves_the_host_or_the_field() {
        let cases: [(&[u8], &[u8], &[u8]); 5] = [
            (b"/a", b"", b"/a/"),
            (b"/m/a%20b", b"x=1&y", b"/m/a%20b/?x=1&y"),
            (b"//evil.example/a", b"", b"/evil.example/a/"),
            (b"/\\evil.example", b"", b"/%5Cevil.example/"),
            (b"/a\r\nX: y", b"\n", b"/a%0D%0AX:%20y/?%0A"),
        ];
        for (path, query, location) in cases {
            assert_eq!(with_slash(path, query), location, "{path:?}");
        }
    }
}

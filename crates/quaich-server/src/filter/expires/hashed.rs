//! File names that hold a hash of the content: another content has another name.

/// Whether the last segment of `path` holds one before its extension: `app.3f2a9c1b.css`,
/// `app-3f2a9c1b.min.js`. A date or a version is none, so a run of digits is not enough.
pub(super) fn is_hashed(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    // What follows the last dot is the extension.
    let Some(end) = name.iter().rposition(|&byte| byte == b'.') else {
        return false;
    };
    let stem = name.get(..end).unwrap_or_default();
    let mut parts = stem.split(|&byte| byte == b'.');
    let first = parts.next().unwrap_or_default();
    let after_dash = first.iter().rposition(|&byte| matches!(byte, b'-' | b'_'));
    let of_first = after_dash.and_then(|at| first.get(at + 1..));
    of_first.is_some_and(is_hash) || parts.any(is_hash) || is_long_hash(first)
}

/// What Django (12 hexadecimal digits of MD5), webpack, Vite, esbuild and Parcel write.
fn is_hash(part: &[u8]) -> bool {
    if !(8..=64).contains(&part.len()) {
        return false;
    }
    let digits = part.iter().any(u8::is_ascii_digit);
    let lower = part.iter().any(u8::is_ascii_lowercase);
    let upper = part.iter().any(u8::is_ascii_uppercase);
    let hex = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let base32 = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
    if part.iter().all(hex) {
        return digits && lower;
    }
    if part.len() == 8 && part.iter().all(base32) {
        return digits && upper;
    }
    digits && lower && upper && part.iter().all(u8::is_ascii_alphanumeric)
}

/// A name that is nothing but a hash.
fn is_long_hash(name: &[u8]) -> bool {
    name.len() >= 16 && is_hash(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bundlers_are_known_and_those_of_people_are_not() {
        for name in [
            "/static/admin/css/base.3f2a9c1b04de.css",
            "/app.3f2a9c1b.css",
            "/app-3f2a9c1b.js",
            "/main.8e0d62a03fd1bb3bc3c9.js",
            "/assets/index-BWvF1sYm.js",
            "/assets/my-page_BWvF1sYm.css",
            "/chunk-2Q3KX7TZ.js",
            "/app.3f2a9c1b.js.map",
            "/0cc175b9c0f1b6a831c399e269772661.png",
        ] {
            assert!(is_hashed(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "/",
            "/app.css",
            "/jquery-3.7.1.min.js",
            "/report-20240131.pdf",
            "/report.2024-01-31.pdf",
            "/my-component.js",
            "/web-interface.css",
            "/photo_12345678.jpg",
            "/3f2a9c1b.d/app.css",
            "/app-3f2a9c1b",
            "/facade12.txt",
            "/app-deadbeef.js",
        ] {
            assert!(!is_hashed(name.as_bytes()), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_looked_at(path in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = is_hashed(&path);
        }
    }
}

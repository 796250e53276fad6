//! A second normaliser of paths, written from the rules: it takes a path apart into segments and
//! builds both forms anew. Called by the reference parser and by fuzzing.

/// The path, and the query behind the question mark.
pub fn split_query(origin: &[u8]) -> (&[u8], Option<Vec<u8>>) {
    match origin.iter().position(|&b| b == b'?') {
        Some(at) => (&origin[..at], Some(origin[at + 1..].to_vec())),
        None => (origin, None),
    }
}

/// Canonical and decoded form of the path in front of a query.
pub fn normal_path(origin: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (path, _) = split_query(origin);
    let raw: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    let mut is_folder = true;
    for (number, segment) in raw.iter().enumerate().skip(1) {
        let is_last = number + 1 == raw.len();
        let (canonical, plain) = read_segment(segment)?;
        let parts: Vec<&[u8]> = plain.split(|&b| b == b'/').collect();
        if parts.len() > 1 {
            let hides_dots = parts.iter().any(|part| matches!(*part, b"." | b".."));
            if hides_dots || parts[0].is_empty() || !is_last && plain.ends_with(b"/") {
                return None;
            }
        }
        if parts
            .iter()
            .any(|part| part.starts_with(b".;") || part.starts_with(b"..;"))
        {
            return None;
        }
        is_folder = matches!(&plain[..], b"" | b"." | b"..");
        match &plain[..] {
            b"" | b"." => {}
            b".." => _ = kept.pop()?,
            _ => kept.push((canonical, plain)),
        }
    }
    let (mut canonical, mut decoded) = (Vec::new(), Vec::new());
    for (text, plain) in &kept {
        canonical.extend_from_slice(format!("/{text}").as_bytes());
        decoded.push(b'/');
        decoded.extend_from_slice(plain);
    }
    if is_folder {
        canonical.push(b'/');
        decoded.push(b'/');
    }
    Some((canonical, decoded))
}

fn read_segment(segment: &[u8]) -> Option<(String, Vec<u8>)> {
    let (mut canonical, mut plain) = (String::new(), Vec::new());
    let mut at = 0;
    while at < segment.len() {
        let is_escape = segment[at] == b'%';
        let byte = if is_escape {
            let digits = std::str::from_utf8(segment.get(at + 1..at + 3)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            u8::from_str_radix(digits, 16).ok()?
        } else {
            segment[at]
        };
        if byte < 32 || byte == 127 || byte == b'\\' {
            return None;
        }
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_kept = !is_escape && b"!$&'()*+,;=:@".contains(&byte);
        if is_unreserved || is_kept {
            canonical.push(char::from(byte));
        } else {
            canonical.push_str(&format!("%{byte:02X}"));
        }
        plain.push(byte);
        at += if is_escape { 3 } else { 1 };
    }
    Some((canonical, plain))
}

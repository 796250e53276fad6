//! `Vary`: what an answer depends on beside the URL (RFC 9110 section 12.5.5).

use quaich_proto::headers::Headers;

/// Notes that an answer depends on the request field `name`, once.
pub(super) fn add(headers: &mut Headers, name: &[u8]) {
    let told = headers.iter().any(|(_, known, value)| {
        let mut words = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        is_vary(known) && words.any(|word| word == b"*" || word.eq_ignore_ascii_case(name))
    });
    if !told {
        // A further field is the same as a longer one; the name is a token.
        let _ = headers.push(b"Vary", name);
    }
}

fn is_vary(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"vary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_added_once_and_never_beside_a_star() {
        for (before, count) in [
            (None, 1),
            (Some("Accept, ORIGIN"), 1),
            (Some("Accept"), 2),
            (Some("*"), 1),
        ] {
            let mut headers = Headers::new();
            if let Some(value) = before {
                headers.push(b"vary", value.as_bytes()).unwrap();
            }
            add(&mut headers, b"Origin");
            add(&mut headers, b"origin");
            assert_eq!(headers.len(), count, "{before:?}");
        }
    }
}

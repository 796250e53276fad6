//! The built-in page of an error answer: HTML, JSON or text, whichever the client prefers.
//!
//! Called where errors become answers, and by routes with `status = N`. A page shows the status, a
//! sentence for people and the request id; never a version, a path, an address or anything that
//! the client sent.

mod accept;
mod wording;

use accept::Form;
use wording::Wording;

use crate::request_id;

const HTML_HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width,initial-scale=1\">\
<meta name=color-scheme content=\"light dark\"><title>";

/// Light and dark, no outside asset; the grey passes 4.5:1 on both grounds.
const HTML_STYLE: &str = "</title><style>\
:root{--g:#faf8f5;--i:#1f1b16;--q:#6f675c;--a:#b4632a}\
@media(prefers-color-scheme:dark){:root{--g:#16130f;--i:#f1ece4;--q:#a0978a;--a:#e59a5c}}\
*{margin:0}\
body{min-height:100vh;min-height:100svh;box-sizing:border-box;padding:2rem;display:grid;\
place-content:center;background:var(--g);color:var(--i);\
font:1.0625rem/1.6 system-ui,-apple-system,\"Segoe UI\",sans-serif}\
main{width:min(27rem,100vw - 4rem)}\
b{display:block;font-size:clamp(4.5rem,20vw,7.5rem);font-weight:250;line-height:1;\
letter-spacing:-.04em;color:var(--a);font-variant-numeric:tabular-nums;margin-left:-.05em}\
h1{font-size:1.5rem;font-weight:600;letter-spacing:-.01em;margin:1.25rem 0 .5rem}\
p{color:var(--q);text-wrap:pretty}\
p+p{margin-top:2rem;font-size:.8125rem}\
code{font:.8125rem ui-monospace,Menlo,Consolas,monospace;word-break:break-all;user-select:all}\
</style><main><b>";

/// Appends the page of `status` to `out` and returns its `Content-Type`.
///
/// An empty or malformed `request_id` is left out. `accept` is the client's `Accept` field (RFC 9110 section 12.5.1):
/// without a preference of the client the page is plain text, the smallest of all.
pub fn render(
    out: &mut Vec<u8>,
    status: u16,
    request_id: &[u8],
    accept: Option<&[u8]>,
) -> &'static str {
    let wording = wording::of(status);
    let id = if request_id::is_valid(request_id) {
        request_id
    } else {
        b""
    };
    match accept::negotiate(accept.unwrap_or_default()) {
        Form::Html => {
            html(out, status, &wording, id);
            "text/html; charset=utf-8"
        }
        Form::Json => {
            json(out, status, &wording, id);
            "application/json"
        }
        Form::Problem => {
            json(out, status, &wording, id);
            "application/problem+json"
        }
        Form::Text => {
            plain(out, status, &wording, id);
            "text/plain; charset=utf-8"
        }
    }
}

/// Whether a client with this `Accept` field would rather have JSON than a page.
pub fn prefers_json(accept: Option<&[u8]>) -> bool {
    let form = accept::negotiate(accept.unwrap_or_default());
    matches!(form, Form::Json | Form::Problem)
}

/// The sentence about `status`, for people.
pub fn message(status: u16) -> &'static str {
    wording::of(status).text
}

fn html(out: &mut Vec<u8>, status: u16, wording: &Wording, id: &[u8]) {
    let digits = digits(status);
    out.extend_from_slice(HTML_HEAD.as_bytes());
    out.extend_from_slice(&digits);
    out.push(b' ');
    out.extend_from_slice(wording.title.as_bytes());
    out.extend_from_slice(HTML_STYLE.as_bytes());
    out.extend_from_slice(&digits);
    out.extend_from_slice(b"</b><h1>");
    out.extend_from_slice(wording.title.as_bytes());
    out.extend_from_slice(b"</h1><p>");
    out.extend_from_slice(wording.text.as_bytes());
    if !id.is_empty() {
        out.extend_from_slice(b"</p><p>Request <code>");
        out.extend_from_slice(id);
        out.extend_from_slice(b"</code>");
    }
    out.extend_from_slice(b"</p></main>\n");
}

/// Members of RFC 9457, and `request_id`.
fn json(out: &mut Vec<u8>, status: u16, wording: &Wording, id: &[u8]) {
    out.extend_from_slice(b"{\"status\":");
    out.extend_from_slice(&digits(status));
    out.extend_from_slice(b",\"title\":\"");
    out.extend_from_slice(wording.title.as_bytes());
    out.extend_from_slice(b"\",\"detail\":\"");
    out.extend_from_slice(wording.text.as_bytes());
    if !id.is_empty() {
        out.extend_from_slice(b"\",\"request_id\":\"");
        out.extend_from_slice(id);
    }
    out.extend_from_slice(b"\"}\n");
}

fn plain(out: &mut Vec<u8>, status: u16, wording: &Wording, id: &[u8]) {
    out.extend_from_slice(&digits(status));
    out.push(b' ');
    out.extend_from_slice(wording.title.as_bytes());
    out.extend_from_slice(b"\n\n");
    out.extend_from_slice(wording.text.as_bytes());
    out.push(b'\n');
    if !id.is_empty() {
        out.extend_from_slice(b"\nRequest ");
        out.extend_from_slice(id);
        out.push(b'\n');
    }
}

fn digits(status: u16) -> [u8; 3] {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    [digit(status / 100), digit(status / 10), digit(status)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736";
    const EMITTED: [u16; 21] = [
        400, 403, 404, 405, 408, 411, 413, 414, 416, 417, 421, 429, 431, 500, 501, 502, 503, 504,
        505, 507, 508,
    ];
    const BROWSER: &[u8] = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn page(status: u16, accept: Option<&[u8]>) -> (&'static str, String) {
        let mut out = Vec::new();
        let kind = render(&mut out, status, ID, accept);
        (kind, String::from_utf8(out).expect("pages are UTF-8"))
    }

    #[test]
    fn the_client_chooses_the_form() {
        let cases: [(Option<&[u8]>, &str); 16] = [
            (None, "text/plain"),
            (Some(b""), "text/plain"),
            (Some(b"*/*"), "text/plain"),
            (Some(b"image/png"), "text/plain"),
            (Some(BROWSER), "text/html"),
            (Some(b"TEXT/HTML"), "text/html"),
            (Some(b"application/json"), "application/json"),
            (
                Some(b"application/json, text/plain, */*"),
                "application/json",
            ),
            (
                Some(b"application/problem+json, application/json"),
                "application/problem+json",
            ),
            (
                Some(b"text/html;q=0.5, application/json;q=0.51"),
                "application/json",
            ),
            (
                Some(b"text/html; charset=utf-8; q=0.2, text/plain;q=0.1"),
                "text/html",
            ),
            (
                Some(b"text/html;q=0, application/json;q=0.001"),
                "application/json",
            ),
            (Some(b"text/html;q=7"), "text/plain"),
            (Some(b"application/*"), "application/json"),
            (Some(b"text/*, text/html"), "text/html"),
            (Some(b";;,,;q=,\xff"), "text/plain"),
        ];
        for (accept, expected) in cases {
            let (kind, _) = page(404, accept);
            let shown = accept.map(String::from_utf8_lossy);
            assert_eq!(kind.split(';').next(), Some(expected), "{shown:?}");
        }
    }

    #[test]
    fn every_page_is_small_and_shows_status_and_request_id_but_not_the_server() {
        for status in EMITTED {
            for accept in [BROWSER, b"application/json", b"text/plain"] {
                let (kind, body) = page(status, Some(accept));
                assert!(body.len() <= 1536, "{status} {kind}: {} bytes", body.len());
                assert!(body.contains(&status.to_string()));
                assert!(body.contains("4bf92f3577b34da6a3ce929d0e0e4736"));
                assert!(!body.to_lowercase().contains("quaich"));
            }
        }
    }

    #[test]
    fn json_is_well_formed() {
        for status in EMITTED {
            let (_, body) = page(status, Some(b"application/json"));
            let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(value["status"], status);
            assert_eq!(value["request_id"], std::str::from_utf8(ID).expect("ASCII"));
            assert!(value["title"].is_string() && value["detail"].is_string());
        }
    }

    #[test]
    fn a_request_id_that_could_be_markup_is_left_out() {
        for accept in [&b"text/html"[..], b"application/json", b"text/plain"] {
            let mut out = Vec::new();
            render(&mut out, 500, b"<script>alert(1)</script>", Some(accept));
            let body = String::from_utf8_lossy(&out).to_lowercase();
            assert!(
                !body.contains("script") && !body.contains("request"),
                "{body}"
            );
        }
    }
}

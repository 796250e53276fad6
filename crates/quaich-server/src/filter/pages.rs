//! Pages from files, filled in for one exchange. Compiled once for each content, for all threads.
//!
//! Called by `error_pages` and `maintenance`. What comes from outside is escaped as the form of the
//! page needs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use quaich_proto::headers::HeaderId;

use super::Shared;
use super::texts::Texts;
use crate::error_page;
use crate::exchange::Exchange;
use crate::route::template::Template;

/// Those of all files, compiled.
#[derive(Debug, Default)]
pub struct Compiled {
    pages: RwLock<HashMap<PathBuf, (Arc<[u8]>, Arc<Template>)>>,
}

impl Compiled {
    /// The file as it is now.
    fn get(&self, texts: &Texts, path: &Path) -> Option<Arc<Template>> {
        let content = texts.get(path)?;
        let known = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, page)) = known.get(path)
            && Arc::ptr_eq(of, &content)
        {
            return Some(page.clone());
        }
        drop(known);
        let page = Arc::new(Template::of_page(&content));
        let mut known = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), (content, page.clone()));
        Some(page)
    }
}

/// A page, and what is shown in its place to clients that ask for JSON.
pub(super) struct Page {
    shared: Arc<Shared>,
    file: File,
    /// The file beside it, if it is there.
    json: Option<File>,
}

struct File {
    path: PathBuf,
    content_type: &'static str,
    escape: fn(&mut Vec<u8>, &[u8]),
}

impl File {
    fn new(path: PathBuf) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let (content_type, escape): (_, fn(&mut Vec<u8>, &[u8])) = match ending {
            Some("json") => ("application/json", json),
            Some("txt") => ("text/plain; charset=utf-8", plain),
            Some("xml") => ("application/xml", markup),
            _ => ("text/html; charset=utf-8", markup),
        };
        Self {
            path,
            content_type,
            escape,
        }
    }
}

impl Page {
    /// The page of `path`.
    pub(super) fn new(path: &Path, shared: &Arc<Shared>) -> Self {
        let beside = path.with_extension("json");
        Self {
            shared: shared.clone(),
            json: (beside != path).then(|| File::new(beside)),
            file: File::new(path.to_owned()),
        }
    }

    /// Appends it to `out` and returns its `Content-Type`. `None` = the built-in one is better: the
    /// client asks for JSON, and there is none.
    pub(super) fn render(&self, out: &mut Vec<u8>, exchange: &Exchange) -> Option<&'static str> {
        let accept = exchange.request.headers.get(HeaderId::Accept);
        let file = match &self.json {
            Some(json) if error_page::prefers_json(accept) => json,
            _ => &self.file,
        };
        let page = self.shared.pages.get(&self.shared.texts, &file.path)?;
        page.write_escaped(out, exchange, file.escape);
        Some(file.content_type)
    }
}

/// For text and quoted attributes of HTML and XML.
fn markup(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            // For unquoted attributes and templates of scripts.
            b'`' => out.extend_from_slice(b"&#96;"),
            _ => out.push(byte),
        }
    }
}

/// For the inside of a text of JSON; what is no UTF-8 becomes U+FFFD.
fn json(out: &mut Vec<u8>, text: &[u8]) {
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            '\0'..='\x1f' | '<' | '\x7f' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn plain(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LoadedText;

    fn shared(files: &[(&str, &str)]) -> Arc<Shared> {
        let shared = Arc::<Shared>::default();
        let text = |(path, text): &(&str, &str)| LoadedText {
            path: path.into(),
            bytes: text.as_bytes().into(),
        };
        shared.texts.replace(files.iter().map(text).collect());
        shared
    }

    fn exchange(accept: &[u8]) -> Exchange {
        let mut exchange = Exchange::default();
        let headers = &mut exchange.request.headers;
        headers.push(b"Accept", accept).expect("valid");
        let nasty = b"<b>\"'&\\\xff";
        headers.push(b"X-Nasty", nasty).expect("valid");
        exchange.response.status = 502;
        exchange
    }

    fn shown(page: &Page, accept: &[u8]) -> Option<(&'static str, String)> {
        let mut out = Vec::new();
        let kind = page.render(&mut out, &exchange(accept))?;
        Some((kind, String::from_utf8_lossy(&out).into_owned()))
    }

    #[test]
    fn what_comes_from_outside_is_escaped_for_the_form_of_the_page() {
        let content = "{status} {header.x-nasty}";
        let files = [
            ("/a.html", content),
            ("/a.json", content),
            ("/a.txt", content),
            ("/a.xml", content),
        ];
        let shared = shared(&files);
        for (path, kind, expected) in [
            (
                "/a.html",
                "text/html",
                "502 &lt;b&gt;&quot;&#39;&amp;\\\u{fffd}",
            ),
            (
                "/a.xml",
                "application/xml",
                "502 &lt;b&gt;&quot;&#39;&amp;\\\u{fffd}",
            ),
            (
                "/a.json",
                "application/json",
                "502 \\u003cb>\\\"'&\\\\\u{fffd}",
            ),
            ("/a.txt", "text/plain", "502 <b>\"'&\\\u{fffd}"),
        ] {
            let (found, body) =
                shown(&Page::new(Path::new(path), &shared), b"*/*").expect("a page");
            assert!(found.starts_with(kind), "{path}: {found}");
            assert_eq!(body, expected, "{path}");
        }
    }

    #[test]
    fn who_asks_for_json_gets_the_file_beside_or_nothing() {
        let with = shared(&[("/a.html", "page"), ("/a.json", "{}")]);
        let page = Page::new(Path::new("/a.html"), &with);
        let json = Some(("application/json", "{}".to_owned()));
        assert_eq!(shown(&page, b"application/json"), json);
        let html = Some(("text/html; charset=utf-8", "page".to_owned()));
        assert_eq!(shown(&page, b"*/*"), html);
        let without = shared(&[("/a.html", "page")]);
        let page = Page::new(Path::new("/a.html"), &without);
        assert_eq!(shown(&page, b"application/json"), None);
        assert_eq!(shown(&page, b"text/html"), html);
    }

    #[test]
    fn a_file_that_is_replaced_is_compiled_anew() {
        let shared = shared(&[("/a.html", "one")]);
        let page = Page::new(Path::new("/a.html"), &shared);
        assert_eq!(shown(&page, b"*/*").expect("a page").1, "one");
        shared.texts.replace(vec![LoadedText {
            path: "/a.html".into(),
            bytes: b"two".to_vec(),
        }]);
        assert_eq!(shown(&page, b"*/*").expect("a page").1, "two");
    }
}

//! Where an app is, in the client's eyes, and URLs as they are from there.

use quaich_proto::target::Authority;

use super::Mount;
use crate::exchange::Exchange;
use crate::forwarded::Public;
use crate::thread::Thread;

/// Where a client has found the app of a mount.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    mount: &'p Mount,
    https: bool,
    /// Host and port as the client wrote them; may be empty.
    authority: &'p [u8],
    /// What an outer proxy has taken off the path.
    outer: &'p [u8],
    /// Name of the server that answered.
    answered: &'p str,
}

impl<'p> Place<'p> {
    pub(super) fn new(mount: &'p Mount, thread: &Thread, exchange: &'p Exchange) -> Self {
        let request = &exchange.request;
        let client = &exchange.client;
        // The port is only needed by those who get it as a number.
        let public = thread
            .trust
            .public(client, &request.headers, request.authority(), 0);
        let Public { host, prefix, .. } = public;
        Self {
            mount,
            https: client.https,
            authority: host,
            outer: prefix,
            answered: &exchange.notes.upstream,
        }
    }

    /// For tests: a place that no request has found.
    #[cfg(test)]
    pub(super) fn at(
        mount: &'p Mount,
        (https, authority): (bool, &'p [u8]),
        outer: &'p [u8],
        answered: &'p str,
    ) -> Self {
        Self {
            mount,
            https,
            authority,
            outer,
            answered,
        }
    }

    /// The public host without port.
    pub(super) fn host(&self) -> &'p [u8] {
        Authority::parse(self.authority).map_or(&[], |authority| authority.host())
    }

    /// Whether the app may call the machine that it runs on so.
    pub(super) fn is_own_host(&self, host: &[u8]) -> bool {
        self.mount.own.has_host(host) || is_host_of(self.answered, host)
    }

    /// The path as the client must ask for it; `None` = as it is. It begins with a slash.
    pub(super) fn path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let prefix = self.mount.prefix.as_slice();
        if !self.mount.always {
            if is_below(path, self.outer).is_some_and(|rest| is_below(rest, prefix).is_some()) {
                return None;
            }
            if is_below(path, prefix).is_some() {
                return Some([self.outer, path].concat());
            }
        }
        Some([self.outer, prefix, path].concat())
    }

    /// The URL as the client must ask for it; `None` = as it is.
    pub(super) fn url(&self, url: &[u8]) -> Option<Vec<u8>> {
        let Some((https, rest)) = split_scheme(url) else {
            return match url {
                [b'/', b'/', rest @ ..] => self.absolute(None, rest),
                [b'/', ..] => self.path(url),
                _ => None,
            };
        };
        self.absolute(Some(https), rest)
    }

    /// A URL that is `rest` behind its scheme and `//`.
    fn absolute(&self, https: Option<bool>, rest: &[u8]) -> Option<Vec<u8>> {
        let end = rest.iter().position(|byte| b"/?#\\".contains(byte));
        let (text, path) = rest.split_at(end.unwrap_or(rest.len()));
        let authority = Authority::parse(text)?;
        let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
        let mapped = || {
            let path = [slash, path].concat();
            self.path(&path).unwrap_or(path)
        };
        let secure = https.unwrap_or(self.https);
        if self.is_public(&authority, secure) {
            // An app behind TLS that is not told of it says http; one that says https means it.
            let scheme = match https {
                None => &b"//"[..],
                Some(_) if secure || self.https => b"https://",
                Some(_) => b"http://",
            };
            let unchanged = self.path(path).is_none() && slash.is_empty();
            if unchanged && https.is_none_or(|https| https || !self.https) {
                return None;
            }
            return Some([scheme, text, &mapped()].concat());
        }
        let port = authority.port().unwrap_or(usual_port(secure));
        if !self.mount.own.has(authority.host(), port, self.answered) {
            return None;
        }
        if self.authority.is_empty() {
            return Some(mapped());
        }
        let scheme: &[u8] = match (https, self.https) {
            (None, _) => b"//",
            (_, true) => b"https://",
            (_, false) => b"http://",
        };
        Some([scheme, self.authority, &mapped()].concat())
    }

    /// Whether the client would come back to where it is. A port that nobody names is that of either
    /// scheme.
    fn is_public(&self, authority: &Authority<'_>, secure: bool) -> bool {
        let Some(public) = Authority::parse(self.authority) else {
            return false;
        };
        let (here, there) = (public.port(), authority.port());
        let same_port = here.is_none() && there.is_none()
            || here.unwrap_or(usual_port(self.https)) == there.unwrap_or(usual_port(secure));
        same_port && public.host().eq_ignore_ascii_case(authority.host())
    }

    /// `5; url=/x`, as browsers read it: the comma for the semicolon, `url=` left out, quotes.
    pub(super) fn refresh(&self, value: &[u8]) -> Option<Vec<u8>> {
        let seconds = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let time = value.iter().take_while(|byte| seconds(byte)).count();
        let rest = value.get(time..).unwrap_or_default().trim_ascii_start();
        let rest = rest
            .strip_prefix(b";")
            .or_else(|| rest.strip_prefix(b","))?
            .trim_ascii_start();
        let named = rest
            .split_at_checked(3)
            .filter(|(name, _)| time > 0 && name.eq_ignore_ascii_case(b"url"))
            .and_then(|(_, rest)| rest.trim_ascii_start().strip_prefix(b"="));
        let rest = named.map_or(rest, <[u8]>::trim_ascii_start);
        let (quote, rest) = match rest {
            [quote @ (b'"' | b'\''), rest @ ..] => (Some(*quote), rest),
            _ => (None, rest),
        };
        let end = quote.and_then(|quote| memchr::memchr(quote, rest));
        let (url, tail) = rest.split_at(end.unwrap_or(rest.len()));
        let mapped = self.url(url)?;
        let head = value.len() - url.len() - tail.len();
        Some([value.get(..head)?, &mapped, tail].concat())
    }

    /// Each `<URL>` outside of quotes.
    pub(super) fn link(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut done = 0;
        let mut at = 0;
        let mut quoted = false;
        while let Some(&byte) = value.get(at) {
            match (byte, quoted) {
                (b'\\', true) => at += 1,
                (b'"', _) => quoted = !quoted,
                (b'<', false) => {
                    let inside = value.get(at + 1..)?;
                    let end = at + 1 + memchr::memchr(b'>', inside)?;
                    if let Some(mapped) = self.url(value.get(at + 1..end)?) {
                        out.extend_from_slice(value.get(done..=at)?);
                        out.extend_from_slice(&mapped);
                        done = end;
                    }
                    at = end;
                }
                _ => {}
            }
            at += 1;
        }
        (done > 0).then(|| [&out, value.get(done..).unwrap_or_default()].concat())
    }
}

/// What is behind `prefix` in a path, query and fragment included, if the path is at or below it.
fn is_below<'u>(path: &'u [u8], prefix: &[u8]) -> Option<&'u [u8]> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || b"/?#".contains(rest.first()?)).then_some(rest)
}

/// Whether a URL begins with `https://` (`true`) or `http://`, and what is behind.
fn split_scheme(url: &[u8]) -> Option<(bool, &[u8])> {
    let after = |scheme: &[u8]| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after(b"https://")
        .map(|rest| (true, rest))
        .or_else(|| Some((false, after(b"http://")?)))
}

fn usual_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Whether the name of a server is the address `host:port`. Names are URLs or the like.
pub(super) fn is_authority(name: &str, host: &[u8], port: u16) -> bool {
    let (https, rest) = split_scheme(name.as_bytes()).unwrap_or((false, name.as_bytes()));
    Authority::parse(rest).is_some_and(|own| {
        own.port().unwrap_or(usual_port(https)) == port && own.host().eq_ignore_ascii_case(host)
    })
}

/// Whether the name of a server has this host.
fn is_host_of(name: &str, host: &[u8]) -> bool {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    rest.contains([':', '.'])
        && Authority::parse(rest.as_bytes())
            .is_some_and(|own| own.host().eq_ignore_ascii_case(host))
}

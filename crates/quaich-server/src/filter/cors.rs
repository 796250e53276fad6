//! `cors`: which other origins may read answers, as the Fetch standard has it.

use std::time::Duration;

use quaich_config::model::{self, CorsPolicy, HostPattern, OriginPattern, OriginPort};
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::method::Method;
use regex::bytes::Regex;

use super::{Flow, Parts, vary};
use crate::downstream::service::{Scope, bodyless};
use crate::error::Error;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Cors {
    origins: Vec<OriginMatch>,
    /// Every origin, and nobody's cookies: the answer is the same for all.
    any: bool,
    credentials: bool,
    methods: Names,
    headers: Names,
    expose: Vec<u8>,
    max_age: Vec<u8>,
}

enum OriginMatch {
    Null,
    Plain {
        scheme: Vec<u8>,
        host: HostPattern,
        port: OriginPort,
    },
    Regex(Regex),
}

/// What scripts may use.
enum Names {
    /// Whatever they ask for.
    Any,
    /// These, and as a list for the answer.
    Listed(Vec<Vec<u8>>, Vec<u8>),
}

const REQUEST_METHOD: &[u8] = b"Access-Control-Request-Method";
const REQUEST_HEADERS: &[u8] = b"Access-Control-Request-Headers";

/// Methods that need no leave.
const SAFE_METHODS: [&[u8]; 3] = [b"GET", b"HEAD", b"POST"];

impl Cors {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Cors, _parts: &Parts<'_>) -> Option<Self> {
        settings.policy.as_ref().map(Self::of)
    }

    fn of(policy: &CorsPolicy) -> Self {
        let any = policy.origins.contains(&OriginPattern::Any);
        Self {
            origins: policy.origins.iter().filter_map(OriginMatch::new).collect(),
            any,
            credentials: policy.credentials && !any,
            methods: Names::new(&policy.methods),
            headers: Names::new(&policy.headers),
            expose: policy.expose.join(", ").into_bytes(),
            max_age: seconds(policy.max_age),
        }
    }

    /// Answers a preflight, which asks for nothing but leave.
    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        let request = &scope.exchange.request;
        let Some(method) = preflight(request.method, &request.headers) else {
            return Ok(Flow::Pass);
        };
        let counters = &scope.thread.counters;
        counters.cors_preflights.add();
        let origin = request.headers.get(HeaderId::Origin).unwrap_or_default();
        let asked = request.headers.by_name(REQUEST_HEADERS);
        let grants = self.admits(origin)
            && (SAFE_METHODS.contains(&method) || self.methods.admit(method))
            && asked.is_none_or(|list| tokens(list).all(|name| self.headers.admit(name)));
        if !grants {
            counters.cors_refused.add();
        }
        scope.exchange.response.status = 204;
        let headers = &mut scope.exchange.response.headers;
        if self.admits(origin) {
            // Every one is a list of tokens or digits.
            let _ = headers.push(b"Access-Control-Allow-Methods", self.methods.grant(method));
            let granted = self.headers.grant(asked.unwrap_or_default());
            if !granted.is_empty() {
                let _ = headers.push(b"Access-Control-Allow-Headers", granted);
            }
            let _ = headers.push(b"Access-Control-Max-Age", &self.max_age);
        }
        vary::add(headers, REQUEST_METHOD);
        vary::add(headers, REQUEST_HEADERS);
        bodyless(scope).await?;
        Ok(Flow::Answered)
    }

    /// Takes away what an app or another server says of who may read its answer.
    pub(super) fn silence(&self, exchange: &mut Exchange) {
        let headers = &mut exchange.response.headers;
        let prefix = b"access-control-";
        let is_ours = |name: &[u8]| {
            name.get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        if headers.iter().any(|(_, name, _)| is_ours(name)) {
            headers.retain(|_, name, _| !is_ours(name));
        }
    }

    /// Says whether the origin that asked may read the answer.
    pub(super) fn response(&self, exchange: &mut Exchange) {
        let headers = &mut exchange.response.headers;
        let request = &exchange.request;
        let origin = request.headers.get(HeaderId::Origin);
        // Valid all: the origin came as the value of a field.
        if self.any {
            let _ = headers.set(b"Access-Control-Allow-Origin", b"*");
        } else {
            // A cache must not give one origin's answer to another.
            vary::add(headers, b"Origin");
            let Some(origin) = origin.filter(|origin| self.admits(origin)) else {
                return;
            };
            let _ = headers.set(b"Access-Control-Allow-Origin", origin);
            if self.credentials {
                let _ = headers.set(b"Access-Control-Allow-Credentials", b"true");
            }
        }
        if !self.expose.is_empty() && preflight(request.method, &request.headers).is_none() {
            let _ = headers.push(b"Access-Control-Expose-Headers", &self.expose);
        }
    }

    fn admits(&self, origin: &[u8]) -> bool {
        self.any || self.origins.iter().any(|known| known.matches(origin))
    }
}

/// The method that a preflight asks for; `None` = the request is none.
fn preflight(method: Method, headers: &Headers) -> Option<&[u8]> {
    if method != Method::Options || !headers.contains(HeaderId::Origin) {
        return None;
    }
    headers.by_name(REQUEST_METHOD)
}

/// The words of a list.
fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    words.filter(|word| !word.is_empty())
}

fn seconds(time: Duration) -> Vec<u8> {
    time.as_secs().to_string().into_bytes()
}

impl Names {
    fn new(names: &[String]) -> Self {
        match names {
            [only] if only == "*" => Self::Any,
            _ => Self::Listed(
                names.iter().map(|name| name.clone().into_bytes()).collect(),
                names.join(", ").into_bytes(),
            ),
        }
    }

    fn admit(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(names, _) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
        }
    }

    /// What the answer says: the list, or what was `asked` for, if it is one.
    fn grant<'g>(&'g self, asked: &'g [u8]) -> &'g [u8] {
        let of_list =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
        match self {
            Self::Listed(_, list) => list,
            Self::Any if asked.iter().all(of_list) => asked,
            Self::Any => b"",
        }
    }
}

impl OriginMatch {
    /// `None` for `*`, which is looked at before.
    fn new(pattern: &OriginPattern) -> Option<Self> {
        Some(match pattern {
            OriginPattern::Any => return None,
            OriginPattern::Null => Self::Null,
            // A part of a name must not be taken for all of it. It was compiled by the check.
            OriginPattern::Regex(regex) => {
                Self::Regex(Regex::new(&format!("(?i)^(?:{regex})$")).ok()?)
            }
            OriginPattern::Plain { scheme, host, port } => Self::Plain {
                scheme: scheme.clone().into_bytes(),
                host: host.clone(),
                port: *port,
            },
        })
    }

    fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Null => origin == b"null",
            Self::Regex(regex) => regex.is_match(origin),
            Self::Plain { scheme, host, port } => {
                let Some((own, rest)) = origin.split_at_checked(scheme.len()) else {
                    return false;
                };
                let Some(rest) = rest.strip_prefix(b"://") else {
                    return false;
                };
                let (name, number) = split_port(rest);
                own.eq_ignore_ascii_case(scheme)
                    && is_host(host, name)
                    && is_port(*port, number, scheme)
            }
        }
    }
}

/// Host, and digits of the port if there is one.
fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let name = text.iter().rposition(|&byte| byte == b']').unwrap_or(0);
    let (_, behind) = text.split_at(name);
    match behind.iter().position(|&byte| byte == b':') {
        Some(colon) => {
            let (host, port) = text.split_at(name + colon);
            (host, port.get(1..))
        }
        None => (text, None),
    }
}

fn is_host(pattern: &HostPattern, name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._[:]".contains(byte);
    match pattern {
        HostPattern::Exact(exact) => exact.as_bytes().eq_ignore_ascii_case(name),
        HostPattern::Suffix(suffix) => {
            let Some(at) = name.len().checked_sub(suffix.len()).filter(|at| *at > 0) else {
                return false;
            };
            let (first, last) = name.split_at(at);
            first.iter().all(plain) && last.eq_ignore_ascii_case(suffix.as_bytes())
        }
        HostPattern::Any => false,
    }
}

fn is_port(pattern: OriginPort, digits: Option<&[u8]>, scheme: &[u8]) -> bool {
    let number = digits.map(|digits| {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        text.parse::<u16>().unwrap_or(0)
    });
    let default = match scheme {
        b"http" | b"ws" => Some(80),
        b"https" | b"wss" => Some(443),
        _ => None,
    };
    match pattern {
        OriginPort::Any => number != Some(0),
        OriginPort::Number(port) => number == Some(port),
        OriginPort::Default => number.is_none() || number == default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(scheme: &str, host: HostPattern, port: OriginPort) -> OriginMatch {
        let pattern = OriginPattern::Plain {
            scheme: scheme.into(),
            host,
            port,
        };
        OriginMatch::new(&pattern).expect("a pattern")
    }

    #[test]
    fn scheme_and_host_have_no_case_and_the_port_is_exact() {
        let exact = HostPattern::Exact("a.test".into());
        let at = plain("https", exact.clone(), OriginPort::Default);
        for (origin, admitted) in [
            ("https://a.test", true),
            ("HTTPS://A.Test", true),
            ("https://a.test:443", true),
            ("https://a.test:8443", false),
            ("https://a.test:", false),
            ("http://a.test", false),
            ("https://a.test.evil.test", false),
            ("https://xa.test", false),
            ("https:a.test", false),
            ("", false),
            ("null", false),
        ] {
            assert_eq!(at.matches(origin.as_bytes()), admitted, "{origin}");
        }
        let at = plain("http", exact, OriginPort::Number(8080));
        assert!(at.matches(b"http://a.test:8080") && !at.matches(b"http://a.test"));
        let local = HostPattern::Exact("localhost".into());
        let any = plain("http", local, OriginPort::Any);
        assert!(any.matches(b"http://localhost:5173") && any.matches(b"http://localhost"));
        assert!(!any.matches(b"http://localhost:x") && !any.matches(b"http://localhost.evil"));
        let v6 = plain("http", HostPattern::Exact("[::1]".into()), OriginPort::Any);
        assert!(v6.matches(b"http://[::1]:80") && !v6.matches(b"http://[::2]:80"));
    }

    #[test]
    fn a_suffix_is_whole_labels_and_a_regex_the_whole_origin() {
        let below = HostPattern::Suffix(".a.test".into());
        let below = plain("https", below, OriginPort::Default);
        for (origin, admitted) in [
            ("https://x.a.test", true),
            ("https://y.x.A.TEST", true),
            ("https://a.test", false),
            ("https://.a.test", false),
            ("https://evil/.a.test", false),
            ("https://evil@x.a.test", false),
            ("https://xa.test", false),
        ] {
            assert_eq!(below.matches(origin.as_bytes()), admitted, "{origin}");
        }
        let regex = OriginPattern::Regex("https://(a|b)[.]test".into());
        let regex = OriginMatch::new(&regex).expect("a pattern");
        assert!(regex.matches(b"https://b.test"));
        assert!(!regex.matches(b"https://b.test.evil.test"));
        assert!(!regex.matches(b"xhttps://b.test"));
    }

    proptest::proptest! {
        #[test]
        fn no_origin_of_another_site_is_admitted(
            origin in "(https?|x)(://|:)[a-z.@:/\\[\\]*-]{0,20}",
        ) {
            let at = plain("https", HostPattern::Exact("a.test".into()), OriginPort::Default);
            let same = ["https://a.test", "https://a.test:443"].contains(&origin.as_str());
            proptest::prop_assert_eq!(at.matches(origin.as_bytes()), same);
        }
    }
}

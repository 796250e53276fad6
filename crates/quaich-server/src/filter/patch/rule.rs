//! One rule, compiled: whether it holds for a request, and how often it did.

use std::sync::atomic::{AtomicU64, Ordering};

use quaich_config::model::Network;

use super::pattern::Pattern;
use super::views::Views;
use crate::exchange::Exchange;
use crate::forwarded;
use crate::link::Patch;

/// A rule of all threads.
pub(super) struct Rule {
    patch: Patch,
    path: Vec<Pattern>,
    host: Vec<Pattern>,
    header: Vec<(String, Pattern)>,
    query: Vec<(String, Pattern)>,
    client: Vec<Network>,
    body: Option<Pattern>,
    hits: AtomicU64,
    /// Milliseconds since 1970.
    last: AtomicU64,
}

/// Bytes of a name.
const LONGEST_NAME: usize = 64;
/// Bytes of a body that a rule may look at.
const LONGEST_BODY: usize = 1 << 20;

impl Rule {
    /// Compiles `patch`. The error is for people.
    pub(super) fn new(patch: &Patch) -> Result<Self, String> {
        let named = |pairs: &[(String, String)]| {
            let pair = |(name, text): &(String, String)| Ok((name.clone(), Pattern::new(text)?));
            pairs.iter().map(pair).collect::<Result<Vec<_>, String>>()
        };
        let patterns = |texts: &[String], compile: fn(&str) -> Result<Pattern, String>| {
            let compiled = texts.iter().map(|text| compile(text));
            compiled.collect::<Result<Vec<_>, _>>()
        };
        let rule = Self {
            path: patterns(&patch.path, Pattern::of_path)?,
            host: patterns(&patch.host, Pattern::new)?,
            header: named(&patch.header)?,
            query: named(&patch.query)?,
            client: patch.client.iter().map(forwarded::canonical).collect(),
            body: patch.body.as_deref().map(Pattern::new).transpose()?,
            hits: AtomicU64::new(0),
            last: AtomicU64::new(0),
            patch: patch.clone(),
        };
        check_words(patch)?;
        if rule.is_empty() {
            return Err("without a condition it would refuse every request".to_owned());
        }
        rule.can_hold()?;
        if patch.body_limit > LONGEST_BODY {
            return Err("at most 1 MiB of a body is looked at".to_owned());
        }
        if !(400..600).contains(&patch.status) {
            return Err("the status of a refusal is 400 to 599".to_owned());
        }
        Ok(rule)
    }

    fn is_empty(&self) -> bool {
        self.path.is_empty()
            && self.host.is_empty()
            && self.header.is_empty()
            && self.query.is_empty()
            && self.client.is_empty()
            && self.body.is_none()
            && self.patch.method.is_empty()
    }

    /// Refuses what no request has: a rule that never holds looks like one that protects.
    fn can_hold(&self) -> Result<(), String> {
        for path in &self.patch.path {
            if !path.starts_with(['/', '*', '?', '~']) && !path.contains("://") {
                return Err(format!(
                    "a path begins with a slash: write `--path /{path}`"
                ));
            }
        }
        for method in &self.patch.method {
            let upper = method.to_ascii_uppercase();
            if !is_token(method) {
                return Err(format!("`{method}` is no method"));
            }
            if *method != upper {
                return Err(format!(
                    "methods know upper from lower case: write `--method {upper}`"
                ));
            }
        }
        let mut names = self.patch.header.iter().map(|(name, _)| name);
        match names.find(|name| *name != "*" && !is_token(name)) {
            Some(name) => Err(format!("`{name}` is no name of a header field")),
            None => Ok(()),
        }
    }

    pub(super) fn patch(&self) -> &Patch {
        &self.patch
    }

    pub(super) fn wants_body(&self) -> bool {
        self.body.is_some()
    }

    /// How often it has held, and when last.
    pub(super) fn counts(&self) -> (u64, u64) {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        (load(&self.hits), load(&self.last))
    }

    pub(super) fn count(&self, now: u64) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Whether all holds that is said of anything but the body.
    pub(super) fn head_holds(&self, exchange: &Exchange, views: &Views<'_>) -> bool {
        let request = &exchange.request;
        let methods = &self.patch.method;
        let method = request.method_name();
        let is_method = |name: &String| name.as_bytes() == method;
        (methods.is_empty() || methods.iter().any(is_method))
            && any(&self.path, views.paths.iter().map(AsRef::as_ref))
            && any(&self.host, std::iter::once(request.host()))
            && self.client_holds(exchange)
            && self.header.iter().all(|pair| header_holds(pair, exchange))
            && self.query.iter().all(|pair| query_holds(pair, views))
    }

    /// Whether the pattern for the body holds for what is here of it. Of a longer one nobody knows:
    /// it is refused unless the rule says otherwise, for who can add a byte could dodge the rule.
    pub(super) fn body_holds(&self, body: &[u8], whole: bool) -> bool {
        let limit = self.patch.body_limit;
        let seen = body.get(..limit).unwrap_or(body);
        let is_long = !whole || body.len() > limit;
        let found = self.body.as_ref().is_none_or(|body| body.holds(seen));
        found || is_long && !self.patch.passes_long
    }

    fn client_holds(&self, exchange: &Exchange) -> bool {
        let within = |addr| {
            let mut networks = self.client.iter();
            networks.any(|network| forwarded::is_within(addr, network))
        };
        self.client.is_empty() || exchange.client.addr.is_some_and(within)
    }
}

/// Both are shown on terminals and in logs.
fn check_words(patch: &Patch) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if patch.name.len() > LONGEST_NAME || !patch.name.chars().all(fits) {
        return Err(format!(
            "the name of a patch has a to z, 0 to 9, `-` and `_`, and at most {LONGEST_NAME} of them"
        ));
    }
    match patch.reason.chars().any(char::is_control) {
        true => Err("the reason holds control characters".to_owned()),
        false => Ok(()),
    }
}

/// Whether one of `patterns`, if there are any, holds for one of `texts`.
fn any<'t>(patterns: &[Pattern], mut texts: impl Iterator<Item = &'t [u8]>) -> bool {
    patterns.is_empty() || texts.any(|text| patterns.iter().any(|pattern| pattern.holds(text)))
}

fn header_holds((name, pattern): &(String, Pattern), exchange: &Exchange) -> bool {
    let is_named = |own: &[u8]| name == "*" || own.eq_ignore_ascii_case(name.as_bytes());
    let mut fields = exchange.request.headers.iter();
    fields.any(|(_, own, value)| is_named(own) && pattern.holds(value))
}

fn query_holds((name, pattern): &(String, Pattern), views: &Views<'_>) -> bool {
    let is_named = |own: &Vec<u8>| own == name.as_bytes();
    let mut parameters = views.parameters.iter();
    parameters.any(|parameter| {
        (name == "*" || parameter.names.iter().any(is_named))
            && parameter.values.iter().any(|value| pattern.holds(value))
    })
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

//! `expires`: how long answers may be kept: `Cache-Control` and `Expires`, as nginx writes them.

mod hashed;

use std::time::{Duration, UNIX_EPOCH};

use quaich_config::model::{self, Age, ExpiresRule};
use quaich_proto::headers::HeaderId;

use super::Parts;
use crate::exchange::{Exchange, Origin};
use crate::handler::files;
use crate::route::PathMatch;

/// Of one route.
pub(super) struct Expires {
    rules: Vec<Rule>,
}

struct Rule {
    types: Vec<Type>,
    paths: Vec<PathMatch>,
    statuses: Vec<u16>,
    age: Age,
    immutable: Option<bool>,
    cache_control: Vec<u8>,
    force: bool,
}

/// A media type in lower case; `*` for a part is nothing.
struct Type {
    main: Option<Vec<u8>>,
    sub: Option<Vec<u8>>,
}

/// Those of nginx.
const STATUSES: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

/// What nginx writes for `max`, and for what is over.
const MAX_AGE: u64 = 315_360_000;
const MAX_DATE: &[u8] = b"Thu, 31 Dec 2037 23:55:55 GMT";
const EPOCH_DATE: &[u8] = b"Thu, 01 Jan 1970 00:00:01 GMT";

/// The last second that an HTTP date can name.
const LAST_SECOND: u64 = 253_402_300_799;

impl Expires {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Expires, _parts: &Parts<'_>) -> Option<Self> {
        let rules: Vec<_> = settings.rules.iter().map(Rule::new).collect();
        (!rules.is_empty()).then_some(Self { rules })
    }

    /// `now` is in seconds since 1970.
    pub(super) fn response(&self, exchange: &mut Exchange, now: u64) {
        let status = exchange.response.status;
        let path = exchange.request.path_decoded();
        for rule in &self.rules {
            if !rule.has_status(status) || !rule.has_path(path) {
                continue;
            }
            if !rule.types.is_empty() {
                // What is not known cannot be told from another rule's.
                let Some(media) = media_type(exchange) else {
                    return;
                };
                if !rule.types.iter().any(|known| known.matches(media)) {
                    continue;
                }
            }
            return rule.apply(exchange, now);
        }
    }
}

/// The media type of the answer; of a 304, which has none, that of the file.
fn media_type(exchange: &Exchange) -> Option<&[u8]> {
    let told = exchange.response.headers.get(HeaderId::ContentType);
    match told {
        Some(value) => value.split(|&byte| byte == b';').next(),
        None if exchange.notes.origin == Origin::File && exchange.response.status == 304 => {
            let guess = files::media_type(exchange.request.path_decoded())?;
            guess.as_bytes().split(|&byte| byte == b';').next()
        }
        // No body, no type: rules for types are not for it.
        None if exchange.response.status != 304 => Some(&b""[..]),
        None => None,
    }
    .map(<[u8]>::trim_ascii)
}

impl Rule {
    fn new(rule: &ExpiresRule) -> Self {
        // Those that do not compile were refused by the configuration's own check.
        let paths = rule.paths.iter();
        let paths = paths.filter_map(|path| PathMatch::compile(path).ok());
        Self {
            types: rule.types.iter().map(|text| Type::new(text)).collect(),
            paths: paths.collect(),
            statuses: rule.statuses.clone(),
            age: rule.age,
            immutable: rule.immutable,
            cache_control: rule.cache_control.clone().into_bytes(),
            force: rule.force,
        }
    }

    fn has_status(&self, status: u16) -> bool {
        match &self.statuses[..] {
            [] => STATUSES.contains(&status),
            statuses => statuses.contains(&status),
        }
    }

    fn has_path(&self, path: &[u8]) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|known| known.matches(path))
    }

    fn apply(&self, exchange: &mut Exchange, now: u64) {
        let headers = &exchange.response.headers;
        let told =
            headers.contains(HeaderId::CacheControl) || headers.by_name(b"expires").is_some();
        // An error page of ours says `no-store`; who names its status means it.
        let ours = exchange.notes.origin == Origin::Quaich && !self.statuses.is_empty();
        if self.age == Age::Off || (told && !self.force && !ours) {
            return;
        }
        let (mut control, expires) = lifetime(self.age, modified(exchange), now);
        let keeps = control.starts_with(b"max-age=") && control != b"max-age=0";
        let immutable = self.immutable;
        if !self.cache_control.is_empty() {
            control.extend_from_slice(b", ");
            control.extend_from_slice(&self.cache_control);
        }
        if keeps && immutable.unwrap_or_else(|| hashed::is_hashed(exchange.request.path_decoded()))
        {
            control.extend_from_slice(b", immutable");
        }
        let headers = &mut exchange.response.headers;
        headers.remove(HeaderId::CacheControl);
        headers.remove_name(b"expires");
        // The directives were checked with the configuration, the date is ours.
        let _ = headers.push(b"Cache-Control", &control);
        if let Some(date) = expires {
            let _ = headers.push(b"Expires", &date);
        }
    }
}

/// When what is answered was changed. A 304 need not say it again: the client has named the date.
fn modified(exchange: &Exchange) -> Option<u64> {
    let response = &exchange.response;
    let told = response.headers.by_name(b"last-modified");
    let asked = || {
        let asked = exchange.request.headers.by_name(b"if-modified-since");
        asked.filter(|_| response.status == 304)
    };
    let value = told.or_else(asked)?;
    let time = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Values of `Cache-Control` and `Expires`.
fn lifetime(age: Age, modified: Option<u64>, now: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let until = |at: u64| match at.checked_sub(now) {
        Some(left) => (max_age(left), Some(date(at))),
        None => (b"no-cache".to_vec(), Some(date(at))),
    };
    match age {
        Age::For(time) => until(now.saturating_add(time.as_secs())),
        Age::Modified(time) => until(modified.unwrap_or(now).saturating_add(time.as_secs())),
        Age::Max => (max_age(MAX_AGE), Some(MAX_DATE.to_vec())),
        Age::NoCache => (b"no-cache".to_vec(), Some(EPOCH_DATE.to_vec())),
        Age::NoStore | Age::Off => (b"no-store".to_vec(), None),
    }
}

fn max_age(seconds: u64) -> Vec<u8> {
    format!("max-age={seconds}").into_bytes()
}

fn date(second: u64) -> Vec<u8> {
    let time = UNIX_EPOCH + Duration::from_secs(second.min(LAST_SECOND));
    httpdate::fmt_http_date(time).into_bytes()
}

impl Type {
    fn new(text: &str) -> Self {
        let (main, sub) = text.split_once('/').unwrap_or((text, "*"));
        let part = |part: &str| (part != "*").then(|| part.as_bytes().to_vec());
        Self {
            main: part(main),
            sub: part(sub),
        }
    }

    fn matches(&self, media: &[u8]) -> bool {
        let Some(slash) = media.iter().position(|&byte| byte == b'/') else {
            return false;
        };
        let (main, sub) = media.split_at(slash);
        let is = |known: &Option<Vec<u8>>, part: &[u8]| {
            known
                .as_ref()
                .is_none_or(|known| known.eq_ignore_ascii_case(part))
        };
        is(&self.main, main) && is(&self.sub, sub.get(1..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_777;

    fn rule(age: Age) -> ExpiresRule {
        ExpiresRule {
            types: Vec::new(),
            paths: Vec::new(),
            statuses: Vec::new(),
            age,
            immutable: None,
            cache_control: String::new(),
            force: false,
        }
    }

    /// `Cache-Control` and `Expires` of an answer with these fields.
    fn outcome(
        rules: &[ExpiresRule],
        (status, origin): (u16, Origin),
        fields: &[(&str, &str)],
    ) -> (String, String) {
        let mut exchange = Exchange::default();
        exchange.response.status = status;
        exchange.notes.origin = origin;
        for (name, value) in fields {
            let headers = &mut exchange.response.headers;
            headers.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let rules = rules.iter().map(Rule::new).collect();
        Expires { rules }.response(&mut exchange, NOW);
        let get = |name: &[u8]| {
            let value = exchange.response.headers.by_name(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        (get(b"cache-control"), get(b"expires"))
    }

    #[test]
    fn ages_are_written_as_nginx_writes_them() {
        let hour = Duration::from_secs(3600);
        let modified = [("Last-Modified", "Sun, 06 Nov 1994 08:29:37 GMT")];
        for (age, fields, control, date) in [
            (
                Age::For(hour),
                &[][..],
                "max-age=3600",
                "Sun, 06 Nov 1994 09:49:37 GMT",
            ),
            (
                Age::For(Duration::ZERO),
                &[],
                "max-age=0",
                "Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            (
                Age::Modified(hour),
                &modified,
                "max-age=2400",
                "Sun, 06 Nov 1994 09:29:37 GMT",
            ),
            (
                Age::Modified(hour),
                &[],
                "max-age=3600",
                "Sun, 06 Nov 1994 09:49:37 GMT",
            ),
            (
                Age::Modified(Duration::from_secs(60)),
                &modified,
                "no-cache",
                "Sun, 06 Nov 1994 08:30:37 GMT",
            ),
            (
                Age::Max,
                &[],
                "max-age=315360000",
                "Thu, 31 Dec 2037 23:55:55 GMT",
            ),
            (
                Age::NoCache,
                &[],
                "no-cache",
                "Thu, 01 Jan 1970 00:00:01 GMT",
            ),
            (Age::NoStore, &[], "no-store", ""),
            (Age::Off, &[], "", ""),
        ] {
            let got = outcome(&[rule(age)], (200, Origin::App), fields);
            assert_eq!(got, (control.to_owned(), date.to_owned()), "{age:?}");
        }
        let late = lifetime(Age::For(Duration::MAX), None, NOW);
        assert_eq!(late.1, Some(b"Fri, 31 Dec 9999 23:59:59 GMT".to_vec()));
    }

    #[test]
    fn what_an_answer_says_itself_stays_unless_forced() {
        let hour = Age::For(Duration::from_secs(3600));
        let own = [("Cache-Control", "private")];
        let control = |rule: ExpiresRule, of, fields: &[_]| outcome(&[rule], of, fields).0;
        assert_eq!(control(rule(hour), (200, Origin::App), &own), "private");
        let dated = [("Expires", "0")];
        assert_eq!(control(rule(hour), (200, Origin::App), &dated), "");
        let force = ExpiresRule {
            force: true,
            ..rule(hour)
        };
        assert_eq!(control(force, (200, Origin::App), &own), "max-age=3600");
        let named = ExpiresRule {
            statuses: vec![404],
            ..rule(hour)
        };
        assert_eq!(
            control(named.clone(), (404, Origin::Quaich), &own),
            "max-age=3600"
        );
        assert_eq!(control(named, (404, Origin::App), &own), "private");
        assert_eq!(control(rule(hour), (404, Origin::App), &[]), "");
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let age = |seconds| Age::For(Duration::from_secs(seconds));
        let rules = [
            ExpiresRule {
                types: vec!["text/css".into()],
                ..rule(age(1))
            },
            ExpiresRule {
                types: vec!["image/*".into()],
                ..rule(age(2))
            },
            rule(age(3)),
        ];
        for (media, control) in [
            ("text/css; charset=utf-8", "max-age=1"),
            ("TEXT/CSS", "max-age=1"),
            ("image/png", "max-age=2"),
            ("imagery/png", "max-age=3"),
            ("nonsense", "max-age=3"),
        ] {
            let got = outcome(&rules, (200, Origin::App), &[("Content-Type", media)]);
            assert_eq!(got.0, control, "{media}");
        }
        // A 304 of an app does not say which rule its 200 came under.
        assert_eq!(outcome(&rules, (304, Origin::App), &[]).0, "");
        assert_eq!(outcome(&rules, (204, Origin::App), &[]).0, "max-age=3");
    }
}

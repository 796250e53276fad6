//! `limit`, `allow`, `deny`: who may ask, and for how much.

use std::time::Duration;

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::document::Data;
use crate::lower::conditions::is_token;
use crate::lower::fields::{Fields, Word, is_off};
use crate::lower::filters::acl;
use crate::lower::site::Names;
use crate::lower::{Lower, template, unknown};
use crate::model::{Acl, Limit, LimitKey, LimitRate, Limits, Network};
use crate::units;

/// Times longer than this until a bucket is full again are a mistake.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Limits>),
) -> Limits {
    let named = named(cx, names.limits, (fields, site));
    if let Some(site) = site.filter(|_| !fields.has("allow") && !fields.has("deny")) {
        return Limits {
            named,
            ..site.clone()
        };
    }
    Limits {
        named,
        allow: networks(cx, names.acls, (fields, "allow")),
        deny: networks(cx, names.acls, (fields, "deny")),
    }
}

fn named(
    cx: &mut Lower<'_>,
    limits: &[Limit],
    (fields, site): (&Fields<'_>, Option<&Limits>),
) -> Vec<usize> {
    let mut found = site.map(|site| site.named.clone()).unwrap_or_default();
    let words = words(cx, fields, "limit");
    let known: Vec<&str> = limits.iter().map(|limit| &*limit.name).collect();
    for (place, word) in words.iter().enumerate() {
        if word.0 == "off" {
            match place {
                0 => found.clear(),
                _ => cx.bad_word(
                    "limit",
                    word,
                    "\"off\" stands first: it drops those of the site",
                ),
            }
            continue;
        }
        match known.iter().position(|name| *name == word.0) {
            Some(index) if found.contains(&index) => {}
            Some(index) => found.push(index),
            None => {
                let what = ("limit", word.0.as_str());
                cx.report(unknown::reference("undefined-limit", what, word.1, &known));
            }
        }
    }
    found
}

/// Words of a key; `false` reads as `"off"`.
fn words(cx: &mut Lower<'_>, fields: &Fields<'_>, name: &str) -> Vec<Word> {
    let entry = fields.table.and_then(|table| table.entry(name));
    if let Some(entry) = entry.filter(|entry| matches!(entry.value.data, Data::Bool(false))) {
        fields.entry(cx, name);
        return vec![("off".into(), entry.value.span)];
    }
    fields.texts(cx, name).unwrap_or_default()
}

fn networks(cx: &mut Lower<'_>, acls: &[Acl], (fields, name): (&Fields<'_>, &str)) -> Vec<Network> {
    let mut found = Vec::new();
    let words = words(cx, fields, name);
    let alone = words.len() == 1;
    for word in &words {
        match word.0.as_str() {
            "off" if alone => {}
            "all" => found.extend(EVERYBODY),
            text => match addr::network(text) {
                Ok(network) => found.push(network),
                Err(_) if acls.iter().any(|acl| acl.name == text) => {
                    let reason = format!("this is an acl: write `when = \"{text}\"` in a route");
                    cx.bad_word(name, word, reason);
                }
                Err(reason) => cx.bad_word(name, word, reason),
            },
        }
    }
    found
}

const EVERYBODY: [Network; 2] = [
    Network {
        addr: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        prefix: 0,
    },
    Network {
        addr: std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        prefix: 0,
    },
];

/// `[limit.NAME]`
pub(crate) fn tables(cx: &mut Lower<'_>, top: &Fields<'_>, acls: &[Acl]) -> Vec<Limit> {
    let acls: Vec<&str> = acls.iter().map(|acl| acl.name.as_str()).collect();
    let tables = top.named(cx, "limit").into_iter();
    tables
        .map(|(name, fields)| table(cx, name, (&fields, &acls)))
        .collect()
}

fn table(cx: &mut Lower<'_>, name: Word, (fields, acls): (&Fields<'_>, &[&str])) -> Limit {
    let kinds = ["rate", "concurrency", "bandwidth"];
    if !kinds.iter().any(|kind| fields.has(kind)) {
        let message = format!("limit `{}` limits nothing", name.0);
        let diagnostic = Diagnostic::error("missing-key", fields.span, message);
        fields.missing(
            cx,
            diagnostic.help("rate = \"10/s\", concurrency = 10 or bandwidth = \"1MiB/s\""),
        );
    }
    for (key, needed) in [("burst", "rate"), ("delay", "rate"), ("after", "bandwidth")] {
        if fields.has(key) && !fields.has(needed) {
            let message = format!("`{key}` means something only beside `{needed}`");
            let place = fields.place(key);
            cx.report(Diagnostic::error("bad-value", place, message));
        }
    }
    store(cx, fields);
    let when = fields.texts(cx, "when").unwrap_or_default();
    let when = when.iter().filter_map(|word| acl::find(cx, word, acls));
    let when = when.collect();
    Limit {
        name: name.0,
        key: keys(cx, fields),
        rate: rate(cx, fields),
        concurrency: small(fields.count(cx, "concurrency")),
        bandwidth: fields.rate(cx, "bandwidth"),
        after: fields.size(cx, "after").unwrap_or(0),
        when,
        status: u16::try_from(fields.count(cx, "status").unwrap_or(429)).unwrap_or(429),
        headers: fields.flag(cx, "headers"),
        dry_run: fields.flag(cx, "dry_run"),
        max_keys: small(fields.count(cx, "max_keys")),
    }
}

fn small(count: Option<u64>) -> u32 {
    u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX)
}

fn store(cx: &mut Lower<'_>, fields: &Fields<'_>) {
    let Some(entry) = fields.table.and_then(|table| table.entry("store")) else {
        return;
    };
    let elsewhere = match &entry.value.data {
        Data::Text(text) => ["redis", "valkey", "memcached"]
            .iter()
            .find(|word| text.starts_with(**word)),
        _ => None,
    };
    if let Some(word) = elsewhere {
        let message = format!("store `{word}` is not in this version of quaich");
        let diagnostic = Diagnostic::error("not-yet", entry.value.span, message);
        cx.report(diagnostic.help("store = \"memory\""));
    } else {
        fields.word(cx, "store");
    }
}

fn keys(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<LimitKey> {
    let Some(words) = fields.texts(cx, "key") else {
        return vec![LimitKey::ClientIp];
    };
    if words.is_empty() {
        let message = "`key` is an empty list";
        let diagnostic = Diagnostic::error("bad-value", fields.place("key"), message);
        cx.report(diagnostic.help("key = \"all\" counts all requests together"));
    }
    words.iter().filter_map(|word| key(cx, word)).collect()
}

fn key(cx: &mut Lower<'_>, word: &Word) -> Option<LimitKey> {
    Some(match word.0.as_str() {
        "client_ip" => LimitKey::ClientIp,
        "user" => LimitKey::User,
        "host" => LimitKey::Host,
        "route" => LimitKey::Route,
        "all" => LimitKey::All,
        text if text.contains(['{', '}']) => {
            template::check(cx, "key", word, &[]);
            LimitKey::Template(text.to_owned())
        }
        text => match text.split_once('.') {
            Some(("header", name)) if is_token(name) => LimitKey::Header(name.to_ascii_lowercase()),
            Some(("cookie", name)) if is_token(name) => LimitKey::Cookie(name.to_owned()),
            _ => {
                let reason = "expected client_ip, user, host, route, all, header.NAME, cookie.NAME \
                              or a text with {placeholders}";
                cx.bad_word("key", word, reason);
                return None;
            }
        },
    })
}

fn rate(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<LimitRate> {
    let burst = fields.count(cx, "burst");
    let delay = delay(cx, fields);
    let value = &fields.table?.entry("rate")?.value;
    if let Data::Integer(number) = value.data {
        fields.entry(cx, "rate");
        let reason = format!("per which time? \"{number}/s\", \"{number}/min\", \"{number}/h\"");
        cx.no_unit("rate", value, reason);
        return None;
    }
    let word = fields.text(cx, "rate")?;
    let (count, per) = match per_time(&word.0) {
        Ok(rate) => rate,
        Err(reason) => {
            cx.bad_word("rate", &word, reason);
            return None;
        }
    };
    let rate = LimitRate {
        count,
        per,
        burst: burst.map_or(count, |burst| small(Some(burst))),
        delay,
    };
    let full = u128::from(rate.interval()) * u128::from(rate.burst);
    if full > LONGEST.as_nanos() {
        let message = "such a burst is there again only after more than a year";
        let place = ["burst", "rate"].into_iter().find(|key| fields.has(key));
        let place = fields.place(place.unwrap_or("rate"));
        cx.report(Diagnostic::error("bad-value", place, message));
    }
    if delay.is_some_and(|delay| delay > rate.burst) {
        let message = format!("`delay` is beyond `burst`, which is {}", rate.burst);
        let place = fields.place("delay");
        cx.report(Diagnostic::error("bad-value", place, message));
    }
    Some(rate)
}

/// `true` = 1; off = `None`.
fn delay(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Option<u32> {
    let value = &fields.table?.entry("delay")?.value;
    if is_off(value) || matches!(value.data, Data::Bool(true)) {
        fields.entry(cx, "delay");
        return (!is_off(value)).then_some(1);
    }
    fields.count(cx, "delay").map(|count| small(Some(count)))
}

/// `"10/s"`, `"100/min"`, `"1000/h"`, `"20/15m"`.
fn per_time(text: &str) -> Result<(u32, Duration), String> {
    let expected = "expected requests per time such as \"10/s\", \"100/min\" or \"20/15m\"";
    let (count, per) = text.split_once('/').ok_or(expected)?;
    if let Some(digits) = count.strip_suffix('r').filter(|digits| !digits.is_empty()) {
        return Err(format!("write \"{digits}/{per}\""));
    }
    let count: u32 = match count.trim().parse() {
        Ok(count @ 1..=1_000_000) => count,
        Ok(_) => return Err("expected 1 to 1000000 requests".into()),
        Err(_) if count.trim().bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() => {
            return Err("expected 1 to 1000000 requests".into());
        }
        Err(_) => return Err(expected.into()),
    };
    let per = match per.trim() {
        "s" => Duration::from_secs(1),
        "m" | "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        time => units::duration(time).map_err(|_| expected.to_owned())?,
    };
    if per.is_zero() || per > LONGEST {
        return Err("expected a time up to 366 days".into());
    }
    Ok((count, per))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_number_and_a_time() {
        let seconds = |text| per_time(text).map(|(count, per)| (count, per.as_secs()));
        assert_eq!(seconds("10/s"), Ok((10, 1)));
        assert_eq!(seconds("100/min"), Ok((100, 60)));
        assert_eq!(seconds("100 / m"), Ok((100, 60)));
        assert_eq!(seconds("1000/h"), Ok((1000, 3600)));
        assert_eq!(seconds("20/15m"), Ok((20, 900)));
        assert_eq!(seconds("10r/s"), Err("write \"10/s\"".into()));
        for text in [
            "",
            "10",
            "/s",
            "0/s",
            "10/",
            "10/0s",
            "1.5/s",
            "-1/s",
            "10/week",
            "9999999/s",
        ] {
            assert!(per_time(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rate_panics(text in "[0-9./smhdr ]{0,16}|.*") {
            let _ = per_time(&text);
        }
    }
}

//! Times of day, days of the week and instants: text in, exact values out, and back.
//!
//! Called by `lower` and by command line flags. Errors are sentences that begin after the value.
//! There are no time zones with summer time, only fixed offsets: what they say depends on a database
//! that differs between machines.

use std::fmt::Write as _;

use crate::model::Window;
use crate::nearest::nearest;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;
const EVERY_DAY: u8 = 0b111_1111;

/// `"mon-fri 08:00-18:00 +01:00"`, `"sat,sun"`, `"22:00-06:00"`: days, then times of day, then the
/// offset of the clock that they are read from. Each part may be left out: every day, the whole day,
/// UTC. An end that is not behind its begin is on the next day.
///
/// # Errors
/// What was expected, for people.
pub fn window(text: &str) -> Result<Window, String> {
    let mut parts = text.split_ascii_whitespace().peekable();
    let mut window = Window {
        days: EVERY_DAY,
        from: 0,
        to: DAY,
        offset: 0,
    };
    let mut take = |fits: fn(&str) -> bool| parts.next_if(|part| fits(part));
    let found = [
        take(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_utc(part)),
        take(|part| part.starts_with(|c: char| c.is_ascii_digit())),
        take(|_| true),
    ];
    if let Some(days) = found[0] {
        window.days = self::days(days)?;
    }
    if let Some(times) = found[1] {
        (window.from, window.to) = span(times)?;
    }
    if let Some(zone) = found[2] {
        window.offset = offset(zone)?;
    }
    if parts.next().is_some() || found.iter().all(Option::is_none) {
        return Err(
            "expected days, times and offset such as \"mon-fri 08:00-18:00 +01:00\"".into(),
        );
    }
    Ok(window)
}

/// The text that `window` reads back to the same.
#[must_use]
pub fn show_window(window: &Window) -> String {
    let mut out = String::new();
    if window.days != EVERY_DAY {
        let on = DAYS.iter().enumerate();
        let on = on.filter(|(day, _)| window.days >> day & 1 == 1);
        let names: Vec<&str> = on.map(|(_, name)| *name).collect();
        out.push_str(&names.join(","));
        out.push(' ');
    }
    let (from, to) = (window.from, window.to);
    // Writing to a String cannot fail.
    let _ = write!(out, "{:02}:{:02}-", from / 60, from % 60);
    let _ = write!(out, "{:02}:{:02}", to / 60, to % 60);
    if window.offset != 0 {
        let sign = if window.offset < 0 { '-' } else { '+' };
        let minutes = window.offset.unsigned_abs();
        let _ = write!(out, " {sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    out
}

fn is_utc(text: &str) -> bool {
    text.eq_ignore_ascii_case("UTC") || text == "Z"
}

/// `mon-fri`, `sat,sun`, `fri-mon`.
fn days(text: &str) -> Result<u8, String> {
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (self::day(first)?, self::day(last)?);
        days |= 1 << day;
        while day != last {
            day = (day + 1) % 7;
            days |= 1 << day;
        }
    }
    Ok(days)
}

fn day(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let found = DAYS.iter().position(|day| *day == lower);
    found.ok_or_else(|| match nearest(&lower, DAYS) {
        _ if text.contains('/') => no_zone(text),
        Some(near) => format!("`{text}` is not a day; did you mean `{near}`?"),
        None => format!("`{text}` is not a day: {}", DAYS.join(", ")),
    })
}

/// `08:00-18:00`.
fn span(text: &str) -> Result<(u16, u16), String> {
    let expected = "expected times of day such as \"08:00-18:00\"";
    let (from, to) = text.split_once('-').ok_or(expected)?;
    let (from, to) = (minutes(from).ok_or(expected)?, minutes(to).ok_or(expected)?);
    if from >= DAY || to > DAY {
        return Err("a day begins at 00:00 and ends at 24:00".into());
    }
    if from == to {
        return Err("it begins when it ends; leave the times out for the whole day".into());
    }
    Ok((from, to))
}

/// `08:00`, at most `99:59`.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    (minute < 60).then(|| u16::try_from(hour * 60 + minute).ok())?
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

/// `UTC`, `Z`, `+01:00`, `-03:30`: minutes ahead of UTC.
fn offset(text: &str) -> Result<i16, String> {
    if is_utc(text) {
        return Ok(0);
    }
    let (sign, rest) = match text.as_bytes() {
        [b'+', ..] => (1, text.get(1..)),
        [b'-', ..] => (-1, text.get(1..)),
        _ => return Err(no_zone(text)),
    };
    let minutes = rest.and_then(minutes).filter(|minutes| *minutes < DAY);
    let minutes = minutes.and_then(|minutes| i16::try_from(minutes).ok());
    let minutes = minutes.ok_or("expected an offset such as \"+01:00\"")?;
    Ok(sign * minutes)
}

fn no_zone(text: &str) -> String {
    let text = text.escape_debug();
    format!("`{text}` is not a fixed offset: write UTC, +01:00 or -05:00 (no summer time)")
}

/// `"2026-12-24T18:00:00Z"`, `"2026-12-24T18:00:00+01:00"` (RFC 3339): seconds since 1970; parts of a
/// second are dropped.
///
/// # Errors
/// What was expected, for people.
pub fn instant(text: &str) -> Result<u64, String> {
    let expected = "expected date, time and offset as in \"2026-12-24T18:00:00Z\" (RFC 3339)";
    let (date, rest) = text.split_once(['T', 't', ' ']).ok_or(expected)?;
    let mut parts = date.split('-');
    let mut part = |length| parts.next().and_then(|part| digits(part, length));
    let (year, month, day) = (part(4), part(2), part(2));
    let (Some(year), Some(month), Some(day), None) = (year, month, day, parts.next()) else {
        return Err(expected.into());
    };
    let clock = rest.get(..8).ok_or(expected)?;
    let minute = clock.get(..5).and_then(minutes).ok_or(expected)?;
    let second = clock.get(5..).and_then(|text| text.strip_prefix(':'));
    let second = second.and_then(|text| digits(text, 2)).ok_or(expected)?;
    let zone = rest.get(8..).unwrap_or_default();
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    if zone.is_empty() {
        return Err("the offset is missing: write Z for UTC".into());
    }
    let offset = offset(&zone.to_ascii_uppercase())?;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return Err(format!("there is no day {date}"));
    }
    if minute >= DAY || second > 60 {
        return Err(format!("there is no time {clock}"));
    }
    let days = days_since_1970(i64::from(year), i64::from(month), i64::from(day));
    let minutes = days * i64::from(DAY) + i64::from(minute) - i64::from(offset);
    let seconds = minutes * 60 + i64::from(second);
    u64::try_from(seconds).map_err(|_| "time begins in 1970".into())
}

/// The text, in UTC, that `instant` reads back to the same second.
#[must_use]
pub fn show_instant(second: u64) -> String {
    // Text comes from `instant`: years have four digits.
    let days = i64::try_from(second / 86_400).unwrap_or_default();
    let second = second % 86_400;
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Years are counted from March here, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    of_era + of_year - 719_468
}

/// Year, month and day; the other way round.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str, at: &str) -> bool {
        window(text).expect(text).holds(instant(at).expect(at))
    }

    #[test]
    fn a_window_is_days_times_and_an_offset() {
        // 2026-11-20 is a Friday.
        for (text, at, expected) in [
            ("mon-fri 08:00-18:00", "2026-11-20T08:00:00Z", true),
            ("mon-fri 08:00-18:00", "2026-11-20T07:59:59Z", false),
            ("mon-fri 08:00-18:00", "2026-11-20T18:00:00Z", false),
            ("mon-fri 08:00-18:00", "2026-11-21T12:00:00Z", false),
            ("mon-fri 08:00-18:00 +01:00", "2026-11-20T07:00:00Z", true),
            ("mon-fri 08:00-18:00 -03:30", "2026-11-20T21:29:00Z", true),
            ("sat,sun", "2026-11-21T00:00:00Z", true),
            ("sat,sun UTC", "2026-11-20T23:59:59Z", false),
            ("fri 22:00-06:00", "2026-11-21T05:59:00Z", true),
            ("fri 22:00-06:00", "2026-11-21T22:00:00Z", false),
            ("fri 22:00-06:00", "2026-11-20T05:00:00Z", false),
            ("sun-mon", "2026-11-23T05:00:00Z", true),
            ("sat-mon", "2026-11-24T05:00:00Z", false),
            ("20:00-24:00", "2026-11-24T23:59:00Z", true),
            ("Z", "2026-11-24T23:59:00Z", true),
        ] {
            assert_eq!(holds(text, at), expected, "{text} at {at}");
        }
    }

    #[test]
    fn what_is_none_is_told_what_to_write() {
        for (text, hint) in [
            ("", "mon-fri 08:00"),
            ("mo-fri", "did you mean `mon`?"),
            ("mon-fri 8:00-18:00", "times of day"),
            ("08:00-08:00", "whole day"),
            ("08:00-25:00", "24:00"),
            ("mon Europe/Vienna", "summer time"),
            ("Europe/Vienna", "summer time"),
            ("mon 08:00-09:00 +1", "+01:00"),
            ("mon 08:00-09:00 UTC x", "days, times"),
        ] {
            let reason = window(text).expect_err(text);
            assert!(reason.contains(hint), "{text}: {reason}");
        }
        for text in [
            "2026-12-24",
            "2026-12-24T18:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-12-24T24:00:00Z",
            "2026-12-24T18:00:00 Europe/Vienna",
            "2026-12-2äT18:00:00Z",
        ] {
            assert!(instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instants_are_seconds_since_1970() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(instant("2026-07-28T09:05:03.123Z"), Ok(1_785_229_503));
        assert_eq!(instant("2026-07-28t11:05:03+02:00"), Ok(1_785_229_503));
        assert_eq!(show_instant(951_782_400), "2000-02-29T00:00:00Z");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z0-9:+,\\- ]{0,24}|.*") {
            let _ = (window(&text), instant(&text));
        }

        #[test]
        fn what_is_shown_is_read_back(second in 0..253_402_300_800_u64) {
            prop_assert_eq!(instant(&show_instant(second)), Ok(second));
        }
    }
}

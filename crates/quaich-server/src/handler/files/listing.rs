//! The page that lists a directory.
//!
//! Runs on the blocking pool only. It must never show a name that a request would not get: each
//! entry is looked up below the root by the same rules, links included.

use std::fmt::Write as _;
use std::io::Write as _;

use rustix::fs::Dir;

use super::location::push_escape;
use super::open::{EntryFacts, OpenError, Opened, Wait};
use super::resolve::Plan;

/// Entries shown; the page says so when there are more.
const MAX_ENTRIES: usize = 10_000;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.6 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.2rem;overflow-wrap:anywhere}\
table{width:100%;border-collapse:collapse}\
td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #8883}\
th{font-weight:600;opacity:.7}\
td:first-child{overflow-wrap:anywhere}\
td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
a{text-decoration:none}a:hover{text-decoration:underline}\
tr:hover td{background:#8881}";

struct Entry {
    name: Vec<u8>,
    facts: EntryFacts,
}

/// The page for `dir` (below the root, empty or ending in `/`), which the client knows as `path`.
pub(super) fn page(plan: &Plan, dir: &[u8], path: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (mut entries, complete) = entries(plan, dir)?;
    entries.sort_by_cached_key(|entry| {
        (
            !entry.facts.directory,
            entry.name.to_ascii_lowercase(),
            entry.name.clone(),
        )
    });
    Ok(render(&entries, complete, path))
}

/// At most `MAX_ENTRIES`, and whether these are all.
fn entries(plan: &Plan, dir: &[u8]) -> Result<(Vec<Entry>, bool), OpenError> {
    let Opened::Directory(fd) = plan.root.open(dir, Wait::Allowed)? else {
        return Err(OpenError::Missing);
    };
    let mut entries = Vec::new();
    for entry in Dir::new(fd).map_err(OpenError::Failed)? {
        let name = entry
            .map_err(OpenError::Failed)?
            .file_name()
            .to_bytes()
            .to_vec();
        let path = [dir, &name].concat();
        if !plan.permits(&path) {
            continue;
        }
        let Ok(facts) = plan.root.entry(&path) else {
            continue;
        };
        if entries.len() == MAX_ENTRIES {
            return Ok((entries, false));
        }
        entries.push(Entry { name, facts });
    }
    Ok((entries, true))
}

fn render(entries: &[Entry], complete: bool, path: &[u8]) -> Vec<u8> {
    let mut page = Vec::with_capacity(2048 + entries.len() * 160);
    page.extend_from_slice(
        b"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>",
    );
    push_text(&mut page, path);
    let _ = write!(page, "</title>\n<style>{STYLE}</style>\n<h1>");
    push_text(&mut page, path);
    page.extend_from_slice(b"</h1>\n<table>\n<tr><th>Name<th>Size<th>Modified (UTC)\n");
    if path != b"/" {
        page.extend_from_slice(b"<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    entries.iter().for_each(|entry| push_row(&mut page, entry));
    page.extend_from_slice(b"</table>\n");
    if !complete {
        let _ = writeln!(page, "<p>Only {MAX_ENTRIES} entries are shown.</p>");
    }
    page
}

fn push_row(page: &mut Vec<u8>, entry: &Entry) {
    let slash = if entry.facts.directory { "/" } else { "" };
    // `./` keeps a name with a colon from being read as a scheme (RFC 3986 §4.2).
    page.extend_from_slice(b"<tr><td><a href=\"./");
    push_path(page, &entry.name);
    let _ = write!(page, "{slash}\">");
    push_text(page, &entry.name);
    let _ = write!(page, "{slash}</a><td>");
    if !entry.facts.directory {
        push_size(page, entry.facts.size);
    }
    page.extend_from_slice(b"<td>");
    push_date(page, entry.facts.modified);
    page.push(b'\n');
}

/// As HTML text; what is not UTF-8 or a control character is shown as U+FFFD.
fn push_text(page: &mut Vec<u8>, text: &[u8]) {
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '&' => page.extend_from_slice(b"&amp;"),
            '<' => page.extend_from_slice(b"&lt;"),
            '>' => page.extend_from_slice(b"&gt;"),
            '"' => page.extend_from_slice(b"&quot;"),
            '\'' => page.extend_from_slice(b"&#39;"),
            _ if character.is_control() => page.extend_from_slice("\u{fffd}".as_bytes()),
            _ => {
                page.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// As one path segment: all but the unreserved characters of RFC 3986 are escaped.
fn push_path(page: &mut Vec<u8>, name: &[u8]) {
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => page.push(*byte),
            _ => push_escape(page, *byte),
        }
    }
}

fn push_size(page: &mut Vec<u8>, size: u64) {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut tenths = u128::from(size) * 10;
    let mut unit = "B";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    let mut text = String::new();
    let _ = match (unit, tenths) {
        ("B", _) | (_, 1000..) => write!(text, "{} {unit}", tenths / 10),
        _ => write!(text, "{}.{} {unit}", tenths / 10, tenths % 10),
    };
    page.extend_from_slice(text.as_bytes());
}

/// `2026-08-01 12:34`, UTC.
fn push_date(page: &mut Vec<u8>, second: i64) {
    let (days, within) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let (hour, minute) = (within / 3600, within % 3600 / 60);
    let _ = write!(page, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}");
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar. Years are taken
/// to begin in March, so that the leap day is the last of its year.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    // 0000-03-01 lies 719468 days before 1970-01-01.
    let since_march = days + 719_468;
    let era = since_march.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = since_march.rem_euclid(DAYS_IN_400_YEARS);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_IN_400_YEARS - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut page = Vec::new();
        push(&mut page);
        String::from_utf8(page).expect("pages are UTF-8")
    }

    #[test]
    fn names_are_escaped_for_text_and_for_links() {
        let name = b"<a href=\"x\">&'\n\xff";
        assert_eq!(
            text(|page| push_text(page, name)),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}\u{fffd}"
        );
        assert_eq!(
            text(|page| push_path(page, b"a b:%?#\xc3\xa9~")),
            "a%20b%3A%25%3F%23%C3%A9~"
        );
    }

    #[test]
    fn sizes_are_rounded_down_to_a_readable_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (150 * 1024, "150 KiB"),
            (5 * 1024 * 1024, "5.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (size, expected) in cases {
            assert_eq!(text(|page| push_size(page, size)), expected);
        }
    }

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        let cases = [
            (0, "1970-01-01 00:00"),
            (-1, "1969-12-31 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (784_111_777, "1994-11-06 08:49"),
            (4_107_542_400, "2100-03-01 00:00"),
        ];
        for (second, expected) in cases {
            assert_eq!(text(|page| push_date(page, second)), expected);
        }
    }
}

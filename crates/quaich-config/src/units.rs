//! Durations, sizes and rates: text with a unit in, exact values out, and back.
//!
//! Called by `lower` and by command line flags. Errors are sentences that begin after the value.

use std::time::Duration;

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"30d"`, also with a fraction (`"1.5s"`).
///
/// # Errors
/// What was expected, for people.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a duration such as \"250ms\", \"30s\", \"5m\", \"1h\" or \"30d\"";
    quantity(text, DURATION_UNITS, "s", expected).map(Duration::from_millis)
}

/// `"10MiB"`, `"512KiB"`, `"1GiB"` (powers of 1024), `"kB" "MB" "GB"` (of 1000), `"100B"`: bytes.
///
/// # Errors
/// What was expected, for people.
pub fn size(text: &str) -> Result<u64, String> {
    let expected = "expected a size such as \"512KiB\", \"10MiB\" or \"1GiB\"";
    quantity(text, SIZE_UNITS, "MiB", expected)
}

/// `"240B/s"`, `"1KiB/s"`, `"10MiB/min"`: bytes per second, rounded down.
///
/// # Errors
/// What was expected, for people.
pub fn rate(text: &str) -> Result<u64, String> {
    let expected = "expected bytes per time such as \"240B/s\" or \"1KiB/s\"";
    let (amount, per) = text.split_once('/').ok_or(expected)?;
    let seconds = match per.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(expected.into()),
    };
    Ok(quantity(amount.trim(), SIZE_UNITS, "B", expected)? / seconds)
}

/// The shortest text that `duration` reads back exactly; parts of a millisecond are dropped.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".into();
    }
    show(millis, DURATION_UNITS)
}

/// The shortest text that `size` reads back exactly.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZE_UNITS)
}

/// Text that `rate` reads back exactly.
#[must_use]
pub fn show_rate(bytes_per_second: u64) -> String {
    format!("{}/s", show(bytes_per_second, SIZE_UNITS))
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |unit: &&(&str, u64)| value > 0 && value.is_multiple_of(unit.1);
    let (name, unit) = units
        .iter()
        .filter(fits)
        .max_by_key(|unit| unit.1)
        .unwrap_or(&units[0]);
    format!("{}{name}", value / unit)
}

fn quantity(
    text: &str,
    units: &[(&str, u64)],
    example: &str,
    expected: &str,
) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() || number.starts_with('.') || number.ends_with('.') {
        return Err(expected.into());
    }
    if unit.is_empty() {
        return Err(format!(
            "a bare number has no unit: write \"{number}{example}\""
        ));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "`{unit}` is not a unit here; units are {}",
            names.join(", ")
        ));
    };
    scaled(number, *factor).ok_or_else(|| "this is too large".into())
}

/// `number` (digits, perhaps a fraction) times `factor`, rounded down; `None` when it overflows.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let mut value = u128::from(whole.parse::<u64>().ok()?) * u128::from(factor);
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        value += u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / scale;
    }
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_what_people_expect() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(size("10MiB"), Ok(10 << 20));
        assert_eq!(size("1kB"), Ok(1000));
        assert_eq!(rate("240B/s"), Ok(240));
        assert_eq!(rate("6KiB/min"), Ok(102));
    }

    #[test]
    fn a_bare_number_is_told_its_unit() {
        assert_eq!(
            duration("30"),
            Err("a bare number has no unit: write \"30s\"".into())
        );
        assert_eq!(
            size("30"),
            Err("a bare number has no unit: write \"30MiB\"".into())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "abc",
            "s",
            "-3s",
            "1..2s",
            ".5s",
            "5.s",
            "3 fortnights",
            "1e3s",
        ] {
            assert!(duration(text).is_err(), "{text}");
            assert!(size(text).is_err(), "{text}");
            assert!(rate(text).is_err(), "{text}");
        }
        assert!(size("99999999999999999999GiB").is_err());
        assert!(duration("18446744073709551615d").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(value: u64) {
            prop_assert_eq!(size(&show_size(value)), Ok(value));
            prop_assert_eq!(rate(&show_rate(value)), Ok(value));
            let time = Duration::from_millis(value);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (duration(&text), size(&text), rate(&text));
        }
    }
}

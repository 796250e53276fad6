//! Wall-clock time as text, rendered once per second and reused.
//!
//! The access log asks at each line, `log` at each message. All text is in UTC: a log that is
//! merged from several machines, or read after the clocks changed, stays in order.

/// Offset of the fraction in `2026-07-28T09:05:03.123Z`.
const FRACTION: usize = 20;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The text of the last second that was asked for.
#[derive(Clone, Debug)]
pub struct Timestamp {
    second: u64,
    rfc3339: [u8; 24],
    clf: [u8; 26],
}

impl Default for Timestamp {
    fn default() -> Self {
        let mut this = Self {
            second: 0,
            rfc3339: [b' '; 24],
            clf: [b' '; 26],
        };
        this.render(0);
        this
    }
}

impl Timestamp {
    /// RFC 3339 with milliseconds: `2026-07-28T09:05:03.123Z`. `unix_millis` counts from 1970.
    pub fn rfc3339(&mut self, unix_millis: u64) -> &[u8] {
        self.turn_to(unix_millis / 1000);
        let millis = (unix_millis % 1000) as u32;
        digits(&mut self.rfc3339[FRACTION..FRACTION + 3], millis);
        &self.rfc3339
    }

    /// The form of the common log format, without brackets: `28/Jul/2026:09:05:03 +0000`.
    pub fn common(&mut self, unix_millis: u64) -> &[u8] {
        self.turn_to(unix_millis / 1000);
        &self.clf
    }

    /// The time of day for people: `09:05:03Z`.
    pub fn of_day(&mut self, unix_millis: u64) -> [u8; 9] {
        self.turn_to(unix_millis / 1000);
        let mut text = *b"00:00:00Z";
        text[..8].copy_from_slice(&self.rfc3339[11..19]);
        text
    }

    fn turn_to(&mut self, second: u64) {
        if self.second != second {
            self.render(second);
        }
    }

    fn render(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil(second / 86_400);
        let of_day = (second % 86_400) as u32;
        let (hour, minute, sec) = (of_day / 3600, of_day / 60 % 60, of_day % 60);

        self.rfc3339 = *b"0000-00-00T00:00:00.000Z";
        digits(&mut self.rfc3339[0..4], year);
        digits(&mut self.rfc3339[5..7], month);
        digits(&mut self.rfc3339[8..10], day);
        self.clf = *b"00/Jan/0000:00:00:00 +0000";
        digits(&mut self.clf[0..2], day);
        self.clf[3..6].copy_from_slice(MONTHS[(month as usize - 1) % 12]);
        digits(&mut self.clf[7..11], year);
        for (at, value) in [(0, hour), (3, minute), (6, sec)] {
            digits(&mut self.rfc3339[11 + at..13 + at], value);
            digits(&mut self.clf[12 + at..14 + at], value);
        }
    }
}

/// Writes `value` right-aligned with leading zeros; higher digits are cut off.
fn digits(out: &mut [u8], mut value: u32) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month (1-12) and day (1-31) of the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of a year, in eras of 400
/// years (146,097 days), which repeat.
fn civil(days_since_1970: u64) -> (u32, u32, u32) {
    const DAYS_FROM_YEAR_0_MARCH_TO_1970: u64 = 719_468;
    let days = days_since_1970 + DAYS_FROM_YEAR_0_MARCH_TO_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_the_three_forms() {
        let mut stamp = Timestamp::default();
        assert_eq!(stamp.rfc3339(0), b"1970-01-01T00:00:00.000Z");
        assert_eq!(stamp.rfc3339(951_782_400_007), b"2000-02-29T00:00:00.007Z");
        assert_eq!(
            stamp.common(1_785_229_503_123),
            b"28/Jul/2026:09:05:03 +0000"
        );
        assert_eq!(
            stamp.rfc3339(1_785_229_503_123),
            b"2026-07-28T09:05:03.123Z"
        );
        assert_eq!(&stamp.of_day(1_785_229_503_999), b"09:05:03Z");
    }

    #[test]
    fn agrees_with_an_independent_calendar_over_the_centuries() {
        let mut stamp = Timestamp::default();
        for day in (0..200_000u64).step_by(13) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(day * 86_400);
            let http = httpdate::fmt_http_date(time);
            let clf = stamp.common(day * 86_400_000).to_vec();
            let clf = String::from_utf8(clf).expect("ASCII");
            assert_eq!(clf[..11].replace('/', " "), http[5..16], "day {day}");
        }
    }
}

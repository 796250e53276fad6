//! Times of certificates: seconds since 1970, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use quaich_server::observe::timestamp::Timestamp;

pub(crate) const DAY: i64 = 86_400;

/// The time.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// `2026-01-31`.
pub(crate) fn day(time: i64) -> String {
    let millis = u64::try_from(time).unwrap_or(0).saturating_mul(1000);
    let text = Timestamp::default().rfc3339(millis).to_vec();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_utc() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(1_798_761_599), "2026-12-31");
        assert_eq!(day(-5), "1970-01-01");
    }
}

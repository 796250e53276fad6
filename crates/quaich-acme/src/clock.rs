//! Wall-clock time as the files and messages of this crate hold it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// Seconds of a day.
pub(crate) const DAY: u64 = 24 * 60 * 60;

/// Seconds of an hour.
pub(crate) const HOUR: u64 = 60 * 60;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    since_epoch(SystemTime::now())
}

/// `time` in seconds since 1970; 0 before that.
pub(crate) fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 as a date, for certificates.
///
/// # Errors
/// Beyond the year 9999.
pub(crate) fn date(seconds: u64) -> Result<time::OffsetDateTime> {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| Error::new("the clock shows a time that no certificate can hold"))
}

/// A random number below `limit`, for jitter. 0 if `limit` is 0.
pub(crate) fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without a source of randomness there is no jitter, which is harmless.
    if limit == 0 || aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0;
    }
    u64::from_le_bytes(bytes) % limit
}

//! When a certificate is due: renewal, and the pause after a failure. Pure.

use crate::clock::{DAY, HOUR};

/// Two thirds of the life of a certificate: when it is renewed unless its authority says else.
pub(crate) fn two_thirds(not_before: u64, not_after: u64) -> u64 {
    not_before.saturating_add(not_after.saturating_sub(not_before) / 3 * 2)
}

/// When to renew a certificate whose authority does not say: around two thirds of its life, so
/// that those that were issued together are not renewed together. `random` is any number.
pub(crate) fn renewal(not_before: u64, not_after: u64, random: u64) -> u64 {
    let spread = not_after.saturating_sub(not_before) / 30;
    let early = if spread == 0 { 0 } else { random % spread };
    two_thirds(not_before, not_after).saturating_sub(early)
}

/// The earliest time to renew a certificate that has just been issued. By a clock that is wrong, or
/// an authority that dates far back, two thirds of its life may be over already: without this limit
/// it would be renewed again and again.
pub(crate) fn earliest(now: u64, not_after: u64) -> u64 {
    let left = not_after.saturating_sub(now);
    now.saturating_add(HOUR.max(left / 10))
}

/// When to renew inside the window `start..end` that the authority suggests (RFC 9773 §4.2), never
/// so late that there is no time left to try again. `random` is any number.
pub(crate) fn within_window(start: u64, end: u64, not_after: u64, random: u64) -> u64 {
    let width = end.saturating_sub(start);
    let chosen = start.saturating_add(if width == 0 { 0 } else { random % width });
    chosen.min(not_after.saturating_sub(HOUR))
}

/// When to ask again for that window: the authority says after how long (RFC 9773 §4.3.2).
pub(crate) fn ask_again(now: u64, after: u64) -> u64 {
    now.saturating_add(after.clamp(HOUR / 12, DAY))
}

/// The pause after the `failures`th order in a row that failed, in seconds: one minute, doubled
/// each time, at most a day; a fifth of it up or down by chance. `random` is any number.
pub(crate) fn pause(failures: u32, random: u64) -> u64 {
    let doubled = 60_u64 << failures.saturating_sub(1).min(20);
    let pause = doubled.min(DAY);
    let fifth = pause / 5;
    pause - fifth + random % (2 * fifth + 1)
}

/// The longest pause that an authority can ask for by `Retry-After`.
pub(crate) const LONGEST_PAUSE: u64 = 8 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_lies_around_two_thirds() {
        let life = 90 * DAY;
        assert_eq!(two_thirds(1000, 1000 + life), 1000 + 60 * DAY);
        for random in [0, 1, 77_777, u64::MAX] {
            let at = renewal(1000, 1000 + life, random);
            assert!((1000 + 57 * DAY..=1000 + 60 * DAY).contains(&at), "{at}");
        }
        // Clocks and authorities can be wrong.
        assert_eq!(renewal(10, 5, 3), 10);
    }

    #[test]
    fn what_was_just_issued_is_not_renewed_at_once() {
        let now = 1000 * DAY;
        let renewed = |begin, end| renewal(begin, end, 0).max(earliest(now, end));
        // As it should be.
        assert_eq!(
            renewed(now - HOUR, now - HOUR + 90 * DAY),
            now - HOUR + 60 * DAY
        );
        // Most of the life is over, or all of it, or time itself is.
        assert_eq!(renewed(now - 80 * DAY, now + 10 * DAY), now + DAY);
        assert_eq!(renewed(now - 80 * DAY, now + 60), now + HOUR);
        assert_eq!(renewed(now - 90 * DAY, now - DAY), now + HOUR);
        assert_eq!(earliest(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_window_is_followed_but_not_beyond_the_end() {
        assert_eq!(within_window(100, 100, DAY, 5), 100);
        assert!((100..200).contains(&within_window(100, 200, DAY, u64::MAX)));
        assert_eq!(within_window(5 * DAY, 6 * DAY, 2 * DAY, 0), 2 * DAY - HOUR);
        assert_eq!(within_window(200, 100, DAY, 9), 200);
        assert_eq!(ask_again(0, 0), 300);
        assert_eq!(ask_again(0, u64::MAX), DAY);
    }

    #[test]
    fn pauses_double_from_a_minute_to_a_day() {
        let middle = |failures| pause(failures, pause(failures, 0) / 4);
        assert_eq!(pause(1, 0), 48);
        assert_eq!(pause(1, 24), 72);
        assert_eq!(middle(1), 60);
        assert_eq!(middle(2), 120);
        assert_eq!(middle(5), 960);
        assert_eq!(middle(12), DAY);
        assert_eq!(middle(u32::MAX), DAY);
        assert!(pause(0, 7) <= 72);
    }
}

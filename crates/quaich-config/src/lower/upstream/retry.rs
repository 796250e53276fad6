//! `retry_on` and `retry_budget`.

use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::RetryOn;

pub(super) fn retry_on(cx: &mut Lower<'_>, fields: &Fields<'_>) -> RetryOn {
    let mut retry_on = RetryOn::default();
    for word in fields.texts(cx, "retry_on").unwrap_or_default() {
        match word.0.as_str() {
            // Nothing was sent: that is always so.
            "connect" => {}
            "timeout" => retry_on.timeout = true,
            text => match text.parse() {
                Ok(status @ (429 | 500..=599)) => {
                    if !retry_on.statuses.contains(&status) {
                        retry_on.statuses.push(status);
                    }
                }
                _ => {
                    let reason =
                        "expected \"connect\", \"timeout\", \"429\" or a status of 500 to 599";
                    cx.bad_word("retry_on", &word, reason);
                }
            },
        }
    }
    retry_on.statuses.sort_unstable();
    retry_on
}

/// Percent; 100 = no limit.
pub(super) fn budget(cx: &mut Lower<'_>, fields: &Fields<'_>) -> u8 {
    let Some(word) = fields.text_or_off(cx, "retry_budget") else {
        return 100;
    };
    percent(&word).unwrap_or_else(|| {
        let reason = "expected a share such as \"20%\", or \"off\"";
        cx.bad_word("retry_budget", &word, reason);
        100
    })
}

fn percent(word: &Word) -> Option<u8> {
    let number: u8 = word.0.strip_suffix('%')?.trim_end().parse().ok()?;
    (number <= 100).then_some(number)
}

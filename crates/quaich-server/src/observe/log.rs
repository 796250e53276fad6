//! quaich's own messages: of the supervisor, of the front, and what apps print.
//!
//! Everybody calls the macros `log::info!` and so on; the process calls [`init`] once. A message is
//! one line and one `write(2)`. It must never stop the program: a reader that does not
//! read costs one short wait, then messages are dropped and counted until it reads again.

use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log_sink::Sink;
use quaich_config::model;

#[doc(inline)]
pub use crate::{
    log_debug as debug, log_error as error, log_error_limited as error_limited, log_info as info,
    log_info_limited as info_limited, log_warn as warn, log_warn_limited as warn_limited,
};

/// How much a message matters. Lower ones are hidden by `[log] level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something does not work, and somebody must act.
    Error = 0,
    /// Something is not as it should be; quaich goes on.
    Warn = 1,
    /// What an operator wants to have seen afterwards.
    Info = 2,
    /// For finding out why.
    Debug = 3,
}

impl Level {
    /// The level called `name` in `[log] level`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug]
            .into_iter()
            .find(|l| l.name() == name)
    }

    /// As written in the configuration and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// Five columns and the colour, as an SGR sequence.
    pub(super) fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("ERROR", "\x1b[1;31m"),
            Self::Warn => (" WARN", "\x1b[33m"),
            Self::Info => (" INFO", "\x1b[32m"),
            Self::Debug => ("DEBUG", "\x1b[34m"),
        }
    }
}

/// A named value of a message.
pub type Field<'a> = (&'a str, &'a dyn Display);

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static SINK: Mutex<Option<Sink>> = Mutex::new(None);

/// `log_at!(LEVEL, "text {value}", arguments; name = value, ...)`: what the macros of each level
/// are made of. Nothing is evaluated when the level is hidden.
#[doc(hidden)]
#[macro_export]
macro_rules! log_at {
    ($level:ident, $($text:expr),+ $(; $($name:ident = $value:expr),+ $(,)?)?) => {
        if $crate::observe::log::enabled($crate::observe::log::Level::$level) {
            $crate::observe::log::emit(
                $crate::observe::log::Level::$level,
                &::core::format_args!($($text),+),
                &[$($((stringify!($name), &$value)),+)?],
            );
        }
    };
}

/// As `log_at!`, at most once per second from this place in the program; the next message says
/// how many were left out (field `suppressed`).
#[doc(hidden)]
#[macro_export]
macro_rules! log_at_limited {
    ($level:ident, $($text:expr),+ $(; $($name:ident = $value:expr),+ $(,)?)?) => {
        if $crate::observe::log::enabled($crate::observe::log::Level::$level) {
            static SITE: $crate::observe::log::CallSite = $crate::observe::log::CallSite::new();
            if let Some(suppressed) = SITE.admit() {
                let fields: &[$crate::observe::log::Field<'_>] =
                    &[$($((stringify!($name), &$value),)+)? ("suppressed", &suppressed)];
                $crate::observe::log::emit(
                    $crate::observe::log::Level::$level,
                    &::core::format_args!($($text),+),
                    if suppressed == 0 { &fields[..fields.len() - 1] } else { fields },
                );
            }
        }
    };
}

/// Sends a message of level error: `error!("text {value}"; name = value, ...)`. The fields may be left out.
#[macro_export]
macro_rules! log_error {
    ($($message:tt)+) => { $crate::log_at!(Error, $($message)+) };
}

/// Sends a message of level warn: `warn!("text {value}"; name = value, ...)`. The fields may be left out.
#[macro_export]
macro_rules! log_warn {
    ($($message:tt)+) => { $crate::log_at!(Warn, $($message)+) };
}

/// Sends a message of level info: `info!("text {value}"; name = value, ...)`. The fields may be left out.
#[macro_export]
macro_rules! log_info {
    ($($message:tt)+) => { $crate::log_at!(Info, $($message)+) };
}

/// Sends a message of level debug: `debug!("text {value}"; name = value, ...)`. The fields may be left out.
#[macro_export]
macro_rules! log_debug {
    ($($message:tt)+) => { $crate::log_at!(Debug, $($message)+) };
}

/// As `error!`, at most once per second from this place in the program.
#[macro_export]
macro_rules! log_error_limited {
    ($($message:tt)+) => { $crate::log_at_limited!(Error, $($message)+) };
}

/// As `info!`, at most once per second from this place in the program.
#[macro_export]
macro_rules! log_info_limited {
    ($($message:tt)+) => { $crate::log_at_limited!(Info, $($message)+) };
}

/// As `warn!`, at most once per second from this place in the program.
#[macro_export]
macro_rules! log_warn_limited {
    ($($message:tt)+) => { $crate::log_at_limited!(Warn, $($message)+) };
}

/// Sets level, style and place of all messages from now on. `file` is the opened log file or
/// standard output; `None` = standard error. Without this call: text of level info on standard
/// error.
pub fn init(settings: &model::Log, file: Option<OwnedFd>) {
    let level = Level::from_name(&settings.level).unwrap_or(Level::Info);
    let mut guard = lock();
    *guard = Some(Sink::with_settings(settings, file));
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Goes on in `file`, after a rotation.
pub fn reopen(file: OwnedFd) {
    let mut guard = lock();
    guard.get_or_insert_with(|| Sink::new(None)).reopen(file);
}

/// Whether messages of `level` are shown.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Messages lost since the start because nobody read them or writing failed.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes one message. Use the macros, which ask [`enabled`] first.
pub fn emit(level: Level, text: &dyn Display, fields: &[Field<'_>]) {
    let written = lock()
        .get_or_insert_with(|| Sink::new(None))
        .message(level, text, fields);
    count_if_lost(written);
}

/// Writes one `line` (without its line end) that a worker of `app` printed, whatever the level.
pub fn app_output(app: &str, worker: usize, line: &[u8]) {
    let written = lock()
        .get_or_insert_with(|| Sink::new(None))
        .app_output(app, worker, line);
    count_if_lost(written);
}

fn count_if_lost(written: bool) {
    if !written {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

fn lock() -> MutexGuard<'static, Option<Sink>> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One place in the program that a limited message is sent from.
#[derive(Debug)]
pub struct CallSite {
    /// Millisecond of the monotonic clock from which the next message may pass.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl CallSite {
    /// For a `static` only: the limit is per value.
    #[expect(
        clippy::new_without_default,
        reason = "a default call site would limit nothing"
    )]
    pub const fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// `Some(n)`: the message may go out, and `n` were left out before it. `None`: leave it out.
    pub fn admit(&self) -> Option<u64> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        self.admit_at(now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000)
    }

    fn admit_at(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let claimed = now >= next
            && self
                .next
                .compare_exchange(next, now + 1000, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if claimed {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_site_admits_one_message_a_second_and_counts_the_rest() {
        let site = CallSite::new();
        assert_eq!(site.admit_at(5_000), Some(0));
        assert_eq!(site.admit_at(5_000), None);
        assert_eq!(site.admit_at(5_999), None);
        assert_eq!(site.admit_at(6_000), Some(2));
        assert_eq!(site.admit_at(9_000), Some(0));
    }

    #[test]
    fn many_threads_at_one_call_site_get_one_message_through() {
        let site = CallSite::new();
        let admitted: usize = std::thread::scope(|scope| {
            let ask = || (0..1000).filter(|_| site.admit_at(1).is_some()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        assert_eq!(admitted, 1);
        assert_eq!(site.admit_at(2_000), Some(3_999));
    }

    #[test]
    fn levels_have_the_names_of_the_configuration() {
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("loud"), None);
    }

    #[test]
    fn the_macros_take_arguments_and_fields() {
        let port = 80;
        crate::log_debug!("not shown {}", unreachable_argument());
        info!("listening on port {port}");
        warn!("{} of {}", 1, 2; app = "shop", pid = 7);
        warn_limited!("again"; port = port);
    }

    fn unreachable_argument() -> &'static str {
        panic!("a hidden message evaluates nothing")
    }
}

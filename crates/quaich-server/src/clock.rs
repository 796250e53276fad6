//! The time of a front thread: read once per turn of its event loop, not once per request.
//!
//! Everything on the data path that needs a coarse time asks here. What needs microseconds (the
//! timings of the access log) asks [`precise_micros`]. Deadlines use the monotonic clock only, so
//! a step of the wall clock moves none of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of the monotonic clock.
pub type Millis = u64;

/// The cached clock of one front thread.
#[derive(Debug)]
pub struct Clock {
    now: Cell<Millis>,
    unix_second: Cell<u64>,
    date_line: RefCell<Vec<u8>>,
}

impl Default for Clock {
    fn default() -> Self {
        let clock = Self {
            now: Cell::new(0),
            unix_second: Cell::new(0),
            date_line: RefCell::default(),
        };
        clock.update();
        clock
    }
}

thread_local! {
    static CURRENT: Rc<Clock> = Rc::default();
}

/// Reads the clocks of this thread anew. Called at each turn of the event loop.
pub fn update_current() {
    // A thread that ends may turn once more when its locals are gone.
    let _ = CURRENT.try_with(|clock| clock.update());
}

/// Whole seconds since 1970 at the last update of this thread's clock.
pub fn unix_second_of_thread() -> u64 {
    let of_thread = CURRENT.try_with(|clock| clock.unix_second());
    of_thread.unwrap_or_else(|_| unix_millis() / 1000)
}

impl Clock {
    /// The clock of this thread.
    pub fn of_thread() -> Rc<Self> {
        CURRENT.with(Rc::clone)
    }

    /// Reads the clocks. Called at each turn of the event loop and by the deadline sweep.
    pub fn update(&self) {
        let mono = clock_gettime(ClockId::MonotonicCoarse);
        self.now
            .set(mono.tv_sec as u64 * 1000 + mono.tv_nsec as u64 / 1_000_000);
        let wall = clock_gettime(ClockId::RealtimeCoarse).tv_sec as u64;
        if wall != self.unix_second.replace(wall) {
            self.render_date(wall);
        }
    }

    fn render_date(&self, unix_second: u64) {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_second));
        let mut line = self.date_line.borrow_mut();
        line.clear();
        line.extend_from_slice(b"Date: ");
        line.extend_from_slice(date.as_bytes());
        line.extend_from_slice(b"\r\n");
    }

    /// Monotonic milliseconds at the last update.
    pub fn now(&self) -> Millis {
        self.now.get()
    }

    /// Whole seconds since 1970 at the last update.
    pub fn unix_second(&self) -> u64 {
        self.unix_second.get()
    }

    /// Appends the header line `Date: ...` with its line end (RFC 9110 section 6.6.1).
    pub fn append_date_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date_line.borrow());
    }
}

/// Microseconds of the monotonic clock, read now. For timings only.
pub fn precise_micros() -> u64 {
    let mono = clock_gettime(ClockId::Monotonic);
    mono.tv_sec as u64 * 1_000_000 + mono.tv_nsec as u64 / 1000
}

/// Nanoseconds of the monotonic clock, read now. For limits, which count faster than a coarse clock
/// ticks.
pub fn precise_nanos() -> u64 {
    let mono = clock_gettime(ClockId::Monotonic);
    mono.tv_sec as u64 * 1_000_000_000 + mono.tv_nsec as u64
}

/// Milliseconds since 1970, read now. For log lines.
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}

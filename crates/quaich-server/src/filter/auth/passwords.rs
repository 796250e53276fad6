//! Verifying passwords off the event loop, remembering which were right, and counting which were not.
//! Shared by the threads.
//!
//! At most a few verifications run at once, some more wait, and the rest is told to come again. An
//! address has a few wrong passwords a minute. What was found right is remembered for a while under
//! a keyed hash of user, password and line of the file, so another line forgets it by itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::{Semaphore, watch};

use crate::filter::Shared;
use crate::observe::log;
use crate::password::{Hash, Users};

/// How long a right password is remembered after its last use.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// After so long it is verified again, however often it is used.
const LONGEST_REMEMBERED: Duration = Duration::from_secs(12 * 60 * 60);

/// How many right passwords are remembered.
const MAX_REMEMBERED: usize = 8192;

/// Wrong passwords of one address in one [`WINDOW`].
const MAX_WRONG: u32 = 10;

/// See [`MAX_WRONG`].
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are watched.
const MAX_ADDRESSES: usize = 65_536;

/// Verifications that may wait for others.
const MAX_WAITING: usize = 64;

/// A password of a user, as it is remembered.
pub(super) type Mark = [u8; 32];

/// What the threads know of passwords.
pub struct Passwords {
    key: Option<hmac::Key>,
    files: Mutex<HashMap<PathBuf, UserFile>>,
    right: Mutex<HashMap<Mark, Right>>,
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
    /// What is being verified just now, so that it is not twice.
    flights: Mutex<HashMap<Mark, watch::Receiver<Option<bool>>>>,
    /// A permit for each verification that runs or waits.
    waiting: Arc<Semaphore>,
    /// A permit for each that runs.
    running: Arc<Semaphore>,
}

/// A file of users as it was read.
#[derive(Clone)]
pub(super) struct UserFile {
    content: Arc<[u8]>,
    pub(super) users: Arc<Users>,
}

impl UserFile {
    /// Whether it was made of this content.
    pub(super) fn is_of(&self, content: &Arc<[u8]>) -> bool {
        Arc::ptr_eq(&self.content, content)
    }
}

/// A password that was right.
struct Right {
    until: Instant,
    at_most: Instant,
}

impl Right {
    fn new(now: Instant) -> Self {
        Self {
            until: now + REMEMBERED,
            at_most: now + LONGEST_REMEMBERED,
        }
    }

    /// Whether it still counts; then it does for longer, so that those who are here need no place
    /// among those who come.
    fn renew(&mut self, now: Instant) -> bool {
        let counts = self.until > now;
        if counts {
            self.until = (now + REMEMBERED).min(self.at_most);
        }
        counts
    }
}

/// Wrong passwords of one address.
struct Wrong {
    count: u32,
    since: Instant,
}

/// Why nothing was verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Too much waits already.
    Busy,
    /// Too many wrong ones; after this time there may be others.
    TooMany(Duration),
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Each thread has eight places for blocking work, which files need as well.
        let running = (cores / 2).clamp(1, 4);
        Self {
            // Without a key nothing is remembered.
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            files: Mutex::default(),
            right: Mutex::default(),
            wrong: Mutex::default(),
            flights: Mutex::default(),
            waiting: Arc::new(Semaphore::new(running + MAX_WAITING)),
            running: Arc::new(Semaphore::new(running)),
        }
    }
}

impl Passwords {
    /// The users in `content`, which is what the file has now. Read once for all threads.
    pub(super) fn users(&self, path: &Path, content: Arc<[u8]>) -> UserFile {
        let mut files = lock(&self.files);
        if let Some(known) = files.get(path).filter(|known| known.is_of(&content)) {
            return known.clone();
        }
        let (users, bad) = Users::read(&content);
        for line in bad.iter().filter(|line| !line.counts) {
            log::warn!("a line of users is not used: {}", line.why; file = path.display(), line = line.line);
        }
        let file = UserFile {
            content,
            users: Arc::new(users),
        };
        files.insert(path.to_owned(), file.clone());
        file
    }

    /// What a password is remembered under.
    pub(super) fn mark(&self, user: &[u8], password: &[u8], hash: Option<&Hash>) -> Mark {
        let mut mark = [0; 32];
        if let Some(key) = &self.key {
            let mut context = hmac::Context::with_key(key);
            let hash = hash.map_or(&b""[..], |hash| hash.as_str().as_bytes());
            for part in [hash, user, password] {
                context.update(&(part.len() as u64).to_le_bytes());
                context.update(part);
            }
            let tag = context.sign();
            mark.copy_from_slice(tag.as_ref());
        }
        mark
    }

    /// Whether it was right a short while ago, or has been used since without a long pause.
    pub(super) fn remembers(&self, mark: &Mark) -> bool {
        let mut right = lock(&self.right);
        let known = right.get_mut(mark);
        known.is_some_and(|known| known.renew(Instant::now()))
    }

    /// Whether the password is that of `hash`, of a user who exists; else it is tried on `decoy` in vain.
    /// And whether it was verified for this request, not for another one with the same. When it is
    /// given up, what runs goes on to its end and counts as wrong.
    pub(super) async fn verify(
        &self,
        shared: &Arc<Shared>,
        (mark, addr): (Mark, Option<IpAddr>),
        (hash, decoy): (Option<Hash>, Option<&Hash>),
        password: &[u8],
    ) -> Result<(bool, bool), Denied> {
        let addr = addr.map(group);
        let lead = loop {
            match self.join(mark, addr)? {
                Part::Lead(lead) => break lead,
                Part::Follow(mut result) => {
                    // The one who led may have left.
                    if let Ok(found) = result.wait_for(Option::is_some).await {
                        return Ok((found.unwrap_or(false), false));
                    }
                }
            }
        };
        let known = hash.is_some();
        let Some(hash) = hash.or_else(|| decoy.cloned()) else {
            return Ok((false, false));
        };
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            self.forgive(addr);
            return Err(Denied::Busy);
        };
        let Ok(permit) = self.running.clone().acquire_owned().await else {
            return Err(Denied::Busy);
        };
        let (shared, password) = (shared.clone(), password.to_vec());
        let work = move || {
            let right = hash.verify(&password) && known;
            if right {
                shared.passwords.remember(mark);
                shared.passwords.forgive(addr);
            }
            drop((place, permit));
            right
        };
        let right = tokio::task::spawn_blocking(work).await;
        let right = right.map_err(|_| Denied::Busy)?;
        lead.tell(right);
        Ok((right, true))
    }

    /// Counts a password that is wrong without being verified.
    pub(super) fn refuse(&self, addr: Option<IpAddr>) -> Result<(), Denied> {
        addr.map_or(Ok(()), |addr| self.suspect(group(addr)))
    }

    /// The first with a password verifies it, and is counted; others wait for what it finds.
    fn join(&self, mark: Mark, addr: Option<IpAddr>) -> Result<Part<'_>, Denied> {
        let mut flights = lock(&self.flights);
        if let Some(result) = flights.get(&mark).filter(|_| self.key.is_some()) {
            return Ok(Part::Follow(result.clone()));
        }
        if let Some(addr) = addr {
            self.suspect(addr)?;
        }
        let (sender, result) = watch::channel(None);
        flights.insert(mark, result);
        Ok(Part::Lead(Lead {
            passwords: self,
            mark,
            sender,
        }))
    }

    fn remember(&self, mark: Mark) {
        let now = Instant::now();
        let mut right = lock(&self.right);
        if right.len() >= MAX_REMEMBERED {
            right.retain(|_, known| known.until > now);
        }
        if right.len() >= MAX_REMEMBERED
            && let Some(any) = right.keys().next().copied()
        {
            right.remove(&any);
        }
        if self.key.is_some() {
            right.insert(mark, Right::new(now));
        }
    }

    /// Counts a password as wrong before it is verified, so that many at once are no way around.
    fn suspect(&self, addr: IpAddr) -> Result<(), Denied> {
        let now = Instant::now();
        let mut wrong = lock(&self.wrong);
        let is_over = |wrong: &Wrong| now.duration_since(wrong.since) >= WINDOW;
        if wrong.len() >= MAX_ADDRESSES && !wrong.contains_key(&addr) {
            wrong.retain(|_, wrong| !is_over(wrong));
        }
        if wrong.len() >= MAX_ADDRESSES
            && !wrong.contains_key(&addr)
            && let Some(any) = wrong.keys().next().copied()
        {
            wrong.remove(&any);
        }
        let known = wrong.entry(addr).or_insert(Wrong {
            count: 0,
            since: now,
        });
        if is_over(known) {
            *known = Wrong {
                count: 0,
                since: now,
            };
        }
        if known.count >= MAX_WRONG {
            return Err(Denied::TooMany(WINDOW - now.duration_since(known.since)));
        }
        known.count += 1;
        Ok(())
    }

    /// It was not wrong after all, or was not verified.
    fn forgive(&self, addr: Option<IpAddr>) {
        let mut wrong = lock(&self.wrong);
        if let Some(addr) = addr
            && let Some(known) = wrong.get_mut(&addr)
        {
            known.count = known.count.saturating_sub(1);
            if known.count == 0 {
                wrong.remove(&addr);
            }
        }
    }
}

enum Part<'p> {
    Lead(Lead<'p>),
    Follow(watch::Receiver<Option<bool>>),
}

/// Whoever verifies a password; others learn when it ends without a result.
struct Lead<'p> {
    passwords: &'p Passwords,
    mark: Mark,
    sender: watch::Sender<Option<bool>>,
}

impl Lead<'_> {
    fn tell(self, right: bool) {
        // Nobody may be listening.
        let _ = self.sender.send(Some(right));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        lock(&self.passwords.flights).remove(&self.mark);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client has one IPv4 address, but a whole /64 of IPv6 addresses.
fn group(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_few_wrong_passwords_a_minute_and_right_ones_do_not_count() {
        let passwords = Passwords::default();
        let (one, other) = (addr("192.0.2.1"), addr("192.0.2.2"));
        for _ in 0..MAX_WRONG {
            assert_eq!(passwords.suspect(one), Ok(()));
        }
        assert!(matches!(passwords.suspect(one), Err(Denied::TooMany(wait)) if wait <= WINDOW));
        assert_eq!(passwords.suspect(other), Ok(()));
        passwords.forgive(Some(one));
        assert_eq!(passwords.suspect(one), Ok(()));
        for _ in 0..1000 {
            assert_eq!(passwords.suspect(addr("2001:db8::1")), Ok(()));
            passwords.forgive(Some(addr("2001:db8::1")));
        }
    }

    #[test]
    fn neighbours_in_one_64_are_one_address() {
        assert_eq!(group(addr("2001:db8::1")), group(addr("2001:db8::2")));
        assert_ne!(group(addr("2001:db8::1")), group(addr("2001:db8:0:1::1")));
        assert_eq!(group(addr("::ffff:192.0.2.1")), addr("192.0.2.1"));
    }

    #[test]
    fn another_user_password_or_line_is_another_mark() {
        let passwords = Passwords::default();
        let hash = |text: &str| Hash::parse(text).ok();
        let (one, two) = (
            hash("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="),
            hash("{SHA}Ojuc06fgxmda9dLZhXCoSYAYNEw="),
        );
        let mark = |user: &str, password: &str, hash: &Option<Hash>| {
            passwords.mark(user.as_bytes(), password.as_bytes(), hash.as_ref())
        };
        let first = mark("a", "bc", &one);
        assert_eq!(first, mark("a", "bc", &one));
        for other in [
            mark("ab", "c", &one),
            mark("a", "bd", &one),
            mark("a", "bc", &two),
            mark("a", "bc", &None),
        ] {
            assert_ne!(first, other);
        }
        assert_ne!(first, Passwords::default().mark(b"a", b"bc", one.as_ref()));
        passwords.remember(first);
        assert!(passwords.remembers(&first) && !passwords.remembers(&mark("a", "bc", &two)));
    }

    #[test]
    fn a_password_in_use_is_remembered_for_hours_and_no_longer() {
        let start = Instant::now();
        let mut right = Right::new(start);
        let minutes = |count: u64| start + Duration::from_secs(count * 60);
        for used in 1..180 {
            assert!(right.renew(minutes(used * 4)), "{used}");
        }
        assert!(!right.renew(minutes(12 * 60)));
        let mut unused = Right::new(start);
        assert!(!unused.renew(minutes(5)));
    }

    #[test]
    fn what_is_remembered_and_watched_is_bounded() {
        let passwords = Passwords::default();
        for index in 0..MAX_REMEMBERED as u64 + 100 {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&index.to_le_bytes());
            passwords.remember(mark);
        }
        assert_eq!(lock(&passwords.right).len(), MAX_REMEMBERED);
        for index in 0..MAX_ADDRESSES as u32 + 100 {
            assert_eq!(passwords.suspect(IpAddr::from(index.to_be_bytes())), Ok(()));
        }
        assert_eq!(lock(&passwords.wrong).len(), MAX_ADDRESSES);
    }
}

//! OCSP answers to staple (RFC 6066 §8): kept in `ocsp/`, fetched anew at half of their life.
//!
//! Nothing here is ever a hard failure: without an answer nothing is stapled.

mod der;
mod message;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Full;

use crate::agent::Soonest;
use crate::agent::supervisor::Supervisor;
use crate::http::Http;
use crate::ocsp::message::{Good, Standing, Subject};
use crate::protocol::{Event, Job, Level, OcspJob};
use crate::store::file::{self, Lock};
use crate::{Error, Result, clock, x509};

/// Larger answers would make every handshake larger.
const LARGEST: usize = 16 * 1024;

/// The pause after a failure, in seconds; as much again by chance.
const PAUSE: u64 = clock::HOUR / 2;

/// Answers of certificates that are gone are removed after this time.
const KEPT: Duration = Duration::from_secs(30 * clock::DAY);

/// Reports an answer for every certificate of the job that has one, fetching those that are due;
/// when there is something to do again.
pub(crate) async fn pass(job: &Job, supervisor: &mut Supervisor) -> Option<u64> {
    if job.ocsp.is_empty() {
        return None;
    }
    let folder = job.state_dir.join("ocsp");
    let (_lock, http) = match (Lock::try_take(&folder), Http::plain()) {
        (Ok(Some(lock)), Ok(http)) => (lock, http),
        (Ok(None), _) => return Some(clock::now() + 60),
        (Err(e), _) | (_, Err(e)) => {
            supervisor.log(Level::Warn, format!("no OCSP answers: {e}"));
            return Some(clock::now() + clock::HOUR);
        }
    };
    let mut next = Soonest::default();
    for wanted in &job.ocsp {
        next.consider(look_after(wanted, &folder, &http, supervisor).await);
    }
    remove_old(&folder);
    next.at
}

async fn look_after(
    wanted: &OcspJob,
    folder: &Path,
    http: &Http,
    supervisor: &mut Supervisor,
) -> Option<u64> {
    let name = &wanted.certificate;
    let chain = match x509::chain(&wanted.chain) {
        Ok(chain) => chain,
        Err(e) => {
            supervisor.log(Level::Warn, format!("{name}: no OCSP answer: {e}"));
            return None;
        }
    };
    let leaf = chain.first()?;
    let url = message::responder(&x509::parse(leaf).ok()?)?;
    let Some(issuer) = chain.get(1) else {
        let message = format!(
            "{name}: no OCSP answer: the file holds the certificate only, and not its issuer's"
        );
        supervisor.log(Level::Warn, message);
        return None;
    };
    let subject = match Subject::new(leaf, issuer) {
        Ok(subject) => subject,
        Err(e) => {
            supervisor.log(Level::Warn, format!("{name}: no OCSP answer: {e}"));
            return None;
        }
    };
    let keeper = Keeper {
        path: path(folder, leaf),
        subject,
        url,
    };
    let (answer, next) = keeper.current(http, supervisor, name).await;
    if let Some(Answer { der, good, .. }) = answer {
        supervisor.say(&Event::Ocsp {
            certificate: name.clone(),
            der,
            next_update: good.next_update,
        });
    }
    Some(next)
}

fn path(folder: &Path, leaf: &[u8]) -> PathBuf {
    let fingerprint = digest(&SHA256, leaf);
    let hex: String = fingerprint
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    folder.join(format!("{hex}.der"))
}

/// The answer for one certificate, and where it is kept.
struct Keeper<'a> {
    path: PathBuf,
    subject: Subject<'a>,
    url: String,
}

/// An answer that can be stapled.
struct Answer {
    der: Vec<u8>,
    good: Good,
    /// When the next one is to be fetched.
    fetch_at: u64,
}

impl Keeper<'_> {
    /// The best answer there is, and when to look again.
    async fn current(
        &self,
        http: &Http,
        supervisor: &mut Supervisor,
        name: &str,
    ) -> (Option<Answer>, u64) {
        let now = clock::now();
        let kept = self.kept(now);
        if let Some(fetch_at) = kept.as_ref().map(|kept| kept.fetch_at)
            && fetch_at > now
        {
            return (kept, fetch_at);
        }
        let later = now + PAUSE + clock::random_below(PAUSE);
        match self.fetch(http).await {
            Ok((der, Standing::Good(good))) => {
                if let Err(e) = file::write(&self.path, &der, file::PRIVATE) {
                    supervisor.log(Level::Warn, format!("{name}: OCSP answer: {e}"));
                }
                let answer = Answer::new(der, good, now);
                let fetch_at = answer.fetch_at;
                (Some(answer), fetch_at)
            }
            Ok((_, Standing::Revoked)) => {
                let _ = file::remove(&self.path);
                supervisor.say(&Event::Revoked {
                    certificate: name.to_string(),
                });
                (None, later)
            }
            Err(e) => {
                let meanwhile = match kept {
                    Some(_) => "the last answer is still good",
                    None => "nothing is stapled",
                };
                let message = format!("{name}: OCSP responder: {e}; {meanwhile}");
                supervisor.log(Level::Warn, message);
                (kept, later)
            }
        }
    }

    /// The answer in the file, if it is still good.
    fn kept(&self, now: u64) -> Option<Answer> {
        let der = file::read(&self.path).ok().flatten()?;
        let modified = fs::metadata(&self.path).and_then(|meta| meta.modified());
        let fetched = clock::since_epoch(modified.ok()?);
        match self.subject.check(&der, now) {
            Ok(Standing::Good(good)) => Some(Answer::new(der, good, fetched)),
            _ => None,
        }
    }

    async fn fetch(&self, http: &Http) -> Result<(Vec<u8>, Standing)> {
        let question = Bytes::from(self.subject.request());
        let request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .body(Full::new(question))
            .map_err(|e| Error::new(e.to_string()))?;
        let answer = http.exchange(request).await?;
        let said = |what: String| Error::new(format!("{}: {what}", self.url));
        if !answer.status().is_success() {
            return Err(said(format!("it answered {}", answer.status())));
        }
        let der = answer.into_body();
        if der.len() > LARGEST {
            let message = format!("its answer has {} bytes, more than {LARGEST}", der.len());
            return Err(said(message));
        }
        let standing = self.subject.check(&der, clock::now());
        Ok((der.to_vec(), standing.map_err(|e| said(e.to_string()))?))
    }
}

impl Answer {
    /// It is renewed at half of the time that it had when it was fetched: responders hand out
    /// answers that are days old.
    fn new(der: Vec<u8>, good: Good, fetched: u64) -> Self {
        let fetch_at = fetched + good.next_update.saturating_sub(fetched) / 2;
        Self {
            der,
            good,
            fetch_at,
        }
    }
}

fn remove_old(folder: &Path) {
    for path in file::list(folder, "der") {
        let modified = fs::metadata(&path).and_then(|meta| meta.modified());
        let age = modified
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = file::remove(&path);
        }
    }
}

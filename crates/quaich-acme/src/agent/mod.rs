//! The agent: one pass over a [`Job`], in a process of its own.
//!
//! Certificate authorities and OCSP responders are strangers. Whatever they answer, the supervisor
//! does not parse it, and a crash here takes nothing with it.

pub(crate) mod supervisor;

use std::io;
use std::process::ExitCode;

use tokio::runtime;

use crate::agent::supervisor::Supervisor;
use crate::protocol::{Event, Job, Level};
use crate::{Error, Result, clock, ocsp, order};

/// The whole life of the process `quaich __agent`: see [`Job`](crate::Job) and
/// [`Event`](crate::Event). Exit code 0 = the pass was made, whatever came of it; 2 = no job.
pub fn agent_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("quaich __agent: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<()> {
    let job = read_job()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::new(format!("cannot start: {e}")))?;
    runtime.block_on(async {
        let (mut supervisor, gone) = Supervisor::new(Box::new(io::stdout()));
        tokio::select! {
            () = pass(&job, &mut supervisor) => {}
            // Nobody is there to install a challenge or to hear how it went.
            _ = gone => {}
        }
    });
    // A name server that does not answer must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

/// The first line of the standard input. The rest is read by `Supervisor`.
fn read_job() -> Result<Job> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|e| Error::new(format!("cannot read the job: {e}")))?;
    serde_json::from_str(&line).map_err(|e| Error::new(format!("no job on standard input: {e}")))
}

async fn pass(job: &Job, supervisor: &mut Supervisor) {
    let mut next = Soonest::default();
    if let Some(acme) = &job.acme
        && !job.names.is_empty()
    {
        next.consider(order::pass(job, acme, supervisor).await);
    }
    next.consider(ocsp::pass(job, supervisor).await);
    if let Some(at) = next.at {
        let at = at.max(clock::now() + 1);
        supervisor.log(Level::Debug, format!("the next pass is due at {at}"));
        supervisor.say(&Event::Next { at });
    }
}

/// The earliest of several times.
#[derive(Default)]
pub(crate) struct Soonest {
    pub at: Option<u64>,
}

impl Soonest {
    pub(crate) fn consider(&mut self, at: Option<u64>) {
        self.at = match (self.at, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

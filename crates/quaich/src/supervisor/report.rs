//! What happens to workers, in words: messages for the log, and the one message of a failed start.

use std::time::Duration;

use quaich_app::pool::{BootFailure, Notice};
use quaich_app::worker::Failed;
use quaich_config::model::App;
use quaich_server::observe::log;

use super::seconds;
use crate::boot::Plan;
use crate::exit::{Code, Failure};

/// How long the output of a worker that failed may take to arrive.
const OUTPUT_TIME: Duration = Duration::from_millis(300);

/// Logs what happened to a worker of `app`.
pub(super) fn notice(app: &App, notice: &Notice) {
    let name = &app.name;
    match notice {
        // The first ones are what the start is about: it says `ready` for all of them.
        Notice::Ready {
            worker, callable, ..
        } if *worker as usize >= app.workers => {
            log::info!("a worker is up"; app = name, worker = worker, callable = callable);
        }
        Notice::Retiring { worker, requests } => {
            log::info!("a worker has had its max_requests and is replaced"; app = name, worker = worker, requests = requests);
        }
        Notice::Died { worker, pid, how } => {
            log::error!("a worker died and is replaced"; app = name,
                worker = worker,
                pid = pid,
                how = how
            );
        }
        Notice::BootFailed(failure) => {
            let why = failure
                .failed
                .as_ref()
                .map_or(failure.how.as_str(), |f| f.message.as_str());
            let next = seconds(failure.wait);
            log::error!("a worker cannot start"; app = name,
                reason = why,
                next_attempt_in = next
            );
            for line in failure
                .failed
                .iter()
                .flat_map(|failed| failed.traceback.lines())
            {
                log::error!("{line}"; app = name);
            }
        }
        Notice::Ready { .. } | Notice::Up { .. } | Notice::Down { .. } => {}
    }
}

/// The end of a program whose app cannot be loaded at the start.
pub(super) async fn unloadable(plan: &Plan, app: usize, failure: BootFailure) -> Failure {
    let BootFailure {
        failed,
        how,
        output,
        ..
    } = failure;
    let ran = output.is_some();
    if let Some(output) = output {
        // What it printed says more than we know; a grandchild may hold its output open for ever.
        let _ = tokio::time::timeout(OUTPUT_TIME, output).await;
    }
    let Some(app) = plan.config.apps.get(app) else {
        return Failure::new(Code::App, how);
    };
    let start = format!("app `{}` cannot be loaded", app.name);
    match failed {
        Some(failed) => Failure::new(Code::App, format!("{start}: {}", failed.message))
            .details(explain(app, &failed)),
        None if ran => Failure::new(Code::App, format!("{start}: its worker ended ({how})"))
            .details(place(app, None))
            .cure("what the worker printed, if anything, stands above"),
        None => {
            let user = app.user.as_deref().or(plan.config.server.user.as_deref());
            let failure = Failure::new(Code::App, format!("{start}: {how}"));
            let failure = failure.details(place(app, None));
            match user {
                Some(user) => failure.cure(format!("the user `{user}` must be able to run it")),
                None => failure,
            }
        }
    }
}

fn explain(app: &App, failed: &Failed) -> Vec<String> {
    let mut lines: Vec<String> = failed.traceback.lines().map(str::to_owned).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(place(app, Some(failed)));
    let heads = ["sys.path "]
        .into_iter()
        .chain(std::iter::repeat("         "));
    lines.extend(
        heads
            .zip(&failed.path)
            .map(|(head, entry)| format!("{head}{}", shown(entry))),
    );
    lines
}

fn place(app: &App, failed: Option<&Failed>) -> Vec<String> {
    let version = failed
        .map(|failed| format!(" {}", failed.version))
        .unwrap_or_default();
    let python = format!(
        "python   {}{version} ({})",
        app.python.display(),
        app.python_origin
    );
    vec![python, format!("folder   {}", app.dir.display())]
}

fn shown(entry: &str) -> &str {
    if entry.is_empty() {
        "(the folder)"
    } else {
        entry
    }
}

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
    if let Some(output) = failure.output {
        // What it printed says more than we know; a grandchild may hold its output open for ever.
        let _ = tokio::time::timeout(OUTPUT_TIME, output).await;
    }
    let Some(app) = plan.config.apps.get(app) else {
        return Failure::new(Code::App, failure.how);
    };
    let name = &app.name;
    match failure.failed {
        Some(failed) => {
            let message = format!("app `{name}` cannot be loaded: {}", failed.message);
            Failure::new(Code::App, message).details(explain(app, &failed))
        }
        None => {
            let how = failure.how;
            let message = format!("app `{name}` cannot be loaded: its worker ended ({how})");
            let cure = "what the worker printed stands above";
            Failure::new(Code::App, message)
                .details(place(app, None))
                .cure(cure)
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

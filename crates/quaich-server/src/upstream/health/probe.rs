//! The ways back: probes of servers that could not be connected to, and the end of ejections.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::check::Checks;
use super::{Reason, dial, jittered, millis, take_in};
use crate::link::Mode;
use crate::upstream::group::Group;
use crate::upstream::secure::Offer;
use crate::upstream::server::Server;

/// While `server` cannot be connected to: tries it every `retry_after`.
pub(super) async fn reach(group: Arc<Group>, server: Arc<Server>) {
    let settings = group.settings();
    loop {
        while !server.condition().is_out(Reason::Unreachable) {
            server.condition().unreachable.notified().await;
        }
        sleep(jittered(settings.retry_after)).await;
        if server.wanted() == Mode::Maint {
            continue;
        }
        let dialled = dial::server(&group, &server, None, Offer::Usual);
        if let Ok(Ok(_)) = timeout(settings.connect_timeout, dialled).await {
            take_in(
                &group,
                &server,
                Reason::Unreachable,
                &"a probe has reached it",
            );
        }
    }
}

/// Brings `server` back when the time of its ejection is over; where there are checks, only when one
/// succeeds.
pub(super) async fn bring_back(group: Arc<Group>, server: Arc<Server>, checks: Option<Rc<Checks>>) {
    let condition = server.condition();
    loop {
        while !condition.is_out(Reason::Ejected) {
            condition.ejected.notified().await;
        }
        let until = condition.ejected_until.load(Ordering::Relaxed);
        let left = until.saturating_sub(millis());
        if left > 0 {
            sleep(Duration::from_millis(left)).await;
            // It may have come back and gone again meanwhile.
            continue;
        }
        let why = match &checks {
            None => "its time is over".to_owned(),
            Some(checks) => match checks.ask(&group, &server).await {
                Ok(what) => format!("its time is over, and a check succeeds: {what}"),
                Err(_) => {
                    sleep(jittered(checks.every())).await;
                    continue;
                }
            },
        };
        take_in(&group, &server, Reason::Ejected, &why);
    }
}

//! Which sites are closed for maintenance: by command, and by files that are there. Part of the
//! supervisor's loop; it holds for fronts to come as well.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use quaich_config::model::{Config, Maintenance, Site};
use quaich_config::nearest;
use quaich_server::link::{Closed, ToFront};
use quaich_server::observe::log;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Phase, Supervisor};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// What the operator wants of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is closed.
    On,
    /// It is open.
    Off,
    /// As the configuration and its file say.
    Auto,
}

impl Wanted {
    pub(super) fn parse(word: &str) -> Option<Wanted> {
        match word {
            "on" => Some(Wanted::On),
            "off" => Some(Wanted::Off),
            "auto" => Some(Wanted::Auto),
            _ => None,
        }
    }
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Sites of which the operator has said something.
    commands: BTreeMap<usize, bool>,
    /// Files that close something.
    files: Vec<PathBuf>,
    /// Those that are there.
    present: Vec<PathBuf>,
    look_at: Option<Instant>,
}

impl Closing {
    /// With the files that `config` names, as they are now.
    pub(super) fn new(config: &Config) -> Closing {
        let of_site = |site: &Site| {
            let routes = site.routes.iter().map(|route| &route.filters.maintenance);
            let all = std::iter::once(&site.filters.maintenance).chain(routes);
            let files = all.filter_map(|maintenance| maintenance.when_file.clone());
            files.collect::<Vec<_>>()
        };
        let mut files: Vec<PathBuf> = config.sites.iter().flat_map(of_site).collect();
        files.sort();
        files.dedup();
        let mut closing = Closing {
            look_at: (!files.is_empty()).then(Instant::now),
            files,
            ..Closing::default()
        };
        closing.look();
        closing
    }

    /// For the front.
    pub(super) fn closed(&self) -> Closed {
        Closed {
            commands: self
                .commands
                .iter()
                .map(|(site, on)| (*site, *on))
                .collect(),
            files: self.present.clone(),
        }
    }

    /// Looks which files are there: those that came, and those that went.
    fn look(&mut self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let there = |file: &&PathBuf| file.symlink_metadata().is_ok();
        let present: Vec<PathBuf> = self.files.iter().filter(there).cloned().collect();
        let without = |a: &[PathBuf], b: &[PathBuf]| -> Vec<PathBuf> {
            a.iter().filter(|file| !b.contains(file)).cloned().collect()
        };
        let came = without(&present, &self.present);
        let went = without(&self.present, &present);
        self.present = present;
        (came, went)
    }

    /// Whether a site is closed, and why; routes that say otherwise aside.
    fn of(&self, index: usize, maintenance: &Maintenance) -> (bool, &'static str) {
        let by_file = maintenance.when_file.as_ref();
        match self.commands.get(&index) {
            _ if maintenance.never => (false, "configuration"),
            Some(closed) => (*closed, "command"),
            None if by_file.is_some_and(|file| self.present.contains(file)) => (true, "file"),
            None => (maintenance.on, "configuration"),
        }
    }
}

impl Supervisor {
    pub(super) fn maintenance_deadline(&self) -> Option<Instant> {
        self.closing
            .look_at
            .filter(|_| self.phase == Phase::Running)
    }

    pub(super) fn care_for_maintenance(&mut self, now: Instant) {
        if self.maintenance_deadline().is_none_or(|at| at > now) {
            return;
        }
        self.closing.look_at = Some(now + LOOK);
        let (came, went) = self.closing.look();
        for file in &came {
            log::warn!("closed for maintenance"; because = format_args!("{} is there", file.display()));
        }
        for file in &went {
            log::info!("open again after maintenance"; because = format_args!("{} is gone", file.display()));
        }
        if !(came.is_empty() && went.is_empty()) {
            self.show_closed();
        }
    }

    /// Tells the front; also one that has taken another's place and may have heard less.
    pub(super) fn show_closed(&mut self) {
        let closed = self.closing.closed();
        // Nobody waits for an answer to this one.
        self.tell(ToFront::Closed { id: 0, closed }, Vec::new());
    }

    /// Closes or opens a site by command.
    pub(super) fn switch_maintenance(
        &mut self,
        (site, wanted): (&str, Wanted),
        reply: oneshot::Sender<Value>,
        now: Instant,
    ) {
        let sites = &self.equipment.config.sites;
        let Some(index) = sites.iter().position(|known| known.name == site) else {
            let names = sites.iter().map(|site| site.name.as_str());
            let near = nearest(site, names.clone());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
            };
            let error = json!({ "error": format!("there is no site `{site}`; {hint}") });
            // Whoever asked may have left.
            let _ = reply.send(error);
            return;
        };
        let maintenance = &sites[index].filters.maintenance;
        if maintenance.never {
            let why = format!("site `{site}` has `maintenance = \"off\"`: it is never closed");
            let _ = reply.send(json!({ "error": why }));
            return;
        }
        let (was, _) = self.closing.of(index, maintenance);
        match wanted {
            Wanted::On => _ = self.closing.commands.insert(index, true),
            Wanted::Off => _ = self.closing.commands.insert(index, false),
            Wanted::Auto => _ = self.closing.commands.remove(&index),
        }
        let (closed, by) = self.closing.of(index, maintenance);
        if closed && !was {
            log::warn!("closed for maintenance"; site = site, because = by);
        } else if was && !closed {
            log::info!("open again after maintenance"; site = site, because = by);
        }
        let answer = json!({ "site": site, "closed": closed, "by": by, "changed": was != closed });
        let closed = self.closing.closed();
        self.ask_front(|id| ToFront::Closed { id, closed }, (reply, answer), now);
    }

    /// Sites that can be closed or of which something was said.
    pub(super) fn maintenance_status(&self) -> Vec<Value> {
        let sites = self.equipment.config.sites.iter().enumerate();
        let shown = sites.filter_map(|(index, site)| {
            let maintenance = &site.filters.maintenance;
            let (closed, by) = self.closing.of(index, maintenance);
            let said = closed || self.closing.commands.contains_key(&index);
            said.then(|| json!({ "site": site.name, "closed": closed, "by": by }))
        });
        shown.collect()
    }
}

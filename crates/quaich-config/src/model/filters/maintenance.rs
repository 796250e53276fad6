//! `maintenance`: the site is closed for a while.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TextFile;
use super::error_pages::page_texts;
use crate::addr;
use crate::model::{Config, Network};
use crate::units::show_duration;

/// Of a site or route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Whether it is closed from the start on.
    pub on: bool,
    /// Whether it is never closed, by no command and no file.
    pub never: bool,
    /// What is shown, for 503; `None` = the error page.
    pub page: Option<PathBuf>,
    /// Clients that are let in all the same: addresses.
    pub allow: Vec<Network>,
    /// The same: indices into `Config::acls`.
    pub allow_acl: Vec<usize>,
    /// When clients are told to come again.
    pub retry_after: Duration,
    /// It is closed while there is such a file.
    pub when_file: Option<PathBuf>,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            on: false,
            never: false,
            page: None,
            allow: Vec::new(),
            allow_acl: Vec::new(),
            retry_after: Duration::from_secs(600),
            when_file: None,
        }
    }
}

impl Maintenance {
    /// Files whose content it works with.
    pub fn texts(&self) -> Vec<TextFile> {
        let page = self.page.iter();
        page.flat_map(|file| page_texts(file, "maintenance page"))
            .collect()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, config: &Config) -> Option<String> {
        if self.never {
            return Some("maintenance: never".to_owned());
        }
        if *self == Self::default() {
            return None;
        }
        let mut words = vec![match (self.on, &self.when_file) {
            (true, _) => "503 for all".to_owned(),
            (false, Some(file)) => format!("503 for all while there is {}", file.display()),
            (false, None) => "503 for all once it is switched on".to_owned(),
        }];
        let networks = self.allow.iter().map(addr::show_network);
        let acls = self.allow_acl.iter().filter_map(|at| config.acls.get(*at));
        let allowed: Vec<String> = networks
            .chain(acls.map(|acl| format!("acl `{}`", acl.name)))
            .collect();
        if !allowed.is_empty() {
            words.push(format!("but {}", allowed.join(" ")));
        }
        words.push(format!(
            "come again after {}",
            show_duration(self.retry_after)
        ));
        Some(format!("maintenance: {}", words.join(", ")))
    }
}

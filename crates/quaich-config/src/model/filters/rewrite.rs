//! `rewrite = { ... }` and its kin: other paths, other hosts, and the way back of mounted apps.

use serde::{Deserialize, Serialize};

use crate::lower::show_path;
use crate::model::{Config, PathPattern};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rewrite {
    /// The first that matches counts.
    pub rules: Vec<RewriteRule>,
    /// Requests for other hosts are redirected to this one; lower case, without port.
    pub canonical_host: Option<String>,
    /// Whether paths end with a slash.
    pub slash: Slash,
    /// What `prefix` does to answers.
    pub back: RewriteBack,
}

/// Another path for requests whose path matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewriteRule {
    /// Tried on the normalised, decoded path.
    pub path: PathPattern,
    /// Text with placeholders: path, and query behind a `?`.
    pub to: String,
    /// Whether the route is chosen again.
    pub reroute: bool,
}

/// `slash = "..."`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slash {
    /// As they come.
    #[default]
    Off,
    /// Those without are redirected to those with one, but for names with a dot.
    Add,
    /// Those with one are redirected to those without.
    Remove,
}

/// `rewrite_back = "..."`: what becomes of paths in the answers of mounted apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewriteBack {
    /// They get the prefix unless they have it.
    #[default]
    Auto,
    /// They get it whatever they look like.
    Always,
    /// They stay.
    Off,
}

impl Rewrite {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        let mut words = Vec::new();
        if let Some(host) = &self.canonical_host {
            words.push(format!("other hosts than {host} are redirected to it"));
        }
        match self.slash {
            Slash::Off => {}
            Slash::Add => words.push("a slash is added at the end by a redirect".into()),
            Slash::Remove => words.push("a slash at the end is removed by a redirect".into()),
        }
        for rule in &self.rules {
            let then = if rule.reroute {
                ", then the route is chosen again"
            } else {
                ""
            };
            words.push(format!(
                "path {} becomes {}{then}",
                show_path(&rule.path),
                rule.to
            ));
        }
        (!words.is_empty()).then(|| format!("rewrite: {}", words.join("; ")))
    }
}

//! A rule that the operator puts in while quaich runs, as supervisor and front speak of it.

use quaich_config::model::Network;
use serde::{Deserialize, Serialize};

/// Which requests are refused. All conditions that it has must hold; of a list, one. A condition that
/// this version does not know is no rule: without it, it would hold for more than was meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Never used again while quaich runs.
    pub id: u64,
    /// For people; no two have the same.
    pub name: String,
    /// Patterns for the path.
    #[serde(default)]
    pub path: Vec<String>,
    /// Methods.
    #[serde(default)]
    pub method: Vec<String>,
    /// Patterns for the host.
    #[serde(default)]
    pub host: Vec<String>,
    /// Field (`*` = any) and a pattern for its value; all of them.
    #[serde(default)]
    pub header: Vec<(String, String)>,
    /// Parameter (`*` = any) and a pattern for its value; all of them.
    #[serde(default)]
    pub query: Vec<(String, String)>,
    /// Networks of clients.
    #[serde(default)]
    pub client: Vec<Network>,
    /// A pattern for the body.
    #[serde(default)]
    pub body: Option<String>,
    /// Bytes of the body that are looked at.
    pub body_limit: usize,
    /// Whether a longer body is let through if the pattern is not in its beginning.
    #[serde(default)]
    pub passes_long: bool,
    /// What refused requests are answered with.
    pub status: u16,
    /// Nothing is refused, only counted.
    #[serde(default)]
    pub dry_run: bool,
    /// Milliseconds since 1970; it ends by itself then.
    pub until: Option<u64>,
    /// Whether it outlives quaich.
    #[serde(default)]
    pub persist: bool,
    /// Why it is there.
    #[serde(default)]
    pub reason: String,
}

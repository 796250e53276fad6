//! `cors = { ... }`: which other origins may read answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Config, HostPattern};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cors {
    /// `None` = apps and upstreams care for it.
    pub policy: Option<CorsPolicy>,
}

/// A policy of the Fetch standard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorsPolicy {
    /// At least one.
    pub origins: Vec<OriginPattern>,
    /// Names, or `*` for any.
    pub methods: Vec<String>,
    /// Names of request fields, or `*` for any.
    pub headers: Vec<String>,
    /// Names of response fields, or `*` for any.
    pub expose: Vec<String>,
    /// Whether cookies may come along; never with `OriginPattern::Any`.
    pub credentials: bool,
    /// How long the answer to a preflight is kept; whole seconds count.
    pub max_age: Duration,
}

/// Origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OriginPattern {
    /// `*`
    Any,
    /// `null`: sandboxed frames, local files.
    Null,
    /// `~regex` of a whole origin.
    Regex(String),
    /// `https://*.example.org:8443`
    Plain {
        /// In lower case.
        scheme: String,
        /// In lower case; never `HostPattern::Any`.
        host: HostPattern,
        /// Which ports.
        port: OriginPort,
    },
}

/// The port of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginPort {
    /// That of the scheme.
    Default,
    /// This one, which is not that of the scheme.
    Number(u16),
    /// `:*`
    Any,
}

impl OriginPattern {
    /// As it is written in the file.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Any => "*".into(),
            Self::Null => "null".into(),
            Self::Regex(regex) => format!("~{regex}"),
            Self::Plain { scheme, host, port } => {
                let host = crate::addr::show_host(host);
                match port {
                    OriginPort::Default => format!("{scheme}://{host}"),
                    OriginPort::Number(port) => format!("{scheme}://{host}:{port}"),
                    OriginPort::Any => format!("{scheme}://{host}:*"),
                }
            }
        }
    }
}

impl Cors {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        let policy = self.policy.as_ref()?;
        let origins: Vec<String> = policy.origins.iter().map(OriginPattern::show).collect();
        let with = if policy.credentials {
            ", with credentials"
        } else {
            ""
        };
        Some(format!("cors: {}{with}", origins.join(", ")))
    }
}

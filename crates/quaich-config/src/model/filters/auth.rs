//! `auth`: who may come in.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Config, Network, TextFile};

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// Indices into `Config::auths`: the first that lets a request in ends the search. Empty: all may
    /// come in.
    pub ways: Vec<usize>,
}

impl Access {
    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, config: &Config) -> Option<String> {
        let ways = self.ways.iter().filter_map(|way| config.auths.get(*way));
        let ways: Vec<String> = ways.map(Auth::describe).collect();
        (!ways.is_empty()).then(|| format!("auth {}", ways.join(" or ")))
    }
}

/// `[auth.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Auth {
    /// Table name.
    pub name: String,
    /// How it is found out.
    pub proof: Proof,
    /// `pass = { user }`: the request field that names the user; `None` = none does.
    pub user_field: Option<String>,
    /// `or_from`: clients from here need no proof.
    pub or_from: Vec<Network>,
}

/// How it is found out who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Proof {
    /// `basic = { ... }`
    Basic {
        /// What browsers show.
        realm: String,
        /// Absolute path of the file of users.
        users: PathBuf,
        /// `Authorization` reaches apps and servers.
        pass_on: bool,
    },
    /// `forward = { ... }`
    Forward(Box<ForwardAuth>),
    /// `mtls = { ... }`
    Certificate {
        /// Which name is the user.
        user: CertificateName,
        /// Globs; empty = everybody.
        allow: Vec<String>,
    },
}

/// `forward = { ... }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForwardAuth {
    /// Index into `Config::upstreams`.
    pub upstream: usize,
    /// Path and query.
    pub path: String,
    /// `Host`; `None` = that of the client's request.
    pub host: Option<String>,
    /// `None` = that of the client's request.
    pub method: Option<String>,
    /// From the question to the end of the answer.
    pub timeout: Duration,
    /// Fields of the answer that the request goes on with.
    pub copy: Vec<String>,
    /// The field of the answer that names the user.
    pub user_from: Option<String>,
    /// Whether `Set-Cookie` of an answer of 2xx reaches the client.
    pub cookies: bool,
}

/// A name in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateName {
    /// The common name.
    Common,
    /// The whole subject.
    Subject,
    /// The first mail address among its other names.
    Email,
    /// The first host among its other names.
    Dns,
}

impl CertificateName {
    /// As written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Common => "cn",
            Self::Subject => "subject",
            Self::Email => "san-email",
            Self::Dns => "san-dns",
        }
    }
}

impl Auth {
    fn describe(&self) -> String {
        let how = match &self.proof {
            Proof::Basic { .. } => "basic",
            Proof::Forward(_) => "forward",
            Proof::Certificate { .. } => "mtls",
        };
        format!("{} ({how})", self.name)
    }

    /// Files whose content it works with.
    pub fn texts(&self) -> Vec<TextFile> {
        match &self.proof {
            Proof::Basic { users, .. } => vec![TextFile::needed(users, "`users`")],
            Proof::Forward(_) | Proof::Certificate { .. } => Vec::new(),
        }
    }

    /// Names of request fields that only quaich may set.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let forward = match &self.proof {
            Proof::Forward(forward) => Some(forward),
            Proof::Basic { .. } | Proof::Certificate { .. } => None,
        };
        let copied = forward.into_iter().flat_map(|forward| &forward.copy);
        // What a client says there is for others as well.
        let copied = copied.filter(|name| !name.eq_ignore_ascii_case("authorization"));
        copied.map(String::as_str).chain(self.user_field.as_deref())
    }
}

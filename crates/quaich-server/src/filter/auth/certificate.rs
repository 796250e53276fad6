//! `mtls`: the certificate of the client is the proof.

use quaich_config::model::CertificateName;

use super::{Refusal, Verdict};
use crate::error::Kind;
use crate::exchange::Exchange;
use crate::route::glob;
use crate::tls::client_certificate::ClientCertificate;

/// `mtls = { ... }`
pub(super) struct Certificate {
    name: CertificateName,
    /// Globs; empty = everybody.
    allow: Vec<Box<[u8]>>,
}

impl Certificate {
    pub(super) fn new(name: CertificateName, allow: &[String]) -> Self {
        Self {
            name,
            allow: allow.iter().map(|glob| glob.as_bytes().into()).collect(),
        }
    }

    /// The connection has been told to show one, if it was told at all: 403 without.
    pub(super) fn ask(&self, exchange: &Exchange) -> Verdict {
        let session = exchange.session.as_ref();
        let shown = session.and_then(|session| session.client.as_ref());
        match shown.and_then(|shown| self.user(shown)) {
            Some(user) => Verdict::Granted {
                user: user.into(),
                kind: "Certificate",
            },
            None => Refusal::page(Kind::NotAdmitted),
        }
    }

    /// The first name of the kind that may come in.
    fn user<'c>(&self, shown: &'c ClientCertificate) -> Option<&'c str> {
        let names = match self.name {
            CertificateName::Common => &shown.common_names[..],
            CertificateName::Subject => std::slice::from_ref(&shown.subject),
            CertificateName::Email => &shown.emails,
            CertificateName::Dns => &shown.hosts,
        };
        let mut names = names.iter().map(String::as_str);
        names.find(|name| !name.is_empty() && self.allows(name.as_bytes()))
    }

    fn allows(&self, name: &[u8]) -> bool {
        let mut globs = self.allow.iter();
        self.allow.is_empty() || globs.any(|pattern| glob::matches(pattern, name))
    }
}

//! `security`: fields that tell browsers to be careful.

use serde::{Deserialize, Serialize};

use crate::model::Config;

/// Of a site or route. By default none is sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Security {
    /// `X-Content-Type-Options: nosniff`
    pub nosniff: bool,
    /// `X-Frame-Options`, `deny` or `same-origin`.
    pub frame: Option<String>,
    /// `Referrer-Policy`
    pub referrer: Option<String>,
    /// `Content-Security-Policy`
    pub csp: Option<String>,
    /// `Content-Security-Policy-Report-Only`
    pub csp_report_only: Option<String>,
    /// `Permissions-Policy`
    pub permissions: Option<String>,
    /// `Cross-Origin-Opener-Policy`
    pub opener: Option<String>,
    /// `Cross-Origin-Embedder-Policy`
    pub embedder: Option<String>,
    /// `Cross-Origin-Resource-Policy`
    pub resource: Option<String>,
}

impl Security {
    /// Name and value of each field that is sent.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        let frame = self.frame.as_deref().map(|frame| match frame {
            "deny" => "DENY",
            _ => "SAMEORIGIN",
        });
        let all = [
            ("X-Content-Type-Options", self.nosniff.then_some("nosniff")),
            ("X-Frame-Options", frame),
            ("Referrer-Policy", self.referrer.as_deref()),
            ("Content-Security-Policy", self.csp.as_deref()),
            (
                "Content-Security-Policy-Report-Only",
                self.csp_report_only.as_deref(),
            ),
            ("Permissions-Policy", self.permissions.as_deref()),
            ("Cross-Origin-Opener-Policy", self.opener.as_deref()),
            ("Cross-Origin-Embedder-Policy", self.embedder.as_deref()),
            ("Cross-Origin-Resource-Policy", self.resource.as_deref()),
        ];
        let sent = all.into_iter();
        sent.filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        let fields = self.fields();
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| format!("security: {}", names.join(", ")))
    }
}

//! `security`: fields that tell browsers to be careful.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use quaich_config::model::*;

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    of(select(words).prop_map(String::from))
}

prop_compose! {
    /// Of a site or route.
    pub fn any()(
        nosniff in proptest::bool::ANY,
        frame in word(&["deny", "same-origin"]),
        referrer in word(&["no-referrer", "origin"]),
        csp in word(&["default-src 'self'", "img-src *; script-src 'none'"]),
        csp_report_only in word(&["default-src 'self'; report-uri /csp"]),
        permissions in word(&["camera=(), geolocation=(self \"https://a.test\")"]),
        (opener, embedder, resource) in (
            word(&["same-origin", "unsafe-none"]),
            word(&["require-corp"]),
            word(&["same-site", "cross-origin"]),
        ),
    ) -> Security {
        Security {
            nosniff,
            frame,
            referrer,
            csp,
            csp_report_only,
            permissions,
            opener,
            embedder,
            resource,
        }
    }
}

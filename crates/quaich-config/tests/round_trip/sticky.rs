//! `sticky` and `sendfile` for the round trip.

use proptest::option::of;
use proptest::prelude::*;
use quaich_config::model::{Action, SendFile, Sticky, StickyBy, StickyCookie};

use super::{file, time};

prop_compose! {
    fn cookie()(
        name in "[A-Za-z_]{1,9}",
        ttl in of(time()),
        (secure, http_only, plain) in (of(any::<bool>()), any::<bool>(), any::<bool>()),
        same_site in of(prop_oneof!["Lax", "Strict", "None"]),
        path in "(/[a-z]{1,5}){1,2}|/",
        domain in of("[a-z]{1,5}\\.test"),
    ) -> StickyCookie {
        StickyCookie {
            name,
            ttl,
            secure: if same_site.as_deref() == Some("None") { Some(true) } else { secure },
            http_only,
            same_site,
            path,
            domain,
            plain,
        }
    }
}

pub(super) fn sticky() -> impl Strategy<Value = Sticky> {
    let by = prop_oneof![
        cookie().prop_map(StickyBy::Cookie),
        ("[A-Z]{1,9}", any::<bool>()).prop_map(|(cookie, prefix)| StickyBy::App { cookie, prefix }),
        "[a-z]{1,9}(-[a-z]{1,5})?".prop_map(StickyBy::Header),
        Just(StickyBy::ClientIp),
    ];
    (by, any::<bool>(), of(file())).prop_map(|(by, fallback, secret_file)| {
        let signs = matches!(&by, StickyBy::Cookie(cookie) if !cookie.plain);
        Sticky {
            by,
            fallback,
            secret_file: secret_file.filter(|_| signs),
        }
    })
}

/// Where an action can have one.
pub(super) fn sendfile(action: &Action, root: Option<std::path::PathBuf>) -> Option<SendFile> {
    let named = matches!(action, Action::App(_) | Action::Upstream(_));
    let prefix = "/protected".into();
    root.filter(|_| named).map(|root| SendFile { root, prefix })
}

//! What happens to an exchange between the client and the handler of its route. One file a
//! capability.

use serde::{Deserialize, Serialize};

use crate::model::Config;

mod auth;
mod compress;
mod cors;
mod error_pages;
mod expires;
mod headers;
mod limit;
mod maintenance;
mod rewrite;
mod security;
mod text_file;

pub use auth::{Access, Auth, CertificateName, ForwardAuth, Proof};
pub use compress::Compress;
pub use cors::{Cors, CorsPolicy, OriginPattern, OriginPort};
pub use error_pages::{ErrorPage, ErrorPages, Replace, Statuses};
pub use expires::{Age, Expires, ExpiresRule};
pub use headers::{Answers, Edits, Headers};
pub use limit::{Limit, Limits};
pub use maintenance::Maintenance;
pub use rewrite::{Rewrite, RewriteBack, RewriteRule, Slash};
pub use security::Security;
pub use text_file::TextFile;

/// The filters of a route, or of requests of a site that no route takes. A route has those of its site
/// unless it says otherwise; where both hold, its own file says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filters {
    /// `rewrite = { ... }`: other paths.
    pub rewrite: Rewrite,
    /// `request_headers` and `response_headers`: fields that are set, added, removed.
    pub headers: Headers,
    /// `security = { ... }`: fields that tell browsers to be careful.
    pub security: Security,
    /// `cors = { ... }`: which other origins may read answers.
    pub cors: Cors,
    /// `compress`: content codings of answers.
    pub compress: Compress,
    /// `expires`: how long answers may be kept.
    pub expires: Expires,
    /// `error_pages`: what answers of an error status show.
    pub error_pages: ErrorPages,
    /// `maintenance`: the site is closed for a while.
    pub maintenance: Maintenance,
    /// `limit`: how much a client may ask for.
    pub limit: Limits,
    /// `auth`: who may come in.
    pub auth: Access,
}

impl Filters {
    /// Files whose content they work with; what they name in them is known then.
    pub fn texts(&self) -> Vec<TextFile> {
        let mut texts = self.error_pages.texts();
        texts.extend(self.maintenance.texts());
        texts
    }

    /// What each does, in words for `quaich route`, in the order in which an exchange meets them.
    pub fn describe(&self, config: &Config) -> Vec<String> {
        let words = [
            self.maintenance.describe(config),
            self.limit.describe(config),
            self.cors.describe(config),
            self.auth.describe(config),
            self.rewrite.describe(config),
            self.headers.describe(config),
            self.expires.describe(config),
            self.security.describe(config),
            self.compress.describe(config),
            self.error_pages.describe(config),
        ];
        words.into_iter().flatten().collect()
    }
}

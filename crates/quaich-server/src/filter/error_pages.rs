//! `error_pages` and `replace_errors`: what answers of an error status show.

use quaich_config::model::{self, Replace, Statuses};

use super::Parts;
use super::pages::Page;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct ErrorPages {
    /// The first that holds is the one.
    pages: Vec<ErrorPage>,
    replace: Replace,
}

struct ErrorPage {
    of: Statuses,
    page: Page,
    status: Option<u16>,
}

/// What an error page is sent with.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// `Content-Type`
    pub content_type: &'static str,
    /// The status, when it is another than that of the answer.
    pub status: Option<u16>,
}

impl ErrorPages {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::ErrorPages, parts: &Parts<'_>) -> Option<Self> {
        if *settings == model::ErrorPages::default() {
            return None;
        }
        let page = |page: &model::ErrorPage| ErrorPage {
            of: page.of,
            page: Page::new(&page.file, parts.shared),
            status: page.status,
        };
        Some(Self {
            pages: settings.pages.iter().map(page).collect(),
            replace: settings.replace.clone(),
        })
    }

    /// Appends the page for `exchange.response.status` to `out`; `None` = the built-in one.
    pub(super) fn render(&self, out: &mut Vec<u8>, exchange: &Exchange) -> Option<Shown> {
        let page = self.page(exchange.response.status)?;
        Some(Shown {
            content_type: page.page.render(out, exchange)?,
            status: page.status,
        })
    }

    /// Whether answers of apps and upstreams with `status` are replaced by the page.
    pub(super) fn replaces(&self, status: u16) -> bool {
        match &self.replace {
            Replace::Off => false,
            Replace::WithPage => status >= 400 && self.page(status).is_some(),
            Replace::These(these) => these.iter().any(|of| of.hold(status)),
        }
    }

    fn page(&self, status: u16) -> Option<&ErrorPage> {
        self.pages.iter().find(|page| page.of.hold(status))
    }
}

//! `error_pages` and `replace_errors`: what answers of an error status show.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TextFile;
use crate::model::Config;

/// Of a site or route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorPages {
    /// In order of `of`, each once. The first that holds for a status is its page.
    pub pages: Vec<ErrorPage>,
    /// Answers of apps and upstreams that the page takes the place of.
    pub replace: Replace,
}

/// Which errors of apps and upstreams are replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Replace {
    /// None.
    #[default]
    Off,
    /// Those that have a page here.
    WithPage,
    /// These, in order, each once; by the built-in page where there is no other.
    These(Vec<Statuses>),
}

/// A page and what it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// Which answers show it.
    pub of: Statuses,
    /// Absolute path of the file.
    pub file: PathBuf,
    /// The status that it is sent with; `None` = that of the answer.
    pub status: Option<u16>,
}

/// Error statuses, the more exact the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Statuses {
    /// `404`
    One(u16),
    /// `5xx`, held as 5.
    Class(u16),
    /// `*`: 400 and above.
    Any,
}

impl Statuses {
    /// Reads `404`, `4xx`, `5xx` or `*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => return Some(Self::Any),
            "4xx" => return Some(Self::Class(4)),
            "5xx" => return Some(Self::Class(5)),
            _ => {}
        }
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let status = text.parse().ok().filter(|_| digits)?;
        (400..600).contains(&status).then_some(Self::One(status))
    }

    /// As in the file.
    pub(crate) fn show(self) -> String {
        match self {
            Self::One(status) => status.to_string(),
            Self::Class(class) => format!("{class}xx"),
            Self::Any => "*".to_owned(),
        }
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub fn hold(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(class) => status / 100 == class,
            Self::Any => (400..600).contains(&status),
        }
    }
}

impl ErrorPages {
    /// Files whose content it works with: each page, and what clients get that ask for JSON.
    pub fn texts(&self) -> Vec<TextFile> {
        let files = self.pages.iter().map(|page| &page.file);
        files
            .flat_map(|file| page_texts(file, "error page"))
            .collect()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        if self == &Self::default() {
            return None;
        }
        let page = |page: &ErrorPage| {
            let status = page.status.map(|status| format!(" as {status}"));
            let (of, file) = (page.of.show(), page.file.display());
            format!("{of} {file}{}", status.unwrap_or_default())
        };
        let mut words: Vec<String> = self.pages.iter().map(page).collect();
        match &self.replace {
            Replace::Off => {}
            Replace::WithPage => words.push("also for errors of the app or upstream".to_owned()),
            Replace::These(these) => {
                let these: Vec<String> = these.iter().map(|of| of.show()).collect();
                let these = these.join(" ");
                words.push(format!("also for {these} of the app or upstream"));
            }
        }
        Some(format!("error pages: {}", words.join(", ")))
    }
}

/// A page, and the file beside it for clients that ask for JSON.
pub(super) fn page_texts(file: &Path, what: &str) -> Vec<TextFile> {
    let mut texts = vec![TextFile::needed(file, what)];
    let json = file.with_extension("json");
    if json != *file {
        texts.push(TextFile::optional(json, what));
    }
    texts
}

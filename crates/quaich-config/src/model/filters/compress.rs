//! `compress`: content codings of answers.

use serde::{Deserialize, Serialize};

use crate::model::Config;
use crate::units::show_size;

/// Of a site or route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compress {
    /// What answers may be coded with, best first; empty = nothing is compressed.
    pub codings: Vec<ContentCoding>,
    /// Bodies that are known to be smaller stay as they are.
    pub min: u64,
    /// Media types in lower case: `text/html`, `text/*`, `application/*+json`.
    pub types: Vec<String>,
    /// How hard each coding tries.
    pub levels: CompressLevels,
    /// Whether answers that set cookies are compressed too.
    pub cookies: bool,
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentCoding {
    /// `zstd`, RFC 8878.
    Zstd,
    /// `br`, RFC 7932.
    Brotli,
    /// `gzip`, RFC 1952.
    Gzip,
}

/// The level of each coding, in its own scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressLevels {
    /// 1 to 19.
    pub zstd: u8,
    /// 1 to 11.
    pub br: u8,
    /// 1 to 9.
    pub gzip: u8,
}

impl ContentCoding {
    /// All of them, best first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As `Content-Encoding` and the configuration call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

impl CompressLevels {
    /// `level = "default"`.
    pub const DEFAULT: Self = Self {
        zstd: 3,
        br: 4,
        gzip: 4,
    };
    /// `level = "fast"`.
    pub const FAST: Self = Self {
        zstd: 1,
        br: 1,
        gzip: 1,
    };
    /// `level = "best"`: the smallest that is sane while a client waits.
    pub const BEST: Self = Self {
        zstd: 9,
        br: 7,
        gzip: 8,
    };
}

/// The types that are compressed unless `types` says otherwise.
pub const COMPRESSIBLE: &[&str] = &[
    "text/*",
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
];

impl Default for Compress {
    fn default() -> Self {
        Self {
            codings: ContentCoding::ALL.to_vec(),
            min: 1024,
            types: COMPRESSIBLE.iter().map(|&name| name.to_owned()).collect(),
            levels: CompressLevels::DEFAULT,
            cookies: true,
        }
    }
}

impl Compress {
    /// Nothing is compressed.
    #[must_use]
    pub fn off() -> Self {
        Self {
            codings: Vec::new(),
            ..Self::default()
        }
    }

    /// Whether anything is compressed.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.codings.is_empty()
    }

    /// What it does, in words for `quaich route`; `None` = nothing.
    pub fn describe(&self, _config: &Config) -> Option<String> {
        if !self.is_on() {
            return None;
        }
        let names: Vec<&str> = self.codings.iter().map(|one| one.name()).collect();
        let types = match self
            .types
            .iter()
            .map(String::as_str)
            .eq(COMPRESSIBLE.iter().copied())
        {
            true => "text and the like".to_owned(),
            false => self.types.join(", "),
        };
        let cookies = if self.cookies {
            ""
        } else {
            ", without Set-Cookie"
        };
        Some(format!(
            "compress: {} of {} and more of {types}{cookies}",
            names.join(", "),
            show_size(self.min),
        ))
    }
}

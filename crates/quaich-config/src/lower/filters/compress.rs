//! `compress`: content codings of answers.

use crate::lower::Lower;
use crate::lower::fields::{Fields, TextsOrTable, Word};
use crate::lower::site::Names;
use crate::model::{Compress, CompressLevels, ContentCoding};
use crate::nearest::nearest;

/// Of a site, or of a route of a site with `site`.
pub(super) fn lower(
    cx: &mut Lower<'_>,
    _names: &mut Names<'_>,
    (fields, site): (&Fields<'_>, Option<&Compress>),
) -> Compress {
    let default = Compress::default();
    // `true` and whatever is left out mean what the site has, unless it has nothing.
    let inherited = site.filter(|site| site.is_on()).unwrap_or(&default);
    let mut compress = match fields.texts_or_table(cx, "compress") {
        None => site.unwrap_or(&default).clone(),
        Some(TextsOrTable::Off) => Compress::off(),
        Some(TextsOrTable::On) => inherited.clone(),
        Some(TextsOrTable::Texts(words)) => Compress {
            codings: codings(cx, "compress", words),
            ..inherited.clone()
        },
        Some(TextsOrTable::Table(table)) => self::table(cx, &table, inherited.clone()),
    };
    if fields.has("compress_min")
        && let Some(min) = fields.size(cx, "compress_min")
    {
        compress.min = min;
    }
    // What is off has one form.
    if compress.is_on() {
        compress
    } else {
        Compress::off()
    }
}

fn table(cx: &mut Lower<'_>, fields: &Fields<'_>, base: Compress) -> Compress {
    let mut compress = base;
    if let Some(words) = fields.texts(cx, "codings") {
        compress.codings = codings(cx, "codings", words);
    }
    if fields.has("min")
        && let Some(min) = fields.size(cx, "min")
    {
        compress.min = min;
    }
    if let Some(words) = fields.texts(cx, "types") {
        compress.types = types(cx, words);
    }
    if fields.has("level") {
        compress.levels = match fields.word(cx, "level").as_str() {
            "fast" => CompressLevels::FAST,
            "best" => CompressLevels::BEST,
            _ => CompressLevels::DEFAULT,
        };
    }
    let levels = &mut compress.levels;
    for (name, level) in [
        ("zstd", &mut levels.zstd),
        ("br", &mut levels.br),
        ("gzip", &mut levels.gzip),
    ] {
        if fields.has(name)
            && let Some(number) = fields.count(cx, name)
        {
            *level = u8::try_from(number).unwrap_or(u8::MAX);
        }
    }
    if fields.has("cookies") {
        compress.cookies = fields.flag(cx, "cookies");
    }
    compress
}

fn codings(cx: &mut Lower<'_>, key: &str, words: Vec<Word>) -> Vec<ContentCoding> {
    let mut found = Vec::new();
    let names = ContentCoding::ALL.map(ContentCoding::name);
    for word in words {
        let coding = ContentCoding::ALL
            .into_iter()
            .find(|coding| coding.name() == word.0);
        match coding {
            Some(coding) if found.contains(&coding) => {
                cx.bad_word(key, &word, "it stands in this list already");
            }
            Some(coding) => found.push(coding),
            None => {
                let near = match word.0.as_str() {
                    "brotli" => Some("br"),
                    "zst" | "zstandard" => Some("zstd"),
                    "gz" | "deflate" => Some("gzip"),
                    other => nearest(other, names.iter().copied()),
                };
                let reason = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("expected one of {}", names.join(", ")),
                };
                cx.bad_word(key, &word, reason);
            }
        }
    }
    found
}

fn types(cx: &mut Lower<'_>, words: Vec<Word>) -> Vec<String> {
    let mut found = Vec::new();
    for word in words {
        if is_pattern(&word.0) {
            found.push(word.0.to_ascii_lowercase());
        } else {
            let reason = "expected a media type such as \"text/html\", \"text/*\" or \
                          \"application/*+json\"";
            cx.bad_word("types", &word, reason);
        }
    }
    found
}

/// `type/subtype`; the subtype may be or begin with `*`, and with it both may be.
fn is_pattern(text: &str) -> bool {
    let token = |part: &str| {
        let fits = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '!' | '#' | '$' | '&' | '-' | '^' | '_' | '.' | '+')
        };
        !part.is_empty() && part.chars().all(fits)
    };
    let Some((kind, subtype)) = text.split_once('/') else {
        return false;
    };
    match subtype.strip_prefix('*') {
        Some("") => kind == "*" || token(kind),
        Some(rest) => token(kind) && token(rest),
        None => token(kind) && token(subtype),
    }
}

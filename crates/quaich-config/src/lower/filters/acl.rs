//! `[acl.NAME]` and `when`.

use crate::addr;
use crate::calendar;
use crate::diagnostic::Diagnostic;
use crate::lower::fields::{Fields, Word};
use crate::lower::site::Names;
use crate::lower::{Lower, conditions, pattern, unknown};
use crate::model::{Acl, HostPattern, Network, TextPattern};
use crate::source::Span;

/// Acls that stand on acls that stand on acls: more levels than this are refused. Each is walked for
/// each request that asks.
const MAX_DEPTH: usize = 8;

/// The names that an acl has in `not` and `any`, as indices with their places.
type References = Vec<(usize, Span)>;

/// `[acl.NAME]`
pub(crate) fn tables(cx: &mut Lower<'_>, top: &Fields<'_>) -> Vec<Acl> {
    let tables = top.named(cx, "acl");
    let names: Vec<String> = tables.iter().map(|(name, _)| name.0.clone()).collect();
    let mut references: Vec<References> = Vec::with_capacity(tables.len());
    let mut acls = Vec::with_capacity(tables.len());
    for (name, fields) in &tables {
        let mut used = Vec::new();
        acls.push(lower(cx, (name, fields), (&names, &mut used)));
        references.push(used);
    }
    refuse_circles(cx, &names, &references);
    acls
}

fn lower(
    cx: &mut Lower<'_>,
    (name, fields): (&Word, &Fields<'_>),
    (names, used): (&[String], &mut References),
) -> Acl {
    for key in [
        "host",
        "path",
        "method",
        "client_ip",
        "time",
        "not",
        "any",
        "header",
        "cookie",
        "query",
    ] {
        refuse_empty(cx, fields, key);
    }
    let acl = Acl {
        name: name.0.clone(),
        host: words(cx, fields, "host", host),
        path: conditions::paths(cx, fields),
        method: conditions::methods(cx, fields),
        client_ip: networks(cx, fields, "client_ip"),
        header: conditions::matches(cx, fields, "header"),
        cookie: conditions::matches(cx, fields, "cookie"),
        query: conditions::matches(cx, fields, "query"),
        tls: fields.has("tls").then(|| fields.flag(cx, "tls")),
        time: words(cx, fields, "time", calendar::window),
        after: instant(cx, fields, "after"),
        before: instant(cx, fields, "before"),
        not: acl_names(cx, fields, "not", (names, used)),
        any: acl_names(cx, fields, "any", (names, used)),
    };
    if fields.table.is_none_or(|table| table.entries.is_empty()) {
        let message = format!(
            "acl `{}` has no condition: it would hold for everybody",
            name.0
        );
        let diagnostic = Diagnostic::error("missing-key", fields.span, message);
        fields.missing(cx, diagnostic.help("client_ip = [\"10.0.0.0/8\"]"));
    }
    if let (Some(after), Some(before)) = (acl.after, acl.before)
        && after >= before
    {
        let message = format!("acl `{}` can never hold: it ends before it begins", name.0);
        let diagnostic = Diagnostic::error("bad-value", fields.place("before"), message);
        cx.report(diagnostic.also(fields.place("after"), "it begins here"));
    }
    acl
}

/// `when` of a route: indices into `Config::acls`.
pub(crate) fn when(cx: &mut Lower<'_>, names: &mut Names<'_>, fields: &Fields<'_>) -> Vec<usize> {
    refuse_empty(cx, fields, "when");
    let defined: Vec<&str> = names.acls.iter().map(|acl| acl.name.as_str()).collect();
    let words = fields.texts(cx, "when").unwrap_or_default();
    let mut found = Vec::new();
    for word in &words {
        found.extend(find(cx, word, &defined));
    }
    found
}

/// The acl that a word names. For every key that takes one.
pub(crate) fn find(cx: &mut Lower<'_>, word: &Word, defined: &[&str]) -> Option<usize> {
    let index = defined.iter().position(|name| *name == word.0);
    if index.is_none() {
        let negated = word.0.strip_prefix('!').or(word.0.strip_prefix("not "));
        let diagnostic = unknown::reference("undefined-acl", ("acl", &word.0), word.1, defined);
        cx.report(match negated.map(str::trim) {
            Some(name) if defined.contains(&name) => {
                let help = format!("give it a name: [acl.elsewhere] with not = \"{name}\"");
                diagnostic.help(help)
            }
            _ => diagnostic,
        });
    }
    index
}

fn acl_names(
    cx: &mut Lower<'_>,
    fields: &Fields<'_>,
    key: &str,
    (names, used): (&[String], &mut References),
) -> Vec<usize> {
    let defined: Vec<&str> = names.iter().map(String::as_str).collect();
    let words = fields.texts(cx, key).unwrap_or_default();
    let mut found = Vec::new();
    for word in &words {
        if let Some(index) = find(cx, word, &defined) {
            used.push((index, word.1));
            found.push(index);
        }
    }
    found
}

/// An empty list would be as good as no condition, and means the contrary to most readers.
fn refuse_empty(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) {
    use crate::document::Data;
    let entry = fields.table.and_then(|table| table.entry(key));
    let empty = entry.filter(|entry| match &entry.value.data {
        Data::Array(items) => items.is_empty(),
        Data::Table(table) => table.entries.is_empty(),
        _ => false,
    });
    if let Some(entry) = empty {
        let message = format!("`{key}` is empty");
        let diagnostic = Diagnostic::error("bad-value", entry.value.span, message);
        cx.report(diagnostic.label("nothing would meet it; without the key everything does"));
    }
}

/// What `read` makes of each word.
fn words<T>(
    cx: &mut Lower<'_>,
    fields: &Fields<'_>,
    key: &str,
    read: fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let words = fields.texts(cx, key).unwrap_or_default();
    let read = |word: &Word| match read(&word.0) {
        Ok(value) => Some(value),
        Err(reason) => {
            cx.bad_word(key, word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

/// Networks of a key; absent: none. IPv4 networks that are written as IPv6 are held as what they are.
fn networks(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) -> Vec<Network> {
    words(cx, fields, key, |text| {
        let network = addr::network(text)?;
        let v4 = network.addr.to_canonical();
        Ok(match network.prefix.checked_sub(96) {
            Some(prefix) if v4.is_ipv4() && network.addr.is_ipv6() => Network { addr: v4, prefix },
            _ => network,
        })
    })
}

/// A host name as routes have it, any glob, or a regular expression. Hosts know no case.
fn host(text: &str) -> Result<TextPattern, String> {
    match pattern::value(text)? {
        TextPattern::Regex(regex) => Ok(TextPattern::Regex(regex)),
        TextPattern::Glob(glob) => match addr::host(&glob) {
            Ok(HostPattern::Exact(name)) => Ok(TextPattern::Glob(name)),
            Err(reason) if !glob.contains(['*', '?']) => Err(reason),
            _ if glob.contains("://") => Err("a host is a name, not a URL".into()),
            _ => Ok(TextPattern::Glob(glob.to_ascii_lowercase())),
        },
    }
}

fn instant(cx: &mut Lower<'_>, fields: &Fields<'_>, key: &str) -> Option<u64> {
    let word = fields.text(cx, key)?;
    match calendar::instant(&word.0) {
        Ok(second) => Some(second),
        Err(reason) => {
            cx.bad_word(key, &word, reason);
            None
        }
    }
}

/// How deep an acl stands on others.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done(usize),
}

/// Acls must not stand on themselves.
fn refuse_circles(cx: &mut Lower<'_>, names: &[String], references: &[References]) {
    let mut marks = vec![Mark::New; names.len()];
    for index in 0..names.len() {
        depth(cx, (names, references), &mut marks, &mut vec![index]);
    }
}

/// Depth of the last acl of `path`, which holds all that lead to it.
fn depth(
    cx: &mut Lower<'_>,
    known: (&[String], &[References]),
    marks: &mut [Mark],
    path: &mut Vec<usize>,
) -> usize {
    let Some(&index) = path.last() else { return 0 };
    if let Mark::Done(depth) = marks[index] {
        return depth;
    }
    let (names, references) = known;
    marks[index] = Mark::Open;
    let too_deep = |cx: &mut Lower<'_>, span: Span| {
        let message = format!(
            "acl `{}` stands on more than {MAX_DEPTH} levels of others",
            names[index]
        );
        cx.report(Diagnostic::error("bad-value", span, message));
    };
    let mut deepest = 0;
    for &(other, span) in &references[index] {
        if marks[other] == Mark::Open {
            let from = path.iter().position(|at| *at == other).unwrap_or_default();
            let circle = path.iter().skip(from).chain([&other]);
            let circle: Vec<String> = circle.map(|at| format!("`{}`", names[*at])).collect();
            let message = format!(
                "acls refer to each other in a circle: {}",
                circle.join(", ")
            );
            let diagnostic = Diagnostic::error("acl-circle", span, message);
            cx.report(diagnostic.label("this closes the circle"));
            continue;
        }
        // Also so that this walk itself does not go deep.
        if path.len() > MAX_DEPTH {
            too_deep(cx, span);
            break;
        }
        path.push(other);
        deepest = deepest.max(1 + depth(cx, known, marks, path));
        path.pop();
        if deepest > MAX_DEPTH {
            too_deep(cx, span);
            deepest = 0;
        }
    }
    marks[index] = Mark::Done(deepest);
    deepest
}

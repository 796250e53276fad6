//! Which room of quaich-server may use which: a request passes them from top to bottom, and so do
//! the arrows.

use super::{Finding, Source};

const SERVER: &str = "crates/quaich-server/src/";

/// The rooms in the order in which a request meets them. A room may use every room of a later
/// layer and none of an earlier one; only rooms of one layer know each other.
const LAYERS: &[&[&str]] = &[
    &["front"],
    &["listener"],
    // One exchange: the handlers end what `downstream` begins, on the state of their thread.
    &["downstream", "filter", "handler", "generation", "thread"],
    &["route"],
    // Tells upstreams which servers they have.
    &["discovery"],
    &["upstream"],
    &["exchange"],
    &["error_page"],
    &["forwarded"],
    &["error"],
    &["observe"],
    // A stream is a socket or TLS on one, and TLS to a server is a stream.
    &["stream", "tls"],
    &["link"],
    &["request_id"],
    &["password"],
    &["spool"],
    &["deadline"],
    &["socket"],
    &["pipe"],
    &["heap"],
    &["watch"],
    &["buffer"],
    &["text"],
    &["clock"],
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let server = sources
        .iter()
        .filter(|s| s.is_rust() && s.path.starts_with(SERVER));
    server.flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<Finding> {
    let room = room_of(&source.path);
    if room == "lib" {
        return Vec::new();
    }
    let Some(from) = layer(room) else {
        return vec![source.finding(
            1,
            format!("room `{room}` has no place in xtask tidy/arrows.rs"),
        )];
    };
    let mut found = Vec::new();
    for (number, line) in source.without_tests().lines().enumerate() {
        for target in targets(line).into_iter().filter(|target| *target != room) {
            if layer(target).is_some_and(|to| to < from) {
                let what = format!("`{room}` must not use `{target}`: arrows point downwards");
                found.push(source.finding(number + 1, what));
            }
        }
    }
    found
}

/// `upstream` of `crates/quaich-server/src/upstream/pool.rs`.
fn room_of(path: &str) -> &str {
    let inside = &path[SERVER.len()..];
    let room = inside.split('/').next().unwrap_or(inside);
    room.strip_suffix(".rs").unwrap_or(room)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a line names as `crate::room` or inside `use crate::{room::..., room}`.
fn targets(line: &str) -> Vec<&str> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, marker) in line.match_indices("crate::") {
        let rest = &line[at + marker.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let names = list.trim_end_matches(['}', ';']).split(',');
            found.extend(names.map(|name| identifier(name.trim())));
        } else {
            found.push(identifier(rest));
        }
    }
    found
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        let path = format!("{SERVER}{path}");
        check_one(&Source {
            path,
            text: text.into(),
        })
        .len()
    }

    #[test]
    fn refuses_an_arrow_that_points_upwards() {
        assert_eq!(
            findings("handler/proxy.rs", "use crate::upstream::pool::Pool;\n"),
            0
        );
        assert_eq!(
            findings("upstream/pool.rs", "use crate::handler::Proxy;\n"),
            1
        );
        assert_eq!(
            findings("upstream/pool.rs", "use crate::{clock, route::Table};\n"),
            1
        );
    }

    #[test]
    fn refuses_a_room_that_nobody_placed() {
        assert_eq!(findings("attic.rs", "//! Things.\n"), 1);
    }
}

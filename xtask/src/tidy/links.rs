//! Relative links of the documents lead somewhere, and every example is in the list of examples.

use std::path::Path;

use super::{Finding, Source};
use crate::shell::root;

/// The page that lists the examples.
const EXAMPLES: &str = "examples/README.md";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let pages = sources.iter().filter(|s| s.path.ends_with(".md"));
    let mut found: Vec<Finding> = pages.flat_map(|page| dead_links(page, &root())).collect();
    found.extend(unlisted_examples(sources));
    found
}

fn dead_links(page: &Source, root: &Path) -> Vec<Finding> {
    let folder = root.join(&page.path).parent().unwrap_or(root).to_path_buf();
    let mut found = Vec::new();
    for (number, line) in page.text.lines().enumerate() {
        for link in links(line) {
            let file = link.split('#').next().unwrap_or(link);
            if !file.is_empty() && !folder.join(file).exists() {
                found.push(page.finding(number + 1, format!("`{link}` leads nowhere")));
            }
        }
    }
    found
}

/// Targets of `[text](target)` that are files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn unlisted_examples(sources: &[Source]) -> Vec<Finding> {
    let list = sources
        .iter()
        .find(|s| s.path == EXAMPLES)
        .map_or("", |s| s.text.as_str());
    let mut found: Vec<Finding> = Vec::new();
    for source in sources {
        let mut parts = source.path.split('/');
        let (Some("examples"), Some(name), Some(_)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let mine = format!("examples/{name}");
        let listed = list.contains(&format!("({name}"));
        if !listed && !found.iter().any(|f| f.path == mine) {
            let what = format!("not listed in {EXAMPLES}");
            found.push(Finding {
                path: mine,
                line: 1,
                what,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_relative_links_of_a_line() {
        let line = "see [a](b.md), [c](https://x.test/y) and [d](../e.md#f)";
        assert_eq!(links(line).collect::<Vec<_>>(), ["b.md", "../e.md#f"]);
    }
}

//! `cargo xtask tidy`: what the compiler does not check about the source tree.
//!
//! Every finding of a run is reported, each with its file and line. It only reads.

mod arrows;
mod links;
mod sizes;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, capture, root};

/// One text file of the repository.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// One thing to mend: `path:line: what`.
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Source {
    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines before the inline test module, which ends every file that has one.
    fn without_tests(&self) -> &str {
        match self.text.find("\n#[cfg(test)]\nmod ") {
            Some(at) => &self.text[..at],
            None => &self.text,
        }
    }
}

/// Runs every check over every tracked file.
pub(crate) fn run() -> Outcome {
    let sources = tracked_sources()?;
    let checks = [sizes::check, words::check, arrows::check, links::check];
    let findings: Vec<Finding> = checks.iter().flat_map(|check| check(&sources)).collect();
    for f in &findings {
        eprintln!("{}:{}: {}", f.path, f.line, f.what);
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(format!("tidy: {n} finding(s)")),
    }
}

/// Text files that git knows, or would add.
fn tracked_sources() -> Result<Vec<Source>, String> {
    let root = root();
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root);
    let listed = match capture(&mut git) {
        Ok(list) => list.lines().map(str::to_string).collect(),
        // A source archive has no repository.
        Err(_) => walk(&root),
    };
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).ok()?;
        Some(Source { path, text })
    };
    Ok(listed.into_iter().filter_map(read).collect())
}

/// Every file below the root except what is built.
fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let built = ["target", ".git", ".test", ".venv"]
                .iter()
                .any(|skip| name == *skip);
            if path.is_dir() && !built {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(root) {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_source_tree_is_tidy() {
        super::run().expect("the findings are printed above");
    }
}

//! Golden files: each `golden/*.toml` with the diagnostics that it must give beside it.
//!
//! `QUAICH_BLESS=1 cargo test -p quaich-config` writes what is printed now; read the diff.

use std::path::Path;

use quaich_config::{Surroundings, parse, render, to_json};

fn golden_files() -> Vec<std::path::PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(dir).expect("the golden directory is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_told_as_agreed() {
    let mut different = Vec::new();
    let files = golden_files();
    assert!(files.len() >= 20, "golden files are missing");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let loaded = parse(&name, &text, Path::new("/srv"), &Surroundings::default());
        let shown = render(&loaded, false, 100);
        assert_eq!(loaded.config.is_none(), loaded.counts().0 > 0, "{name}");
        let json = to_json(&loaded);
        assert_eq!(
            json["diagnostics"].as_array().map(Vec::len),
            Some(loaded.diagnostics.len())
        );
        let golden = file.with_extension("txt");
        if std::env::var_os("QUAICH_BLESS").is_some() {
            std::fs::write(&golden, &shown).expect("writable");
        }
        let wanted = std::fs::read_to_string(&golden).unwrap_or_default();
        if wanted != shown {
            different.push(format!("{name}: wanted\n{wanted}\nbut got\n{shown}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn diagnostics_stand_in_file_order() {
    for file in golden_files() {
        let text = std::fs::read_to_string(&file).expect("readable");
        let loaded = parse("x.toml", &text, Path::new("/srv"), &Surroundings::default());
        let starts: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter_map(|d| d.span())
            .map(|span| span.start)
            .collect();
        assert!(starts.is_sorted(), "{}", file.display());
    }
}

//! The documents are true: generated pages are up to date, configurations in them are valid.

use std::fs;
use std::path::{Path, PathBuf};

use quaich_config::{Severity, Surroundings, parse};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// Fails when a configuration has an error.
fn check(name: &str, text: &str) {
    let around = Surroundings {
        environment: quaich_config::Environment::default(),
        overrides: quaich_config::Overrides::default(),
        current_dir: PathBuf::from("/"),
    };
    let loaded = parse(name, text, Path::new("/srv"), &around);
    let errors: Vec<&String> = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| &found.message)
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:?}\n{text}");
}

#[test]
fn generated_pages_are_what_the_program_says() {
    let schema = format!("{:#}\n", quaich_config::schema::json_schema());
    let generated = [
        ("configuration.md", quaich_config::reference_markdown()),
        ("quaich.schema.json", schema),
    ];
    for (name, text) in generated {
        let page = root().join("docs/reference").join(name);
        let page = fs::read_to_string(page).expect("the page is there");
        assert!(page == text, "{name}: run `cargo xtask gen`");
    }
}

#[test]
fn every_configuration_in_the_documents_is_valid() {
    let mut pages = vec![root().join("README.md")];
    files(&root().join("docs"), ".md", &mut pages);
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).expect("the page");
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            // A page may show one table only; a whole file has a site.
            let site = if block.contains("[site.") {
                ""
            } else {
                "[[site.x.route]]\nstatus = 204\n"
            };
            check(&page.display().to_string(), &format!("{block}\n{site}"));
            seen += 1;
        }
    }
    assert!(seen > 0, "no configuration was found");
}

#[test]
fn every_configuration_of_the_examples_is_valid() {
    let mut found = Vec::new();
    files(&root().join("examples"), ".toml", &mut found);
    assert!(!found.is_empty());
    for file in found {
        check(
            &file.display().to_string(),
            &fs::read_to_string(&file).expect("the file"),
        );
    }
}

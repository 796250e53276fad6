//! `quaich check`: every mistake of a file in one run, and of the certificates and texts that it names. What
//! else it names and this machine has not is a warning.

use std::path::PathBuf;

use quaich_config::Loaded;
use serde_json::{Value, json};

use super::source;
use crate::boot;
use crate::certificates::{Inventory, date};
use crate::exit::{Code, Failure};
use crate::supervisor::files;
use crate::texts::Texts;
use crate::user_files;

const AFTER_HELP: &str = "\
Examples:
  quaich check              ./quaich.toml
  quaich check site.toml --json
  quaich check --strict     also fails if a folder, an interpreter or a user is not here";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Configuration file [default: quaich.toml]
    file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE, hide_default_value = true)]
    config: PathBuf,
    /// Print what was found as one JSON object
    #[arg(long, env = "QUAICH_JSON")]
    json: bool,
    /// Warnings are failures, also those about what is missing on this machine
    #[arg(long, env = "QUAICH_STRICT")]
    strict: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let file = args.file.as_ref().unwrap_or(&args.config);
    let loaded = source::load(file, quaich_config::Overrides::default())?;
    let read = loaded.config.as_ref().map(Inventory::read);
    let (certificates, wrong) = read.unzip();
    let wrong = wrong.unwrap_or_default();
    let unreadable = loaded.config.as_ref().map(|config| Texts::read(config).1);
    let mut unreadable = unreadable.unwrap_or_default();
    let users = loaded.config.as_ref().map(user_files::bad_lines);
    let (bad_lines, weak_lines) = users.unwrap_or_default();
    unreadable.extend(bad_lines);
    if args.json {
        super::print(&format!("{:#}\n", to_json(&loaded, &wrong, &unreadable)));
    } else {
        source::show(&loaded);
        for failure in wrong.iter().chain(&unreadable) {
            eprint!("{failure}");
        }
    }
    let warned = args.strict && !loaded.diagnostics.is_empty();
    let config = loaded.config.filter(|_| !warned);
    let (Some(mut config), Some(certificates)) = (config, certificates) else {
        return Err(Failure::new(Code::Config, ""));
    };
    // Only warnings: the file may be meant for another machine.
    let mut missing = files::missing(&config);
    missing.extend(boot::missing(&mut config));
    missing.extend(weak_lines);
    missing.extend(certificates.warnings(&config, date::now()));
    for failure in &missing {
        match args.strict {
            true => eprint!("{failure}"),
            false => eprint!("{}", failure.as_warning()),
        }
    }
    if args.strict && !missing.is_empty() || !wrong.is_empty() || !unreadable.is_empty() {
        return Err(Failure::new(Code::Config, ""));
    }
    if !args.json {
        let but = match missing.is_empty() {
            true => "",
            false => ", but this machine has not all that it names",
        };
        super::print(&format!("{} is right{but}\n", file.display()));
    }
    Ok(())
}

/// What was found in the file, then what is wrong with certificates and with texts: they have no
/// place in it.
fn to_json(loaded: &Loaded, wrong: &[Failure], unreadable: &[Failure]) -> Value {
    let mut found = quaich_config::to_json(loaded);
    if let Some(errors) = found["errors"].as_u64() {
        found["errors"] = json!(errors + (wrong.len() + unreadable.len()) as u64);
    }
    if let Some(diagnostics) = found["diagnostics"].as_array_mut() {
        let wrong = wrong.iter().map(|failure| ("certificate-file", failure));
        let unreadable = unreadable.iter().map(|failure| ("text-file", failure));
        diagnostics.extend(wrong.chain(unreadable).map(|(code, failure)| {
            json!({
                "code": code,
                "severity": "error",
                "message": failure.message(),
                "labels": [],
                "help": failure.help(),
            })
        }));
    }
    found
}

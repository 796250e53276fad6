//! `quaich trust`: this machine believes certificates of the local development CA, or no more.
//!
//! Three kinds of places: the system's own (curl, Python, most programs), and the databases of
//! Chromium and of Firefox, which belong to a user.

use std::env;
use std::fs;
use std::path::PathBuf;

use quaich_acme::local_ca;
use quaich_server::tls::identity;

use super::cert::common_name;
use super::{source, state_dir};
use crate::account;
use crate::exit::{Code, Failure};
use crate::style;
use crate::trust_store::{NssDatabase, SystemStore, has_certutil};

const AFTER_HELP: &str = "\
Examples:
  quaich trust                  the CA of `quaich run --tls`; asks for root where it is needed
  sudo quaich trust             the part that needs root
  quaich trust -c site.toml     the CA of a file with `local_ca = true`
  quaich trust --uninstall";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The CA in the state directory of this configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    config: Option<PathBuf>,
    /// The CA in this state directory [default: the one of `quaich run --tls`]
    #[arg(
        long,
        value_name = "DIR",
        env = "QUAICH_STATE_DIR",
        conflicts_with = "config"
    )]
    state_dir: Option<PathBuf>,
    /// Take the trust back; the CA itself stays
    #[arg(long, env = "QUAICH_UNINSTALL")]
    uninstall: bool,
}

/// The root certificate.
struct Root {
    /// Absolute.
    state_dir: PathBuf,
    path: PathBuf,
    pem: String,
    name: String,
    /// SHA-256, hexadecimal.
    fingerprint: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let root = root(args)?;
    line("CA", &format!("{}, {}", root.name, root.path.display()));
    for database in NssDatabase::all(&home()) {
        let result = match (has_certutil(), args.uninstall) {
            (false, _) => Err("certutil is not installed (Debian: libnss3-tools, Fedora: \
                               nss-tools)"
                .to_owned()),
            (true, false) => database.install(&root.name, &root.path),
            (true, true) => database.uninstall(&root.name),
        };
        tell(
            database.browser,
            &database.dir.display().to_string(),
            result,
            args.uninstall,
        );
    }
    system(args, &root)
}

fn system(args: &Args, root: &Root) -> Result<(), Failure> {
    let Some(store) = SystemStore::find() else {
        let message = "this system keeps its certificates in a place that is not known here";
        return Err(Failure::new(Code::Config, message)
            .cure(format!("have it trust {}", root.path.display())));
    };
    let file = store.file(&root.fingerprint);
    let place = file.display().to_string();
    let settled = match args.uninstall {
        true => !file.exists(),
        false => store.has(&root.fingerprint, &root.pem),
    };
    if settled {
        // It is as it should be.
        match args.uninstall {
            true => line("system", &format!("it was not there ({place})")),
            false => tell("system", &place, Ok(()), false),
        }
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        let program = env::current_exe().unwrap_or_else(|_| "quaich".into());
        let uninstall = if args.uninstall { " --uninstall" } else { "" };
        let (program, dir) = (program.display(), root.state_dir.display());
        let message = "only root can change what the whole machine trusts";
        return Err(Failure::new(Code::Config, message)
            .cure(format!("sudo {program} trust{uninstall} --state-dir {dir}")));
    }
    let result = match args.uninstall {
        false => store.install(&root.fingerprint, &root.pem),
        true => store.uninstall(&root.fingerprint).map(drop),
    };
    let failed = result.clone().err();
    tell("system", &place, result, args.uninstall);
    match failed {
        Some(why) => Err(Failure::new(Code::Config, format!("{place}: {why}"))),
        None => Ok(()),
    }
}

fn root(args: &Args) -> Result<Root, Failure> {
    let state_dir = match (&args.config, &args.state_dir) {
        (Some(file), _) => {
            let loaded = source::load(file, quaich_config::Overrides::default())?;
            source::accept(loaded)?.server.state_dir
        }
        (None, Some(dir)) => source::current_dir()?.join(dir),
        (None, None) => match sudo_user().and_then(|user| account::home_of(&user)) {
            Some(home) => home.join(".local/state/quaich"),
            None => state_dir::of_user()?,
        },
    };
    let path = local_ca::root_pem_path(&state_dir);
    let pem = match (sudo_user(), args.uninstall) {
        // Files of a user must not come to belong to root.
        (Some(user), _) => fs::read_to_string(&path).map_err(|error| {
            let message = format!("there is no local CA at {}: {error}", path.display());
            let cure = format!("run `quaich trust` as {user} first, without sudo");
            Failure::new(Code::Config, message).cure(cure)
        })?,
        (None, true) => fs::read_to_string(&path).map_err(|error| {
            let message = format!("there is no local CA at {}: {error}", path.display());
            Failure::new(Code::Config, message)
        })?,
        (None, false) => {
            let ca = local_ca::ensure(&state_dir);
            let ca = ca.map_err(|error| Failure::new(Code::Config, error.to_string()))?;
            ca.root_pem().to_owned()
        }
    };
    let nothing = || {
        let message = format!("{} holds no certificate", path.display());
        Failure::new(Code::Config, message)
    };
    let name = name_of(&pem).ok_or_else(nothing)?;
    let fingerprint = local_ca::fingerprint(&pem).map_err(|_| nothing())?;
    Ok(Root {
        state_dir,
        path,
        pem,
        name,
        fingerprint,
    })
}

/// The common name: it is its own issuer.
fn name_of(pem: &str) -> Option<String> {
    let facts = identity::facts_of(pem.as_bytes()).ok()?;
    Some(common_name(&facts.issuer))
}

/// Who called `sudo`, when root does not run this for itself.
fn sudo_user() -> Option<String> {
    let user = env::var("SUDO_USER").ok().filter(|user| user != "root")?;
    rustix::process::geteuid().is_root().then_some(user)
}

fn home() -> PathBuf {
    env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

/// What was done in one place.
fn tell(label: &str, place: &str, result: Result<(), String>, gone: bool) {
    let text = match (result, gone) {
        (Ok(()), false) => style::on_stdout("32").paint("trusted"),
        (Ok(()), true) => "not trusted any more".to_owned(),
        (Err(why), _) => style::on_stdout("1;31").paint(&why),
    };
    line(label, &format!("{text} ({place})"));
}

fn line(label: &str, text: &str) {
    let label = style::on_stdout("2").paint(&format!("{label:<9}"));
    super::print(&format!("{label} {text}\n"));
}

//! From a configuration to a plan: whatever can be wrong with the machine is found here, before
//! anything is bound or spawned.
//!
//! Called by the commands that serve. Reads files and asks interpreters; changes nothing.

use std::env;
use std::path::{Path, PathBuf};

use quaich_app::identity::{self, Identity};
use quaich_app::interpreter::{self, Environment, Version};
use quaich_config::Config;
use quaich_config::model::App;

use crate::certificates::{self, Inventory, date};
use crate::cli;
use crate::exit::{Code, Failure};
use crate::texts::Texts;

/// The name of the worker library beside the program.
const LIBRARY: &str = "libquaich_worker.so";
/// Names another place for it.
const LIBRARY_VARIABLE: &str = "QUAICH_WORKER_LIB";

/// All that the supervisor starts with.
pub(crate) struct Plan {
    /// Complete: interpreters are filled in.
    pub(crate) config: Config,
    /// What was read, for people: a file name or a command.
    pub(crate) source: String,
    /// Said at the start, e.g. which app was found.
    pub(crate) notes: Vec<String>,
    /// Of each app's interpreter.
    pub(crate) versions: Vec<Version>,
    /// The worker library; empty when there is no app.
    pub(crate) library: PathBuf,
    /// What the front becomes.
    pub(crate) identity: Option<Identity>,
    /// What each app's workers become.
    pub(crate) app_identities: Vec<Option<Identity>>,
    /// Where the control socket goes; `None` = there is none.
    pub(crate) control: Option<PathBuf>,
    /// Certificates, keys and authorities, read while we are what we were started as.
    pub(crate) certificates: Inventory,
    /// Files that filters work with, read then as well.
    pub(crate) texts: Texts,
    /// What is odd about certificates, for the log.
    pub(crate) warnings: Vec<Failure>,
    /// Shown at the start: the command that makes this machine trust the local CA.
    pub(crate) trust: Option<String>,
}

impl Plan {
    /// Finds interpreters, the worker library and users, and reads certificates and texts.
    pub(crate) fn new(
        mut config: Config,
        source: String,
        notes: Vec<String>,
        control: Option<PathBuf>,
    ) -> Result<Plan, Failure> {
        let library = if config.apps.is_empty() {
            PathBuf::new()
        } else {
            worker_library()?
        };
        let versions = config
            .apps
            .iter_mut()
            .map(settle_app)
            .collect::<Result<_, _>>()?;
        let server = &config.server;
        let identity = resolve(server.user.as_deref(), server.group.as_deref())?;
        // An app that says nothing must not stay root beside a front that does not.
        let one = |app: &App| match (&app.user, &app.group) {
            (None, None) => Ok(identity),
            (user, group) => resolve(user.as_deref(), group.as_deref()),
        };
        let app_identities = config.apps.iter().map(one).collect::<Result<_, _>>()?;
        let (certificates, warnings) = read_certificates(&config)?;
        let (texts, unreadable) = Texts::read(&config);
        if let Some(failure) = Failure::all(unreadable) {
            return Err(failure);
        }
        let trust = trust_command(&config);
        Ok(Plan {
            config,
            source,
            notes,
            versions,
            library,
            identity,
            app_identities,
            control,
            certificates,
            texts,
            warnings,
            trust,
        })
    }
}

/// Certificates, and what is odd about them. All that cannot be used is one failure.
fn read_certificates(config: &Config) -> Result<(Inventory, Vec<Failure>), Failure> {
    let (mut certificates, failures) = Inventory::read(config);
    if let Some(failure) = Failure::all(failures) {
        return Err(failure);
    }
    let mut warnings = certificates.warnings(config, date::now());
    let unusable = certificates.take_stored(config).into_iter();
    warnings.extend(unusable.map(|why| Failure::new(Code::Config, why)));
    certificates.take_local(config)?;
    Ok((certificates, warnings))
}

/// All that would keep a plan from being made, not the first of it alone.
pub(crate) fn missing(config: &mut Config) -> Vec<Failure> {
    let server = resolve(
        config.server.user.as_deref(),
        config.server.group.as_deref(),
    );
    let mut found: Vec<Failure> = server.err().into_iter().collect();
    if !config.apps.is_empty() {
        found.extend(worker_library().err());
    }
    for app in &mut config.apps {
        found.extend(resolve(app.user.as_deref(), app.group.as_deref()).err());
        found.extend(settle_app(app).err());
    }
    found
}

/// `None` = there is no local CA, or it is trusted already.
fn trust_command(config: &Config) -> Option<String> {
    if !config.tls.local_ca {
        return None;
    }
    let dir = &config.server.state_dir;
    let root = std::fs::read_to_string(quaich_acme::local_ca::root_pem_path(dir)).ok()?;
    let usual = cli::state_dir::of_user().is_ok_and(|usual| usual == *dir);
    (!certificates::trusts(&root)).then(|| match usual {
        true => "quaich trust".to_owned(),
        false => format!("quaich trust --state-dir {}", dir.display()),
    })
}

fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, Failure> {
    identity::resolve(user, group).map_err(|why| Failure::new(Code::Config, why))
}

/// Fills in the app's interpreter and asks it for its version.
fn settle_app(app: &mut App) -> Result<Version, Failure> {
    if !app.dir.is_dir() {
        let dir = app.dir.display();
        let message = format!("app `{}`: the folder {dir} does not exist", app.name);
        return Err(Failure::new(Code::Config, message));
    }
    let cure = "name one that is: --python PATH, or `python` or `venv` in the app's table";
    if app.python.as_os_str().is_empty() {
        let found = find_python(&app.dir).ok_or_else(|| {
            let message = format!("app `{}`: no Python interpreter was found", app.name);
            Failure::new(Code::App, message).cure(cure)
        })?;
        app.python = found.path;
        app.python_origin = found.origin;
    }
    if !app.python.as_os_str().as_encoded_bytes().contains(&b'/') {
        let name = app.python.display();
        app.python_origin = format!("{name} on PATH");
        let path = env::var_os("PATH");
        app.python =
            interpreter::program(app.python.as_os_str(), path.as_deref()).ok_or_else(|| {
                let message = format!("app `{}`: there is no `{name}` on PATH", app.name);
                Failure::new(Code::App, message).cure(cure)
            })?;
    }
    let version = interpreter::ask(&app.python).map_err(|why| {
        let message = format!("app `{}`: {why} (found as {})", app.name, app.python_origin);
        Failure::new(Code::App, message).cure(cure)
    })?;
    app.python.clone_from(&version.executable);
    Ok(version)
}

fn find_python(dir: &Path) -> Option<interpreter::Found> {
    let (venv, path) = (env::var_os("VIRTUAL_ENV"), env::var_os("PATH"));
    let environment = Environment {
        virtual_env: venv.as_deref(),
        path: path.as_deref(),
    };
    interpreter::find(dir, environment)
}

fn worker_library() -> Result<PathBuf, Failure> {
    if let Some(path) = env::var_os(LIBRARY_VARIABLE) {
        let path = std::path::absolute(path).unwrap_or_default();
        return Some(path).filter(|path| path.is_file()).ok_or_else(|| {
            let message = format!("${LIBRARY_VARIABLE} names a file that does not exist");
            Failure::new(Code::App, message)
        });
    }
    let program = env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent);
    let beside = folder.map(|folder| folder.join(LIBRARY));
    beside.filter(|path| path.is_file()).ok_or_else(|| {
        let place = folder.unwrap_or(Path::new(".")).display();
        Failure::new(
            Code::App,
            format!("{LIBRARY} is not in {place}, beside the program"),
        )
        .cure("it is built by: cargo build -p quaich-worker (same profile as the program)")
    })
}

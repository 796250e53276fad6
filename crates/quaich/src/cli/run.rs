//! `quaich run`: one Python app, from a name to a running server.

use std::path::{Path, PathBuf};

use quaich_app::interpreter;
use quaich_app::target::{self, Found, Target};
use quaich_config::print::TomlWriter;

use super::one_liner::{self, OneLiner, ServerFlags};
use super::source;
use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich run                               the app in this folder
  quaich run shop.wsgi:application         a callable in a module
  quaich run 'shop:create_app()'           a factory
  quaich run app.py -b :8000 -w 4          four processes, on all addresses
  quaich run --mount /shop --static /shop/static=./static
  quaich run --print-config > quaich.toml  the same as a file, to go on from

Also read: $PORT, $WEB_CONCURRENCY, $VIRTUAL_ENV, and QUAICH_NAME for every flag --name.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// module:callable, a module, a .py file or a folder [default: the current folder]
    app: Option<String>,
    /// Worker processes [default: $WEB_CONCURRENCY, else one per core]
    #[arg(short, long, value_name = "N", env = "QUAICH_WORKERS")]
    workers: Option<u32>,
    /// Threads in each worker [default: 4]
    #[arg(short, long, value_name = "N", env = "QUAICH_THREADS")]
    threads: Option<u32>,
    /// Serve the app below this path (its SCRIPT_NAME)
    #[arg(long, value_name = "PREFIX", env = "QUAICH_MOUNT")]
    mount: Option<String>,
    /// Serve the files of a folder below a path (the whole path, whatever --mount says)
    #[arg(
        long = "static",
        value_name = "PREFIX=DIR",
        env = "QUAICH_STATIC",
        value_delimiter = ','
    )]
    files: Vec<String>,
    /// Look for the app here, and run it here
    #[arg(long, value_name = "DIR", env = "QUAICH_CHDIR")]
    chdir: Option<PathBuf>,
    /// Interpreter, or folder of a virtual environment [default: the active or nearest one]
    #[arg(long, value_name = "PATH", env = "QUAICH_PYTHON")]
    python: Option<PathBuf>,
    /// Longest run of one request, e.g. 30s
    #[arg(long, value_name = "TIME", env = "QUAICH_TIMEOUT")]
    timeout: Option<String>,
    /// Replace a worker after so many requests
    #[arg(long, value_name = "N", env = "QUAICH_MAX_REQUESTS")]
    max_requests: Option<u64>,
    /// Variables for the app
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "QUAICH_ENV",
        value_delimiter = ','
    )]
    env: Vec<String>,
    #[command(flatten)]
    server: ServerFlags,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let here = source::current_dir()?;
    let dir = args
        .chdir
        .as_deref()
        .map_or_else(|| here.clone(), |dir| here.join(dir));
    if !dir.is_dir() {
        let message = format!("the folder {} does not exist", dir.display());
        return Err(Failure::new(Code::Config, message));
    }
    let found =
        target::find(args.app.as_deref(), &dir).map_err(|why| Failure::new(Code::App, why))?;
    let text = config_text(&args, &found, &here)?;
    let notes = found.note.into_iter().collect();
    OneLiner {
        command: "quaich run",
        notes,
        text,
    }
    .serve(&args.server)
}

fn config_text(args: &Args, found: &Found, here: &Path) -> Result<String, Failure> {
    let mut out = TomlWriter::new(None);
    one_liner::write_server(&mut out, &args.server)?;
    write_app(&mut out, args, found, here)?;
    let route = format!("site.{}.route", found.name);
    let mut top = None;
    for pair in &args.files {
        let (prefix, dir) = split(pair, "--static", "PREFIX=DIR")?;
        let (prefix, dir) = (mount_point(prefix)?, here.join(dir));
        if prefix.is_empty() {
            top = Some(dir);
        } else {
            out.tables(&route);
            out.text("prefix", &prefix);
            write_files(&mut out, &dir)?;
        }
    }
    let mount = args
        .mount
        .as_deref()
        .map(mount_point)
        .transpose()?
        .unwrap_or_default();
    out.tables(&route);
    if !mount.is_empty() {
        out.text("prefix", &mount);
    } else if let Some(dir) = top.take() {
        // A file if there is one, else the app.
        write_files(&mut out, &dir)?;
    }
    out.text("app", &found.name);
    if let Some(dir) = top {
        out.tables(&route);
        write_files(&mut out, &dir)?;
    }
    Ok(out.finish())
}

fn write_app(
    out: &mut TomlWriter<'_>,
    args: &Args,
    found: &Found,
    here: &Path,
) -> Result<(), Failure> {
    out.table(&format!("app.{}", found.name));
    match &found.target {
        Target::Module(module) => write_target(out, "module", module),
        Target::File(file) => write_target(out, "file", file),
    }
    out.text("dir", &path_text(&found.dir)?);
    if let Some(python) = &args.python {
        // A bare name is looked for on PATH. A path must not be resolved: the link to the program is
        // what makes an environment.
        let bare = python.components().count() == 1 && !here.join(python).exists();
        let python = if bare {
            python.clone()
        } else {
            here.join(python)
        };
        let python = interpreter::in_venv(&python).unwrap_or(python);
        out.text("python", &path_text(&python)?);
    }
    let concurrency = source::number("WEB_CONCURRENCY")?;
    if let Some(workers) = args.workers.or(concurrency) {
        out.number("workers", workers);
    }
    if let Some(threads) = args.threads {
        out.number("threads", threads);
    }
    out.maybe_text("timeout", args.timeout.as_deref());
    if let Some(requests) = args.max_requests {
        out.number("max_requests", requests);
    }
    let pairs: Vec<(&str, &str)> = args
        .env
        .iter()
        .map(|pair| split(pair, "--env", "NAME=VALUE"))
        .collect::<Result<_, _>>()?;
    out.pairs("env", pairs.into_iter());
    Ok(())
}

/// `module:create_app()` is a factory and is written so.
fn write_target(out: &mut TomlWriter<'_>, key: &str, target: &str) {
    match target.strip_suffix("()") {
        Some(factory) => {
            out.text(key, factory);
            out.flag("factory", true);
        }
        None => out.text(key, target),
    }
}

fn write_files(out: &mut TomlWriter<'_>, root: &Path) -> Result<(), Failure> {
    let root = path_text(root)?;
    out.inline("files", |out| out.text("root", &root));
    Ok(())
}

fn split<'a>(pair: &'a str, flag: &str, shape: &str) -> Result<(&'a str, &'a str), Failure> {
    pair.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| {
            Failure::new(
                Code::Usage,
                format!("`{flag} {pair}` is not of the shape {shape}"),
            )
        })
}

/// `/x/` and `/x` are the same; `/` is no mount point at all.
fn mount_point(prefix: &str) -> Result<String, Failure> {
    if !prefix.starts_with('/') {
        let message = format!("the path `{prefix}` must begin with a slash");
        return Err(Failure::new(Code::Usage, message).cure(format!("write `/{prefix}`")));
    }
    Ok(prefix.trim_end_matches('/').to_owned())
}

fn path_text(path: &Path) -> Result<String, Failure> {
    // Without the `.` parts that a person types.
    let path: PathBuf = path.components().collect();
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(
            Code::Config,
            format!("the path {} is not UTF-8", path.display()),
        )
    })
}

#[cfg(test)]
mod tests;

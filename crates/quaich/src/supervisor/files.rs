//! Opens what the front must not open itself: static roots and log files.
//!
//! Called before any process is spawned, and again when log files were rotated.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use quaich_config::model::{Config, LogOutput};
use rustix::fs::{Mode, OFlags, open};

use super::sticky;
use crate::exit::{Code, Failure};

/// A directory for each route with `files`, in the order of sites and routes.
pub(crate) fn open_roots(config: &Config) -> Result<Vec<OwnedFd>, Failure> {
    each_root(config).collect()
}

/// The same for each route with `sendfile`.
pub(crate) fn open_protected(config: &Config) -> Result<Vec<OwnedFd>, Failure> {
    each_protected(config).collect()
}

/// All that would keep roots, secrets and log files from being opened. Makes nothing, unlike opening.
pub(crate) fn missing(config: &Config) -> Vec<Failure> {
    let roots = each_root(config).filter_map(Result::err);
    let logs = [&config.log.output, &config.access_log.output];
    let protected = each_protected(config).filter_map(Result::err);
    roots
        .chain(protected)
        .chain(sticky::missing(config))
        .chain(logs.into_iter().filter_map(missing_folder))
        .collect()
}

fn missing_folder(output: &LogOutput) -> Option<Failure> {
    let LogOutput::File(path) = output else {
        return None;
    };
    let folder = path.parent().filter(|folder| !folder.is_dir())?;
    let message = format!("the folder {} does not exist", folder.display());
    let cure = format!("the log file {} belongs there", path.display());
    Some(Failure::new(Code::Config, message).cure(cure))
}

fn each_root(config: &Config) -> impl Iterator<Item = Result<OwnedFd, Failure>> {
    let routes = config.sites.iter().flat_map(|site| &site.routes);
    let with_files = routes.filter_map(|route| Some((route, route.files.as_ref()?)));
    with_files.map(|(route, files)| open_root(&files.root, &route.origin))
}

fn each_protected(config: &Config) -> impl Iterator<Item = Result<OwnedFd, Failure>> {
    let routes = config.sites.iter().flat_map(|site| &site.routes);
    let offered = routes.filter_map(|route| Some((route, route.sendfile.as_ref()?)));
    offered.map(|(route, sendfile)| open_root(&sendfile.root, &route.origin))
}

fn open_root(root: &Path, origin: &str) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(root, flags, Mode::empty()).map_err(|error| {
        let shown = root.display();
        let message = match error {
            rustix::io::Errno::NOENT => format!("the folder {shown} does not exist"),
            rustix::io::Errno::NOTDIR => format!("{shown} is not a folder"),
            error => format!("the folder {shown} cannot be opened: {error}"),
        };
        Failure::new(Code::Config, message).cure(format!("it is the root of files at {origin}"))
    })
}

/// The file of a log, if it is one; made when it is not there.
pub(crate) fn open_log(output: &LogOutput) -> Result<Option<OwnedFd>, Failure> {
    let LogOutput::File(path) = output else {
        return Ok(None);
    };
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path);
    file.map(|file| Some(file.into())).map_err(|error| {
        let message = format!("the log file {} cannot be opened: {error}", path.display());
        let failure = Failure::new(Code::Config, message);
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.cure("make its folder first"),
            _ => failure,
        }
    })
}

/// The file that holds our process id, removed at the end.
#[derive(Debug)]
pub(crate) struct PidFile<'a>(&'a Path);

impl<'a> PidFile<'a> {
    /// Writes it.
    pub(crate) fn write(path: &'a Path) -> Result<PidFile<'a>, Failure> {
        fs::write(path, format!("{}\n", std::process::id())).map_err(|error| {
            let shown = path.display();
            Failure::new(
                Code::Config,
                format!("the pid file {shown} cannot be written: {error}"),
            )
        })?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile<'_> {
    fn drop(&mut self) {
        // Somebody may have removed it before us.
        let _ = fs::remove_file(self.0);
    }
}

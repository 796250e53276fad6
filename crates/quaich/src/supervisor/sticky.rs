//! What sticky cookies are signed with: a file that the configuration names, else one in the state
//! directory that is made at the first start.
//!
//! Called before any process is spawned. Only the front gets the content.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use quaich_config::model::{Config, StickyBy, Upstream};
use quaich_server::link::Secret;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::exit::{Code, Failure};

/// The file below the state directory.
const NAME: &str = "sticky.key";

/// Bytes of a secret: fewer can be guessed, more are no secret but the wrong file.
const SHORTEST: usize = 32;
const LONGEST: usize = 4096;

/// For each upstream, in order; empty where nothing is signed.
pub(crate) fn secrets(config: &Config) -> Result<Vec<Secret>, Failure> {
    let mut own = None;
    let mut secrets = Vec::new();
    for upstream in &config.upstreams {
        secrets.push(match signs(upstream) {
            None => Secret::default(),
            Some(Some(path)) => Secret::new(given(path, upstream)?),
            Some(None) => match &own {
                Some(made) => Secret::clone(made),
                None => own
                    .insert(Secret::new(read_or_make(&config.server.state_dir)?))
                    .clone(),
            },
        });
    }
    Ok(secrets)
}

/// All that would keep named files from being read. Makes nothing.
pub(crate) fn missing(config: &Config) -> impl Iterator<Item = Failure> {
    let named = config
        .upstreams
        .iter()
        .filter_map(|upstream| Some((signs(upstream)??, upstream)));
    named.filter_map(|(path, upstream)| given(path, upstream).err())
}

/// Whether cookies are signed, and with which file if one is named.
fn signs(upstream: &Upstream) -> Option<Option<&Path>> {
    let sticky = upstream.sticky.as_ref()?;
    let signed = matches!(&sticky.by, StickyBy::Cookie(cookie) if !cookie.plain);
    signed.then_some(sticky.secret_file.as_deref())
}

fn given(path: &Path, upstream: &Upstream) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let why = match read(path) {
        Ok(secret) if (SHORTEST..=LONGEST).contains(&secret.len()) => return Ok(secret),
        Ok(secret) if secret.len() < SHORTEST => {
            format!("has {} bytes, and {SHORTEST} are needed", secret.len())
        }
        Ok(_) => "is too large for a secret".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    let message = format!(
        "the secret file {shown} of upstream `{}` {why}",
        upstream.name
    );
    let cure = format!("head -c 32 /dev/urandom | base64 > {shown}");
    Err(Failure::new(Code::Config, message).cure(cure))
}

/// The content, without blanks and line ends around it; never much more than the longest secret.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let more = LONGEST as u64 + 64;
    File::open(path)?.take(more).read_to_end(&mut bytes)?;
    Ok(bytes.trim_ascii().to_vec())
}

/// Whoever makes the file first has made it for all: two that start at once agree.
fn read_or_make(state_dir: &Path) -> Result<Vec<u8>, Failure> {
    let path = state_dir.join(NAME);
    let failed = |what: &str, error: std::io::Error| {
        let message = format!("{} cannot be {what}: {error}", path.display());
        let cure = "sticky cookies are signed with it; `state_dir` in [server] names its folder";
        Failure::new(Code::Config, message).cure(cure)
    };
    match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(state_dir, &path).map_err(|error| failed("made", error))?;
            read(&path).map_err(|error| failed("read", error))
        }
        Ok(secret) if secret.len() < SHORTEST => {
            Err(failed("used", std::io::Error::other("it is cut")))
        }
        read => read.map_err(|error| failed("read", error)),
    }
}

fn make(folder: &Path, path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let mut random = [0_u8; SHORTEST];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = folder.join(format!(".{NAME}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            writeln!(file, "{text}")?;
            file.sync_all()
        })
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| File::open(folder)?.sync_all());
    let _ = fs::remove_file(&temporary);
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/state");
        let first = read_or_make(&state).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(read_or_make(&state).unwrap(), first);
        // Somebody else was faster.
        make(&state, &state.join(NAME)).unwrap();
        assert_eq!(read_or_make(&state).unwrap(), first);
        let entries: Vec<_> = fs::read_dir(&state).unwrap().collect();
        assert_eq!(entries.len(), 1, "nothing else is left: {entries:?}");
        let mode = fs::metadata(state.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(state.join(NAME), "abc").unwrap();
        assert!(read_or_make(&state).is_err());
    }
}

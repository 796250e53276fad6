//! The places where a machine, or a browser of one user, keeps the authorities that it trusts.
//!
//! Called by `quaich trust`. Every change is made by the tools of those places, or as their
//! documentation says.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The certificates of the system: a folder for those that were added, and a program that makes
/// them count.
pub(crate) struct SystemStore {
    folder: PathBuf,
    update: &'static [&'static str],
}

/// Of the families of distributions.
const KNOWN: [(&str, &[&str]); 4] = [
    // Debian, Ubuntu, Alpine
    (
        "/usr/local/share/ca-certificates",
        &["update-ca-certificates"],
    ),
    // Fedora, RHEL
    (
        "/etc/pki/ca-trust/source/anchors",
        &["update-ca-trust", "extract"],
    ),
    // Arch
    (
        "/etc/ca-certificates/trust-source/anchors",
        &["trust", "extract-compat"],
    ),
    // SUSE
    ("/etc/pki/trust/anchors", &["update-ca-certificates"]),
];

impl SystemStore {
    /// That of this system.
    pub(crate) fn find() -> Option<SystemStore> {
        let known = KNOWN.into_iter().find(|(folder, update)| {
            Path::new(folder).is_dir() && update.first().is_some_and(|name| program(name).is_some())
        });
        let (folder, update) = known?;
        Some(SystemStore {
            folder: folder.into(),
            update,
        })
    }

    /// Where the certificate with this SHA-256 goes: each has a place of its own.
    pub(crate) fn file(&self, fingerprint: &str) -> PathBuf {
        let short: String = fingerprint.chars().take(16).collect();
        self.folder.join(format!("quaich-local-ca-{short}.crt"))
    }

    /// Whether it is there, and the same.
    pub(crate) fn has(&self, fingerprint: &str, pem: &str) -> bool {
        fs::read_to_string(self.file(fingerprint)).is_ok_and(|found| found == pem)
    }

    /// Adds it; it is not left there when it cannot be made to count.
    pub(crate) fn install(&self, fingerprint: &str, pem: &str) -> Result<(), String> {
        let file = self.file(fingerprint);
        let result = fs::write(&file, pem).map_err(|error| error.to_string());
        result.and_then(|()| self.update()).inspect_err(|_| {
            // The tool's failure is what there is to tell.
            let _ = fs::remove_file(&file);
        })
    }

    /// Takes it away; whether it was there.
    pub(crate) fn uninstall(&self, fingerprint: &str) -> Result<bool, String> {
        match fs::remove_file(self.file(fingerprint)) {
            Ok(()) => self.update().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn update(&self) -> Result<(), String> {
        let (name, arguments) = self.update.split_first().ok_or("no program")?;
        run(Command::new(name).args(arguments))
    }
}

/// The certificates of one browser profile, kept by NSS.
pub(crate) struct NssDatabase {
    /// Whose it is.
    pub(crate) browser: &'static str,
    /// Where.
    pub(crate) dir: PathBuf,
}

impl NssDatabase {
    /// All of the user with this home folder.
    pub(crate) fn all(home: &Path) -> Vec<NssDatabase> {
        let chromium = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"].map(|dir| home.join(dir));
        let profiles = [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox"];
        let firefox = profiles.iter().flat_map(|dir| folders(&home.join(dir)));
        let found = |browser| {
            move |dir: PathBuf| {
                dir.join("cert9.db")
                    .is_file()
                    .then_some(NssDatabase { browser, dir })
            }
        };
        let chromium = chromium.into_iter().filter_map(found("Chromium"));
        chromium
            .chain(firefox.filter_map(found("Firefox")))
            .collect()
    }

    /// Adds the certificate in `path`.
    pub(crate) fn install(&self, name: &str, path: &Path) -> Result<(), String> {
        let mut command = self.certutil(name);
        command.args(["-A", "-t", "C,,", "-i"]).arg(path);
        run(&mut command)
    }

    /// Takes it away; one that is not there is gone already.
    pub(crate) fn uninstall(&self, name: &str) -> Result<(), String> {
        while run(self.certutil(name).arg("-L")).is_ok() {
            run(self.certutil(name).arg("-D"))?;
        }
        Ok(())
    }

    fn certutil(&self, name: &str) -> Command {
        let mut command = Command::new("certutil");
        command.arg("-d").arg(format!("sql:{}", self.dir.display()));
        command.args(["-n", name]);
        command
    }
}

/// Whether the tool for NSS databases is installed.
pub(crate) fn has_certutil() -> bool {
    program("certutil").is_some()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Not on the path of everybody.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    if let Some(path) = program(&name) {
        let mut found = Command::new(path);
        found.args(command.get_args());
        *command = found;
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{name}: {}",
        said.lines().last().unwrap_or("failed")
    ))
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_added_to_the_system_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let store = SystemStore {
            folder: dir.path().into(),
            update: &["true"],
        };
        let (one, other) = ("0123456789abcdef0011", "fedcba98765432100011");
        let file = dir.path().join("quaich-local-ca-0123456789abcdef.crt");
        store.install(one, "pem").unwrap();
        store.install(other, "another").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "pem");
        assert!(store.has(one, "pem") && store.has(other, "another"));
        assert!(!store.has(one, "other"));
        assert_eq!(store.uninstall(one), Ok(true));
        assert!(!file.exists() && store.has(other, "another"));
        assert_eq!(store.uninstall(one), Ok(false));
    }

    #[test]
    fn a_tool_that_fails_leaves_nothing_and_its_message_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = SystemStore {
            folder: dir.path().into(),
            update: &["ls", "/does/not/exist"],
        };
        let why = store.install("x", "pem").unwrap_err();
        assert!(why.starts_with("ls: "), "{why}");
        assert!(!store.file("x").exists());
    }

    #[test]
    fn databases_of_browsers_are_found_below_the_home_folder() {
        let home = tempfile::tempdir().unwrap();
        for dir in [
            ".pki/nssdb",
            ".mozilla/firefox/abc.default",
            ".mozilla/firefox/empty",
        ] {
            fs::create_dir_all(home.path().join(dir)).unwrap();
        }
        fs::write(home.path().join(".pki/nssdb/cert9.db"), "").unwrap();
        fs::write(
            home.path().join(".mozilla/firefox/abc.default/cert9.db"),
            "",
        )
        .unwrap();
        let found = NssDatabase::all(home.path());
        let browsers: Vec<&str> = found.iter().map(|database| database.browser).collect();
        assert_eq!(browsers, ["Chromium", "Firefox"]);
    }
}

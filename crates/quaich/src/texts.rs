//! Files whose content filters work with, such as error pages and lists of users: read at the start,
//! looked at for changes, each with the last content that could be read.
//!
//! Called by `boot`, `check` and the supervisor. The front opens none of them: it may not be allowed
//! to. What is in them must not get into a message.

use std::path::Path;

use quaich_config::Config;
use quaich_config::model::TextFile;
use quaich_server::link::LoadedText;

use crate::exit::{Code, Failure};
use crate::named_file::{Stamp, Unreadable, read};

/// Of one file.
pub(crate) const MAX_FILE: u64 = 1 << 20;
/// Of all: every front gets them in one message.
const MAX_ALL: usize = 8 << 20;

/// What helps where a file cannot be read.
const CURE: &str = "start quaich as root, which reads files before it drops privileges (`user` in \
                    `[server]`), or let this user read the file";

/// All of them.
pub(crate) struct Texts {
    files: Vec<Watched>,
}

struct Watched {
    file: TextFile,
    stamp: Option<Stamp>,
    /// It has just changed, and may be half-written: it is read once more.
    unsettled: bool,
    /// What was said of it as it is.
    said: Option<String>,
    content: Option<Vec<u8>>,
}

/// What a look at the files has brought, for the log.
pub(crate) enum Change {
    /// This one has other content.
    Replaced(String),
    /// It cannot be used; what was there before stays.
    Bad(Failure),
}

impl Texts {
    /// Reads all that the configuration names. Every problem is found in one run.
    pub(crate) fn read(config: &Config) -> (Texts, Vec<Failure>) {
        let files = config.texts().into_iter().map(Watched::new).collect();
        let mut texts = Texts { files };
        let changes = texts.look();
        let failures = changes.into_iter().filter_map(|change| match change {
            Change::Bad(failure) => Some(failure),
            Change::Replaced(_) => None,
        });
        let failures = failures.collect();
        (texts, failures)
    }

    /// Whether there are files to look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Looks whether files have changed, and takes what can be used.
    pub(crate) fn look(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut room = MAX_ALL.saturating_sub(self.files.iter().map(Watched::size).sum());
        for file in &mut self.files {
            room += file.size();
            changes.extend(file.look(room));
            room = room.saturating_sub(file.size());
        }
        changes
    }

    /// What the front works with.
    pub(crate) fn loaded(&self) -> Vec<LoadedText> {
        let loaded = |watched: &Watched| {
            Some(LoadedText {
                path: watched.file.path.clone(),
                bytes: watched.content.clone()?,
            })
        };
        self.files.iter().filter_map(loaded).collect()
    }
}

impl Watched {
    fn new(file: TextFile) -> Watched {
        Watched {
            file,
            stamp: None,
            // It was never read.
            unsettled: true,
            said: None,
            content: None,
        }
    }

    fn size(&self) -> usize {
        self.content.as_ref().map_or(0, Vec::len)
    }

    /// What has changed, for a file that may have `room` bytes.
    fn look(&mut self, room: usize) -> Option<Change> {
        // Taken before the content: what is written in between is seen at the next look.
        let stamp = Stamp::of(&self.file.path);
        let changed = stamp != self.stamp;
        if !changed && !self.unsettled {
            return None;
        }
        let first = self.stamp.is_none() && self.content.is_none() && self.said.is_none();
        self.unsettled = changed && !first;
        self.stamp = stamp;
        if stamp.is_none() && self.file.optional && !is_link(&self.file.path) {
            self.said = None;
            return self.content.take().map(|_| self.replaced());
        }
        match self.taken(room) {
            Ok(bytes) => {
                self.said = None;
                if self.content.as_ref() == Some(&bytes) {
                    return None;
                }
                self.content = Some(bytes);
                Some(self.replaced())
            }
            Err(failure) => {
                let line = failure.line();
                // Once for each state of the file.
                (self.said.replace(line) != Some(failure.line())).then_some(Change::Bad(failure))
            }
        }
    }

    fn replaced(&self) -> Change {
        Change::Replaced(format!("{}: {}", self.file.place, self.file.path.display()))
    }

    fn taken(&self, room: usize) -> Result<Vec<u8>, Failure> {
        let (path, place) = (&self.file.path, &self.file.place);
        let explain = |error: Unreadable| error.explain(path, place, CURE);
        let bytes = read(path, MAX_FILE).map_err(explain)?;
        if bytes.len() > room {
            let message = format!(
                "{place}: {} does not fit: all files of this kind together may have {} MiB",
                path.display(),
                MAX_ALL >> 20
            );
            return Err(Failure::new(Code::Config, message));
        }
        Ok(bytes)
    }
}

/// A link that leads nowhere is a mistake, not a file that is not there.
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_symlink())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn texts(dir: &Path, names: &[(&str, bool)]) -> Texts {
        let file = |(name, optional): &(&str, bool)| {
            Watched::new(TextFile {
                path: dir.join(name),
                place: "site `x`".to_owned(),
                optional: *optional,
            })
        };
        let files = names.iter().map(file).collect();
        Texts { files }
    }

    fn said(texts: &mut Texts) -> Vec<String> {
        let line = |change| match change {
            Change::Replaced(what) => format!("replaced {what}"),
            Change::Bad(failure) => format!("bad {}", failure.line()),
        };
        texts.look().into_iter().map(line).collect()
    }

    fn content(texts: &Texts) -> Vec<Vec<u8>> {
        texts.loaded().into_iter().map(|text| text.bytes).collect()
    }

    #[test]
    fn what_cannot_be_read_any_more_stays_as_it_was_and_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "one").unwrap();
        let mut texts = texts(dir.path(), &[("a", false)]);
        assert_eq!(said(&mut texts).len(), 1);
        assert!(said(&mut texts).is_empty());
        fs::remove_file(&path).unwrap();
        let lines = said(&mut texts);
        assert!(lines[0].starts_with("bad site `x`: "), "{lines:?}");
        assert!(lines[0].ends_with("a does not exist"), "{lines:?}");
        assert!(said(&mut texts).is_empty());
        assert_eq!(content(&texts), [b"one"]);
        fs::write(&path, "two").unwrap();
        assert!(said(&mut texts)[0].starts_with("replaced"));
        assert_eq!(content(&texts), [b"two"]);
        assert!(said(&mut texts).is_empty() && said(&mut texts).is_empty());
    }

    #[test]
    fn an_optional_file_may_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut texts = texts(dir.path(), &[("a", true)]);
        assert!(said(&mut texts).is_empty());
        fs::write(dir.path().join("a"), "one").unwrap();
        assert_eq!(said(&mut texts).len(), 1);
        assert_eq!(content(&texts), [b"one"]);
        fs::remove_file(dir.path().join("a")).unwrap();
        assert_eq!(said(&mut texts).len(), 1);
        assert!(content(&texts).is_empty());
        std::os::unix::fs::symlink("gone", dir.path().join("a")).unwrap();
        // Its stamp is that of no file.
        texts.files[0].unsettled = true;
        assert!(said(&mut texts)[0].contains("is a link to gone, which does not exist"));
    }

    #[test]
    fn files_that_are_too_large_are_refused_alone_and_together() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..9).map(|index| format!("f{index}")).collect();
        for name in &names {
            fs::write(dir.path().join(name), vec![b'x'; 1 << 20]).unwrap();
        }
        fs::write(dir.path().join("big"), vec![b'x'; (1 << 20) + 1]).unwrap();
        let mut wanted: Vec<(&str, bool)> = names.iter().map(|name| (&**name, false)).collect();
        wanted.push(("big", false));
        let mut texts = texts(dir.path(), &wanted);
        let lines = said(&mut texts);
        let bad: Vec<&String> = lines
            .iter()
            .filter(|line| line.starts_with("bad"))
            .collect();
        assert_eq!(bad.len(), 2, "{bad:?}");
        assert!(bad[0].contains("may have 8 MiB"), "{bad:?}");
        assert!(bad[1].ends_with("big is larger than 1 MiB"), "{bad:?}");
        assert_eq!(texts.loaded().len(), 8);
    }
}

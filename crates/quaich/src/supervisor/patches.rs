//! Rules that the operator puts in while all of it serves (`quaich patch`): kept for fronts to come,
//! ended in time, and written down if they are to outlive quaich. Part of the supervisor's loop.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quaich_server::filter::patch::check;
use quaich_server::link::{Patch, ToFront};
use quaich_server::observe::log;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Phase, Supervisor};

/// In the state directory.
const NAME: &str = "patches.json";
/// Every request is held against each of them.
const MOST: usize = 100;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Patches {
    rules: Vec<Patch>,
    /// Of the last one.
    last_id: u64,
    file: PathBuf,
    /// Rules of the file that cannot be used here: written down again as they were.
    unusable: Vec<Value>,
    /// Nobody knows what is in the file: it is not written over.
    is_unread: bool,
}

impl Patches {
    /// With those that were written down. What cannot be read is said and left as it is.
    pub(super) fn read(state_dir: &Path) -> Patches {
        let file = state_dir.join(NAME);
        let mut patches = Patches {
            file,
            ..Patches::default()
        };
        let shown = patches.file.display();
        let read = match fs::read(&patches.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return patches,
            Err(error) => Err(error.to_string()),
            Ok(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
        };
        match read {
            Ok(rules) => patches.take(rules),
            Err(error) => {
                log::error!("patches are not in effect: {shown}: {error}");
                patches.is_unread = true;
            }
        }
        patches
    }

    fn take(&mut self, rules: Vec<Value>) {
        let now = now_millis();
        for value in rules {
            let rule: Result<Patch, _> = serde_json::from_value(value.clone());
            let rule = rule.map_err(|error| error.to_string());
            match rule.and_then(|rule| check(&rule).map(|()| rule)) {
                Ok(rule) if rule.until.is_some_and(|until| until <= now) => {}
                Ok(mut rule) => {
                    self.last_id += 1;
                    rule.id = self.last_id;
                    // Whatever an editor has made of it: it is in the file.
                    rule.persist = true;
                    log::info!("a patch is in effect again"; patch = rule.name);
                    self.rules.push(rule);
                }
                Err(why) => {
                    let name = value["name"].as_str().unwrap_or_default();
                    log::error!("a patch is not in effect, and stays in the file: {why}";
                        patch = name);
                    self.unusable.push(value);
                }
            }
        }
    }

    /// For the front.
    pub(super) fn rules(&self) -> Vec<Patch> {
        self.rules.clone()
    }

    /// Puts one in, if it can be; the error is for people.
    fn add(&mut self, mut patch: Patch) -> Result<Patch, String> {
        check(&patch)?;
        if self.rules.len() >= MOST {
            return Err(format!("there are {MOST} patches already; remove some"));
        }
        patch.id = self.last_id + 1;
        if patch.name.is_empty() {
            patch.name = format!("patch-{}", patch.id);
        }
        if self.rules.iter().any(|known| known.name == patch.name) {
            let name = &patch.name;
            return Err(format!(
                "there is a patch `{name}`; remove it first, or choose another name"
            ));
        }
        self.rules.push(patch.clone());
        if patch.persist
            && let Err(why) = self.write_down()
        {
            self.rules.pop();
            return Err(why);
        }
        self.last_id = patch.id;
        Ok(patch)
    }

    /// Takes one out by name or number; the error is for people.
    fn remove(&mut self, which: &str) -> Result<Patch, String> {
        let is_meant = |patch: &Patch| patch.name == which || patch.id.to_string() == which;
        let Some(index) = self.rules.iter().position(is_meant) else {
            return Err(match self.rules.is_empty() {
                true => format!("there is no patch `{which}`: there are none"),
                false => {
                    let names = self.rules.iter().map(|patch| patch.name.as_str());
                    let names = names.collect::<Vec<_>>().join(", ");
                    format!("there is no patch `{which}`; there are {names}")
                }
            });
        };
        let patch = self.rules.remove(index);
        if patch.persist
            && let Err(why) = self.write_down()
        {
            self.rules.insert(index, patch);
            return Err(why);
        }
        Ok(patch)
    }

    /// Takes out those whose time is over.
    fn expire(&mut self, now: u64) -> Vec<Patch> {
        let is_over = |patch: &mut Patch| patch.until.is_some_and(|until| until <= now);
        let over: Vec<Patch> = self.rules.extract_if(.., is_over).collect();
        if over.iter().any(|patch| patch.persist)
            && let Err(why) = self.write_down()
        {
            // They know themselves when they end.
            log::warn!("{why}");
        }
        over
    }

    /// Replaces the file as a whole, or leaves it as it was.
    fn write_down(&mut self) -> Result<(), String> {
        let shown = self.file.display();
        // Whoever has moved it away has seen what is in it.
        let there = fs::symlink_metadata(&self.file);
        let is_gone = there.is_err_and(|error| error.kind() == ErrorKind::NotFound);
        self.is_unread &= !is_gone;
        if self.is_unread {
            return Err(format!(
                "patches cannot be kept in {shown}: it could not be read when quaich started; \
                 move it away, or mend it and start quaich again"
            ));
        }
        let own = self.rules.iter().filter(|patch| patch.persist);
        let own = own.map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
        let own = own.map_err(|error| error.to_string())?;
        let kept: Vec<&Value> = self.unusable.iter().chain(&own).collect();
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| error.to_string())?;
        let failed = |error| format!("patches cannot be kept in {shown}: {error}");
        replace(&self.file, &text).map_err(failed)
    }
}

fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let temporary = folder.join(format!(".{NAME}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&temporary).and_then(|mut open| {
        open.write_all(text)?;
        open.sync_all()?;
        fs::rename(&temporary, file)?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Milliseconds since 1970.
pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

impl Supervisor {
    pub(super) fn patches_deadline(&self, now: Instant) -> Option<Instant> {
        if self.phase != Phase::Running {
            return None;
        }
        let untils = self.patches.rules.iter().filter_map(|patch| patch.until);
        let left = untils.min()?.saturating_sub(now_millis());
        // A clock may be set, and an hour is not too often to look.
        Some(now + Duration::from_millis(left.min(3_600_000)))
    }

    pub(super) fn care_for_patches(&mut self) {
        if self.phase != Phase::Running || self.patches.rules.is_empty() {
            return;
        }
        let over = self.patches.expire(now_millis());
        for patch in &over {
            log::info!("the time of a patch is over"; patch = patch.name);
        }
        if !over.is_empty() {
            self.show_patches();
        }
    }

    /// Tells the front; also one that has taken another's place and may have heard less.
    pub(super) fn show_patches(&mut self) {
        let patches = Some(self.patches.rules());
        // Nobody waits for an answer to this one.
        self.tell(ToFront::Patches { id: 0, patches }, Vec::new());
    }

    pub(super) fn add_patch(&mut self, patch: Patch, reply: oneshot::Sender<Value>, now: Instant) {
        let added = self.patches.add(patch).inspect(|patch| {
            log::warn!("a patch was put in"; patch = patch.name, dry_run = patch.dry_run,
                reason = patch.reason);
        });
        self.answer_patch(added, reply, now);
    }

    pub(super) fn remove_patch(
        &mut self,
        which: &str,
        reply: oneshot::Sender<Value>,
        now: Instant,
    ) {
        let removed = self.patches.remove(which).inspect(|patch| {
            log::warn!("a patch was taken out"; patch = patch.name);
        });
        self.answer_patch(removed, reply, now);
    }

    /// Answers once the front has the rules as they are now.
    fn answer_patch(
        &mut self,
        done: Result<Patch, String>,
        reply: oneshot::Sender<Value>,
        now: Instant,
    ) {
        let patch = match done {
            Ok(patch) => patch,
            Err(why) => {
                // Whoever asked may have left.
                let _ = reply.send(json!({ "error": why }));
                return;
            }
        };
        let patches = Some(self.patches.rules());
        let message = |id| ToFront::Patches { id, patches };
        self.ask_front(message, (reply, json!({ "patch": patch })), now);
    }

    pub(super) fn list_patches(&mut self, reply: oneshot::Sender<Value>, now: Instant) {
        let own = json!({ "patches": self.patches.rules, "now": now_millis() });
        let message = |id| ToFront::Patches { id, patches: None };
        self.ask_front(message, (reply, own), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str) -> Patch {
        Patch {
            name: name.to_owned(),
            path: vec!["/a".to_owned()],
            status: 403,
            persist: true,
            ..Patch::default()
        }
    }

    #[test]
    fn those_that_are_to_be_kept_are_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let mut patches = Patches::read(&state_dir);
        patches.add(patch("a")).unwrap();
        patches
            .add(Patch {
                persist: false,
                ..patch("b")
            })
            .unwrap();
        patches
            .add(Patch {
                until: Some(1),
                ..patch("c")
            })
            .unwrap();
        let again = Patches::read(&state_dir);
        let names: Vec<&str> = again.rules.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a"]);
        assert_eq!(patches.expire(2).len(), 1);
        patches.remove("a").unwrap();
        assert_eq!(fs::read_to_string(state_dir.join(NAME)).unwrap(), "[]");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        let text = "[{\"name\": \"old\", }]";
        fs::write(&file, text).unwrap();
        let mut patches = Patches::read(dir.path());
        let why = patches.add(patch("a")).unwrap_err();
        assert!(
            why.contains("cannot be kept") && why.contains("move it away"),
            "{why}"
        );
        assert!(patches.rules.is_empty());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        // Those that need no file are put in as ever.
        let loose = Patch {
            persist: false,
            ..patch("a")
        };
        patches.add(loose).unwrap();
        patches.remove("a").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        // Mended meanwhile it is still not what is in effect here.
        fs::write(&file, "[]").unwrap();
        patches.add(patch("a")).unwrap_err();
        fs::rename(&file, dir.path().join("old.json")).unwrap();
        patches.add(patch("a")).unwrap();
        assert_eq!(Patches::read(dir.path()).rules.len(), 1);
    }

    #[test]
    fn a_rule_that_cannot_be_used_stays_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        let one = |name: &str, path: &str| {
            let path = vec![path.to_owned()];
            serde_json::to_value(Patch {
                path,
                ..patch(name)
            })
            .unwrap()
        };
        let mut later = one("later", "/b");
        later["condition-of-a-later-quaich"] = "x".into();
        let unusable = [
            one("broken", "~("),
            later,
            json!({ "name": "half" }),
            json!(7),
        ];
        let old = [&unusable[..], &[one("good", "/a")]].concat();
        fs::write(&file, serde_json::to_vec(&old).unwrap()).unwrap();
        let written =
            || -> Vec<Value> { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
        let mut patches = Patches::read(dir.path());
        let names: Vec<&str> = patches.rules.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["good"]);
        let until = Some(1);
        patches
            .add(Patch {
                until,
                ..patch("new")
            })
            .unwrap();
        assert!(unusable.iter().all(|rule| written().contains(rule)));
        assert_eq!(written().len(), 6);
        patches.remove("good").unwrap();
        assert_eq!(written().len(), 5);
        patches.expire(2);
        assert_eq!(written(), unusable);
    }

    #[test]
    fn what_cannot_be_written_down_is_not_put_in() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let mut patches = Patches::read(&dir.path().join("file/below"));
        let why = patches.add(patch("a")).unwrap_err();
        assert!(why.contains("cannot be kept in"), "{why}");
        assert!(patches.rules.is_empty());
    }

    #[test]
    fn names_are_given_once_and_found_also_by_number() {
        let mut patches = Patches::default();
        let loose = |name: &str| Patch {
            persist: false,
            ..patch(name)
        };
        assert_eq!(patches.add(loose("")).unwrap().name, "patch-1");
        assert!(
            patches
                .add(loose("patch-1"))
                .unwrap_err()
                .contains("remove it first")
        );
        assert!(
            patches
                .remove("x")
                .unwrap_err()
                .contains("there are patch-1")
        );
        assert_eq!(patches.remove("1").unwrap().id, 1);
        assert!(patches.remove("1").unwrap_err().contains("there are none"));
        assert_eq!(patches.add(loose("b")).unwrap().id, 2);
    }
}

//! What `quaich check` says of files of users: lines by number, never what is in them.

use quaich_config::Config;
use quaich_config::model::Proof;
use quaich_server::password::Users;

use crate::exit::{Code, Failure};
use crate::named_file::read;
use crate::texts::MAX_FILE;

/// Lines that are not used, then lines that should not be as they are. Files that cannot be read are
/// told by `texts`.
pub(crate) fn bad_lines(config: &Config) -> (Vec<Failure>, Vec<Failure>) {
    let (mut wrong, mut weak) = (Vec::new(), Vec::new());
    for auth in &config.auths {
        let Proof::Basic { users: path, .. } = &auth.proof else {
            continue;
        };
        let Ok(content) = read(path, MAX_FILE) else {
            continue;
        };
        let (users, bad) = Users::read(&content);
        for line in bad {
            let place = format!("`[auth.{}]`: {}:{}", auth.name, path.display(), line.line);
            let failure = Failure::new(Code::Config, format!("{place}: {}", line.why));
            match line.counts {
                true => weak.push(failure.cure("make another with `quaich hash-password`")),
                false => wrong.push(failure),
            }
        }
        if users.is_empty() {
            let message = format!("`[auth.{}]`: {} has no users", auth.name, path.display());
            let failure = Failure::new(Code::Config, message);
            weak.push(failure.cure("`quaich hash-password USER` prints a line for it"));
        }
    }
    (wrong, weak)
}

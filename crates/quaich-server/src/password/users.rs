//! Files of users: `user:hash` a line, as htpasswd writes them.

use std::collections::HashMap;

use super::Hash;

/// The users of one file.
#[derive(Debug, Default)]
pub struct Users {
    users: HashMap<Box<[u8]>, Hash>,
    /// What a password of an unknown user is tried on, so that it takes as long.
    decoy: Option<Hash>,
}

/// A line that is not used, or should not be as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// In words; shows nothing of the line.
    pub why: &'static str,
    /// The line counts all the same.
    pub counts: bool,
}

impl Users {
    /// Reads a file. Empty lines and those that begin with `#` are none; the first line of a user
    /// counts, and what stands behind a second colon does not.
    pub fn read(content: &[u8]) -> (Self, Vec<BadLine>) {
        let mut known = Self::default();
        let mut bad = Vec::new();
        for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii_end();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let found = known.add(line);
            let (why, counts) = match found {
                Ok(None) => continue,
                Ok(Some(why)) => (why, true),
                Err(why) => (why, false),
            };
            bad.push(BadLine {
                line: index + 1,
                why,
                counts,
            });
        }
        (known, bad)
    }

    /// Takes a line; says what is weak about it.
    fn add(&mut self, line: &[u8]) -> Result<Option<&'static str>, &'static str> {
        let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
        let mut parts = line.split(':');
        let (Some(user), Some(hash)) = (parts.next(), parts.next()) else {
            return Err("expected user:hash");
        };
        if user.is_empty() {
            return Err("the user has no name");
        }
        if user.chars().any(char::is_control) {
            return Err("the name of the user holds control characters");
        }
        let hash = Hash::parse(hash)?;
        if self.users.contains_key(user.as_bytes()) {
            return Err("the user stands above already: that line counts");
        }
        let weakness = hash.weakness();
        self.decoy.get_or_insert_with(|| hash.clone());
        self.users.insert(user.as_bytes().into(), hash);
        Ok(weakness)
    }

    /// The hash of a user.
    pub fn get(&self, user: &[u8]) -> Option<&Hash> {
        self.users.get(user)
    }

    /// A hash that a password may be tried on in vain.
    pub fn decoy(&self) -> Option<&Hash> {
        self.decoy.as_ref()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
    const CRYPT: &str = "$1$Zf7nJpxw$nVMptZHT9t3Xf9eqTcKkI1";

    #[test]
    fn lines_are_users_and_the_others_are_told_by_number() {
        let file = format!(
            "# staff\n\naila:{CRYPT}\r\nbo\u{e9}:{SHA}:more\nnobody\n:{SHA}\naila:{SHA}\nplain:secret"
        );
        let (users, bad) = Users::read(file.as_bytes());
        assert_eq!(users.len(), 2);
        assert_eq!(users.get(b"aila").map(Hash::as_str), Some(CRYPT));
        assert!(
            users
                .get("bo\u{e9}".as_bytes())
                .is_some_and(|hash| hash.verify(b"password"))
        );
        assert_eq!(users.get(b"plain"), None);
        let lines: Vec<_> = bad.iter().map(|bad| (bad.line, bad.counts)).collect();
        assert_eq!(
            lines,
            [
                (3, true),
                (4, true),
                (5, false),
                (6, false),
                (7, false),
                (8, false)
            ]
        );
        assert!(bad.iter().all(|bad| !bad.why.contains("secret")));
    }

    #[test]
    fn a_file_without_users_has_nothing_to_try() {
        let (users, bad) = Users::read(b"\n#\n\xff:x\n");
        assert!(users.is_empty() && users.decoy().is_none());
        assert_eq!(bad.len(), 1);
    }
}

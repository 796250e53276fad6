//! Passwords: what lies in a file of users, whether a password is the one, and new hashes.
//!
//! Pure and slow on purpose: `filter::auth` calls [`Hash::verify`] on a thread of its own. No hash
//! and no password appears in any message.

mod apr1;
mod make;
mod users;

use argon2::password_hash::PasswordVerifier;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use make::{Algorithm, make};
pub use users::{BadLine, Users};

/// Bytes of a user or password. The time of sha-crypt grows with the length of the password, so that
/// one of some thousand bytes would take a minute.
pub const LONGEST: usize = 256;

/// Memory of one verification of argon2, KiB.
const MAX_MEMORY: u32 = 256 * 1024;

/// KiB times passes of argon2: about a second.
const MAX_WORK: u64 = 2 * 1024 * 1024;

/// Rounds of sha-crypt: about a second.
const MAX_ROUNDS: u32 = 2_000_000;

/// Cost of bcrypt, as a power of two: about a second.
const MAX_COST: u32 = 14;

/// A hash whose form is understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bcrypt,
    Argon2,
    ShaCrypt,
    /// `$apr1$`, and `$1$` of crypt(3).
    Md5(&'static str),
    /// `{SHA}`
    Sha1,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({:?})", self.kind)
    }
}

impl Hash {
    /// Understands a hash; else says in words why not.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
        let kind = if begins(&["$2y$", "$2a$", "$2b$"]) {
            bcrypt(text)?;
            Kind::Bcrypt
        } else if begins(&["$argon2id$", "$argon2i$", "$argon2d$"]) {
            argon2(text)?;
            Kind::Argon2
        } else if begins(&["$5$", "$6$"]) {
            sha_crypt(text)?;
            Kind::ShaCrypt
        } else if begins(&[apr1::APACHE, apr1::CRYPT]) {
            let magic = match begins(&[apr1::APACHE]) {
                true => apr1::APACHE,
                false => apr1::CRYPT,
            };
            apr1::parts(text, magic).ok_or("the hash is damaged")?;
            Kind::Md5(magic)
        } else if let Some(sum) = text.strip_prefix("{SHA}") {
            let sum = STANDARD.decode(sum).map_err(|_| "the hash is damaged")?;
            if sum.len() != 20 {
                return Err("the hash is damaged");
            }
            Kind::Sha1
        } else if text.starts_with('$') || text.starts_with('{') {
            return Err("a hash of this kind is not understood");
        } else {
            return Err(
                "this is no hash: passwords as they are, and those of crypt(3) with DES, are refused",
            );
        };
        Ok(Self {
            text: text.into(),
            kind,
        })
    }

    /// Whether it is so weak that it should be replaced; says why.
    pub fn weakness(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Sha1 => Some("{SHA} has no salt and is quick to guess"),
            Kind::Md5(_) => Some("MD5 is quick to guess"),
            Kind::Bcrypt | Kind::Argon2 | Kind::ShaCrypt => None,
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `password` is the one; one longer than [`LONGEST`] is not. Takes as long as the hash
    /// wants, up to about a second.
    pub fn verify(&self, password: &[u8]) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        match self.kind {
            Kind::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Kind::Argon2 => argon2::PasswordHash::new(&self.text).is_ok_and(|hash| {
                argon2::Argon2::default()
                    .verify_password(password, &hash)
                    .is_ok()
            }),
            Kind::ShaCrypt => sha_crypt::PasswordHashRef::new(&self.text).is_ok_and(|hash| {
                sha_crypt::ShaCrypt::default()
                    .verify_password(password, hash)
                    .is_ok()
            }),
            Kind::Md5(magic) => apr1::verify(password, &self.text, magic),
            Kind::Sha1 => {
                let sum = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, password));
                let known = self.text.strip_prefix("{SHA}").unwrap_or_default();
                verify_slices_are_equal(sum.as_bytes(), known.as_bytes()).is_ok()
            }
        }
    }
}

fn bcrypt(text: &str) -> Result<(), &'static str> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| "the hash is damaged")?;
    match parts.get_cost() {
        4..=MAX_COST => Ok(()),
        15.. => Err("its cost is over 14: each login would take seconds"),
        _ => Err("the hash is damaged"),
    }
}

fn argon2(text: &str) -> Result<(), &'static str> {
    let hash = argon2::PasswordHash::new(text).map_err(|_| "the hash is damaged")?;
    let settings = argon2::Params::try_from(&hash).map_err(|_| "the hash is damaged")?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("the hash is damaged");
    }
    let work = u64::from(settings.m_cost()) * u64::from(settings.t_cost());
    if settings.m_cost() > MAX_MEMORY || work > MAX_WORK {
        return Err(
            "it wants more than 256 MiB, or more than eight passes over that: each login would take seconds",
        );
    }
    Ok(())
}

fn sha_crypt(text: &str) -> Result<(), &'static str> {
    let mut parts = text.split('$').skip(2);
    let (mut first, mut rounds) = (parts.next(), 5000);
    if let Some(given) = first.and_then(|part| part.strip_prefix("rounds=")) {
        rounds = given.parse().map_err(|_| "the hash is damaged")?;
        first = parts.next();
    }
    let length = if text.starts_with("$5$") { 43 } else { 86 };
    let whole = first.is_some_and(|salt| salt.len() <= 16)
        && parts.next().is_some_and(|hash| hash.len() == length)
        && parts.next().is_none();
    if !whole || rounds < 1000 || sha_crypt::PasswordHashRef::new(text).is_err() {
        return Err("the hash is damaged");
    }
    match rounds > MAX_ROUNDS {
        true => Err("it has more than 2,000,000 rounds: each login would take seconds"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of the password `Kelch & Quaich`, made by htpasswd 2.4, openssl 3.0 and argon2-cffi 25.
    const KNOWN: [&str; 8] = [
        "$2y$05$WWMCIPoF5B/FFt/Fj9sMR.wHVQXN9KYraJjAabd62cyzoRS7HGp..",
        "$apr1$9n/DV.0f$TMOG4xSrJPVE3012fl7UA0",
        "{SHA}Ojuc06fgxmda9dLZhXCoSYAYNEw=",
        "$1$ahABFdt1$xUnVFt/guZJLj4J3ii9oG0",
        "$5$o.68urA40o/lXHj/$NKRdtao/h1wV8HC7rboDblbOQBlx6bXjMvu4Mdc4vNC",
        "$6$zXOGe3OnZqxnsc/K$vEIKB4zRamPlJ8/nIXnbcQqOuNVDqJcP4HXEoevJW4PxFrsNx5QewcSANz9kaiKTLMxBvYXn0lf5me7/1GF2W.",
        "$argon2id$v=19$m=1024,t=2,p=2$EfSzELW10TfyzdWmHFczBw$ZFUgZ59lHQxbWUkPJSeHIRW+4sIGZksByz2E8uTpmrw",
        "$argon2i$v=19$m=512,t=3,p=1$PjXVwxwCbldmQ9SzJj3x5g$RARW5nuEVq3sgGXI8DiHLGrIDcp05MI14WAgqWbi4ng",
    ];

    #[test]
    fn hashes_of_other_programs_are_verified() {
        for text in KNOWN {
            let hash = Hash::parse(text).expect(text);
            assert!(hash.verify(b"Kelch & Quaich"), "{text}");
            for wrong in [&b""[..], b"Kelch & Quaicg", b"Kelch & Quaich "] {
                assert!(!hash.verify(wrong), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_shown() {
        for text in [
            "",
            "secret",
            "rl.3StKT.4T8M",
            "$2y$05$short",
            "$2x$05$0RJhbCVkHkZ3e5nTOBcxO.nBjWJ6cYgFZlkD1fH6JhYn2bJDTqGqO",
            "$2y$31$0RJhbCVkHkZ3e5nTOBcxO.nBjWJ6cYgFZlkD1fH6JhYn2bJDTqGqO",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=65536,t=4000,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=64,t=1,p=1",
            "$6$rounds=999999999$salt$x",
            "$6$salt",
            "$apr1$salt",
            "$apr1$toolongasalt$abcdefghijklmnopqrstuv",
            "{SHA}short",
            "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "$y$j9T$abc$def",
        ] {
            let error = Hash::parse(text).expect_err(text);
            assert!(text.is_empty() || !error.contains(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(
            start in prop::sample::select(vec!["", "$2y$", "$argon2id$", "$6$", "$5$", "$apr1$", "$1$", "{SHA}"]),
            rest in "[ -~é]{0,80}",
        ) {
            let _ = Hash::parse(&format!("{start}{rest}"));
        }
    }
}

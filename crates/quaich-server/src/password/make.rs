//! New hashes, for `quaich hash-password`.

use argon2::password_hash::PasswordHasher;

/// How a new hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// argon2id with 19 MiB and two passes, as OWASP advises.
    Argon2id,
    /// bcrypt with cost 12, for other programs that shall read the same file.
    Bcrypt,
}

/// A hash of `password`. Fails when the system has no random bytes, or bcrypt cannot take it.
pub fn make(password: &[u8], algorithm: Algorithm) -> Result<String, &'static str> {
    const NO_RANDOM: &str = "the system gives no random bytes";
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| NO_RANDOM)?;
    match algorithm {
        Algorithm::Argon2id => argon2::Argon2::default()
            .hash_password_with_salt(password, &salt)
            .map(|hash| hash.to_string())
            .map_err(|_| "argon2 cannot take this password"),
        Algorithm::Bcrypt => bcrypt::non_truncating_hash_with_salt(password, 12, salt)
            .map(|hash| hash.format_for_version(bcrypt::Version::TwoY))
            .map_err(|_| "bcrypt takes passwords of at most 72 bytes: this one is longer"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hash;
    use super::*;

    #[test]
    fn a_new_hash_is_that_of_its_password_and_none_is_like_another() {
        for (algorithm, start) in [
            (Algorithm::Argon2id, "$argon2id$v=19$m=19456,t=2,p=1$"),
            (Algorithm::Bcrypt, "$2y$12$"),
        ] {
            let (one, two) = (
                make(b"secret", algorithm).unwrap(),
                make(b"secret", algorithm).unwrap(),
            );
            assert!(one.starts_with(start), "{one}");
            assert_ne!(one, two);
            let hash = Hash::parse(&one).unwrap();
            assert!(hash.verify(b"secret") && !hash.verify(b"Secret"));
        }
        assert!(make(&[b'a'; 73], Algorithm::Bcrypt).is_err());
    }
}

//! `basic`: user and password (RFC 7617).

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quaich_proto::headers::{HeaderId, Headers};

use super::passwords::{Denied, UserFile};
use super::{Refusal, Verdict};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::filter::Shared;
use crate::password::{LONGEST, Users};

/// `basic = { ... }`
pub(super) struct Basic {
    challenge: Vec<u8>,
    users: PathBuf,
    shared: Arc<Shared>,
    /// As last seen by this thread.
    known: RefCell<Option<UserFile>>,
}

/// What a client says that it is.
struct Credentials {
    /// User and password with a colon between them.
    pair: Vec<u8>,
    colon: usize,
}

impl Basic {
    pub(super) fn new(realm: &str, users: &Path, shared: &Arc<Shared>) -> Self {
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        Self {
            challenge: challenge.into_bytes(),
            users: users.to_owned(),
            shared: shared.clone(),
            known: RefCell::default(),
        }
    }

    pub(super) async fn ask(&self, scope: &mut Scope<'_, '_>) -> Result<Verdict, Error> {
        let Some(users) = self.users() else {
            return Ok(Refusal::page(Kind::AuthUnavailable));
        };
        let Some(given) = Credentials::read(&scope.exchange.request.headers) else {
            return Ok(self.challenge());
        };
        let addr = scope.exchange.client.addr;
        let passwords = &self.shared.passwords;
        if given.is_too_long() {
            return Ok(match passwords.refuse(addr) {
                Ok(()) => self.challenge(),
                Err(denied) => denial(&denied),
            });
        }
        let mark = passwords.mark(given.user(), given.password(), users.get(given.user()));
        let counters = &scope.thread.counters;
        if passwords.remembers(&mark) {
            counters.passwords_remembered.add();
            return Ok(given.granted());
        }
        let hash = users.get(given.user()).cloned();
        let work = passwords.verify(
            &self.shared,
            (mark, addr),
            (hash, users.decoy()),
            given.password(),
        );
        match scope.unless_gone(Box::pin(work)).await? {
            Ok((right, own)) => {
                if own {
                    scope.thread.counters.passwords_verified.add();
                }
                Ok(match right {
                    true => given.granted(),
                    false => self.challenge(),
                })
            }
            Err(denied) => Ok(denial(&denied)),
        }
    }

    /// The users as their file is now; `None` = it could not be read.
    fn users(&self) -> Option<Arc<Users>> {
        let content = self.shared.texts.get(&self.users)?;
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.as_ref().filter(|known| known.is_of(&content)) {
            return Some(known.users.clone());
        }
        let file = self.shared.passwords.users(&self.users, content);
        let users = file.users.clone();
        *known = Some(file);
        Some(users)
    }

    fn challenge(&self) -> Verdict {
        let mut fields = Headers::new();
        // The realm was checked.
        let _ = fields.push(b"WWW-Authenticate", &self.challenge);
        Verdict::Refused(Refusal::Page(
            Error::downstream(Kind::Unauthenticated),
            fields,
        ))
    }
}

/// What a client is told whose password was not verified.
fn denial(denied: &Denied) -> Verdict {
    match denied {
        Denied::Busy => Refusal::page(Kind::AuthBusy),
        Denied::TooMany(wait) => {
            let mut fields = Headers::new();
            // Digits are valid.
            let _ = fields.push(b"Retry-After", wait.as_secs().max(1).to_string().as_bytes());
            let error = Error::downstream(Kind::TooManyPasswords);
            Verdict::Refused(Refusal::Page(error, fields))
        }
    }
}

impl Credentials {
    /// Those of a request; `None` = none, or none that could be meant: two fields, another scheme,
    /// what is no base64, what has no colon or holds control characters (RFC 7617 section 2).
    fn read(headers: &Headers) -> Option<Self> {
        /// Some clients leave out what fills up the last group.
        const LENIENT: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
        let mut values = headers.get_all(HeaderId::Authorization);
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let pair = BASE64.decode(token.trim_ascii()).ok()?;
        let colon = memchr::memchr(b':', &pair)?;
        let control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
        (colon > 0 && !pair.iter().any(control)).then_some(Self { pair, colon })
    }

    /// Nobody has such ones, and verifying them could take long.
    fn is_too_long(&self) -> bool {
        self.user().len().max(self.password().len()) > LONGEST
    }

    fn user(&self) -> &[u8] {
        self.pair.get(..self.colon).unwrap_or_default()
    }

    fn password(&self) -> &[u8] {
        self.pair.get(self.colon + 1..).unwrap_or_default()
    }

    fn granted(mut self) -> Verdict {
        self.pair.truncate(self.colon);
        Verdict::Granted {
            user: self.pair,
            kind: "Basic",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut headers = Headers::new();
        headers.push(b"Authorization", value).ok()?;
        let found = Credentials::read(&headers)?;
        Some((found.user().to_vec(), found.password().to_vec()))
    }

    #[test]
    fn only_what_can_be_meant_is_read() {
        let aila = Some((b"aila".to_vec(), b"p:w".to_vec()));
        assert_eq!(read(b"Basic YWlsYTpwOnc="), aila);
        assert_eq!(read(b"bASIC   YWlsYTpwOnc"), aila);
        assert_eq!(
            read(b"Basic YWlsYTo="),
            Some((b"aila".to_vec(), Vec::new()))
        );
        for value in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic !",
            b"Basic YWlsYQ==",
            b"Basic OnB3",
            b"Basic YQBiOmM=",
            b"Bearer YWlsYTpwOnc=",
            b"Basic YWls YTpwOnc=",
        ] {
            assert_eq!(read(value), None, "{}", String::from_utf8_lossy(value));
        }
        let mut two = Headers::new();
        for _ in 0..2 {
            two.push(b"Authorization", b"Basic YWlsYTpwOnc=").unwrap();
        }
        assert!(Credentials::read(&two).is_none());
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in "[ -~]{0,40}", pair in "[a-zA-Z0-9+/=]{0,24}") {
            read(value.as_bytes());
            if let Some((user, _)) = read(format!("Basic {pair}").as_bytes()) {
                prop_assert!(!user.is_empty() && !user.contains(&b':'));
            }
        }
    }
}

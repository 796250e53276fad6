//! Who sent a request, as `auth` found out.

use quaich_proto::headers::{HeaderId, Headers};

/// Nobody, or a user who was believed.
#[derive(Debug, Default)]
pub struct Identity {
    /// Empty = nobody, or somebody without a name.
    pub user: Vec<u8>,
    /// The request went through `auth`: what it says of its user itself must not reach anybody.
    pub checked: bool,
    /// How that was found; empty = nobody has come in by `auth`.
    pub kind: &'static str,
    /// Request fields that say so, for apps and servers. No client can send fields of these names.
    pub fields: Headers,
    /// `Authorization: Basic` was for quaich alone.
    pub hides_basic: bool,
    /// Whatever `Authorization` the client has sent, `fields` has the one that counts.
    pub hides_authorization: bool,
}

impl Identity {
    /// Nobody.
    pub fn clear(&mut self) {
        self.user.clear();
        self.checked = false;
        self.kind = "";
        self.fields.clear();
        self.hides_basic = false;
        self.hides_authorization = false;
    }

    /// How the user was found, for `AUTH_TYPE`, and who it is, for `REMOTE_USER`: nobody is told of
    /// one without the other. `None` = nobody, or somebody without a name.
    pub fn named(&self) -> Option<(&'static str, &[u8])> {
        (!self.user.is_empty()).then_some((self.kind, &*self.user))
    }

    /// Whether a field of the request is not for apps and servers.
    pub fn hides(&self, id: HeaderId, value: &[u8]) -> bool {
        id == HeaderId::Authorization
            && (self.hides_authorization || self.hides_basic && is_basic(value))
    }
}

fn is_basic(value: &[u8]) -> bool {
    value
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_told_with_a_name_only() {
        let mut identity = Identity {
            kind: "Forward",
            ..Identity::default()
        };
        assert_eq!(identity.named(), None);
        identity.user = b"cora".to_vec();
        assert_eq!(identity.named(), Some(("Forward", &b"cora"[..])));
    }

    #[test]
    fn only_what_was_for_quaich_is_hidden() {
        let mut identity = Identity::default();
        let id = HeaderId::Authorization;
        assert!(!identity.hides(id, b"Basic eA=="));
        identity.hides_basic = true;
        for value in [&b"Basic eA=="[..], b"bASIC\teA==", b"Basic"] {
            assert!(identity.hides(id, value));
        }
        assert!(!identity.hides(id, b"Bearer x") && !identity.hides(HeaderId::Cookie, b"Basic"));
        identity.hides_authorization = true;
        assert!(identity.hides(id, b"Bearer x"));
        identity.clear();
        assert!(!identity.hides(id, b"Basic eA=="));
    }
}

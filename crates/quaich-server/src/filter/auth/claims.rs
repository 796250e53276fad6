//! Request fields that say who asks: only quaich may set them, whatever the route.

use quaich_config::model::{Auth, Config};
use quaich_proto::headers::Headers;

/// Their names, of the whole configuration.
pub struct Claims {
    names: Vec<Box<[u8]>>,
}

impl Claims {
    /// Those of every `[auth.NAME]`.
    pub fn new(config: &Config) -> Self {
        let names = config.auths.iter().flat_map(Auth::claims);
        Self {
            names: names.map(|name| name.as_bytes().into()).collect(),
        }
    }

    /// Drops what a client has sent under such a name, also one that is trusted. Names that differ in
    /// what is neither letter nor digit are one: apps read `-` and `.` as `_`, PHP among them.
    pub fn drop_from(&self, headers: &mut Headers) {
        if self.names.is_empty() {
            return;
        }
        let is_claim = |name: &[u8]| self.names.iter().any(|claim| is_same(claim, name));
        if headers.iter().any(|(_, name, _)| is_claim(name)) {
            headers.retain(|_, name, _| !is_claim(name));
        }
    }
}

fn is_same(claim: &[u8], name: &[u8]) -> bool {
    let plain = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    };
    claim.len() == name.len() && claim.iter().map(plain).eq(name.iter().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_claim_gets_through() {
        let claims = Claims {
            names: vec![
                (&b"X-Remote-User"[..]).into(),
                (&b"Remote-Groups"[..]).into(),
            ],
        };
        let mut headers = Headers::new();
        for name in [
            "x-remote-user",
            "X-REMOTE_USER",
            "X_Remote_User",
            "X.Remote.User",
            "x.remote_user",
            "X~Remote!User",
            "remote-groups",
            "X-Remote-User2",
            "X-Remote-Use",
        ] {
            headers.push(name.as_bytes(), b"root").unwrap();
        }
        claims.drop_from(&mut headers);
        let left: Vec<_> = headers.iter().map(|(_, name, _)| name).collect();
        assert_eq!(left, [&b"X-Remote-User2"[..], b"X-Remote-Use"]);
    }
}

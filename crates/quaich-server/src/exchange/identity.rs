//! Who sent a request, as `auth` found out.

/// Nobody, or a user who was believed.
#[derive(Debug, Default)]
pub struct Identity {
    /// `REMOTE_USER`; empty = nobody.
    pub user: Vec<u8>,
    /// The request went through `auth`: what it says of its user itself must not reach anybody.
    pub checked: bool,
}

impl Identity {
    /// Nobody.
    pub fn clear(&mut self) {
        self.user.clear();
        self.checked = false;
    }
}

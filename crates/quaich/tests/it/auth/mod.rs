//! Who may come in, and how apps and servers learn who it is.

mod basic;
mod certificates;
mod forward;
mod identity;
mod trailers;

use quaich_testkit::{Response, TempSite};

/// Of the password `secret`, made by `openssl passwd -6 -salt quaich`.
pub(crate) const SECRET: &str = "$6$quaich$Ze/uKZnha3.v0lFKZRhoHbB1Nxc4g13gvcz0YVRyCD0uudtlcPON3LCvQ7X97IjjYBi4C4KBifrW3.dAEls6Y1";

/// `Authorization` of a user, with its line end.
pub(crate) fn authorization(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

/// A folder with the user `aila`, whose password is `secret`.
pub(crate) fn folder() -> TempSite {
    let site = TempSite::new();
    site.write("users", format!("# of the tests\naila:{SECRET}\n"));
    site
}

/// The answer is that of a route that asks for a password.
#[track_caller]
pub(crate) fn expect_challenge(response: &Response) {
    response.expect_status(401);
    response.expect_header(
        "www-authenticate",
        "Basic realm=\"Staff\", charset=\"UTF-8\"",
    );
}

pub(crate) const STAFF: &str = "[auth.staff]\nbasic = { realm = \"Staff\", users = \"users\" }\n";

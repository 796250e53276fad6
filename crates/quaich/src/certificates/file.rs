//! Reads PEM files, and says precisely why one cannot be read.

use std::path::Path;

use crate::exit::{Code, Failure};
pub(super) use crate::named_file::Stamp;
use crate::named_file::read;

/// Bundles of authorities and revocation lists of large organisations are a few MiB.
const MAX_FILE: u64 = 16 << 20;

/// What helps where a key cannot be read.
const CURE: &str = "start quaich as root, which reads keys before it drops privileges (`user` in \
                    `[server]`), or let this user read the file";

/// The text of a PEM file. `whose` begins the message of a failure: ``certificate `shop` ``.
pub(super) fn read_pem(path: &Path, whose: &str) -> Result<String, Failure> {
    let bytes = read(path, MAX_FILE).map_err(|error| error.explain(path, whose, CURE))?;
    let wrong = |why: &str| {
        let message = format!("{whose}: {} {why}", path.display());
        Failure::new(Code::Config, message)
    };
    if bytes.is_empty() {
        return Err(wrong("is empty"));
    }
    // A DER sequence of two length bytes, which no text begins with.
    if bytes.starts_with(&[0x30, 0x82]) {
        return Err(wrong("is not PEM but DER or PKCS#12").cure(
            "convert it: openssl x509 -inform der -in FILE -out FILE.pem, or \
             openssl pkcs12 -in FILE -out FILE.pem -nodes",
        ));
    }
    // Comments around the blocks may be in any encoding; the blocks are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn said(path: &Path) -> String {
        let failure = read_pem(path, "certificate `x`").map(drop).unwrap_err();
        failure.line()
    }

    #[test]
    fn what_is_no_readable_pem_file_is_said_to_be_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        assert!(said(&place("a.pem")).ends_with("a.pem does not exist"));
        assert!(said(&place("no/a.pem")).contains("nor does its folder"));
        std::os::unix::fs::symlink("gone.pem", place("link")).unwrap();
        assert!(said(&place("link")).ends_with("is a link to gone.pem, which does not exist"));
        assert!(said(dir.path()).ends_with("is a folder, not a file"));
        fs::write(place("empty"), "").unwrap();
        assert!(said(&place("empty")).ends_with("empty is empty"));
        fs::write(place("der"), [0x30, 0x82, 1, 2]).unwrap();
        assert!(said(&place("der")).contains("not PEM but DER or PKCS#12; convert it"));
    }
}

//! A certificate chain and its key in one file, so that they can never be mixed.

use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};

use super::file;
use crate::x509::{self, Facts};
use crate::{Error, Result};

/// A chain and the key that fits.
pub(crate) struct Pair {
    pub chain_pem: String,
    pub key_pem: String,
    pub facts: Facts,
}

impl Pair {
    /// Takes a chain and a key, if they fit.
    pub(crate) fn new(chain_pem: String, key_pem: String) -> Result<Self> {
        let facts = x509::facts(&chain_pem)?;
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|e| Error::new(format!("the key cannot be read: {e}")))?;
        if key.der_bytes() != facts.public_key {
            return Err(Error::new("the key does not fit the certificate"));
        }
        Ok(Self {
            chain_pem,
            key_pem,
            facts,
        })
    }

    /// Reads a file that [`Pair::write`] wrote; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = file::read_text(path)? else {
            return Ok(None);
        };
        let garbled = |e: Error| Error::new(format!("{} is garbled: {e}", path.display()));
        let begin = text
            .find(KEY_BEGIN)
            .ok_or_else(|| garbled(Error::new("no key in it")))?;
        let (chain, key) = text.split_at(begin);
        Self::new(chain.to_string(), key.to_string())
            .map(Some)
            .map_err(garbled)
    }

    /// Writes both to `path`, the chain first.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = self.chain_pem.trim_end().to_string();
        text.push('\n');
        text.push_str(&self.key_pem);
        file::write(path, text.as_bytes(), file::PRIVATE)
    }
}

const KEY_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.pem");
        assert!(Pair::read(&path).unwrap().is_none());
        let (chain, key) = self_signed("one.example");
        Pair::new(chain, key.clone()).unwrap().write(&path).unwrap();
        let read = Pair::read(&path).unwrap().unwrap();
        assert_eq!(read.key_pem, key);
        assert_eq!(read.facts.names, ["one.example"]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (chain, _) = self_signed("one.example");
        let (_, other) = self_signed("two.example");
        let refused = Pair::new(chain, other).err().unwrap();
        assert_eq!(refused.to_string(), "the key does not fit the certificate");
    }

    #[test]
    fn half_a_file_is_an_error_wherever_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.pem");
        let (chain, key) = self_signed("one.example");
        let whole = format!("{chain}{key}");
        for end in (1..whole.trim_end().len()).step_by(7) {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(Pair::read(&path).is_err(), "{end} bytes were taken");
        }
    }
}

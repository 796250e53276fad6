//! What is remembered of one certificate between two passes: when to renew, and how the last order
//! went. Losing it costs nothing but an attempt.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::file;
use crate::{Error, Result};

/// `certs/NAME.json`. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Plan {
    /// As in the job.
    pub names: Vec<String>,
    /// When the certificate is to be renewed.
    pub renew_at: Option<u64>,
    /// When the authority is to be asked again for a renewal time.
    pub ask_at: Option<u64>,
    /// Orders that failed in a row.
    pub failures: u32,
    /// No order before this time.
    pub retry_at: u64,
    /// Why the last one failed.
    pub reason: String,
}

/// `orders/NAME.json`: an order that was begun. The key is in it because a finished order gives a
/// certificate for this key only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingOrder {
    /// As in the job.
    pub names: Vec<String>,
    /// Where the authority keeps the order.
    pub url: String,
    /// PEM.
    pub key_pem: String,
}

/// Reads a JSON file; `None` if there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = file::read(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::new(format!("{} is garbled: {e}", path.display())))
}

/// Writes a JSON file.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::new(format!("cannot write {}: {e}", path.display())))?;
    file::write(path, &text, file::PRIVATE)
}

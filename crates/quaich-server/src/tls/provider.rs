//! The cryptography: aws-lc, the same for clients, servers and keys.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// One for the process. All its cipher suites are AEAD with forward secrecy, and its first key
/// exchange is X25519MLKEM768.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

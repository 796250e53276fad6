//! The authorities that this machine trusts.

/// All of them as PEM; empty when there are none. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(crate) fn system_roots() -> String {
    let found = rustls_native_certs::load_native_certs();
    // Of what cannot be read the rest is used: systems have odd files.
    let pem = |der: &[u8]| pem::encode(&pem::Pem::new("CERTIFICATE", der));
    found
        .certs
        .iter()
        .map(|certificate| pem(certificate))
        .collect()
}

/// Whether this machine trusts the certificate in `root` (PEM).
pub(crate) fn trusts(root: &str) -> bool {
    let Ok(root) = pem::parse(root) else {
        return false;
    };
    let found = rustls_native_certs::load_native_certs();
    found
        .certs
        .iter()
        .any(|certificate| certificate.as_ref() == root.contents())
}

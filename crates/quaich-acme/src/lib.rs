//! Certificates from certificate authorities: ACME orders, OCSP answers, the local development CA.

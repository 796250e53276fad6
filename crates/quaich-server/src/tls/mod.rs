//! TLS on both sides of the data path, by rustls and aws-lc.

pub mod connector;
pub mod identity;
mod provider;
mod records;
pub mod session;
pub mod stream;

pub use stream::TlsStream;

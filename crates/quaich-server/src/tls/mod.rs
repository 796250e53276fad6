//! TLS on both sides of the data path, by rustls and aws-lc.
//!
//! | file | holds |
//! |---|---|
//! | `terminator`, `accept` | towards clients: what is shown to whom, the handshake |
//! | `context`, `certificates`, `challenges` | what it is made of, replaced as a whole |
//! | `session`, `client_certificate` | what an exchange may know of its connection |
//! | `connector` | towards servers |
//! | `stream`, `records` | bytes through records |
//! | `identity` | what is wrong with a certificate and its key |

mod accept;
mod certificates;
mod challenges;
pub mod client_certificate;
pub mod connector;
mod context;
pub mod identity;
mod provider;
mod records;
pub mod session;
pub mod stream;
mod terminator;

pub use accept::Failure;
pub use context::{Protocols, Unusable, check_clients};
pub use stream::TlsStream;
pub use terminator::{Misdirected, Terminator};

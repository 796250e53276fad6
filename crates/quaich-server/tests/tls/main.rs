//! TLS over real sockets: a whole front, rustls and OpenSSL as clients.

mod certificates;
mod client;
mod front;
mod handshakes;
mod policies;
mod transfers;

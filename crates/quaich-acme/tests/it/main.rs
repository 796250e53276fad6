//! The agent as a process, against real servers: pebble (ACME) and openssl (OCSP).

mod agent;
mod authority;
mod orders;
mod responder;

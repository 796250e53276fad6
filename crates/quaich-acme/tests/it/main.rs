//! The agent as a process, against real servers: pebble (ACME) and openssl (OCSP).

mod agent;
mod authority;
mod local;
mod orders;
mod responder;

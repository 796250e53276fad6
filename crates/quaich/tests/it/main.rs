//! Whole-program tests: the built quaich, real sockets, real Python apps. One file per capability.
//!
//! Run by `cargo xtask test`, which builds the program and the Python environment first. No test
//! sleeps, shares a port or leaves a process behind.

mod access_log;
mod acme;
mod apps;
mod balance;
mod browser;
mod certificates;
mod cgi_listeners;
mod cli;
mod client_certificates;
mod corpus;
mod cors;
mod discovery;
mod docs;
mod error_pages;
mod examples;
mod expires;
mod files;
mod forwarding;
mod frameworks;
mod grpc;
mod h2_conformance;
mod h2_floods;
mod haproxy;
mod headers;
mod health;
mod health_passive;
mod http1;
mod https;
mod limits;
mod maintenance;
mod patch;
mod peers;
mod process;
mod proxy;
mod proxy_faults;
mod proxy_protocol;
mod routing;
mod sendfile;
mod server_command;
mod slow_clients;
mod sticky;
mod streaming;
mod tcp;
mod tls_clients;
mod transports;
mod upstream_h2;
mod upstream_tls;
mod websocket;
mod websocket_h2;
mod wires;
mod workers;
mod wsgi;
mod wsgi_body;

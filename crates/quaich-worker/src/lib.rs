//! Runs inside the user's own Python and serves its WSGI application.

pub mod channel;

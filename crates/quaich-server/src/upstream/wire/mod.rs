//! Wire formats: how a request is put to a server and its response read.

pub mod http1;
pub mod worker;

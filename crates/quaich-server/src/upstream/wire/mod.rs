//! How a request travels to who answers it.

pub mod worker;

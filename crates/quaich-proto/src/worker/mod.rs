//! What passes between quaich and the Python processes that run an app.

pub mod boot;

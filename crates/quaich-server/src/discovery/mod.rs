//! Finds servers while quaich runs, and tells upstreams which they have: names that are looked up,
//! instances that announce themselves. Runs in the upkeep thread; no request waits for it.

pub mod dns;
pub mod subscription;

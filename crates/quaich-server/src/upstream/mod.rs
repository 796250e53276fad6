//! Who answers a request that quaich does not answer itself.

pub mod wire;

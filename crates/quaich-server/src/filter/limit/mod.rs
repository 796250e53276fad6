//! `limit`, `allow`, `deny`: who may ask, and for how much.
//!
//! | file | holds |
//! |---|---|
//! | `limits` | the limits of one route: what a request passes |
//! | `key` | what requests are told apart by |
//! | `bucket` | the arithmetic of a rate |
//! | `table` | the keys of a limit, shared by all threads |
//! | `running` | requests at once |
//! | `pace` | bytes per time |
//! | `store` | the state of limits by name |
//! | `addresses` | `allow` and `deny` |

mod addresses;
mod bucket;
mod key;
mod limits;
mod pace;
mod running;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub(super) use limits::{Limits, Turn};
pub use pace::Pace;
pub use store::Store;

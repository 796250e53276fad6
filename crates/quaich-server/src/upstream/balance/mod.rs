//! Which server gets a request: one file per way of choosing, pure, without sockets and clocks.
//!
//! `group` works out a [`Plan`](plan::Plan) when servers come, go or change; threads choose by it.

pub mod board;
pub mod lot;
pub mod plan;
pub mod ring;
#[cfg(test)]
pub mod samples;
pub mod schedule;
#[cfg(test)]
mod tests;
mod tier;
pub mod tournament;

//! What an operator wants of a server, and what travels of it between supervisor and front.

use serde::{Deserialize, Serialize};

/// What is wanted of a server; what comes later asks less of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Mode {
    /// Requests go to it while it is up.
    Ready,
    /// Only requests of clients that belong to it already.
    Drain,
    /// Nothing goes to it, and it is not checked.
    Maint,
}

impl Mode {
    /// The mode of that number.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Ready,
            1 => Self::Drain,
            _ => Self::Maint,
        }
    }

    /// As in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// What an operator says of a server; `None` = as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it is to do.
    pub mode: Option<Mode>,
    /// Its weight.
    pub weight: Option<u32>,
}

impl Order {
    /// Adds what a later order says.
    pub fn add(&mut self, later: Self) {
        self.mode = later.mode.or(self.mode);
        self.weight = match later.restores_weight() {
            true => None,
            false => later.weight.or(self.weight),
        };
    }

    /// Whether the weight is to be the given one again: who makes a server ready wants all of it.
    pub fn restores_weight(&self) -> bool {
        self.mode == Some(Mode::Ready) && self.weight.is_none()
    }
}

/// An order and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedOrder {
    /// Name of the upstream.
    pub upstream: String,
    /// Name of the server.
    pub server: String,
    /// What is to be.
    pub order: Order,
}

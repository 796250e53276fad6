//! Pure: TOML text becomes a `Document` (with spans), then a `Config` (validated, typed).
//!
//! No sockets, no threads. Every problem of a file is found in one run. The ways in are [`load`]
//! and [`parse`]; [`render`] shows what they found.

pub mod addr;
pub mod calendar;
mod diagnostic;
mod document;
pub mod keys;
mod load;
mod lower;
pub mod model;
mod nearest;
mod origin;
pub mod print;
mod reference;
mod render;
pub mod schema;
mod source;
pub mod units;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use load::{Disk, FileSystem, Loaded, Surroundings, load, parse};
pub use model::Config;
pub use nearest::nearest;
pub use origin::{Environment, Origin, Origins, Overrides};
pub use reference::reference_markdown;
pub use render::{render, to_json};
pub use source::{Source, Span};

//! What the targets share with the tests of quaich-proto: how bytes are fed to the codec in pieces,
//! and the reference parsers. Used by `fuzz_targets/`; never checks anything by itself.

#[path = "../../crates/quaich-proto/tests/h1/agreement.rs"]
pub mod agreement;
#[path = "../../crates/quaich-proto/tests/h1/outcome.rs"]
pub mod outcome;
#[path = "../../crates/quaich-proto/tests/h1/path_reference.rs"]
pub mod path_reference;
#[path = "../../crates/quaich-proto/tests/h1/reference.rs"]
pub mod reference;
#[path = "../../crates/quaich-proto/tests/h1/response_reference.rs"]
pub mod response_reference;
#[path = "../../crates/quaich-proto/tests/wires/outcome.rs"]
mod wires_outcome;

/// The protocols of application servers.
pub mod wires {
    pub use crate::wires_outcome::*;

    /// The first byte says where the rest is cut.
    pub fn same_however_cut(data: &[u8], readings: &[Reading]) {
        let Some((&cut, input)) = data.split_first() else {
            return;
        };
        let cut = usize::from(cut).min(input.len());
        let each: Vec<usize> = (0..input.len()).collect();
        for read in readings {
            let whole = read(input, &[]);
            assert_eq!(read(input, &[cut]), whole, "cut at {cut}");
            assert_eq!(read(input, &each), whole, "byte by byte");
        }
    }
}

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

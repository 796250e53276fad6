//! The quaich program.
fn main() {}

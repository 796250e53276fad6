//! Prints what is made from the table of keys: `markdown` (the reference page) or `schema` (JSON
//! Schema). Called by `cargo xtask gen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("markdown") => print!("{}", quaich_config::reference_markdown()),
        Some("schema") => println!("{:#}", quaich_config::schema::json_schema()),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

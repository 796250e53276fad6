//! The command line: one file per verb, each `fn run(Args) -> Result<(), Failure>`.
//!
//! Every flag can also be given as `QUAICH_FLAG`; flags win over variables, variables over files.

mod cert;
mod check;
mod config;
mod control;
mod files;
mod maintenance;
mod one_liner;
mod proxy;
mod respond;
mod route;
mod run;
mod schema;
mod serve;
mod server;
mod source;
pub(crate) mod state_dir;
mod status;
mod stop;
mod table;
mod trust;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::exit::Failure;

const AFTER_HELP: &str = "\
Examples:
  quaich run                            the app in this folder (Django, app.py, main.py, wsgi.py)
  quaich run shop.wsgi:application -b :8000 -w 4
  quaich serve -c quaich.toml           what the file says
  quaich proxy --to http://127.0.0.1:9000
  quaich files ./public
  quaich run --tls                      the same over https, for development

Every flag --some-name can also be given as the variable QUAICH_SOME_NAME.
Exit codes: 0 ok, 1 configuration wrong, 2 usage, 3 cannot bind, 4 app cannot be loaded,
5 not running.";

/// Front door and application server of Python web apps in one program
#[derive(Debug, Parser)]
#[command(name = "quaich", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve a Python web app (WSGI)
    Run(run::Args),
    /// Serve what a configuration file says
    Serve(serve::Args),
    /// Forward requests to other servers
    Proxy(proxy::Args),
    /// Serve the files of a folder
    Files(files::Args),
    /// Answer every request alike
    Respond(respond::Args),
    /// Find every mistake in a configuration file
    Check(check::Args),
    /// Say what would answer a request, and why, without sending it
    Route(route::Args),
    /// Show the configuration with everything resolved
    Config(config::Args),
    /// Show certificates, or have them got anew
    Cert(cert::Args),
    /// Have this machine trust certificates of the local development CA
    Trust(trust::Args),
    /// Show what a running quaich does
    Status(status::Args),
    /// Say what a server of an upstream is to do: ready, drain, maint, weight
    Server(server::Args),
    /// Give a server of an upstream no new clients
    Drain(server::DrainArgs),
    /// Close a site for a while, or open it again
    Maintenance(maintenance::Args),
    /// Stop a running quaich, and wait until it is gone
    Stop(stop::Args),
    /// Print the JSON Schema of quaich.toml, for editors
    Schema(schema::Args),
}

/// Does what the command line says.
pub(crate) fn run() -> Result<(), Failure> {
    let matches = without_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.verb {
        Verb::Run(args) => run::run(args),
        Verb::Serve(args) => serve::run(args),
        Verb::Proxy(args) => proxy::run(args),
        Verb::Files(args) => files::run(args),
        Verb::Respond(args) => respond::run(args),
        Verb::Check(args) => check::run(&args),
        Verb::Route(args) => route::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Cert(args) => cert::run(&args),
        Verb::Trust(args) => trust::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Server(args) => server::run(&args),
        Verb::Drain(args) => server::drain(&args),
        Verb::Maintenance(args) => maintenance::run(&args),
        Verb::Stop(args) => stop::run(&args),
        Verb::Schema(args) => schema::run(&args),
    }
}

/// Variables are named by rule, not one by one; their values may be secrets.
fn without_variables(command: Command) -> Command {
    command
        .mut_args(|flag| flag.hide_env(true))
        .mut_subcommands(without_variables)
}

/// Prints to standard output; a reader that has left (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_flag_has_a_variable() {
        let command = Cli::command();
        command.clone().debug_assert();
        let verbs = command.get_subcommands();
        for verb in verbs.flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands())) {
            for flag in verb.get_arguments().filter(|flag| !flag.is_positional()) {
                let built_in = ["help", "version"].contains(&flag.get_id().as_str());
                let variable = flag
                    .get_env()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                assert!(
                    built_in || variable.starts_with("QUAICH_"),
                    "--{} of `{}` has no variable",
                    flag.get_id(),
                    verb.get_name()
                );
            }
        }
    }
}

//! `quaich serve`: what a file says.

use std::path::PathBuf;

use quaich_config::Overrides;

use super::{one_liner, source};
use crate::exit::Failure;

const AFTER_HELP: &str = "\
Examples:
  quaich serve                      ./quaich.toml
  quaich serve -c /etc/quaich.toml
  quaich serve -c site.toml -b :8080 -w 2   with other addresses and workers than the file's";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Configuration file
    #[arg(short, long, value_name = "FILE", env = "QUAICH_CONFIG")]
    #[arg(default_value = source::DEFAULT_FILE)]
    config: PathBuf,
    #[command(flatten)]
    overrides: OverrideFlags,
    /// Print the file with everything resolved, and exit
    #[arg(long, env = "QUAICH_PRINT_CONFIG")]
    print_config: bool,
}

/// Flags that win over the file.
#[derive(Debug, Default, clap::Args)]
pub(super) struct OverrideFlags {
    /// Listen here, in place of `server.listen`
    #[arg(
        short,
        long,
        value_name = "ADDR",
        env = "QUAICH_BIND",
        value_delimiter = ','
    )]
    bind: Vec<String>,
    /// Speak https on all addresses that do not say otherwise; sites without a certificate get one
    /// of the local development CA (see `quaich trust`)
    #[arg(long, env = "QUAICH_TLS")]
    tls: bool,
    /// Worker processes of every app
    #[arg(short, long, value_name = "N", env = "QUAICH_WORKERS")]
    workers: Option<String>,
    /// Threads in each worker of every app
    #[arg(short, long, value_name = "N", env = "QUAICH_THREADS")]
    threads: Option<String>,
    /// Threads of the front door
    #[arg(long, value_name = "N", env = "QUAICH_FRONT_THREADS")]
    front_threads: Option<String>,
    /// Own messages: error, warn, info or debug
    #[arg(long, value_name = "LEVEL", env = "QUAICH_LOG_LEVEL")]
    log_level: Option<String>,
}

impl OverrideFlags {
    /// As the configuration takes them.
    pub(super) fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        if !self.bind.is_empty() {
            overrides.set_all("server.listen", &self.bind, "--bind");
        }
        if self.tls {
            overrides.set("server.tls", "true", "--tls");
            overrides.set("tls.local_ca", "true", "--tls");
        }
        let single = [
            ("app.*.workers", &self.workers, "--workers"),
            ("app.*.threads", &self.threads, "--threads"),
            ("server.threads", &self.front_threads, "--front-threads"),
            ("log.level", &self.log_level, "--log-level"),
        ];
        for (path, value, flag) in single {
            if let Some(value) = value {
                overrides.set(path, value, flag);
            }
        }
        overrides
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let loaded = source::load(&args.config, args.overrides.overrides())?;
    let config = source::accept(loaded)?;
    if args.print_config {
        super::print(&quaich_config::print::to_toml(&config, None));
        return Ok(());
    }
    let control = config.admin.socket.clone();
    one_liner::serve(
        config,
        &args.config.display().to_string(),
        Vec::new(),
        control,
    )
}

//! Verbs that need no file: their flags become the text of one, which is then read like any other.
//!
//! So `--print-config` and serving can never differ. Used by `run`, `proxy`, `files`, `respond`.

use std::path::{Path, PathBuf};

use clap::Args;
use quaich_config::Config;
use quaich_config::print::TomlWriter;

use super::{control, source, state_dir};
use crate::boot::Plan;
use crate::exit::Failure;
use crate::supervisor;

/// Flags of every verb that serves without a file.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ServerFlags {
    /// Listen here: HOST:PORT, :PORT (all addresses), unix:PATH, fd:N, systemd:NAME [default:
    /// 127.0.0.1:8000, or all addresses on $PORT]
    #[arg(
        short,
        long,
        value_name = "ADDR",
        env = "QUAICH_BIND",
        value_delimiter = ','
    )]
    pub(super) bind: Vec<String>,
    /// Speak https, with a certificate of the local development CA (see `quaich trust`)
    #[arg(long, env = "QUAICH_TLS")]
    pub(super) tls: bool,
    /// Threads of the front door [default: one per core]
    #[arg(long, value_name = "N", env = "QUAICH_FRONT_THREADS")]
    pub(super) front_threads: Option<u32>,
    /// Access log: stdout, stderr, off or file:PATH [default: stdout]
    #[arg(long, value_name = "WHERE", env = "QUAICH_ACCESS_LOG")]
    pub(super) access_log: Option<String>,
    /// Its lines: auto, common, combined, json, or a template
    #[arg(long, value_name = "FORMAT", env = "QUAICH_ACCESS_LOG_FORMAT")]
    pub(super) access_log_format: Option<String>,
    /// Own messages: error, warn, info or debug
    #[arg(long, value_name = "LEVEL", env = "QUAICH_LOG_LEVEL")]
    pub(super) log_level: Option<String>,
    /// Their shape: auto, text or json
    #[arg(long, value_name = "FORMAT", env = "QUAICH_LOG_FORMAT")]
    pub(super) log_format: Option<String>,
    /// User that front and workers run as when started as root
    #[arg(long, value_name = "NAME", env = "QUAICH_USER")]
    pub(super) user: Option<String>,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE", env = "QUAICH_PID_FILE")]
    pub(super) pid_file: Option<String>,
    /// Let running requests finish for so long at TERM, e.g. 20s
    #[arg(long, value_name = "TIME", env = "QUAICH_SHUTDOWN_TIMEOUT")]
    pub(super) shutdown_timeout: Option<String>,
    /// Refuse request bodies beyond this size, e.g. 50MiB [default: 10MiB]
    #[arg(long, value_name = "SIZE", env = "QUAICH_MAX_BODY")]
    pub(super) max_body: Option<String>,
    /// Trust forwarding headers of these networks, e.g. 10.0.0.0/8
    #[arg(long, value_name = "NET", env = "QUAICH_TRUST", value_delimiter = ',')]
    pub(super) trust: Vec<String>,
    /// Control socket of `quaich status` and `quaich stop` [default: in the runtime directory]
    #[arg(long, value_name = "PATH", env = "QUAICH_SOCKET")]
    pub(super) socket: Option<PathBuf>,
    /// Print the quaich.toml that this command stands for, and exit
    #[arg(long, env = "QUAICH_PRINT_CONFIG")]
    pub(super) print_config: bool,
}

/// The text of a file that says what the command does.
pub(super) struct OneLiner {
    /// Shown in messages: `quaich run`.
    pub(super) command: &'static str,
    /// Shown at the start.
    pub(super) notes: Vec<String>,
    pub(super) text: String,
}

impl OneLiner {
    /// Prints the text, or serves what it says.
    pub(super) fn serve(self, flags: &ServerFlags) -> Result<(), Failure> {
        let loaded = source::parse(self.command, &self.text)?;
        if flags.print_config {
            source::show(&loaded);
            super::print(&self.text);
            return loaded
                .config
                .map(drop)
                .ok_or_else(|| Failure::new(crate::exit::Code::Config, ""));
        }
        let mut config = source::accept(loaded)?;
        let control = match &flags.socket {
            Some(path) if path == Path::new("off") => None,
            Some(path) => Some(source::current_dir()?.join(path)),
            None => control::runtime_socket(&config),
        };
        config.admin.socket.clone_from(&control);
        serve(config, self.command, self.notes, control)
    }
}

/// Serves a complete configuration.
pub(super) fn serve(
    config: Config,
    shown: &str,
    notes: Vec<String>,
    control: Option<PathBuf>,
) -> Result<(), Failure> {
    supervisor::run(Plan::new(config, shown.to_owned(), notes, control)?)
}

/// The tables that all one-liners begin with.
pub(super) fn write_server(out: &mut TomlWriter<'_>, flags: &ServerFlags) -> Result<(), Failure> {
    let mut listen = flags.bind.clone();
    if let (true, Some(port)) = (listen.is_empty(), source::number::<u16>("PORT")?) {
        listen.push(format!(":{port}"));
    }
    let texts = [
        &flags.user,
        &flags.pid_file,
        &flags.shutdown_timeout,
        &flags.max_body,
    ];
    let any_text = texts.iter().any(|flag| flag.is_some());
    let any_list = !listen.is_empty() || !flags.trust.is_empty();
    if any_text || any_list || flags.tls || flags.front_threads.is_some() {
        out.table("server");
    }
    if flags.tls {
        out.flag("tls", true);
        // One CA for all projects of a user: it is trusted once.
        out.text("state_dir", &state_dir::of_user()?.display().to_string());
    }
    if !listen.is_empty() {
        out.texts("listen", &listen);
    }
    if let Some(threads) = flags.front_threads {
        out.number("threads", threads);
    }
    out.maybe_text("user", flags.user.as_deref());
    out.maybe_text("pid_file", flags.pid_file.as_deref());
    out.maybe_text("shutdown_timeout", flags.shutdown_timeout.as_deref());
    out.maybe_text("max_body", flags.max_body.as_deref());
    if !flags.trust.is_empty() {
        out.texts("trust", &flags.trust);
    }
    if flags.tls {
        out.table("tls");
        out.flag("local_ca", true);
    }
    if flags.log_level.is_some() || flags.log_format.is_some() {
        out.table("log");
        out.maybe_text("level", flags.log_level.as_deref());
        out.maybe_text("format", flags.log_format.as_deref());
    }
    if flags.access_log.is_some() || flags.access_log_format.is_some() {
        out.table("log.access");
        out.maybe_text("output", flags.access_log.as_deref());
        out.maybe_text("format", flags.access_log_format.as_deref());
    }
    Ok(())
}

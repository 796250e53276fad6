//! `quaich hash-password`: a line for a file of users.

use std::io::{BufRead, IsTerminal, Read, Write};

use quaich_server::password::{Algorithm, LONGEST, make};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::exit::{Code, Failure};

const AFTER_HELP: &str = "\
Examples:
  quaich hash-password aila >> users.htpasswd        asks for the password twice
  pass show aila | quaich hash-password aila         its first line
  quaich hash-password aila --bcrypt                 for files that other programs read as well";

/// No program needs a longer one.
const MAX_PASSWORD: u64 = 4096;

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Print `USER:HASH`, not the hash alone
    user: Option<String>,
    /// bcrypt in place of argon2id
    #[arg(long, env = "QUAICH_BCRYPT")]
    bcrypt: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let user = args.user.as_deref().unwrap_or_default();
    if user.contains(':') || user.chars().any(char::is_control) {
        let message = "the name of a user holds no colon and no control characters";
        return Err(Failure::new(Code::Usage, message));
    }
    let password = match std::io::stdin().is_terminal() {
        true => asked()?,
        false => first_line()?,
    };
    if password.is_empty() {
        return Err(Failure::new(Code::Usage, "the password is empty"));
    }
    if password.iter().any(u8::is_ascii_control) {
        let message = "the password holds control characters, which no browser can send";
        return Err(Failure::new(Code::Usage, message));
    }
    if password.len() > LONGEST || user.len() > LONGEST {
        let message = format!("names and passwords have at most {LONGEST} bytes");
        return Err(Failure::new(Code::Usage, message));
    }
    let algorithm = match args.bcrypt {
        true => Algorithm::Bcrypt,
        false => Algorithm::Argon2id,
    };
    let hash = make(&password, algorithm).map_err(|why| Failure::new(Code::Config, why))?;
    match &args.user {
        Some(user) => super::print(&format!("{user}:{hash}\n")),
        None => super::print(&format!("{hash}\n")),
    }
    Ok(())
}

/// What somebody types twice, unseen.
fn asked() -> Result<Vec<u8>, Failure> {
    let hidden = Hidden::new()?;
    let first = prompted("Password: ")?;
    let second = prompted("Again: ")?;
    drop(hidden);
    match first == second {
        true => Ok(first),
        false => Err(Failure::new(Code::Usage, "these are two passwords")),
    }
}

fn prompted(question: &str) -> Result<Vec<u8>, Failure> {
    let mut screen = std::io::stderr();
    // Standard output may be the file of users.
    let _ = write!(screen, "{question}").and_then(|()| screen.flush());
    let line = first_line();
    let _ = writeln!(screen);
    line
}

fn first_line() -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_PASSWORD)
        .read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(Code::Usage, format!("no password can be read: {error}")))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn new() -> Result<Self, Failure> {
        let unusable = |error| Failure::new(Code::Usage, format!("no terminal: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(unusable)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet).map_err(unusable)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody left to be told.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

//! Agents: programs beside a server that say, in one line of words, how it is. As HAProxy's
//! `agent-check`.
//!
//! An agent that cannot be reached says nothing: that is no failure of its server. A `down` of an
//! agent can only be undone by it.

use std::fmt;

use super::condition::{Reason, Share};
use super::dial::{self, why};
use super::{relieve, take_in, take_out};
use crate::link::Mode;
use crate::observe::log;
use crate::stream::Stream;
use crate::upstream::group::Group;
use crate::upstream::server::Server;

/// What a line may be long.
const MAX_LINE: usize = 1024;

/// What an agent has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    share: Option<Share>,
    max_conns: Option<u32>,
    mode: Option<Mode>,
    /// Up, or down and why.
    state: Option<Result<(), String>>,
    line: String,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Asks the agent of `server`, which listens at `port`.
pub(super) async fn ask(server: &Server, port: Option<u16>) -> Result<Words, String> {
    let socket = dial::dial(server, port).await;
    let stream = Stream::Plain(socket.map_err(|error| why(&error))?);
    let mut line = Vec::new();
    let mut buffer = [0; MAX_LINE];
    loop {
        let count = stream
            .read(&mut buffer)
            .await
            .map_err(|error| why(&error))?;
        line.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        if end.is_some() || count == 0 || line.len() >= MAX_LINE {
            line.truncate(end.unwrap_or(MAX_LINE));
            return words(&line).ok_or_else(|| "the agent said nothing".to_owned());
        }
    }
}

/// `None`: an empty line.
fn words(line: &[u8]) -> Option<Words> {
    // It goes to logs and terminals.
    let shown = |byte: &u8| {
        if matches!(byte, b' '..=b'~') {
            char::from(*byte)
        } else {
            ' '
        }
    };
    let line: String = line.iter().map(shown).collect();
    let mut said = Words::default();
    for word in line.split([' ', ',']).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        let (word, reason) = lower.split_once('#').unwrap_or((&lower, ""));
        match word {
            "ready" => said.mode = Some(Mode::Ready),
            "drain" => said.mode = Some(Mode::Drain),
            "maint" => said.mode = Some(Mode::Maint),
            "up" => said.state = Some(Ok(())),
            "down" | "fail" | "stopped" => {
                let why = match reason {
                    "" => word.to_owned(),
                    reason => format!("{word}: {reason}"),
                };
                said.state = Some(Err(why));
            }
            _ => number(&mut said, word),
        }
    }
    let line = line.trim();
    said.line = line.to_owned();
    (!line.is_empty()).then_some(said)
}

/// `75%`, `weight:10`, `weight:50%`, `maxconn:30`; another word says nothing to us.
fn number(said: &mut Words, word: &str) {
    let (name, value) = word.split_once(':').unwrap_or(("weight", word));
    match (name, value.strip_suffix('%')) {
        ("weight", Some(percent)) => said.share = percent.parse().ok().map(Share::Percent),
        ("weight", None) if word.contains(':') => {
            said.share = value.parse().ok().map(Share::Weight);
        }
        ("maxconn", None) => said.max_conns = value.parse().ok(),
        _ => {}
    }
}

/// Does what the agent of `server` wants.
pub(super) fn obey(group: &Group, server: &Server, said: &Words) {
    let condition = server.condition();
    let before = (server.mode(), server.weight());
    let mut news = false;
    if let Some(mode) = said.mode {
        news |= condition.set_agent_mode(mode);
    }
    if let Some(share) = said.share {
        news |= condition.set_share(share);
    }
    if let Some(max) = said.max_conns {
        news |= condition.set_max_conns(max);
    }
    match &said.state {
        Some(Ok(())) => {
            condition.call_down(false);
            take_in(group, server, Reason::Checks, &"its agent says so");
        }
        Some(Err(why)) => {
            condition.call_down(true);
            take_out(
                group,
                server,
                Reason::Checks,
                &format!("its agent says {why}"),
            );
        }
        // Who says anything else of a server that nobody has called down means that it is there.
        None if !condition.is_called_down() => {
            take_in(group, server, Reason::Checks, &"its agent answers");
        }
        None => {}
    }
    if news {
        group.changed();
        let (mode, weight) = (server.mode(), server.weight());
        if before != (mode, weight) {
            log::info!("an agent has changed a server"; upstream = group.settings().name,
                server = server.name(), mode = mode.name(), weight = weight, said = said);
        }
        relieve(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Words {
        words(line.as_bytes()).expect("words")
    }

    #[test]
    fn the_words_are_those_of_haproxy() {
        assert_eq!(said("75%\t").share, Some(Share::Percent(75)));
        assert_eq!(said("weight:12").share, Some(Share::Weight(12)));
        assert_eq!(said("weight:12%").share, Some(Share::Percent(12)));
        let all = said("UP, ready 50% maxconn:30");
        assert_eq!(all.state, Some(Ok(())));
        assert_eq!(all.mode, Some(Mode::Ready));
        assert_eq!(all.max_conns, Some(30));
        assert_eq!(said("fail#disk full").state, Some(Err("fail: disk".into())));
        assert_eq!(said("stopped").state, Some(Err("stopped".into())));
        assert_eq!(said("maint").mode, Some(Mode::Maint));
        assert_eq!(said("drain").mode, Some(Mode::Drain));
        for nothing in ["12", "percent", "weight:", "weight:x", "maxconn:-1", "%"] {
            let words = said(nothing);
            assert_eq!(
                (words.share, words.max_conns, words.mode),
                (None, None, None)
            );
            assert_eq!(words.state, None, "{nothing}");
        }
        assert_eq!(words(b" "), None);
    }
}

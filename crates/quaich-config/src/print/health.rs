//! `health`, `passive` and `retry_after` of an upstream.

use crate::model::{CheckKind, Health, Passive, Upstream};
use crate::print::TomlWriter;
use crate::units::show_duration;

pub(super) fn upstream(out: &mut TomlWriter<'_>, upstream: &Upstream) {
    match &upstream.health {
        Some(checks) => out.inline("health", |out| health(out, checks)),
        None => out.flag("health", false),
    }
    match &upstream.passive {
        Some(settings) => out.inline("passive", |out| passive(out, settings)),
        None => out.flag("passive", false),
    }
    out.text("retry_after", &show_duration(upstream.retry_after));
}

fn health(out: &mut TomlWriter<'_>, health: &Health) {
    match &health.kind {
        CheckKind::Connect => out.text("type", "tcp"),
        CheckKind::Ping => out.text("type", "ping"),
        CheckKind::Agent => out.text("type", "agent"),
        CheckKind::Http {
            method,
            path,
            host,
            http10,
            expect,
            body,
        } => {
            out.text("type", "http");
            out.text("path", path);
            out.text("expect", &statuses(expect));
            out.maybe_text("body", body.as_deref());
            out.maybe_text("host", host.as_deref());
            out.text("method", method);
            out.text("version", if *http10 { "1.0" } else { "1.1" });
        }
    }
    out.text("every", &show_duration(health.every));
    out.text("timeout", &show_duration(health.timeout));
    out.number("fall", health.fall);
    out.number("rise", health.rise);
    if let Some(port) = health.port {
        out.number("port", port);
    }
    out.text("initial", if health.initially_up { "up" } else { "down" });
}

fn statuses(ranges: &[(u16, u16)]) -> String {
    let shown: Vec<String> = ranges
        .iter()
        .map(|(first, last)| match (first, last) {
            (first, last) if first == last => first.to_string(),
            (first, last) if first % 100 == 0 && *last == first + 99 => {
                format!("{}xx", first / 100)
            }
            (first, last) => format!("{first}-{last}"),
        })
        .collect();
    shown.join(",")
}

fn passive(out: &mut TomlWriter<'_>, passive: &Passive) {
    out.number("errors", passive.errors);
    out.text("within", &show_duration(passive.within));
    out.text("eject", &show_duration(passive.eject));
    out.text("max_ejected", &format!("{}%", passive.max_ejected));
}

//! `[subscribe]`: where instances of uWSGI announce themselves, and who is believed.

use crate::addr;
use crate::diagnostic::Diagnostic;
use crate::lower::Lower;
use crate::lower::fields::{Fields, Word};
use crate::model::{Digest, ListenAddr, Network, Subscribe};

/// The table; `None` when there is none.
pub(crate) fn lower(cx: &mut Lower<'_>, top: &Fields<'_>) -> Option<Subscribe> {
    if !top.has("subscribe") {
        return None;
    }
    let fields = top.table(cx, "subscribe");
    let key_dir = fields.path(cx, "key_dir");
    let words = fields.texts(cx, "listen").unwrap_or_default();
    if words.is_empty() {
        let message = "`[subscribe]` has no address to listen on";
        let diagnostic = Diagnostic::error("missing-key", fields.place("listen"), message);
        fields.missing(cx, diagnostic.help("listen = [\"127.0.0.1:5005\"]"));
    }
    let mut listen = Vec::new();
    for word in &words {
        if let Some(addr) = address(cx, word) {
            if key_dir.is_none() && !fields.has("key_dir") && !Subscribe::is_local(&addr) {
                let message = format!(
                    "others than this machine can send to `{}`, and nothing says who is believed",
                    word.0
                );
                let help = "key_dir = \"keys\", with a public key KEY.pem for each key; or listen on \
                            127.0.0.1";
                cx.report(Diagnostic::error("unsigned-subscriptions", word.1, message).help(help));
            }
            listen.push(addr);
        }
    }
    Some(Subscribe {
        listen,
        key_dir,
        digest: match fields.word(cx, "digest").as_str() {
            "sha1" => Digest::Sha1,
            "sha384" => Digest::Sha384,
            "sha512" => Digest::Sha512,
            _ => Digest::Sha256,
        },
        allow: allow(cx, &fields),
        tolerance: fields.time(cx, "tolerance"),
    })
}

fn address(cx: &mut Lower<'_>, word: &Word) -> Option<ListenAddr> {
    let reason = match addr::listen(&word.0, &cx.directory(word.1)) {
        Ok(addr @ (ListenAddr::Tcp(_) | ListenAddr::Unix(_))) => return Some(addr),
        Ok(_) => "expected an address such as \"127.0.0.1:5005\" or \"unix:/run/x.sock\"".into(),
        Err(reason) => reason,
    };
    cx.bad_word("listen", word, reason);
    None
}

fn allow(cx: &mut Lower<'_>, fields: &Fields<'_>) -> Vec<Network> {
    let words = fields.texts(cx, "allow").unwrap_or_default();
    let read = |word: &Word| match addr::network(&word.0) {
        Ok(network) => Some(network),
        Err(reason) => {
            cx.bad_word("allow", word, reason);
            None
        }
    };
    words.iter().filter_map(read).collect()
}

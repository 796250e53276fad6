//! The keys of servers that are found at run time: `discover`, `[subscribe]`. Read through `keys`.

use super::{Keys, Kind, key};

/// `discover = { ... }`
pub static DISCOVER: Keys = Keys {
    name: "discover",
    header: "discover = { ... }",
    doc: "Where servers come from while quaich runs: one of `dns`, `srv` and `subscribe`.",
    keys: &[
        key(
            "dns",
            Kind::Text,
            "",
            "\"http://app.internal:8000\": every address of the name is a server.",
        ),
        key(
            "srv",
            Kind::Text,
            "",
            "\"_http._tcp.app.internal\": every target is a server, with the port and the weight of its record; those of the lowest priority first, the others as backup.",
        ),
        key(
            "scheme",
            Kind::Text,
            "http",
            "What the targets of `srv` speak: a scheme as in `servers`.",
        ),
        key(
            "subscribe",
            Kind::TextOrTrue,
            "",
            "Servers that announce themselves to `[subscribe]` under this key; true = under the host that a request is for.",
        ),
    ],
};

/// `[subscribe]`
pub static SUBSCRIBE: Keys = Keys {
    name: "subscribe",
    header: "[subscribe]",
    doc: "The uWSGI subscription server: instances announce themselves, for `discover = { subscribe = ... }`.",
    keys: &[
        key(
            "listen",
            Kind::Texts,
            "",
            "Addresses of datagram sockets: \"127.0.0.1:5005\", \"unix:/run/quaich/subscribe.sock\".",
        ),
        key(
            "key_dir",
            Kind::Path,
            "",
            "Folder of public keys, KEY.pem each; with it every announcement must be signed. Needed where others than this machine can send.",
        ),
        key(
            "digest",
            Kind::Word(&["sha1", "sha256", "sha384", "sha512"]),
            "sha256",
            "Digest of the signatures.",
        ),
        key(
            "allow",
            Kind::Texts,
            "",
            "Networks that announced addresses may be of; any if absent.",
        ),
        key(
            "tolerance",
            Kind::Duration,
            "17s",
            "An instance that was silent for so long is gone.",
        ),
    ],
};

//! Content codings of files that lie ready beside the original.
//!
//! `resolve` asks for the names, `FileHandler` for the choice.

pub(super) use quaich_proto::coding::Coding;
use quaich_proto::coding::choose as choose_among;
use quaich_proto::headers::Headers;

/// All codings; among equal weights the first wins: what was compressed ahead is smallest so.
pub(super) const CODINGS: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// What the sibling's name ends in.
pub(super) fn extension(coding: Coding) -> &'static [u8] {
    match coding {
        Coding::Brotli => b".br",
        Coding::Zstd => b".zst",
        Coding::Gzip => b".gz",
    }
}

/// The coding to send among those that `exists` says are there; `None` = the file itself.
pub(super) fn choose(headers: &Headers, exists: impl Fn(Coding) -> bool) -> Option<Coding> {
    choose_among(
        headers,
        CODINGS.into_iter().filter(|coding| exists(*coding)),
    )
}

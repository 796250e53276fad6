//! What FastCGI asks beside the running request, and the answers: written when the writing half stands
//! between two records. Filled by `inbound`, emptied by `outbound`.

use std::cell::RefCell;

use quaich_proto::cgi::Variables;
use quaich_proto::fastcgi::{self, ProtocolStatus, RequestStep};

/// Waiting answers that are too many: who asks so much beside its request gives up on it.
const MOST: usize = 64 * 1024;

/// Answers that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Asides(RefCell<Vec<u8>>);

impl Asides {
    /// Notes the answer to `step`, which is not part of a request; the bytes that it took. `asked` are
    /// the names that it asks for, `connections` is how many there may be.
    pub(super) fn answer(&self, step: RequestStep, asked: &Variables, connections: usize) -> usize {
        let out = &mut *self.0.borrow_mut();
        match step {
            RequestStep::Refuse {
                consumed,
                id,
                unknown_role,
            } => {
                let status = match unknown_role {
                    true => ProtocolStatus::UnknownRole,
                    false => ProtocolStatus::CannotMultiplex,
                };
                fastcgi::end(out, id, 0, status);
                consumed
            }
            RequestStep::Values { consumed } => {
                fastcgi::values_result(out, &values(asked, connections));
                consumed
            }
            RequestStep::Unknown { consumed, kind } => {
                fastcgi::unknown_type(out, kind);
                consumed
            }
            RequestStep::NeedMore { consumed }
            | RequestStep::Head { consumed }
            | RequestStep::StdinEnd { consumed }
            | RequestStep::Abort { consumed } => consumed,
            RequestStep::Stdin { end, .. } => end,
        }
    }

    /// Adds bytes as they are.
    pub(super) fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }

    /// Whether so much waits that whoever asks for more is to be left.
    pub(super) fn is_flooded(&self) -> bool {
        self.0.borrow().len() > MOST
    }

    /// Takes what waits.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.borrow_mut())
    }

    /// Moves what waits to the end of `out`.
    pub(super) fn move_to(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.borrow_mut());
    }
}

/// Of the names that are asked for, those that are known (FastCGI 1.0 section 4.1).
fn values(asked: &Variables, connections: usize) -> Variables {
    let mut known = Variables::new();
    for (name, _) in asked.iter() {
        match name {
            b"FCGI_MAX_CONNS" | b"FCGI_MAX_REQS" => {
                known.push(name, connections.to_string().as_bytes());
            }
            b"FCGI_MPXS_CONNS" => known.push(name, b"0"),
            _ => {}
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_without_end_is_a_flood() {
        let (asides, asked) = (Asides::default(), Variables::new());
        let unknown = || RequestStep::Unknown {
            consumed: 8,
            kind: 99,
        };
        let mut answers = 0;
        while !asides.is_flooded() {
            assert_eq!(asides.answer(unknown(), &asked, 1), 8);
            answers += 1;
        }
        assert_eq!(answers, MOST / 16 + 1);
        assert_eq!(asides.take().len(), answers * 16);
        assert!(!asides.is_flooded());
    }
}

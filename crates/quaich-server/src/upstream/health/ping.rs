//! Checks that ask a server whether it is there, in its own protocol, without running an app.

use std::io;

use quaich_config::model::UpstreamProtocol;

use super::check::Found;
use super::dial::{self, why};
use crate::stream::Stream;
use crate::upstream::group::Group;
use crate::upstream::secure::Offer;
use crate::upstream::server::Server;

/// uwsgi: modifier 100, no variables.
const UWSGI_PING: &[u8] = &[100, 0, 0, 0];

/// FastCGI: `GET_VALUES` of `FCGI_MAX_CONNS`.
const FASTCGI_PING: &[u8] = b"\x01\x09\0\0\0\x10\0\0\x0e\0FCGI_MAX_CONNS";

/// Version and type of its answer, `GET_VALUES_RESULT`.
const FASTCGI_PONG: [u8; 2] = [1, 10];

/// Pings `server`.
pub(super) async fn ask(group: &Group, server: &Server, port: Option<u16>) -> Found {
    let dialled = dial::server(group, server, port, Offer::Usual).await;
    let (stream, _) = dialled.map_err(|error| why(&error))?;
    match server.settings().protocol {
        UpstreamProtocol::Uwsgi => {
            let pong = answer(&stream, UWSGI_PING).await.map_err(unpingable)?;
            let is_pong = pong.first() == Some(&100);
            is_pong
                .then(|| "pong".to_owned())
                .ok_or_else(|| unpingable(wrong()))
        }
        UpstreamProtocol::FastCgi => {
            let pong = answer(&stream, FASTCGI_PING).await?;
            let is_pong = pong.starts_with(&FASTCGI_PONG);
            is_pong.then(|| "pong".to_owned()).ok_or_else(wrong)
        }
        // The configuration lets only those two be pinged; servers found later may speak others.
        _ => Err("only uwsgi and FastCGI have a ping".to_owned()),
    }
}

/// What may be the matter with a server of uwsgi that answers, and not to pings.
fn unpingable(what: String) -> String {
    format!("{what}; uWSGI answers pings with its ping plugin only, other servers of uwsgi do not")
}

fn wrong() -> String {
    "its answer is no answer to a ping".to_owned()
}

/// The first four bytes of the answer.
async fn answer(stream: &Stream, question: &[u8]) -> Result<[u8; 4], String> {
    let talk = async {
        stream.write_all(question).await?;
        let mut answer = [0; 4];
        let mut length = 0;
        while let Some(room) = answer.get_mut(length..).filter(|room| !room.is_empty()) {
            match stream.read(room).await? {
                0 => return Err(io::Error::other("it closed before it answered")),
                count => length += count,
            }
        }
        Ok(answer)
    };
    talk.await.map_err(|error| why(&error))
}

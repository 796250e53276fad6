//! Sends what the `files` handler found.

use std::os::fd::AsFd;

use quaich_proto::h1::BodyLength;
use quaich_proto::headers::HeaderId;

use super::files::{FileAnswer, FileHandler, FileRequest, Found, Piece};
use crate::downstream::service::{Scope, bodyless};
use crate::error::{Error, Kind};
use crate::route::{Route, strip_mount};

/// Answers with a file if there is one; `false` when there is none, so that something else may
/// answer. `fallback` says whether something else is there.
pub(super) async fn run(
    scope: &mut Scope<'_, '_>,
    route: &Route,
    files: &FileHandler,
    fallback: bool,
) -> Result<bool, Error> {
    let request = &scope.exchange.request;
    let path = match strip_mount(request.path_decoded(), &route.prefix) {
        Some(b"") | None => b"/",
        Some(rest) => rest,
    };
    let found = files
        .find(&FileRequest {
            method: request.method,
            path,
            raw_path: request.path(),
            query: request.query(),
            headers: &request.headers,
            now: scope.thread.clock.unix_second(),
            has_fallback: fallback,
        })
        .await;
    match found {
        Found::NotFound => return Ok(false),
        Found::MethodNotAllowed => {
            let allow = scope.exchange.response.headers.push(b"Allow", b"GET, HEAD");
            allow.map_err(|_| Error::internal())?;
            return Err(Error::downstream(Kind::MethodNotAllowed));
        }
        Found::Redirect { location } => {
            let response = &mut scope.exchange.response;
            response.status = 301;
            let pushed = response.headers.push_known(HeaderId::Location, location.as_bytes());
            pushed.map_err(|_| Error::internal())?;
            bodyless(scope).await?;
        }
        Found::Listing(page) => {
            let response = &mut scope.exchange.response;
            response.status = 200;
            let html = b"text/html; charset=utf-8";
            let pushed = response.headers.push_known(HeaderId::ContentType, html);
            pushed.map_err(|_| Error::internal())?;
            scope.reply.whole(scope.exchange, &page).await?;
        }
        Found::File(answer) => send(scope, &answer).await?,
    }
    Ok(true)
}

async fn send(scope: &mut Scope<'_, '_>, answer: &FileAnswer) -> Result<(), Error> {
    let response = &mut scope.exchange.response;
    response.status = answer.status();
    response.headers.append_block(answer.head()).map_err(|_| Error::internal())?;
    let length = match answer.status() {
        304 => BodyLength::Empty,
        _ => BodyLength::Known(answer.content_length()),
    };
    scope.reply.begin(scope.exchange, length);
    let mut index = 0;
    while let Some(piece) = answer.piece(index) {
        match piece {
            Piece::Memory(bytes) => scope.reply.add(bytes),
            Piece::File { fd, offset, len } => {
                scope.reply.file(fd.as_fd(), offset, len).await?;
            }
        }
        index += 1;
    }
    scope.reply.finish().await
}

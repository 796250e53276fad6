//! Sends what the `files` handler found.

use quaich_proto::headers::HeaderId;

use super::files::{self, FileAnswer, FileHandler, FileRequest, Found, Piece};
use crate::downstream::service::{Scope, bodyless, leave_body};
use crate::error::{Error, Kind, Side};
use crate::exchange::Origin;
use crate::observe::log;
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
        Some(b"") => b"/",
        Some(rest) => rest,
        // A rewrite has led it out of the mount point.
        None => request.path_decoded(),
    };
    let asked = FileRequest {
        method: request.method,
        path,
        raw_path: request.path(),
        query: request.query(),
        headers: &request.headers,
        now: scope.thread.clock.unix_second(),
        has_fallback: fallback,
    };
    let found = match files.find_ready(&asked) {
        Some(found) => found,
        None => files.find(&asked).await,
    };
    if !matches!(found, Found::NotFound) {
        leave_body(scope);
    }
    match found {
        Found::NotFound => return Ok(false),
        Found::MethodNotAllowed => {
            let headers = &mut scope.exchange.response.headers;
            let allow = headers.push(b"Allow", files::ALLOW.as_bytes());
            allow.map_err(|_| Error::internal())?;
            return Err(Error::downstream(Kind::MethodNotAllowed));
        }
        Found::Redirect { location } => {
            let response = &mut scope.exchange.response;
            response.status = files::REDIRECT_STATUS;
            let pushed = response.headers.push_known(HeaderId::Location, &location);
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
        Found::File(answer) => send(scope, &answer, answer.head()).await?,
        Found::Forbidden => return Err(Error::downstream(Kind::Status(403))),
        Found::Failed(error) => {
            log::error_limited!("a file cannot be served: {error}");
            return Err(Error::new(Kind::Status(500), Side::Internal));
        }
    }
    Ok(true)
}

/// Sends a file with these header lines.
pub(super) async fn send(
    scope: &mut Scope<'_, '_>,
    answer: &FileAnswer,
    lines: &[u8],
) -> Result<(), Error> {
    scope.exchange.response.status = answer.status();
    scope.exchange.notes.origin = Origin::File;
    scope
        .reply
        .begin_rendered(scope.exchange, lines, answer.body_len());
    let mut index = 0;
    while let Some(piece) = answer.piece(index) {
        match piece {
            Piece::Memory(bytes) => scope.reply.add(bytes),
            Piece::File { fd, offset, len } => {
                scope.reply.file(fd, offset, len).await?;
            }
        }
        index += 1;
    }
    scope.reply.finish().await
}

//! Bytes both ways between a client and a server, after they agreed on another protocol.

use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::pin;
use std::task::Poll;

use crate::buffer::Buffer;
use crate::downstream::body::Body;
use crate::downstream::reply::Reply;
use crate::error::{Error, Kind};
use crate::stream::Stream;

/// Runs until both directions have ended, or one has failed. `early` is what was read of the server
/// before.
pub(super) async fn run(
    body: &mut Body<'_>,
    reply: &mut Reply<'_>,
    server: &Stream,
    early: &[u8],
) -> Result<(), Error> {
    let mut up = pin!(up(body, server));
    let mut down = pin!(down(reply, server, early));
    let (mut rising, mut falling) = (true, true);
    poll_fn(|cx| {
        if rising && let Poll::Ready(ended) = up.as_mut().poll(cx) {
            ended?;
            rising = false;
        }
        if falling && let Poll::Ready(ended) = down.as_mut().poll(cx) {
            ended?;
            falling = false;
        }
        match rising || falling {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// Client to server.
async fn up(body: &mut Body<'_>, server: &Stream) -> Result<(), Error> {
    while let Some(piece) = body.data().await? {
        let mut sent = 0;
        while let Some(rest) = piece.get(sent..).filter(|rest| !rest.is_empty()) {
            let step = poll_fn(|cx| server.poll_write(cx, &[IoSlice::new(rest)])).await;
            sent += step.map_err(|_| Error::upstream(Kind::Truncated))?;
        }
    }
    server.shutdown_write();
    Ok(())
}

/// Server to client.
async fn down(reply: &mut Reply<'_>, server: &Stream, early: &[u8]) -> Result<(), Error> {
    reply.data(early).await?;
    let mut buffer = Buffer::lend();
    loop {
        let step = server.read(buffer.room()).await;
        match step.map_err(|_| Error::upstream(Kind::Truncated))? {
            0 => return reply.finish().await,
            count => buffer.advance(count),
        }
        reply.data(buffer.filled()).await?;
        buffer.consume(buffer.filled().len());
    }
}

//! Bytes both ways between a client and a server, after they agreed on another protocol.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::downstream::body::Body;
use crate::downstream::reply::Reply;
use crate::error::Error;
use crate::upstream::wire::{Download, Upload};

/// Runs until both directions have ended, or one has failed.
pub(super) async fn run(
    body: &mut Body<'_>,
    reply: &mut Reply<'_>,
    server: (&mut Upload<'_>, &mut Download<'_>),
) -> Result<(), Error> {
    let mut up = pin!(up(body, server.0));
    let mut down = pin!(down(reply, server.1));
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
async fn up(body: &mut Body<'_>, server: &mut Upload<'_>) -> Result<(), Error> {
    body.begin_tunnel();
    server.begin_tunnel();
    while let Some(piece) = body.data().await? {
        server.data(piece).await?;
    }
    server.finish(None).await
}

/// Server to client.
async fn down(reply: &mut Reply<'_>, server: &mut Download<'_>) -> Result<(), Error> {
    server.begin_tunnel();
    // The head of the answer goes out before anything follows it.
    reply.flush().await?;
    while let Some(piece) = server.data().await? {
        reply.data(piece).await?;
    }
    reply.finish().await
}

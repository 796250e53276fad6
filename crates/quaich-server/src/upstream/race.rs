//! Connecting to whichever address of a server answers first (RFC 8305): a dead one does not use up
//! the time of the others.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::connect;
use crate::socket::Socket;

/// After so long without an answer the next address is tried as well.
const STAGGER: Duration = Duration::from_millis(250);

type Attempt = Pin<Box<dyn Future<Output = io::Result<Socket>>>>;

/// Connects to one of `addrs`, the first ones preferred. Whoever calls it sets the time for all.
pub async fn tcp(addrs: &[SocketAddr]) -> io::Result<Socket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let mut running: Vec<Attempt> = Vec::new();
    for (index, addr) in addrs.iter().enumerate() {
        if index + 1 == addrs.len() && running.is_empty() {
            return connect::tcp(*addr).await;
        }
        running.push(Box::pin(connect::tcp(*addr)));
        let patience = pin!(tokio::time::sleep(STAGGER));
        match first(&mut running, &mut last, Some(patience)).await {
            Some(socket) => return Ok(socket),
            None => continue,
        }
    }
    first(&mut running, &mut last, None).await.ok_or(last)
}

/// The first attempt that succeeds; `None` when one has failed or `patience` is over while there may
/// be others to begin, or when all have failed.
async fn first(
    running: &mut Vec<Attempt>,
    last: &mut io::Error,
    mut patience: Option<Pin<&mut tokio::time::Sleep>>,
) -> Option<Socket> {
    poll_fn(|cx| {
        let mut failed = false;
        let mut found = None;
        running.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
            _ if found.is_some() => true,
            Poll::Pending => true,
            Poll::Ready(Ok(socket)) => {
                found = Some(socket);
                false
            }
            Poll::Ready(Err(error)) => {
                *last = error;
                failed = true;
                false
            }
        });
        let over = match &mut patience {
            Some(patience) => failed || patience.as_mut().poll(cx).is_ready(),
            None => false,
        };
        match found {
            None if !over && !running.is_empty() => Poll::Pending,
            found => Poll::Ready(found),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    fn connect_to(addrs: &[SocketAddr]) -> io::Result<Socket> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { tcp(addrs).await })
    }

    /// Nothing listens there.
    fn dead() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    /// An address whose connections are never answered: its backlog is full.
    fn silent() -> (SocketAddr, Vec<Box<dyn std::any::Any>>) {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::STREAM,
            flags,
            None,
        )
        .unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        rustix::net::bind(&socket, &any).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let addr = listener.local_addr().unwrap();
        let mut held: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
        while let Ok(stream) =
            std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(200))
        {
            held.push(Box::new(stream));
        }
        (addr, held)
    }

    #[test]
    fn a_dead_address_is_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        assert!(connect_to(&[dead(), good]).is_ok());
        assert!(connect_to(&[good, dead()]).is_ok());
        let refused = connect_to(&[dead(), dead()]).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_to(&[]).is_err());
    }

    #[test]
    fn a_silent_address_costs_a_moment_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let (silent, _held) = silent();
        let start = Instant::now();
        assert!(connect_to(&[silent, dead(), good]).is_ok());
        assert!(start.elapsed() >= STAGGER / 2);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
}

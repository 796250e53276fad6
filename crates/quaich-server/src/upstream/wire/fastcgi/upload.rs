//! The way of a request to a FastCGI server.

use std::time::Duration;

use quaich_config::model::UpstreamProtocol;
use quaich_proto::fastcgi::{self, MAX_CONTENT, STDIN, record_header};

use super::{Conn, ID};
use crate::error::Error;
use crate::text::Text;
use crate::upstream::request::Request;
use crate::upstream::wire::Patience;
use crate::upstream::wire::dialect::variables;

/// Writes one request.
pub struct Upload<'c> {
    conn: &'c Conn,
    timeout: Duration,
}

impl<'c> Upload<'c> {
    pub(super) fn new(conn: &'c Conn, timeout: Duration) -> Self {
        Self { conn, timeout }
    }

    /// Sends the variables, and the body if the `whole` of it is here.
    pub async fn head(&mut self, request: &Request, whole: Option<&[u8]>) -> Result<(), Error> {
        let mut text = Text::lend();
        fastcgi::begin(&mut text, ID, self.conn.keep);
        let variables = variables(request, UpstreamProtocol::FastCgi)?;
        fastcgi::params(&mut text, ID, variables);
        let end = record_header(STDIN, ID, 0);
        match whole {
            None => self.send([&text, b"", b""]).await,
            Some(b"") => self.send([&text, &end, b""]).await,
            Some(body) if body.len() <= MAX_CONTENT => {
                text.extend_from_slice(&record_header(STDIN, ID, body.len() as u16));
                self.send([&text, body, &end]).await
            }
            Some(body) => {
                self.send([&text, b"", b""]).await?;
                self.data(body).await?;
                self.finish().await
            }
        }
    }

    /// Sends a piece of the body.
    pub async fn data(&mut self, piece: &[u8]) -> Result<(), Error> {
        for part in piece.chunks(MAX_CONTENT) {
            let header = record_header(STDIN, ID, part.len() as u16);
            self.send([&header, part, b""]).await?;
        }
        Ok(())
    }

    /// Ends the body.
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.send([&record_header(STDIN, ID, 0), b"", b""]).await
    }

    /// To be used while this is borrowed.
    pub fn patience(&self) -> Patience<'c> {
        Patience::new(&self.conn.inner.deadline, self.timeout)
    }

    /// Sends whole records.
    async fn send(&self, parts: [&[u8]; 3]) -> Result<(), Error> {
        self.conn.between.set(false);
        self.conn.inner.send(parts, self.timeout).await?;
        self.conn.between.set(true);
        Ok(())
    }
}

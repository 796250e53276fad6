//! Checks that ask for a page, in whatever protocol the server speaks.

use std::rc::Rc;

use quaich_config::model::{self, CheckKind, UpstreamAddr, UpstreamProtocol, UpstreamServer};
use quaich_proto::h1::{BodyLength, ResponseHead};
use quaich_proto::method::Method;
use regex::bytes::Regex;

use super::check::Found;
use super::dial;
use crate::deadline::Deadlines;
use crate::error::{Error, Kind};
use crate::stream::Stream;
use crate::upstream::group::Group;
use crate::upstream::request::Request;
use crate::upstream::secure::Offer;
use crate::upstream::server::Server;
use crate::upstream::wire::dialect::Dialect;
use crate::upstream::wire::{Conn, Download, http1, http2};

/// The part of a body in which its words are looked for.
const MAX_BODY: usize = 64 * 1024;

const USER_AGENT: &[u8] = b"quaich-check";

/// What is asked for, and which answer is well.
pub(super) struct Page {
    method: String,
    path: String,
    host: Option<String>,
    http10: bool,
    expect: Vec<(u16, u16)>,
    body: Option<Words>,
    timeout: std::time::Duration,
    deadlines: Rc<Deadlines>,
}

/// What a body must hold.
enum Words {
    Text(Vec<u8>),
    Regex(Regex),
    /// Its expression is none; the configuration lets none of these pass.
    Wrong,
}

impl Page {
    /// `None`: the checks ask for no page.
    pub(super) fn new(health: &model::Health, deadlines: &Rc<Deadlines>) -> Option<Self> {
        let CheckKind::Http {
            method,
            path,
            host,
            http10,
            expect,
            body,
        } = &health.kind
        else {
            return None;
        };
        let words = |text: &String| match text.strip_prefix('~') {
            None => Words::Text(text.clone().into_bytes()),
            Some(regex) => Regex::new(regex).map_or(Words::Wrong, Words::Regex),
        };
        Some(Self {
            method: method.clone(),
            path: path.clone(),
            host: host.clone(),
            http10: *http10,
            expect: expect.clone(),
            body: body.as_ref().map(words),
            timeout: health.timeout,
            deadlines: deadlines.clone(),
        })
    }

    /// Asks `server` for it.
    pub(super) async fn ask(&self, group: &Group, server: &Server, port: Option<u16>) -> Found {
        let dialled = dial::server(group, server, port, Offer::Http1).await;
        let (stream, http2) = dialled.map_err(|error| dial::why(&error))?;
        let request = self.request(server.settings(), port);
        let mut conn = self.conn(stream, http2, server).await?;
        let head_only = request.method() == Method::Head;
        let begun = conn.begin(&request, true, self.timeout).await;
        let (mut up, mut down) = begun.map_err(shown)?;
        up.head(&request, Some(b"")).await.map_err(shown)?;
        let status = self.status(&mut down).await?;
        if !self.is_expected(status) {
            return Err(format!("status {status}"));
        }
        if let Some(words) = self.body.as_ref().filter(|_| !head_only) {
            words.look(&mut down).await?;
        }
        Ok(format!("status {status}"))
    }

    async fn conn(&self, stream: Stream, http2: bool, server: &Server) -> Result<Conn, String> {
        match server.settings().protocol {
            UpstreamProtocol::Http | UpstreamProtocol::H2c | UpstreamProtocol::Tcp => {}
            _ => return Err("no page can be asked for over its protocol".to_owned()),
        }
        if http2 {
            let session = http2::open(stream, &self.deadlines).await.map_err(shown)?;
            let lease = session.first_lease(&self.deadlines);
            return lease
                .map(Conn::Http2)
                .ok_or_else(|| "it takes no request".to_owned());
        }
        let deadline = self.deadlines.register();
        Ok(Conn::Http1(
            http1::Conn::new(stream, deadline),
            Dialect::Http,
        ))
    }

    fn request(&self, server: &UpstreamServer, port: Option<u16>) -> Request {
        let name = self.method.as_bytes();
        let method = (Method::from_bytes(name), name);
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path.as_bytes(), Some(query.as_bytes())),
            None => (self.path.as_bytes(), None),
        };
        if self.http10 {
            let host = self.host.as_ref().map(String::as_bytes);
            let mut request = Request::http10(method, path, query, host);
            request.end(BodyLength::Empty, None);
            return request;
        }
        let host = match &self.host {
            Some(host) => host.clone(),
            None => authority(server, port),
        };
        let mut request = Request::new(method, path, query, host.as_bytes());
        request.field(b"User-Agent", USER_AGENT);
        request.close_after();
        request.end(BodyLength::Empty, None);
        request
    }

    async fn status(&self, down: &mut Download<'_>) -> Result<u16, String> {
        let mut head = ResponseHead::new();
        loop {
            down.head(&mut head).await.map_err(shown)?;
            if head.status >= 200 {
                return Ok(head.status);
            }
            head.clear();
        }
    }

    fn is_expected(&self, status: u16) -> bool {
        let mut ranges = self.expect.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl Words {
    async fn look(&self, down: &mut Download<'_>) -> Result<(), String> {
        let mut body = Vec::new();
        while body.len() < MAX_BODY {
            match down.data().await.map_err(shown)? {
                Some(piece) => body.extend_from_slice(piece),
                None => break,
            }
        }
        body.truncate(MAX_BODY);
        let found = match self {
            Self::Text(text) => memchr::memmem::find(&body, text).is_some(),
            Self::Regex(regex) => regex.is_match(&body),
            Self::Wrong => false,
        };
        found
            .then_some(())
            .ok_or_else(|| "the body does not hold what it should".to_owned())
    }
}

/// Host, and port if it is not the usual one.
fn authority(server: &UpstreamServer, other: Option<u16>) -> String {
    let UpstreamAddr::Tcp { host, port } = &server.addr else {
        return "localhost".to_owned();
    };
    let port = other.unwrap_or(*port);
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.clone(),
    };
    let usual = if server.tls { 443 } else { 80 };
    match port == usual {
        true => host,
        false => format!("{host}:{port}"),
    }
}

fn shown(error: Error) -> String {
    match error.kind {
        Kind::UpstreamClosed => "it closed before it answered".to_owned(),
        Kind::Truncated => "its answer broke off".to_owned(),
        Kind::BadResponse(word) => format!("its answer breaks the protocol ({word})"),
        Kind::ResponseTimeout => "no answer in time".to_owned(),
        _ => error.label().replace('_', " "),
    }
}

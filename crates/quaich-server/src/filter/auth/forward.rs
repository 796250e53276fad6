//! `forward`: another server is asked whether a request may pass.
//!
//! It gets the fields of the request without its body and says: 2xx = it may; 401, 403 and redirects
//! are for the client. Whatever else happens is 503.

use std::rc::Rc;

use quaich_config::model::ForwardAuth;
use quaich_proto::h1::{self, BodyLength, Connection, ResponseHead};
use quaich_proto::headers::{HeaderId, Headers};
use quaich_proto::method::Method;

use super::{Refusal, Verdict};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::exchange::Origin;
use crate::exchange::identity::Identity;
use crate::filter;
use crate::forwarded;
use crate::handler::offered;
use crate::observe::log;
use crate::upstream::endpoint::Want;
use crate::upstream::group::{Outcome, Wish};
use crate::upstream::request::Request;
use crate::upstream::{Link, Upstream};

/// Bytes of an answer that is for the client.
const MAX_BODY: usize = 256 * 1024;

/// `forward = { ... }`
pub(super) struct Forward {
    settings: ForwardAuth,
    upstream: Rc<Upstream>,
    replaces_authorization: bool,
}

/// What the server has said, for the client.
pub(super) struct Answer {
    head: ResponseHead,
    body: Vec<u8>,
}

impl Forward {
    pub(super) fn new(settings: &ForwardAuth, upstream: &Rc<Upstream>) -> Self {
        let mut copied = settings.copy.iter();
        Self {
            replaces_authorization: copied.any(|name| name.eq_ignore_ascii_case("authorization")),
            settings: settings.clone(),
            upstream: upstream.clone(),
        }
    }

    pub(super) async fn ask(&self, scope: &mut Scope<'_, '_>) -> Result<Verdict, Error> {
        let request = self.request(scope);
        let deadline = scope.thread.deadlines.register();
        deadline.set(self.settings.timeout);
        let client = scope.exchange.client.addr;
        let wish = Wish {
            known: None,
            hash: None,
            client,
            tried: &[],
        };
        let asked = scope.unless_gone(deadline.guard(self.exchange(&request, &wish)));
        let failed = match asked.await? {
            Ok(Ok(answer)) => match answer.head.status {
                200..=299 => return self.granted(scope, &answer.head.headers),
                401 | 403 | 300..=303 | 307 | 308 => {
                    return Ok(Verdict::Refused(Refusal::Answer(Box::new(answer))));
                }
                status => format!("status {status}"),
            },
            Ok(Err(error)) => error.label().to_owned(),
            Err(_) => "no answer in time".to_owned(),
        };
        Ok(self.unavailable(&failed))
    }

    /// The client's request without its body, conditions and protocol, and what it asks for.
    fn request(&self, scope: &Scope<'_, '_>) -> Request {
        let exchange = &*scope.exchange;
        let (from, client) = (&exchange.request, &exchange.client);
        let own = self.settings.method.as_deref().map(str::as_bytes);
        let method = match own {
            Some(name) => (Method::from_bytes(name), name),
            None => (from.method, from.method_name()),
        };
        let (path, query) = match self.settings.path.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (&*self.settings.path, None),
        };
        let host = self.settings.host.as_deref().map(str::as_bytes);
        let host = host.unwrap_or(from.authority());
        let mut request = Request::new(method, path.as_bytes(), query, host);
        let listed = Connection::of(&from.headers);
        for (id, name, value) in from.headers.iter() {
            if !(is_left_out(id, name)
                || listed.names(name)
                || forwarded::is_dropped(id, name, client.trusted))
            {
                request.field(name, value);
            }
        }
        let authority = from.authority();
        let trust = &scope.thread.trust;
        let public = trust.public(client, &from.headers, authority, scope.local_port);
        forwarded::append(request.lines(), &from.headers, client, &public, b"");
        let target = match from.target() {
            [b'/', ..] => from.target(),
            _ => from.path(),
        };
        request.field(b"X-Forwarded-Method", from.method_name());
        request.field(b"X-Forwarded-Uri", target);
        request.field(b"X-Original-Method", from.method_name());
        request.field(b"X-Original-URI", target);
        let url = [client.scheme().as_bytes(), b"://", public.host, target].concat();
        request.field(b"X-Original-URL", &url);
        request.field(b"X-Request-ID", exchange.request_id.as_bytes());
        if self.upstream.settings().keepalive == 0 {
            request.close_after();
        }
        let length = match method.0 {
            Method::Post | Method::Put | Method::Patch => BodyLength::Known(0),
            _ => BodyLength::Empty,
        };
        request.end(length, None);
        request
    }

    /// Asks over a kept connection, and over a new one when that turns out to be closed.
    async fn exchange(&self, request: &Request, wish: &Wish<'_>) -> Result<Answer, Error> {
        let mut want = Want::default();
        loop {
            let link = self.upstream.link(want, wish).await;
            let mut link = link.map_err(|unreachable| unreachable.error)?;
            let answered = self.over(&mut link, request).await;
            let stale = link.kept && !want.fresh;
            match answered {
                Ok((answer, reusable)) => {
                    let outcome = Outcome::Answered(answer.head.status);
                    self.upstream.group().report(link.slot.server(), outcome);
                    if reusable {
                        link.conn.rest();
                        self.upstream.keep(link);
                    }
                    return Ok(answer);
                }
                Err(error) if stale && error.kind == Kind::UpstreamClosed => want.fresh = true,
                Err(error) => {
                    let group = self.upstream.group();
                    group.report(link.slot.server(), Outcome::Failed);
                    return Err(error);
                }
            }
        }
    }

    async fn over(&self, link: &mut Link, request: &Request) -> Result<(Answer, bool), Error> {
        let begun = link.conn.begin(request, true, self.settings.timeout).await;
        let (mut up, mut down) = begun?;
        match up.head(request, Some(b"")).await {
            // It may have answered before it closed: read on.
            Err(error) if error.kind != Kind::UpstreamClosed => return Err(error),
            _ => {}
        }
        let mut head = ResponseHead::new();
        loop {
            down.head(&mut head).await?;
            match head.status {
                101 => return Err(Error::upstream(Kind::BadResponse("unasked_upgrade"))),
                200.. => break,
                _ => head.clear(),
            }
        }
        let mut body = Vec::new();
        while let Some(piece) = down.data().await? {
            if body.len() + piece.len() > MAX_BODY {
                return Err(Error::upstream(Kind::BadResponse("answer_too_large")));
            }
            body.extend_from_slice(piece);
        }
        let reusable = down.is_reusable();
        Ok((Answer { head, body }, reusable))
    }

    /// Takes over what the answer says of the user.
    fn granted(&self, scope: &mut Scope<'_, '_>, said: &Headers) -> Result<Verdict, Error> {
        let Some(user) = self.user(said) else {
            return Ok(self.unavailable("it does not name one user in the field of `user_from`"));
        };
        let exchange = &mut *scope.exchange;
        copy(&self.settings.copy, said, &mut exchange.identity);
        exchange.identity.hides_authorization |= self.replaces_authorization;
        if self.settings.cookies {
            for cookie in said.get_all(HeaderId::SetCookie) {
                // It was valid there.
                let _ = exchange.additions.push(b"Set-Cookie", cookie);
            }
        }
        Ok(Verdict::Granted {
            user,
            kind: "Forward",
        })
    }

    /// Whom the answer names; empty without `user_from`. `None` when it should name one user, and does
    /// not: who is meant must not be guessed.
    fn user(&self, said: &Headers) -> Option<Vec<u8>> {
        let Some(from) = &self.settings.user_from else {
            return Some(Vec::new());
        };
        let is_from = |name: &[u8]| from.as_bytes().eq_ignore_ascii_case(name);
        let mut fields = said.iter().filter(|(_, name, _)| is_from(name));
        match (fields.next(), fields.next()) {
            (Some((_, _, user)), None) if !user.is_empty() => Some(user.to_vec()),
            _ => None,
        }
    }

    fn unavailable(&self, why: &str) -> Verdict {
        let upstream = &self.upstream.settings().name;
        log::warn_limited!(
            "the server of `forward` does not say whether requests may pass: {why}";
            upstream = upstream
        );
        Refusal::page(Kind::AuthUnavailable)
    }
}

/// All fields of these names, in their order.
fn copy(names: &[String], said: &Headers, identity: &mut Identity) {
    let fields = said.iter().filter(|(_, name, _)| {
        let mut names = names.iter();
        names.any(|own| own.as_bytes().eq_ignore_ascii_case(name))
    });
    for (_, name, value) in fields {
        // It was valid there.
        let _ = identity.fields.push(name, value);
    }
}

/// What a question about a request has not, or says in its own words.
fn is_left_out(id: HeaderId, name: &[u8]) -> bool {
    /// Of the body, of conditions, of parts.
    const NAMES: [&str; 11] = [
        "content-type",
        "content-encoding",
        "content-language",
        "content-location",
        "content-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "range",
    ];
    /// What is said here of the request.
    const OURS: [&str; 7] = [
        "x-forwarded-method",
        "x-forwarded-uri",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "proxy-authorization",
        "sec-websocket-key",
    ];
    let ours = matches!(
        id,
        HeaderId::Host | HeaderId::ContentLength | HeaderId::Expect | HeaderId::XRequestId
    );
    let mut names = NAMES.iter().chain(&OURS);
    ours || h1::is_hop_by_hop(id) || names.any(|own| own.as_bytes().eq_ignore_ascii_case(name))
}

impl Answer {
    /// Tells the client.
    pub(super) async fn send(self, scope: &mut Scope<'_, '_>) -> Result<(), Error> {
        let status = self.head.status;
        scope.exchange.response = self.head;
        let headers = &mut scope.exchange.response.headers;
        offered::take(headers);
        headers.retain(|id, _, _| !matches!(id, HeaderId::ContentLength | HeaderId::Date));
        filter::foreign(scope.thread, scope.exchange);
        scope.exchange.notes.origin = Origin::Quaich;
        scope.exchange.notes.failure = match status {
            401 => "unauthenticated",
            403 => "not_admitted",
            _ => "",
        };
        scope.reply.whole(scope.exchange, &self.body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_neither_body_nor_conditions_nor_what_a_client_says_of_its_request() {
        let left_out =
            |name: &str| is_left_out(HeaderId::from_name(name.as_bytes()), name.as_bytes());
        for name in [
            "Content-Length",
            "content-type",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "If-None-Match",
            "Range",
            "Expect",
            "X-Forwarded-Uri",
            "x-original-url",
            "Host",
        ] {
            assert!(left_out(name), "{name}");
        }
        for name in [
            "Cookie",
            "Authorization",
            "Accept",
            "User-Agent",
            "Origin",
            "X-Api-Key",
        ] {
            assert!(!left_out(name), "{name}");
        }
    }
}

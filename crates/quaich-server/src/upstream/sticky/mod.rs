//! How a client stays with its server: `sticky` of an upstream, on one thread.
//!
//! `handler::proxy` asks it before a server is chosen, and lets it edit the request's cookies and the
//! head of the answer.

mod book;
mod cookie;
mod rendezvous;
mod set_cookie;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use quaich_config::model::{self, StickyBy};
use quaich_proto::h1::ResponseHead;
use quaich_proto::headers::{HeaderId, Headers, InvalidField};

use super::group::Group;
use super::hash;
use super::server::Server;
use book::{Book, Names};
pub use set_cookie::is_cacheable;

/// Writes a `Cookie` field anew, as far as the cookie of that name is concerned.
type Edit = fn(&[u8], &[u8], &mut Vec<u8>);

/// `sticky` of an upstream, on one thread.
#[derive(Debug)]
pub struct Sticky {
    settings: model::Sticky,
    names: Names,
    book: RefCell<Book>,
    /// Of the group, when the book was made; the group's first is another.
    version: Cell<Option<u64>>,
}

impl Sticky {
    /// For the clients of `upstream`, if they are to stay; their cookies are signed with `secret`.
    pub fn new(upstream: &model::Upstream, secret: &[u8]) -> Option<Self> {
        let settings = upstream.sticky.clone()?;
        let names = match &settings.by {
            StickyBy::Cookie(cookie) if !cookie.plain => Names::signed(secret, &upstream.name),
            _ => Names::Plain,
        };
        Some(Self {
            settings,
            names,
            book: RefCell::default(),
            version: Cell::new(None),
        })
    }

    /// Whether a client may get another server when its own cannot be used.
    pub fn moves(&self) -> bool {
        self.settings.fallback
    }

    /// The server that a client belongs to, whatever state that is in.
    pub fn known(
        &self,
        group: &Group,
        headers: &Headers,
        client: Option<IpAddr>,
    ) -> Option<Arc<Server>> {
        let key = match &self.settings.by {
            StickyBy::Cookie(cookie) => {
                return self.by_cookie(group, headers, cookie.name.as_bytes(), |book, value| {
                    book.server(value).cloned()
                });
            }
            StickyBy::App { cookie, prefix } => {
                let read = if *prefix { by_mark } else { by_route };
                return self.by_cookie(group, headers, cookie.as_bytes(), read);
            }
            StickyBy::Header(name) => hash::of(headers.by_name(name.as_bytes())?),
            StickyBy::ClientIp => hash::of_address(client?),
        };
        let servers = group.servers();
        let able = rendezvous::choose(&servers, key, |server| {
            server.weight() > 0 && (!self.moves() || server.takes_new())
        });
        able.cloned()
    }

    /// The server of the first cookie `name` that has one: so HAProxy reads several.
    fn by_cookie(
        &self,
        group: &Group,
        headers: &Headers,
        name: &[u8],
        read: impl Fn(&Book, &[u8]) -> Option<Arc<Server>>,
    ) -> Option<Arc<Server>> {
        let fields = headers.get_all(HeaderId::Cookie);
        let values = fields.flat_map(|field| cookie::values(field, name));
        let mut servers = values.filter_map(|value| {
            self.renew(group);
            read(&self.book.borrow(), value)
        });
        servers.next()
    }

    fn renew(&self, group: &Group) {
        let version = Some(group.version());
        if self.version.replace(version) != version {
            let mut book = self.book.borrow_mut();
            book.renew(&group.servers(), &self.names);
        }
    }

    /// A `Cookie` field as the server gets it: `None` as it is, empty = not at all.
    pub fn cookie_for_server(&self, field: &[u8]) -> Option<Vec<u8>> {
        let (name, edit): (_, Edit) = match &self.settings.by {
            StickyBy::Cookie(cookie) => (&cookie.name, cookie::without),
            StickyBy::App {
                cookie,
                prefix: true,
            } => (cookie, cookie::unmarked),
            _ => return None,
        };
        let name = name.as_bytes();
        // Most fields are passed on without a copy.
        cookie::values(field, name).next()?;
        let mut edited = Vec::with_capacity(field.len());
        edit(field, name, &mut edited);
        Some(edited)
    }

    /// Edits the head of an answer of `server` to a client that belonged to `known`. The cookie that
    /// the client is to be given, if any, is no part of what the server has said.
    pub fn answer(
        &self,
        group: &Group,
        response: &mut ResponseHead,
        (known, server): (Option<&Arc<Server>>, &Arc<Server>),
        https: bool,
    ) -> Result<Option<String>, InvalidField> {
        let headers = &mut response.headers;
        match &self.settings.by {
            StickyBy::Cookie(cookie) => {
                set_cookie::remove(headers, cookie.name.as_bytes());
                if known.is_some_and(|known| Arc::ptr_eq(known, server)) {
                    return Ok(None);
                }
                self.renew(group);
                let book = self.book.borrow();
                let Some(name) = book.value(server) else {
                    return Ok(None);
                };
                return Ok(Some(set_cookie::value(cookie, name, https)));
            }
            StickyBy::App {
                cookie,
                prefix: true,
            } => {
                self.renew(group);
                if let Some(name) = self.book.borrow().value(server) {
                    set_cookie::mark(headers, cookie.as_bytes(), name)?;
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

/// `SERVER~value`
fn by_mark(book: &Book, value: &[u8]) -> Option<Arc<Server>> {
    book.server(cookie::split_mark(value)?.0).cloned()
}

/// `value.SERVER`; names of servers may hold dots, too.
fn by_route(book: &Book, value: &[u8]) -> Option<Arc<Server>> {
    let dots = memchr::memchr_iter(b'.', value);
    let mut routes = dots.filter_map(|dot| value.get(dot + 1..));
    routes.find_map(|route| book.server(route).cloned())
}

#[cfg(test)]
mod tests;

//! `app`: runs the exchange in a worker process of a Python app.
//!
//! The request body is read before a worker is taken; the response leaves the worker as fast as it
//! produces it and waits here, in memory and then on disk, for a client that is slower. So a client
//! never holds a worker longer than the app needs.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use quaich_config::model;
use quaich_proto::h1::{BodyLength, Version};
use quaich_proto::headers::HeaderId;
use quaich_proto::worker::message::{Body, RequestMeta};

use super::Channel;
use crate::downstream::reply::Reply;
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::route::{Route, strip_mount};
use crate::spool::{Collected, Collector, Part, Spool};
use crate::upstream::wire::worker::{AppCall, AppEvent, Failure, SubmitError};

/// Request bodies up to this size travel with the request; larger ones in a file.
const INLINE: usize = 40 * 1024;

/// An app as the end of a route.
pub struct App {
    name: Rc<str>,
    channel: Channel,
}

impl App {
    /// The app behind `channel`.
    pub fn new(settings: &model::App, channel: Channel) -> Self {
        Self { name: settings.name.as_str().into(), channel }
    }
}

/// Runs the exchange of `scope` in a worker.
pub async fn run(scope: &mut Scope<'_, '_>, route: &Route, app: &App) -> Result<(), Error> {
    scope.exchange.notes.upstream.clear();
    scope.exchange.notes.upstream.push_str(&app.name);
    let body = collect(scope).await?;
    let mut call = submit(scope, route, app, &body)?;
    drop(body);
    let mut first = Vec::with_capacity(4096);
    let event = next(scope, &mut call, &mut first).await?;
    scope.exchange.timings.mark_first_byte();
    let AppEvent::Head = event else {
        return Err(Error::app(Kind::AppFailed));
    };
    let length = length(scope.exchange);
    scope.reply.begin(scope.exchange, length);
    relay(scope.reply, &mut call).await
}

//! Sends what an application returned: item by item, each before the next is asked for.
//!
//! Called by `call`. Never keeps an item back; computes the Content-Length where all items are
//! known (PEP 3333, "Handling the Content-Length Header").

use super::Tools;
use super::file_wrapper;
use super::outbound::{More, Refused};
use super::start_response::{Exchange, raise_refused};
use crate::python::{Kind, PyResult, Raised, Ref, raise};

/// Why a body ends early.
pub(super) enum Stop {
    /// An exception is set.
    Raised,
    /// Nobody reads any more.
    Gone,
}

impl From<Raised> for Stop {
    fn from(Raised: Raised) -> Self {
        Self::Raised
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Gone => Self::Gone,
            Refused::NoHead => raise_refused(refused).into(),
        }
    }
}

/// Sends the whole of `result`.
pub(super) fn send_all(tools: &Tools, result: &Ref, exchange: &Exchange) -> Result<(), Stop> {
    if result.is_exactly(tools.list) || result.is_exactly(tools.tuple) {
        return send_sequence(result, exchange);
    }
    if result.is_exactly(tools.file_wrapper.as_ptr().cast())
        && file_wrapper::send(tools, result, exchange)?
    {
        return Ok(());
    }
    send_iterable(tools, result, exchange)
}

fn send_sequence(result: &Ref, exchange: &Exchange) -> Result<(), Stop> {
    let count = result.sequence_len().unwrap_or(0);
    if count == 1
        && let Some(item) = result.item(0)
    {
        return send_part(exchange, &item, More::Exactly(0));
    }
    let mut rest = 0;
    for index in 0..count {
        let Some(item) = result.item(index) else {
            break;
        };
        rest += bytes_of(&item)?.len() as u64;
    }
    for index in 0..count {
        let Some(item) = result.item(index) else {
            break;
        };
        rest = rest.saturating_sub(bytes_of(&item)?.len() as u64);
        send_part(exchange, &item, More::Exactly(rest))?;
        if exchange.borrow().is_over() {
            return Ok(());
        }
        stop_if_gone(exchange)?;
    }
    Ok(exchange.borrow_mut().send(&[], More::Exactly(0))?)
}

fn send_iterable(tools: &Tools, result: &Ref, exchange: &Exchange) -> Result<(), Stop> {
    let items = iterator(result)?;
    // Frameworks return an object around a list; its iterator knows how much is left.
    let only_one = items.is_exactly(tools.list_iterator)
        && items.attr(c"__length_hint__")?.call0()?.integer()? == 1;
    let more = if only_one {
        More::Exactly(0)
    } else {
        More::Maybe
    };
    while let Some(item) = items.next()? {
        let was_over = exchange.borrow().is_over();
        send_part(exchange, &item, more)?;
        // A generator that never ends must not hold the thread for a response that is complete.
        if was_over && bytes_of(&item).is_ok_and(|bytes| !bytes.is_empty()) {
            return Ok(());
        }
        drop(item);
        stop_if_gone(exchange)?;
    }
    Ok(exchange.borrow_mut().send(&[], More::Exactly(0))?)
}

fn iterator(result: &Ref) -> PyResult<Ref> {
    if result.is_none() {
        let message = "the application returned None instead of an iterable of bytes";
        return Err(raise(Kind::Type, message));
    }
    if result.as_bytes().is_some() {
        let message = "the application returned bytes instead of an iterable of bytes: [body]";
        return Err(raise(Kind::Type, message));
    }
    result.iter()
}

fn send_part(exchange: &Exchange, item: &Ref, more: More) -> Result<(), Stop> {
    let bytes = bytes_of(item)?;
    Ok(exchange.borrow_mut().send(bytes, more)?)
}

fn bytes_of(item: &Ref) -> PyResult<&[u8]> {
    item.as_bytes().ok_or_else(|| {
        let message = format!("the application gave {} instead of bytes", item.type_name());
        raise(Kind::Type, &message)
    })
}

fn stop_if_gone(exchange: &Exchange) -> Result<(), Stop> {
    if exchange.borrow_mut().is_gone() {
        Err(Stop::Gone)
    } else {
        Ok(())
    }
}

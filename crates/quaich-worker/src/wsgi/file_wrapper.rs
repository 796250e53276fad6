//! A result made with `wsgi.file_wrapper` around a real file leaves as a descriptor: the front
//! sends the file, the worker never reads it (PEP 3333, "Optional Platform-Specific File
//! Handling").
//!
//! Called by `iterate`. Any doubt whether reading the object would give just the file's bytes is
//! decided by `boot.py`, and decided for reading.
#![allow(unsafe_code)]

use std::os::fd::{BorrowedFd, RawFd};

use super::Tools;
use super::iterate::Stop;
use super::start_response::Exchange;
use crate::python::Ref;

/// Sends the rest of the file behind `wrapper`; false if it has to be read instead.
pub(super) fn send(tools: &Tools, wrapper: &Ref, exchange: &Exchange) -> Result<bool, Stop> {
    let place = tools.file_place.call1(wrapper)?;
    let (Some(fd), Some(offset)) = (place.item(0), place.item(1)) else {
        return Ok(false);
    };
    let (fd, offset) = (fd.integer()?, offset.integer()?);
    let (Ok(fd), Ok(offset)) = (RawFd::try_from(fd), u64::try_from(offset)) else {
        return Ok(false);
    };
    let Some(size) = regular_size(fd) else {
        return Ok(false);
    };
    let Some(length) = size.checked_sub(offset) else {
        return Ok(false);
    };
    // SAFETY: the file object, which `wrapper` keeps alive, holds the descriptor open. An
    // application that closes it meanwhile in another thread gets an error or another file's
    // bytes, as from any call that takes a descriptor.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    exchange.borrow_mut().send_file(file, offset, length)?;
    Ok(true)
}

/// The size of a regular file, none for anything else.
fn regular_size(fd: RawFd) -> Option<u64> {
    if fd < 0 {
        return None;
    }
    // SAFETY: all-zero is a valid stat, and the call fills it.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &raw mut stat) == 0).then_some(stat)?
    };
    let regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    u64::try_from(stat.st_size).ok().filter(|_| regular)
}

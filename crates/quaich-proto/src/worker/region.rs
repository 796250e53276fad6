#![allow(unsafe_code)]
//! The shared memory itself: makes the sealed file, maps it, and gives checked access to it.
//!
//! The supervisor calls [`create`]; front and workers map with [`Region::map`]. The only file of
//! the channel with `unsafe`: words are atomics, bytes are copied by raw pointers and never seen
//! as references, because other processes may write to them at any time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, MemfdFlags, SealFlags};
use rustix::mm::{self, MapFlags, ProtFlags};

use super::layout::{HEADER, Layout, REQUEST_AREA, RING, Slot};

/// Makes the memory file of an app: zeroed, with a header, its size sealed, so that no process
/// can pull mapped pages from under another.
pub fn create(layout: &Layout) -> io::Result<OwnedFd> {
    let fd = fs::memfd_create(
        c"quaich-channel",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    fs::ftruncate(&fd, layout.size() as u64)?;
    let mut header = &layout.header()[..];
    let mut at = 0;
    while !header.is_empty() {
        let written = rustix::io::pwrite(&fd, header, at)?;
        header = header.get(written..).unwrap_or_default();
        at += written as u64;
    }
    fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(fd)
}

/// A mapped region. Shared freely between the threads of a process.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the mapping lives as long as the value; it is reached only by atomics and by byte copies
// that tolerate concurrent writers, from any thread.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps a region made by [`create`]. Fails when the file is none, or has another size, or
    /// could still be shrunk.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        let mut header = [0; HEADER];
        let read = rustix::io::pread(&fd, &mut header, 0)?;
        let layout = Layout::from_header(&header)
            .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
        let size = fs::fstat(&fd)?.st_size;
        let sealed = fs::fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK);
        if read != HEADER || size as u64 != layout.size() as u64 || !sealed {
            let bad = super::layout::BadRegion;
            return Err(io::Error::new(io::ErrorKind::InvalidData, bad));
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address the kernel picks aliases nothing.
        let base = unsafe {
            mm::mmap(
                ptr::null_mut(),
                layout.size(),
                protection,
                MapFlags::SHARED,
                &fd,
                0,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout })
    }

    /// Its geometry.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(
            at.is_multiple_of(8) && at + 8 <= self.layout.size(),
            "a word outside the region"
        );
        // SAFETY: in bounds and aligned (checked above, the base is page-aligned), mapped as long
        // as self lives, and every process uses it as an atomic.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// Position of the oldest queue entry; workers and front move it.
    pub fn head(&self) -> &AtomicU64 {
        self.word(self.layout.head_at())
    }

    /// Position behind the newest queue entry; the front moves it.
    pub fn tail(&self) -> &AtomicU64 {
        self.word(self.layout.tail_at())
    }

    /// The queue entry at a position.
    pub fn entry(&self, position: u64) -> &AtomicU64 {
        self.word(self.layout.entry_at(position))
    }

    /// One word of the bitmap of sleeping worker threads.
    pub fn sleepers(&self, word: usize) -> &AtomicU64 {
        self.word(self.layout.sleepers_at(word))
    }

    /// How a front thread rests, see [`super::queue::Rest`].
    pub fn rest(&self, front: usize) -> &AtomicU64 {
        self.word(self.layout.rest_at(front))
    }

    /// One word of a front thread's bitmap of slots with news.
    pub fn news(&self, front: usize, word: usize) -> &AtomicU64 {
        self.word(self.layout.news_at(front, word))
    }

    /// Smoothed time a worker thread spends on a request, nanoseconds. A hint.
    pub fn service(&self, worker: u32, thread: usize) -> &AtomicU64 {
        self.word(self.layout.service_at(worker, thread))
    }

    /// The slot's [`super::state::State`].
    pub fn state(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot))
    }

    /// Written by the front before the slot is ready: request bytes, and the front thread in the
    /// upper half.
    pub fn brief(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot) + 8)
    }

    /// Generation + 1 of the use that the client has left; 0 = none.
    pub fn cancel(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot) + 16)
    }

    /// Ring position up to which the front has read.
    pub fn taken(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot) + 24)
    }

    /// The slot's [`super::state::Published`].
    pub fn published(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot) + 64)
    }

    /// 1 while a worker thread waits for room in the ring.
    pub fn wants_room(&self, slot: Slot) -> &AtomicU64 {
        self.word(self.layout.control_at(slot) + 72)
    }

    /// Copies a request into its area.
    ///
    /// # Panics
    /// When it does not fit; the caller has checked that.
    pub fn write_request(&self, slot: Slot, at: usize, bytes: &[u8]) {
        assert!(
            at <= REQUEST_AREA && bytes.len() <= REQUEST_AREA - at,
            "the request area is full"
        );
        self.copy_in(self.layout.request_at(slot) + at, bytes);
    }

    /// Appends `len` bytes of the request area to `out`, at most the whole area.
    pub fn read_request(&self, slot: Slot, len: usize, out: &mut Vec<u8>) {
        self.copy_out(self.layout.request_at(slot), len.min(REQUEST_AREA), out);
    }

    /// Copies bytes into the ring at a position, wrapping. At most the whole ring is written.
    pub fn write_ring(&self, slot: Slot, position: u64, bytes: &[u8]) {
        let bytes = bytes.get(..RING).unwrap_or(bytes);
        let at = position as usize & (RING - 1);
        let (first, second) = bytes.split_at(bytes.len().min(RING - at));
        self.copy_in(self.layout.ring_at(slot) + at, first);
        self.copy_in(self.layout.ring_at(slot), second);
    }

    /// Appends `len` bytes of the ring from a position to `out`, at most the whole ring.
    pub fn read_ring(&self, slot: Slot, position: u64, len: usize, out: &mut Vec<u8>) {
        let len = len.min(RING);
        let at = position as usize & (RING - 1);
        let first = len.min(RING - at);
        self.copy_out(self.layout.ring_at(slot) + at, first, out);
        self.copy_out(self.layout.ring_at(slot), len - first, out);
    }

    /// The eight bytes of the ring at a position that is a multiple of eight.
    pub fn ring_word(&self, slot: Slot, position: u64) -> u64 {
        let at = position as usize & (RING - 1) & !7;
        // What the bytes say is ordered by `published`, read before.
        self.word(self.layout.ring_at(slot) + at)
            .load(Ordering::Relaxed)
    }

    fn copy_in(&self, at: usize, bytes: &[u8]) {
        assert!(at <= self.layout.size() && bytes.len() <= self.layout.size() - at);
        // SAFETY: in bounds (checked above); the source is private memory of this process.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr().add(at), bytes.len());
        }
    }

    fn copy_out(&self, at: usize, len: usize, out: &mut Vec<u8>) {
        assert!(at <= self.layout.size() && len <= self.layout.size() - at);
        out.reserve(len);
        let old = out.len();
        // SAFETY: in bounds (checked above), room was reserved, and the bytes are initialised by
        // the copy; a concurrent writer can only make them other bytes.
        unsafe {
            let to = out.as_mut_ptr().add(old);
            ptr::copy_nonoverlapping(self.base.as_ptr().add(at), to, len);
            out.set_len(old + len);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `map` with this length; no word outlives self. A failure
        // leaves the mapping in place, which harms nobody.
        let _ = unsafe { mm::munmap(self.base.as_ptr().cast(), self.layout.size()) };
    }
}

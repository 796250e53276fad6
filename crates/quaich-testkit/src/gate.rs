//! A gate that a program under test waits at, so that the test decides when it goes on.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::{TempSite, eventually};

/// The FIFO `gate` of a folder: a program that opens it for reading waits there.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// Makes the FIFO.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(site: &TempSite) -> Self {
        let path = site.join("gate");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &path, FileType::Fifo, mode, 0).expect("a FIFO can be made");
        Self { path }
    }

    /// Lets the waiting program go on; waits for it to be there.
    ///
    /// # Panics
    /// When nobody waits.
    #[track_caller]
    pub fn open(&self) {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags fit");
        let mut gate = eventually("somebody at the gate", || {
            OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .open(&self.path)
                .ok()
        });
        // One that died just now shows up in its answer.
        let _ = gate.write_all(b"go");
    }
}

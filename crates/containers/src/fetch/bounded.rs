//! A writer that leaves room on its file system, and stops at a size: an archive can be a bomb, and
//! a server can send without end.

use std::fs::File;
use std::io::{Error, Write};

/// How much is written between two looks at the free space, in bytes.
const LOOK_EACH_BYTES: u64 = 4 << 20;

/// What bounds a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub max_bytes: Option<u64>,
    pub keep_free_bytes: u64,
}

impl Bounds {
    pub fn writer(self, file: &mut File) -> Bounded<'_> {
        Bounded { file, bounds: self, written: 0, until_look: 0 }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded<'a> {
    file: &'a mut File,
    bounds: Bounds,
    written: u64,
    /// How much may be written before the next look.
    until_look: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = bytes.len() as u64;
        if self.bounds.max_bytes.is_some_and(|max| max < self.written + length) {
            return Err(Error::other("it is longer than its source said"));
        }
        if self.until_look < length {
            let found = rustix::fs::fstatvfs(&*self.file)?;
            if found.f_bavail.saturating_mul(found.f_frsize) < self.bounds.keep_free_bytes + length
            {
                return Err(Error::other("there is no room left on the agent's file system"));
            }
            self.until_look = LOOK_EACH_BYTES.max(length);
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        self.until_look = self.until_look.saturating_sub(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

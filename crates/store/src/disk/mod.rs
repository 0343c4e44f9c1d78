//! The few file operations that the journal needs, as a trait: real files, or simulated ones that
//! lose, tear and reorder.
//!
//! One `Disk` is one flat directory. It relies on nothing else. It never hides an error and never
//! retries one.

mod real;
mod simulated;

pub(crate) use real::RealDisk;
pub use simulated::{DiskFaults, SimulatedDisk};

use std::io;

/// One directory of files. Nothing is durable before [`Disk::sync`] (contents) and
/// [`Disk::sync_names`] (names) returned.
pub(crate) trait Disk: Send {
    /// Names of the plain files.
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&mut self, file: &str) -> io::Result<Vec<u8>>;
    /// A new empty file; one of that name is emptied.
    fn create(&mut self, file: &str) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, growing the file if needed.
    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the contents (and the length) of the file are on the disk.
    fn sync(&mut self, file: &str) -> io::Result<()>;
    /// Renames, replacing what bears the name `to`.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, file: &str) -> io::Result<()>;
    /// Waits until creations, renames and removals are on the disk.
    fn sync_names(&mut self) -> io::Result<()>;
    /// The id of this boot of the machine. Writes of the same boot are all there, synced or not;
    /// `None` when unknown.
    fn boot(&mut self) -> Option<[u8; 16]>;
}

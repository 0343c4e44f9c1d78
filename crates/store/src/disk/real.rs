//! Files in a directory of this machine.
//!
//! It relies on std. It keeps the files that it writes to open, so that a commit is two `pwrite` and one
//! `fdatasync`, no `open`. It never creates the directory: whoever holds its lock did.

use super::Disk;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One directory of this machine, with its written files kept open.
#[derive(Debug)]
pub(crate) struct RealDisk {
    dir: PathBuf,
    open: BTreeMap<String, File>,
    /// A file whose space is given up when there is no other.
    reserve: Option<PathBuf>,
}

impl RealDisk {
    pub fn new(dir: &Path) -> RealDisk {
        RealDisk { dir: dir.to_owned(), open: BTreeMap::new(), reserve: None }
    }

    /// Has it give up the space of the file `reserve` rather than fail for want of space.
    pub fn with_reserve(self, reserve: Option<PathBuf>) -> RealDisk {
        RealDisk { reserve, ..self }
    }

    /// Does a write that may be repeated; once more if it failed for want of space and the reserve was there.
    fn with_space<T>(
        &mut self,
        mut write: impl FnMut(&mut RealDisk) -> io::Result<T>,
    ) -> io::Result<T> {
        let full = match write(self) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                error
            }
            written => return written,
        };
        let Some(reserve) = &self.reserve else { return Err(full) };
        if fs::remove_file(reserve).is_err() {
            return Err(full);
        }
        tracing::error!(
            reserve = %reserve.display(),
            "the file system of the ledger is full; its reserve is given up for it: make room at once"
        );
        write(self)
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new().read(true).write(true).open(self.dir.join(name))?;
            self.open.insert(name.to_owned(), file);
        }
        self.open.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for RealDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&mut self, file: &str) -> io::Result<Vec<u8>> {
        fs::read(self.dir.join(file))
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        let made = self.with_space(|disk| {
            let mut options = crate::private::file_options();
            options.read(true).write(true).create(true).truncate(true).open(disk.dir.join(file))
        })?;
        self.open.insert(file.to_owned(), made);
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with_space(|disk| disk.file(file)?.write_all_at(bytes, offset))
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        self.file(file)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))?;
        self.open.remove(to);
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.open.remove(file);
        fs::remove_file(self.dir.join(file))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn boot(&mut self) -> Option<[u8; 16]> {
        let id = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
        crate::digest::hash(&[&id]).first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_reserve_is_given_up_once_for_a_write_that_found_no_space() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = dir.path().join("reserve");
        fs::write(&reserve, [0; 4096]).unwrap();
        let mut disk = RealDisk::new(dir.path()).with_reserve(Some(reserve.clone()));
        let tries = Cell::new(0);
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let written = disk.with_space(|_| {
            tries.set(tries.get() + 1);
            if reserve.exists() {
                Err(full())
            } else {
                Ok(())
            }
        });
        assert!(written.is_ok() && tries.get() == 2 && !reserve.exists());
        let refused = disk.with_space(|_| Err::<(), _>(full())).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull, "there is no second one");
        fs::write(&reserve, [0; 4096]).unwrap();
        let other = disk.with_space(|_| Err::<(), _>(io::Error::from(io::ErrorKind::NotFound)));
        assert!(other.is_err() && reserve.exists(), "it is for want of space only");
    }
}

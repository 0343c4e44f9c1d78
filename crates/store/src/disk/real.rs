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
}

impl RealDisk {
    pub fn new(dir: &Path) -> RealDisk {
        RealDisk { dir: dir.to_owned(), open: BTreeMap::new() }
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
        let made = crate::private::file_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.dir.join(file))?;
        self.open.insert(file.to_owned(), made);
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all_at(bytes, offset)
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

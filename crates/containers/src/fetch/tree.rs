//! The sandbox as something to write into: every path is gone along part by part, and no link in it
//! is ever followed.
//!
//! What is in the way of a file is taken away first, unless it is a directory. Relies on
//! [`crate::isolation::beneath`]. Never touches anything outside of the sandbox.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    fchmod, futimens, linkat, openat, symlinkat, unlinkat, AtFlags, Mode, OFlags, Timespec,
    Timestamps,
};
use rustix::io::Errno;

use crate::isolation::beneath::{make_directories, open_beneath, open_directory};

/// What a file's mode may say: neither its user's rights for others, nor whose it is.
const MODE_MASK: u32 = 0o777;

/// See the module.
#[derive(Debug)]
pub(super) struct Tree(OwnedFd);

impl Tree {
    pub fn open(root: &Path) -> Result<Tree> {
        Ok(Tree(open_directory(root)?))
    }

    /// Makes an empty file.
    pub fn create(&self, name: impl AsRef<Path>) -> Result<File> {
        let (parent, last) = self.parent(name.as_ref())?;
        remove(&parent, &last)?;
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&parent, &last, flags, Mode::from_raw_mode(0o644))?))
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, name: impl AsRef<Path>) -> Result<File> {
        let (parent, last) = self.parent(name.as_ref())?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&parent, &last, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(Error::other("it is no regular file")),
        }
    }

    pub fn make_executable(&self, name: impl AsRef<Path>) -> Result<()> {
        let file = self.open_file(name)?;
        Ok(fchmod(&file, Mode::from_raw_mode(0o755))?)
    }

    pub fn make_directory(&self, name: &Path, mode: u32) -> Result<()> {
        let name = inside(name)?;
        let made = make_directories(&self.0, &name, None)?;
        let opened = openat(
            &made,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        // Its owner must be able to fill it.
        Ok(fchmod(&opened, Mode::from_raw_mode(mode & MODE_MASK | 0o700))?)
    }

    /// Makes a link to something in the sandbox.
    pub fn link(&self, name: &Path, target: &Path) -> Result<()> {
        let within = inside(name)?;
        let (parent, last) = self.parent(name)?;
        if !stays(within.parent().unwrap_or(Path::new("")), target) {
            let why = format!(
                "the link {} to {} leads out of the sandbox",
                name.display(),
                target.display()
            );
            return Err(Error::other(why));
        }
        remove(&parent, &last)?;
        Ok(symlinkat(target, &parent, &last)?)
    }

    /// Makes another name of a file in the sandbox.
    pub fn hard_link(&self, name: &Path, target: &Path) -> Result<()> {
        let target = inside(target)?;
        let from = open_beneath(&self.0, target.parent().unwrap_or(Path::new("")))?;
        let (parent, last) = self.parent(name)?;
        remove(&parent, &last)?;
        let old = target.file_name().unwrap_or_default();
        Ok(linkat(&from, old, &parent, &last, AtFlags::empty())?)
    }

    fn parent(&self, name: &Path) -> Result<(OwnedFd, std::ffi::OsString)> {
        let name = inside(name)?;
        let last = name.file_name().ok_or_else(|| Error::other("it has no name"))?;
        let above = name.parent().unwrap_or(Path::new(""));
        Ok((make_directories(&self.0, above, None)?, last.to_owned()))
    }
}

/// Gives a file the mode and the time that its archive says; neither the right to become somebody
/// else.
pub(super) fn finish(file: &File, mode: u32, modified_s: Option<i64>) -> Result<()> {
    fchmod(file, Mode::from_raw_mode(mode & MODE_MASK))?;
    if let Some(tv_sec) = modified_s {
        let time = Timespec { tv_sec, tv_nsec: 0 };
        futimens(file, &Timestamps { last_access: time, last_modification: time })?;
    }
    Ok(())
}

fn remove(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A path that stays in the sandbox, without `.`.
fn inside(path: &Path) -> Result<PathBuf> {
    let parts = path.components().filter(|it| *it != Component::CurDir);
    let kept: Option<PathBuf> =
        parts.map(|it| if let Component::Normal(part) = it { Some(part) } else { None }).collect();
    kept.ok_or_else(|| Error::other(format!("{} leads out of the sandbox", path.display())))
}

/// Whether a link in this directory to this target names something in the sandbox.
fn stays(directory: &Path, target: &Path) -> bool {
    let mut depth = directory.components().count();
    target.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let above = depth.checked_sub(1);
            depth = above.unwrap_or(0);
            above.is_some()
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

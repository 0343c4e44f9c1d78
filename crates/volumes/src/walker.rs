//! Walks a directory tree by open directories.
//!
//! What it is for: removing and measuring trees that their owners are changing at this moment, of
//! any depth, with a few open files. What it relies on: `openat` with no-follow; on the way up,
//! device and inode prove that `..` is where we came from, else the way is walked again from the
//! top. What it never does: follow a link, hold a path longer than a name, recurse, or decide what
//! happens to an entry: a [`Visitor`] does.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::folder::DIR_FLAGS;
use crate::mounts::{identify, FileId, Identity};

/// At most this many subdirectories of a directory are remembered at a time; one with more is read
/// again.
const NAMES_MAX: usize = 500_000;

/// What to do after a directory has been walked.
pub(crate) enum Leave {
    /// Go up. `true` if the directory is gone.
    Done(bool),
    /// Read the directory again.
    Again,
}

/// Decides what happens on a walk.
pub(crate) trait Visitor {
    /// Whether this directory may be walked.
    fn enter(&mut self, dir: BorrowedFd<'_>, here: Identity, path: &Path) -> bool;
    /// Visits an entry that is not a directory. Returns whether it is gone.
    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> bool;
    /// Visits a directory whose content has been walked. `gone` entries vanished from it since it
    /// was last read.
    fn leave(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &Path, gone: u64) -> Leave;
    /// Takes note of an entry that could not be read; the walk goes on beside it.
    fn trouble(&mut self, path: &Path, error: io::Error);
    /// Called when a directory may not be opened; returns whether to try once more.
    fn unlock(&mut self, _parent: BorrowedFd<'_>, _name: &CStr) -> bool {
        false
    }
    /// Whether the walk is to end.
    fn stop(&self) -> bool {
        false
    }
}

struct Frame {
    name: CString,
    id: FileId,
    todo: Vec<CString>,
    gone: u64,
}

struct Walker<'v> {
    /// The directory that holds the top of the tree.
    above: OwnedFd,
    /// The directory of the last frame.
    current: OwnedFd,
    /// The first is `above`, the second the top of the tree.
    frames: Vec<Frame>,
    path: PathBuf,
    visitor: &'v mut dyn Visitor,
}

/// Walks the tree `name` in the directory `above`, whose path (for messages) is `path`.
///
/// # Errors
/// Only if `above` itself cannot be used; everything further down is the visitor's trouble.
pub(crate) fn walk(
    above: BorrowedFd<'_>,
    path: &Path,
    name: &CStr,
    visitor: &mut dyn Visitor,
) -> io::Result<()> {
    let above = above.try_clone_to_owned()?;
    let base = Frame {
        name: CString::default(),
        id: identify(&above)?.file,
        todo: vec![name.to_owned()],
        gone: 0,
    };
    let current = above.try_clone()?;
    let mut walker =
        Walker { above, current, frames: vec![base], path: path.to_path_buf(), visitor };
    walker.run()
}

impl Walker<'_> {
    fn run(&mut self) -> io::Result<()> {
        while !self.visitor.stop() {
            let depth = self.frames.len();
            let frame = self.frames.last_mut().expect("the first frame is never taken away");
            match frame.todo.pop() {
                Some(name) => self.descend(name),
                None if depth == 1 => break,
                None => self.finish()?,
            }
        }
        Ok(())
    }

    fn descend(&mut self, name: CString) {
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        let open = |current: &OwnedFd| rustix::fs::openat(current, &name, DIR_FLAGS, Mode::empty());
        let mut opened = open(&self.current);
        if matches!(opened, Err(Errno::ACCESS)) && self.visitor.unlock(self.current.as_fd(), &name)
        {
            opened = open(&self.current);
        }
        let dir = match opened {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let gone = self.visitor.file(self.current.as_fd(), &name, &path);
                return self.count(gone);
            }
            Err(errno) => return self.visitor.trouble(&path, errno.into()),
        };
        let here = match identify(&dir) {
            Ok(here) => here,
            Err(error) => return self.visitor.trouble(&path, error),
        };
        if !self.visitor.enter(dir.as_fd(), here, &path) {
            return;
        }
        self.frames.push(Frame { name, id: here.file, todo: Vec::new(), gone: 0 });
        self.current = dir;
        self.path = path;
        self.scan();
    }

    /// Visits the files of the current directory and notes its subdirectories.
    fn scan(&mut self) {
        let mut todo = Vec::new();
        let mut gone = 0;
        let entries = match Dir::read_from(&self.current) {
            Ok(entries) => entries,
            Err(errno) => return self.visitor.trouble(&self.path, errno.into()),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    self.visitor.trouble(&self.path, errno.into());
                    break;
                }
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.visitor.stop() || todo.len() >= NAMES_MAX {
                break;
            }
            if self.is_directory(entry.file_type(), name) {
                todo.push(name.to_owned());
            } else {
                let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
                gone += u64::from(self.visitor.file(self.current.as_fd(), name, &path));
            }
        }
        let frame = self.frames.last_mut().expect("the first frame is never taken away");
        frame.todo = todo;
        frame.gone = gone;
    }

    fn is_directory(&self, told: FileType, name: &CStr) -> bool {
        if told != FileType::Unknown {
            return told == FileType::Directory;
        }
        let stat = rustix::fs::statat(&self.current, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Goes up, and lets the visitor finish the directory.
    fn finish(&mut self) -> io::Result<()> {
        let left = self.frames.pop().expect("the caller saw more than one frame");
        let left_path = self.path.clone();
        self.path.pop();
        if !self.climb(&left_path)? {
            return Ok(());
        }
        match self.visitor.leave(self.current.as_fd(), &left.name, &left_path, left.gone) {
            Leave::Done(gone) => self.count(gone),
            Leave::Again => {
                let frame = self.frames.last_mut().expect("the first frame is never taken away");
                frame.todo.push(left.name);
            }
        }
        Ok(())
    }

    /// Makes the last frame's directory the current one. `false` if it is not where it was: then
    /// the walk goes on further up.
    fn climb(&mut self, from: &Path) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(&self.current, "..", flags, Mode::empty());
        let wanted = self.frames.last().expect("the first frame is never taken away").id;
        if self.frames.len() > 1 {
            if let Ok(parent) = parent {
                if identify(&parent)?.file == wanted {
                    self.current = parent;
                    return Ok(true);
                }
            }
        }
        self.reseat(from)
    }

    /// Walks down again from the top, as far as the names still lead to the same directories.
    fn reseat(&mut self, from: &Path) -> io::Result<bool> {
        let mut current = self.above.try_clone()?;
        let mut reached = 1;
        for frame in &self.frames[1..] {
            let Ok(next) = rustix::fs::openat(&current, &frame.name, DIR_FLAGS, Mode::empty())
            else {
                break;
            };
            if identify(&next)?.file != frame.id {
                break;
            }
            current = next;
            reached += 1;
        }
        self.current = current;
        let whole = reached == self.frames.len();
        if !whole {
            self.visitor.trouble(from, io::Error::other("it was moved while it was being walked"));
            for _ in reached..self.frames.len() {
                self.path.pop();
            }
            self.frames.truncate(reached);
        }
        Ok(whole)
    }

    fn count(&mut self, gone: bool) {
        let frame = self.frames.last_mut().expect("the first frame is never taken away");
        frame.gone += u64::from(gone);
    }
}

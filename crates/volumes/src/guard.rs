//! The guard of every removal, which keeps what must not be removed.
//!
//! What it is for: [`Remover`], the visitor that removes; before each directory it asks: same
//! mount? protected? does it bear a label of ours? What it relies on: mount ids, device and inode
//! of the protected directories, labels. What it never does: follow a link, or go on into what it
//! is not sure about: that is kept, and reported.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::disk::{HOLDFAST, VOLUMES};
use crate::folder::DIR_FLAGS;
use crate::label::{magic, DiskLabel, Labelled, VolumeLabel};
use crate::label_pair::LABEL_NAMES;
use crate::mounts::{FileId, Identity};
use crate::steps::step;
use crate::walker::{Leave, Visitor};

/// Why something was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptWhy {
    /// Another file system, or a bind mount, begins there.
    OtherMount,
    /// It was named as protected.
    Protected,
    /// It is a disk or a volume of Holdfast.
    Labelled,
    /// A system call failed.
    Refused(String),
}

impl KeptWhy {
    /// The reason as text for people.
    pub fn words(&self) -> String {
        match self {
            KeptWhy::OtherMount => "something is mounted there".into(),
            KeptWhy::Protected => "it is protected".into(),
            KeptWhy::Labelled => "it is a disk or a volume".into(),
            KeptWhy::Refused(why) => why.clone(),
        }
    }
}

/// Something that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The path that was kept.
    pub path: PathBuf,
    /// The reason why it was kept.
    pub why: KeptWhy,
}

/// At most this many kept paths are listed; more are only counted.
const KEPT_MAX: usize = 100;
/// A directory that fills up while it is being emptied is tried again this often.
const AGAIN_MAX: u32 = 1000;

/// What a [`Remover`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub entries: u64,
    pub bytes: u64,
    pub kept: u64,
}

/// Removes what it visits.
pub(crate) struct Remover<'a> {
    /// The only mount on which anything is removed.
    pub mount: u64,
    /// Directories that are left alone, and all below them.
    pub protected: BTreeSet<FileId>,
    /// Whether directories that bear a label are left alone.
    pub heed_labels: bool,
    /// Called after each removal; may stop the walk.
    pub on_removed: &'a mut dyn FnMut(Removed) -> ControlFlow<()>,
    pub removed: Removed,
    pub kept: Vec<Kept>,
    pub stopped: bool,
    pub again: u32,
}

impl<'a> Remover<'a> {
    pub(crate) fn new(
        mount: u64,
        on_removed: &'a mut dyn FnMut(Removed) -> ControlFlow<()>,
    ) -> Remover<'a> {
        let removed = Removed::default();
        Remover {
            mount,
            protected: BTreeSet::new(),
            heed_labels: false,
            on_removed,
            removed,
            kept: Vec::new(),
            stopped: false,
            again: 0,
        }
    }

    fn keep(&mut self, path: &Path, why: KeptWhy) {
        self.removed.kept += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(Kept { path: path.to_path_buf(), why });
        }
    }

    fn note(&mut self, bytes: u64) {
        self.removed.entries += 1;
        self.removed.bytes += bytes;
        self.stopped |= (self.on_removed)(self.removed).is_break();
    }

    fn unlink(&mut self, parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
        if step("remove", &name.to_string_lossy()).is_err() {
            self.stopped = true;
            return Err(Errno::IO);
        }
        rustix::fs::unlinkat(parent, name, flags)
    }
}

impl Visitor for Remover<'_> {
    fn enter(&mut self, dir: BorrowedFd<'_>, here: Identity, path: &Path) -> bool {
        let why = if here.mount != self.mount {
            Some(KeptWhy::OtherMount)
        } else if self.protected.contains(&here.file) {
            Some(KeptWhy::Protected)
        } else if self.heed_labels {
            match bears_label(dir) {
                Ok(true) => Some(KeptWhy::Labelled),
                Ok(false) => None,
                Err(error) => Some(KeptWhy::Refused(format!(
                    "cannot tell whether it is a disk or a volume: {error}"
                ))),
            }
        } else {
            None
        };
        if let Some(why) = why {
            self.keep(path, why);
            return false;
        }
        // A directory that its owner made unwritable to himself would keep its content; as root
        // this changes nothing.
        if !rustix::process::geteuid().is_root() {
            let _ = rustix::fs::fchmod(dir, Mode::RWXU);
        }
        true
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = rustix::fs::statx(parent, name, flags, StatxFlags::NLINK | StatxFlags::BLOCKS);
        match self.unlink(parent, name, AtFlags::empty()) {
            Ok(()) => {
                let bytes = stat.map_or(0, |stat| {
                    if stat.stx_nlink == 1 {
                        stat.stx_blocks.saturating_mul(512)
                    } else {
                        0
                    }
                });
                self.note(bytes);
                true
            }
            Err(Errno::NOENT) => true,
            Err(Errno::BUSY) => {
                self.keep(path, KeptWhy::OtherMount);
                false
            }
            Err(errno) => {
                self.keep(path, KeptWhy::Refused(errno.to_string()));
                false
            }
        }
    }

    fn leave(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &Path, gone: u64) -> Leave {
        if self.stopped {
            return Leave::Done(false);
        }
        match self.unlink(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.note(0);
                Leave::Done(true)
            }
            Err(Errno::NOENT) => Leave::Done(true),
            // Read again only if the last reading brought us further; what was kept on purpose is
            // still in there.
            Err(Errno::NOTEMPTY | Errno::EXIST)
                if gone > 0 && self.removed.kept == 0 && self.again < AGAIN_MAX =>
            {
                self.again += 1;
                Leave::Again
            }
            // Its content was kept, and that is in the list already.
            Err(Errno::NOTEMPTY | Errno::EXIST) if self.removed.kept > 0 => Leave::Done(false),
            Err(errno) => {
                self.keep(path, KeptWhy::Refused(errno.to_string()));
                Leave::Done(false)
            }
        }
    }

    fn trouble(&mut self, path: &Path, error: io::Error) {
        self.keep(path, KeptWhy::Refused(error.to_string()));
    }

    fn unlock(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> bool {
        open_up(parent, name, self.mount).is_ok()
    }

    fn stop(&self) -> bool {
        self.stopped
    }
}

/// Gives the owner access to a directory that he may not even open. Never on another mount, and
/// never through a link.
fn open_up(parent: BorrowedFd<'_>, name: &CStr, mount: u64) -> io::Result<()> {
    let dir = rustix::fs::openat(
        parent,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if crate::mounts::identify(&dir)?.mount != mount {
        return Err(Errno::XDEV.into());
    }
    // A handle that was opened for its path only cannot be given to fchmod, but it has a name.
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", dir.as_raw_fd()), Mode::RWXU)?)
}

/// Whether an open directory is the root of a disk, a disk's folder, or a volume.
pub(crate) fn bears_label(dir: impl AsFd) -> io::Result<bool> {
    let dir = dir.as_fd();
    if is_labelled_folder(dir)? {
        return Ok(true);
    }
    match rustix::fs::openat(dir, HOLDFAST, DIR_FLAGS, Mode::empty()) {
        Ok(folder) => is_labelled_folder(folder.as_fd()),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether an open directory is a disk's folder or a volume's: it holds a label of ours, or
/// something by a label's name beside something by the name that `volumes` has (a disk whose labels
/// are both damaged is a disk all the same).
pub(crate) fn is_labelled_folder(dir: BorrowedFd<'_>) -> io::Result<bool> {
    for name in LABEL_NAMES {
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if rustix::fs::statat(dir, VOLUMES, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(true);
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && begins_as_label(dir, name)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn begins_as_label(dir: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    let mut head = [0u8; 64];
    let len = rustix::io::read(&file, &mut head)?;
    Ok([DiskLabel::KIND, VolumeLabel::KIND]
        .iter()
        .any(|kind| head[..len].starts_with(magic(kind).as_bytes())))
}

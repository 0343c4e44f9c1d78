//! An open directory, and the few durable operations in it.
//!
//! What it is for: all work below a disk's root goes from an open directory to an open directory by
//! single names, so that neither a symbolic link nor a mount that comes or goes in between can turn
//! it elsewhere. What it relies on: `openat` with no-follow, mount ids, `fsync` of files and
//! directories. What it never does: take a path of more than one name, follow a link, step onto
//! another mount, or answer before what it changed is synced where it says "durable".

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::mounts::{file_type, identify, stat_fd, Identity};
use crate::steps::step;

/// The flags with which a directory is opened: readable (it must be synced), never through a link.
pub(crate) const DIR_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);

/// The mode of directories that others may pass through but not list.
pub(crate) const PASS_MODE: u32 = 0o711;
/// The mode of directories for the agent alone.
pub(crate) const PRIVATE_MODE: u32 = 0o700;
/// The mode of a volume's top directory when it is made. What its owner makes of it later stays.
pub(crate) const DATA_MODE: u32 = 0o700;
/// The mode of our own files: labels name roles and principals, which are nobody else's business.
const FILE_MODE: u32 = 0o600;
/// The rights of others than the owner.
const OTHERS: u32 = 0o077;

/// Why a directory could not be entered.
#[derive(Debug)]
pub(crate) enum EnterFault {
    /// There is nothing of that name.
    Absent,
    /// A file, or a symbolic link, which is not followed.
    NotDirectory,
    /// Something else is mounted there.
    OtherMount,
    /// A system call failed.
    Io(io::Error),
}

impl From<Errno> for EnterFault {
    fn from(errno: Errno) -> EnterFault {
        match errno {
            Errno::NOENT => EnterFault::Absent,
            Errno::NOTDIR | Errno::LOOP => EnterFault::NotDirectory,
            other => EnterFault::Io(other.into()),
        }
    }
}

impl EnterFault {
    /// Converts it to an I/O error, for callers that only report it.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            EnterFault::Absent => io::Error::from(Errno::NOENT),
            EnterFault::NotDirectory => io::Error::from(Errno::NOTDIR),
            EnterFault::OtherMount => io::Error::from(Errno::XDEV),
            EnterFault::Io(error) => error,
        }
    }
}

/// An open directory. The path is for messages and answers, not for work.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    identity: Identity,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Folder {
    /// Opens a directory by its path. Links in the path are followed: the operator who named it may
    /// use them.
    pub(crate) fn open(path: &Path) -> Result<Folder, EnterFault> {
        let fd = rustix::fs::open(path, DIR_FLAGS.difference(OFlags::NOFOLLOW), Mode::empty())?;
        let identity = identify(&fd).map_err(EnterFault::Io)?;
        Ok(Folder { fd, path: path.to_path_buf(), identity })
    }

    /// The path by which it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last name of its path.
    pub(crate) fn name(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default()
    }

    /// Mount, device and inode.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Opens the directory `name` in this one: no link, no other mount.
    pub(crate) fn enter(&self, name: &str) -> Result<Folder, EnterFault> {
        let folder = self.enter_across(name)?;
        if folder.identity.mount != self.identity.mount {
            return Err(EnterFault::OtherMount);
        }
        Ok(folder)
    }

    /// Opens the directory `name` in this one, also when something is mounted there. The caller sees to what that is.
    pub(crate) fn enter_across(&self, name: &str) -> Result<Folder, EnterFault> {
        let fd = rustix::fs::openat(&self.fd, name, DIR_FLAGS, Mode::empty())?;
        let identity = identify(&fd).map_err(EnterFault::Io)?;
        Ok(Folder { fd, path: self.path.join(name), identity })
    }

    /// Makes the directory `name` unless it is there, and enters it. Durable only after
    /// [`Folder::sync`].
    pub(crate) fn make(&self, name: &str, mode: u32) -> Result<Folder, EnterFault> {
        step("mkdir", name).map_err(EnterFault::Io)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(PRIVATE_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let folder = self.enter(name)?;
        // Set apart from mkdir, so that the umask has no say.
        rustix::fs::fchmod(&folder.fd, Mode::from_raw_mode(mode))?;
        Ok(folder)
    }

    /// Whether there is an entry of this name.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Lists all names in it, sorted; bytes that are not UTF-8 are replaced.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes())
                .to_string_lossy()
                .into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Whether it has no entries.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// Reads a regular file of at most `max` bytes; `None` if there is none. One that an older program
    /// left open to others is closed to them, if it can be.
    pub(crate) fn read_file(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let stat = stat_fd(&fd)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        if u32::from(stat.stx_mode) & OTHERS != 0 {
            // On a disk that is mounted read-only it stays as it is.
            let _ = rustix::fs::fchmod(&fd, Mode::from_raw_mode(FILE_MODE));
        }
        let mut bytes = Vec::new();
        File::from(fd).take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("longer than {max} bytes"),
            ));
        }
        Ok(Some(bytes))
    }

    /// Replaces the file `name` by `bytes`, wholly or not at all, durably. The caller holds the
    /// lock.
    pub(crate) fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = format!("{name}.draft");
        self.write_new(&draft, bytes)?;
        step("rename", name)?;
        rustix::fs::renameat(&self.fd, &draft, &self.fd, name)?;
        self.sync()
    }

    /// Writes a new file in a directory that nobody looks into yet, in place of whatever a crash
    /// left under its name. Its bytes are durable; its name is so after [`Folder::sync`].
    pub(crate) fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.write_unsynced(name, bytes)?;
        step("fsync", name)?;
        file.sync_all()
    }

    /// Does the same as [`Folder::write_new`], and leaves the sync of the file to the caller.
    pub(crate) fn write_unsynced(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        self.remove_file(name)?;
        let mut file = self.create_file(name)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    /// Makes a file of our own that is not there, to be written and read.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        step("write", name)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE))?))
    }

    /// Syncs everything that was written to the file system of this directory, by anybody. It also
    /// fails for what others wrote and could not be synced since this directory was opened.
    pub(crate) fn sync_file_system(&self) -> io::Result<()> {
        step("syncfs", &self.name())?;
        Ok(rustix::fs::syncfs(&self.fd)?)
    }

    /// Locks this directory against others, in this process or another. [`Folder::unlock`] releases
    /// it, and so does the end of this handle.
    pub(crate) fn lock(&self) -> io::Result<()> {
        loop {
            match rustix::fs::flock(&self.fd, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Releases the lock.
    pub(crate) fn unlock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.fd, FlockOperation::Unlock)?)
    }

    /// Removes a file if it is there.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        step("unlink", name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes an *empty* directory if it is there.
    pub(crate) fn remove_dir(&self, name: &str) -> io::Result<()> {
        step("rmdir", name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Moves `name` to `to/new_name` and syncs both directories. It never replaces anything
    /// (`EEXIST`).
    pub(crate) fn move_to(&self, name: &str, to: &Folder, new_name: &str) -> io::Result<()> {
        self.rename_to(name, to, new_name)?;
        to.sync()?;
        if to.identity.file != self.identity.file {
            self.sync()?;
        }
        Ok(())
    }

    /// Moves `name` to `to/new_name`; durable only when both directories are synced. It never
    /// replaces anything (`EEXIST`).
    pub(crate) fn rename_to(&self, name: &str, to: &Folder, new_name: &str) -> io::Result<()> {
        step("move", &format!("{name} {new_name}"))?;
        match rustix::fs::renameat_with(&self.fd, name, &to.fd, new_name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // Some file systems have no RENAME_NOREPLACE. What we move always holds something, so
            // the worst that a plain rename could replace is an empty directory made in between.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if to.has(new_name)? {
                    return Err(Errno::EXIST.into());
                }
                rustix::fs::renameat(&self.fd, name, &to.fd, new_name)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// Syncs the changes to its names.
    pub(crate) fn sync(&self) -> io::Result<()> {
        step("sync", &self.name())?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    #[test]
    fn links_and_files_are_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.enter("real").is_ok());
        assert!(matches!(folder.enter("link"), Err(EnterFault::NotDirectory)));
        assert!(matches!(folder.enter("file"), Err(EnterFault::NotDirectory)));
        assert!(matches!(folder.enter("none"), Err(EnterFault::Absent)));
    }

    #[test]
    fn a_file_is_written_wholly_and_links_are_replaced_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "keep").unwrap();
        symlink(&victim, dir.path().join("label")).unwrap();
        symlink(&victim, dir.path().join("label.draft")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.read_file("label", 10).is_err(), "a link is not read either");
        folder.write_file("label", b"new").unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"keep");
        assert_eq!(folder.read_file("label", 10).unwrap().unwrap(), b"new");
        assert!(folder.read_file("label", 2).is_err(), "too long");
        assert_eq!(folder.read_file("none", 2).unwrap(), None);
        assert_eq!(folder.names().unwrap(), ["label", "victim"]);
    }

    #[test]
    fn our_files_are_our_own_and_one_that_was_left_open_is_closed_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mode =
            || std::fs::metadata(dir.path().join("label")).unwrap().permissions().mode() & 0o777;
        folder.write_file("label", b"x").unwrap();
        assert_eq!(mode(), FILE_MODE);
        let wide = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("label"), wide).unwrap();
        assert_eq!(folder.read_file("label", 10).unwrap().unwrap(), b"x");
        assert_eq!(mode(), FILE_MODE);
    }

    #[test]
    fn a_move_replaces_nothing_and_modes_ignore_the_umask() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.make("a", PASS_MODE).unwrap();
        folder.make("b", DATA_MODE).unwrap();
        let mode = |name: &str| {
            std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("a"), mode("b")), (0o711, 0o700));
        assert_eq!(
            folder.move_to("a", &folder, "b").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        folder.move_to("a", &folder, "c").unwrap();
        assert_eq!(folder.names().unwrap(), ["b", "c"]);
    }
}

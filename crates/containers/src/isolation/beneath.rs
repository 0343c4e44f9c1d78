//! Directories and links made inside a sandbox, one path part at a time.
//!
//! A sandbox may hold what a payload or a fetched archive put there, links to anywhere included. So
//! no link in a path is ever followed: a part that is not a directory itself is an error. Nothing
//! is ever removed but a link that the caller names, and empty directories that were just made.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    chownat, mkdirat, openat, readlinkat, symlinkat, unlinkat, AtFlags, Mode, OFlags, CWD,
};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory itself, not a link to one.
pub(crate) fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, path, DIRECTORY, Mode::empty())
}

/// Directories that were made, so that they can be removed again.
#[derive(Debug, Default)]
pub(crate) struct Made(Vec<(OwnedFd, OsString)>);

impl Made {
    /// Removes those that are still empty: nobody shall find an empty directory where a volume
    /// should be.
    pub(crate) fn undo(self) {
        for (parent, name) in self.0.into_iter().rev() {
            let _ = unlinkat(&parent, &name, AtFlags::REMOVEDIR); // A directory that was filled meanwhile stays.
        }
    }
}

/// Opens `relative` beneath `root`, making the directories that are missing and giving those to
/// `owner`.
pub(crate) fn make_directories(
    root: &OwnedFd,
    relative: &Path,
    owner: Option<(u32, u32)>,
) -> rustix::io::Result<OwnedFd> {
    make_and_note(root, relative, owner, &mut Made::default())
}

/// Does the same, and notes what was made, also when it fails half-way.
pub(crate) fn make_and_note(
    root: &OwnedFd,
    relative: &Path,
    owner: Option<(u32, u32)>,
    made: &mut Made,
) -> rustix::io::Result<OwnedFd> {
    let duplicate = |it: &OwnedFd| {
        it.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))
    };
    let mut at = duplicate(root)?;
    for part in relative.components() {
        let part = part.as_os_str();
        match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                made.0.push((duplicate(&at)?, part.to_owned()));
                give(&at, Path::new(part), owner)?;
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        at = openat(&at, part, DIRECTORY, Mode::empty())?;
    }
    Ok(at)
}

/// Opens `relative` beneath `root` if it is there.
pub(crate) fn open_beneath(root: &OwnedFd, relative: &Path) -> rustix::io::Result<OwnedFd> {
    let mut at =
        root.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))?;
    for part in relative.components() {
        at = openat(&at, part.as_os_str(), DIRECTORY, Mode::empty())?;
    }
    Ok(at)
}

/// Makes `relative` beneath `root` a link to `target`. Doing it again is no error; anything else in
/// its place is.
pub(crate) fn make_link(
    root: &OwnedFd,
    relative: &Path,
    target: &Path,
    owner: Option<(u32, u32)>,
) -> rustix::io::Result<()> {
    let (parent, name) = split(relative);
    let mut made = Made::default();
    let linked = make_and_note(root, parent, owner, &mut made).and_then(|at| {
        match symlinkat(target, &at, name) {
            Ok(()) => give(&at, name, owner),
            Err(Errno::EXIST) if points_to(&at, name, target) => Ok(()),
            Err(error) => Err(error),
        }
    });
    linked.inspect_err(|_| made.undo())
}

/// Removes `relative` beneath `root` if it is a link to `target`; anything else is left alone.
pub(crate) fn remove_link(
    root: &OwnedFd,
    relative: &Path,
    target: &Path,
) -> rustix::io::Result<()> {
    let (parent, name) = split(relative);
    let at = match open_beneath(root, parent) {
        Ok(at) => at,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(error) => return Err(error),
    };
    match points_to(&at, name, target) {
        true => unlinkat(&at, name, AtFlags::empty()),
        false => Ok(()),
    }
}

fn split(relative: &Path) -> (&Path, &Path) {
    (
        relative.parent().unwrap_or(Path::new("")),
        relative.file_name().map_or(Path::new(""), Path::new),
    )
}

fn points_to(at: &impl AsFd, name: &Path, target: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    readlinkat(at, name, Vec::new())
        .is_ok_and(|found| found.as_bytes() == target.as_os_str().as_bytes())
}

fn give(at: &impl AsFd, name: &Path, owner: Option<(u32, u32)>) -> rustix::io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    match chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
        // Without root, what we make belongs to our user, as whom the payload runs.
        Err(Errno::PERM) if !rustix::process::geteuid().is_root() => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn directories_are_made_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_directory(dir.path()).unwrap();
        make_directories(&root, Path::new("a/b/c"), None).unwrap();
        make_directories(&root, Path::new("a/b/c"), None).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        assert!(open_beneath(&root, Path::new("a/b")).is_ok());
        assert_eq!(open_beneath(&root, Path::new("a/x")).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("a")).unwrap();
        let root = open_directory(dir.path()).unwrap();
        assert!(make_directories(&root, Path::new("a/b"), None).is_err());
        assert!(make_link(&root, Path::new("a/b"), Path::new("/tmp"), None).is_err());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        assert!(open_directory(&dir.path().join("a")).is_err());
    }

    #[test]
    fn what_was_made_is_taken_away_again_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_directory(dir.path()).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        let mut made = Made::default();
        make_and_note(&root, Path::new("a/b/c"), None, &mut made).unwrap();
        made.undo();
        assert!(dir.path().join("a").is_dir() && !dir.path().join("a/b").exists());
        let mut made = Made::default();
        make_and_note(&root, Path::new("a/b/c"), None, &mut made).unwrap();
        fs::write(dir.path().join("a/b/theirs"), "").unwrap();
        made.undo();
        assert!(dir.path().join("a/b/theirs").exists() && !dir.path().join("a/b/c").exists());
    }

    #[test]
    fn only_our_own_link_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_directory(dir.path()).unwrap();
        let (target, link) = (Path::new("/volumes/x/data"), Path::new("var/data"));
        make_link(&root, link, target, None).unwrap();
        make_link(&root, link, target, None).unwrap();
        assert!(make_link(&root, link, Path::new("/other"), None).is_err());
        remove_link(&root, link, Path::new("/other")).unwrap();
        assert_eq!(fs::read_link(dir.path().join("var/data")).unwrap(), target);
        remove_link(&root, link, target).unwrap();
        assert!(fs::symlink_metadata(dir.path().join("var/data")).is_err());
        remove_link(&root, link, target).unwrap();
        fs::create_dir(dir.path().join("var/data")).unwrap();
        remove_link(&root, link, target).unwrap();
        assert!(dir.path().join("var/data").is_dir());
    }
}

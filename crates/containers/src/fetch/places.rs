//! What the agent does itself around a fetching container: it makes directories that others pass
//! through, takes away what was mounted into the sandbox, and reads what was told.
//!
//! The task's user may have put anything into these places, so no link is followed.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{unlinkat, AtFlags, OFlags};

use crate::isolation::beneath::{open_beneath, open_directory};

/// Lets others pass through directories, and not list them.
///
/// # Errors
/// When a mode cannot be set.
pub fn pass_through(dirs: &[&Path]) -> std::io::Result<()> {
    dirs.iter().try_for_each(|it| std::fs::set_permissions(it, Permissions::from_mode(0o711)))
}

/// Takes away what showed volumes in a sandbox at these paths, and the directory `above` them, as far
/// as it is empty.
pub fn clear_places(sandbox: &Path, places: &[String], above: &str) {
    let Ok(root) = open_directory(sandbox) else { return };
    for place in places.iter().map(String::as_str).chain([above]) {
        let path = Path::new(place);
        let parent = open_beneath(&root, path.parent().unwrap_or(Path::new("")));
        let (Ok(parent), Some(name)) = (parent, path.file_name()) else { continue };
        // It is a directory, or a link where there are no namespaces.
        let removed = unlinkat(&parent, name, AtFlags::REMOVEDIR);
        let _ = removed.or_else(|_| unlinkat(&parent, name, AtFlags::empty()));
    }
}

/// Reads what a process of the task's user has written into a file; `None` when it is not there, or
/// empty.
pub fn read_told(path: &Path, bytes_max: u64) -> Option<String> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut told = Vec::new();
    opened.take(bytes_max).read_to_end(&mut told).ok()?;
    let plain: String =
        String::from_utf8_lossy(&told).chars().filter(|it| !it.is_control()).collect();
    Some(plain).filter(|it| !it.is_empty())
}

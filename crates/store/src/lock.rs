//! The lock of a state directory: one process at a time.
//!
//! It relies on `flock`, which the kernel releases when its holder dies, however it dies. It never
//! breaks a lock.

use crate::report::OpenError;
use std::fs::{self, File, TryLockError};
use std::io::{Seek, Write};
use std::path::Path;

const FILE: &str = "lock";

/// Held while this value lives.
#[derive(Debug)]
pub(crate) struct DirLock(#[allow(dead_code, reason = "held for its lock")] File);

impl DirLock {
    /// Takes the lock of `dir` or says who holds it.
    pub fn take(dir: &Path) -> Result<DirLock, OpenError> {
        let path = dir.join(FILE);
        let io = |source| OpenError::Io { file: path.display().to_string(), source };
        let mut file = crate::private::file_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { dir: dir.to_owned(), holder: holder(&path) })
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // The pid only informs people; the lock is what counts, so a failure to write the pid is
        // ignored.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(DirLock(file))
    }

    /// Whether someone holds the lock of `dir` now.
    pub fn is_taken(dir: &Path) -> bool {
        File::open(dir.join(FILE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn holder(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(pid) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!DirLock::is_taken(dir.path()));
        let lock = DirLock::take(dir.path()).unwrap();
        assert!(DirLock::is_taken(dir.path()));
        let refused = DirLock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(lock);
        DirLock::take(dir.path()).unwrap();
    }
}

//! `stage_sandbox` makes the directory in which a container works.
//!
//! It makes the directory and its parents and gives the directory itself, never its parents, to the
//! payload's user, who alone can look into it; others pass through the parents and cannot list them.
//! It relies on the caller for the place. It never removes anything, and never follows a link in the
//! sandbox's own place.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::durable::FileError;
use crate::spec_check::look_up_user;
use crate::LaunchError;

/// Why a sandbox was not made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The path cannot be a sandbox's.
    #[error("sandbox {} {reason}", path.display())]
    Path {
        /// The value that was given.
        path: PathBuf,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// The user does not exist or cannot be given anything.
    #[error(transparent)]
    User(LaunchError),
    /// A directory could not be made or given away.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The mode of a sandbox: it is its user's alone. The agent, which is root or that very user, serves its files.
const SANDBOX_MODE: u32 = 0o700;
/// The mode of the directories above it: payloads of all users pass through them.
const PASS_MODE: u32 = 0o711;

/// Makes the sandbox `path` (mode 700, its parents 711) and gives it to `user`. What is there already
/// stays as it is.
pub fn stage_sandbox(path: &Path, user: Option<&str>) -> Result<(), SandboxError> {
    let rejected = |reason| SandboxError::Path { path: path.to_path_buf(), reason };
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(rejected("must be absolute and without \"..\""));
    }
    let account = user.map(look_up_user).transpose().map_err(SandboxError::User)?;
    make(path, SANDBOX_MODE)?;
    let found =
        std::fs::symlink_metadata(path).map_err(|error| FileError::new("look at", path, error))?;
    if !found.is_dir() {
        return Err(rejected("is a symbolic link; a sandbox must be a directory itself"));
    }
    if found.permissions().mode() & 0o700 != 0o700 {
        return Err(rejected(
            "is there and its owner may not use it; remove it or change its mode",
        ));
    }
    match account.filter(|account| account.switch) {
        Some(account) => std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid))
            .map_err(|error| FileError::new("give to the container's user", path, error).into()),
        None => Ok(()),
    }
}

/// Makes a directory and those above it that are missing. The umask has no say in it.
fn make(path: &Path, mode: u32) -> Result<(), FileError> {
    let failed = |error: std::io::Error| FileError::new("create", path, error);
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), |above| make(above, PASS_MODE))?;
            make(path, mode)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_tree_is_made_and_only_its_leaf_is_given_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        let root = nix::unistd::geteuid().is_root();
        let user = if root { Some("nobody") } else { None };
        stage_sandbox(&path, user).unwrap();
        stage_sandbox(&path, user).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.path().join("a/b"))), (0o700, 0o711));
        if root {
            let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
            assert_eq!(path.metadata().unwrap().uid(), nobody);
            assert_eq!(dir.path().join("a/b").metadata().unwrap().uid(), 0);
        }
    }

    #[test]
    fn what_cannot_be_a_sandbox_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(stage_sandbox(Path::new("a"), None), Err(SandboxError::Path { .. })));
        assert!(matches!(
            stage_sandbox(&dir.path().join("../x"), None),
            Err(SandboxError::Path { .. })
        ));
        assert!(matches!(
            stage_sandbox(&dir.path().join("x"), Some("no-such-user-here")),
            Err(SandboxError::User(_))
        ));
        assert!(!dir.path().join("x").exists());
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(
            stage_sandbox(&dir.path().join("file"), None),
            Err(SandboxError::File(_))
        ));
        std::os::unix::fs::symlink("/tmp", dir.path().join("link")).unwrap();
        assert!(matches!(
            stage_sandbox(&dir.path().join("link"), None),
            Err(SandboxError::Path { .. })
        ));
    }
}

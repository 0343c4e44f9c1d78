//! A disk that an operator added to a running agent.
//!
//! Its path is kept as it was given, but for slashes and dots that say nothing. Never says whether there is a disk at that path: that is
//! found out by opening it.

use std::path::{Path, PathBuf};

use crate::agent_ledger::DiskKind;
use crate::validate::Invalid;

/// The longest path of a disk that can be added, in bytes.
pub const ADDED_PATH_BYTES_MAX: usize = 256;

/// A disk that an operator added. The agent has it as long as this stands, beside those that its settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedDisk {
    /// The absolute path, which names it among the disks of its agent.
    pub root: String,
    /// Whether it is a shared directory or a whole file system.
    pub kind: DiskKind,
    /// Its size in megabytes (2^20 bytes); measured when none was given.
    pub size_mb: Option<u64>,
}

impl AddedDisk {
    /// A disk as an operator names it.
    ///
    /// # Errors
    /// [`Invalid`] naming `path`, `type` or `size_mb`.
    pub fn parse(kind: &str, root: &str, size_mb: Option<&str>) -> Result<AddedDisk, Invalid> {
        let kind = match kind {
            "path" => DiskKind::Path,
            "mount" => DiskKind::Mount,
            other => {
                let why = format!(
                    "`{other}` is no type of disk that can be added; write path (a directory that volumes share) or mount (a whole file system)"
                );
                return Err(Invalid::new("type", why));
            }
        };
        let size_mb = size_mb.map(|it| match it.parse::<u64>() {
            Ok(mb) if 0 < mb && i64::try_from(mb).is_ok_and(|it| it < i64::MAX / 1000) => Ok(mb),
            _ => Err(Invalid::new(
                "size_mb",
                format!("`{it}` is no size in MB; leave it out, and it is measured"),
            )),
        });
        Ok(AddedDisk { root: plain_root(root)?, kind, size_mb: size_mb.transpose()? })
    }
}

/// The path of a disk without what says nothing: doubled and trailing slashes, and `.`.
///
/// # Errors
/// [`Invalid`] naming `path`.
pub fn plain_root(root: &str) -> Result<String, Invalid> {
    let wrong = |why: String| Err(Invalid::new("path", why));
    let path = Path::new(root);
    if !path.is_absolute() {
        return wrong(format!("`{root}` is not absolute; write the full path on the agent's host"));
    }
    if root.chars().any(char::is_control) {
        return wrong("it has a control character; give the disk another path".to_owned());
    }
    if path.components().any(|it| it == std::path::Component::ParentDir) {
        return wrong(format!("`{root}` goes up with `..`; write the path without"));
    }
    let plain: PathBuf = path.components().collect();
    let plain = plain.to_string_lossy().into_owned();
    match plain.len() {
        ..=ADDED_PATH_BYTES_MAX => Ok(plain),
        long => wrong(format!(
            "it is {long} bytes long, and {ADDED_PATH_BYTES_MAX} can be kept; mount the disk at a shorter path"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_and_commas_is_a_path() {
        let disk = AddedDisk::parse("mount", "/mnt//my disk, the/second/./", None).unwrap();
        assert_eq!(disk.root, "/mnt/my disk, the/second");
        assert_eq!((disk.kind, disk.size_mb), (DiskKind::Mount, None));
        let sized = AddedDisk::parse("path", "/d", Some("500")).unwrap();
        assert_eq!((sized.kind, sized.size_mb), (DiskKind::Path, Some(500)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("/{}", "x".repeat(ADDED_PATH_BYTES_MAX));
        let cases = [
            ("path", "d", None, "path"),
            ("path", "/d\n", None, "path"),
            ("path", "/d/../e", None, "path"),
            ("path", "", None, "path"),
            ("path", &long, None, "path"),
            ("root", "/d", None, "type"),
            ("block", "/d", None, "type"),
            ("path", "/d", Some("0"), "size_mb"),
            ("path", "/d", Some("-1"), "size_mb"),
            ("path", "/d", Some("1 GB"), "size_mb"),
            ("path", "/d", Some("18446744073709551615"), "size_mb"),
        ];
        for (kind, root, size_mb, field) in cases {
            let error = AddedDisk::parse(kind, root, size_mb).unwrap_err();
            assert_eq!(error.path, field, "{kind} {root} {size_mb:?}: {error}");
        }
    }
}

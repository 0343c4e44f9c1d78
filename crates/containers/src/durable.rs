//! Small files that are whole or absent.
//!
//! They are written beside their place and renamed into it. What they say survives the death of any
//! process; after a power cut it means nothing any more, and a file may be empty then. The one
//! thing that must outlast that is a directory's name ([`sync_dir`]). Reads are bounded, and a
//! checksum tells a damaged file from a whole one: a flipped bit of a process's number, an exit
//! status or a limit would else be believed. It is never used for anything that belongs to a payload.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::Serialize;

/// The greatest size of a file of ours.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A file or directory of the launcher could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {detail}", path.display())]
pub struct FileError {
    /// The action that failed.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's error.
    pub detail: String,
}

impl FileError {
    /// Makes the error of `action` on `path`.
    pub(crate) fn new(action: &'static str, path: &Path, detail: impl ToString) -> FileError {
        FileError { action, path: path.to_path_buf(), detail: detail.to_string() }
    }
}

/// What a file begins with, before its checksum. Files of older programs, which their containers outlive, begin with the value itself.
const HEAD: &str = "holdfast crc32 ";

/// Writes `value` as JSON; a reader sees the old file or the new one, never a part. Survives the
/// death of any process, not a power cut.
pub(crate) fn write_atomic<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let json = serde_json::to_vec(value).map_err(|error| FileError::new("encode", path, error))?;
    let bytes = [head(&json).as_bytes(), &json].concat();
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| FileError::new("write", path, error))
}

/// Makes the entries of a directory survive a power cut.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads JSON; `None` when there is no such file. A damaged file is an error, never an absent one.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new("open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::new("read", path, error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::new("read", path, "larger than any file this crate writes"));
    }
    let json = checked(&bytes).ok_or_else(|| {
        FileError::new("believe", path, "it is damaged: its checksum does not match")
    })?;
    serde_json::from_slice(json)
        .map(Some)
        .map_err(|error| FileError::new("understand", path, error))
}

fn head(json: &[u8]) -> String {
    format!("{HEAD}{:08x}\n", crc32fast::hash(json))
}

/// The value in a file, if its checksum says that it is whole.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(HEAD.as_bytes()) {
        return Some(bytes);
    }
    let end = bytes.iter().position(|it| *it == b'\n')? + 1;
    let (found, json) = bytes.split_at(end);
    (found == head(json).as_bytes()).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_is_read_and_absent_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert!(read::<u32>(&path).unwrap().is_none());
        write_atomic(&path, &7u32).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), Some(7));
        write_atomic(&path, &8u32).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), Some(8));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exit.json");
        write_atomic(&path, &std::collections::BTreeMap::from([("code", 0)])).unwrap();
        type Found = Result<Option<std::collections::BTreeMap<String, i32>>, FileError>;
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            let found: Found = read(&path);
            assert!(found.is_err(), "bit {bit}: {found:?}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let found: Found = read(&path);
            assert!(found.is_err(), "cut to {length}: {found:?}");
        }
    }

    #[test]
    fn a_file_of_an_older_program_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exit.json");
        fs::write(&path, br#"{"code":3}"#).unwrap();
        let found: Option<std::collections::BTreeMap<String, i32>> = read(&path).unwrap();
        assert_eq!(found.unwrap()["code"], 3);
    }

    #[test]
    fn damage_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(&path, b"{").unwrap();
        assert!(read::<u32>(&path).unwrap_err().to_string().contains("a.json"));
        File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read::<u32>(&path).unwrap_err().to_string().contains("larger"));
    }
}

//! What lies in the directory of a node, as far as it must be known before Cassandra starts on it.
//!
//! It only looks, at names alone: no file of Cassandra's is opened.

use std::fs;
use std::io;
use std::path::Path;

use crate::marker::{Marker, MARKER_FILE};

/// How many names are told.
const NAMES_MAX: usize = 5;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The marker, or why there is none that can be understood.
    pub marker: Result<Option<Marker>, String>,
    /// The first names beside it. `lost+found` is the file system's own.
    pub others: Vec<String>,
    /// Whether the table is there in which Cassandra keeps its own host id and tokens.
    pub has_local: bool,
}

/// Looks at a volume.
///
/// # Errors
/// When it cannot be listed.
pub fn look(volume: &Path) -> io::Result<Found> {
    let mut others = Vec::new();
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "lost+found" && !name.starts_with(MARKER_FILE) {
            others.push(name);
        }
    }
    others.sort();
    others.truncate(NAMES_MAX);
    Ok(Found { marker: Marker::read(volume), others, has_local: has_local(volume)? })
}

/// Whether `system.local` has a table on disk: Cassandra writes it there when it has joined.
fn has_local(volume: &Path) -> io::Result<bool> {
    let tables = match fs::read_dir(volume.join("data/system")) {
        Ok(tables) => tables,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for table in tables {
        let table = table?;
        if !table.file_name().to_string_lossy().starts_with("local-") {
            continue;
        }
        for file in fs::read_dir(table.path())? {
            if file?.file_name().to_string_lossy().ends_with("-Data.db") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::tests::joined_marker;

    #[test]
    fn a_directory_is_told_by_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path();
        fs::create_dir(volume.join("lost+found")).unwrap();
        let empty = Found { marker: Ok(None), others: Vec::new(), has_local: false };
        assert_eq!(look(volume).unwrap(), empty);
        joined_marker(1, 2).write(volume).unwrap();
        let table = volume.join("data/system/local-7ad54392bcdd35a684174e047860b377");
        fs::create_dir_all(&table).unwrap();
        assert!(!look(volume).unwrap().has_local, "an empty folder is no table");
        fs::write(table.join("nb-1-big-Data.db"), "").unwrap();
        let found = look(volume).unwrap();
        assert_eq!((found.marker, found.has_local), (Ok(Some(joined_marker(1, 2))), true));
        assert_eq!(found.others, ["data"]);
        assert!(look(&volume.join("nothing")).is_err());
    }
}

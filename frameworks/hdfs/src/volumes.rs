//! What lies on a member's volumes, as far as it must be known before Hadoop starts on them.
//!
//! It only looks: at names, at the marker, and at the files `VERSION`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::identity::{Kind, Version, Who};
use crate::marker::{Marker, MARKER_FILE};

/// How many names are told.
const NAMES_MAX: usize = 5;

/// What was found on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The marker, or why there is none that can be understood.
    pub marker: Result<Option<Marker>, String>,
    /// The first names beside it. `lost+found` is the file system's own.
    pub others: Vec<String>,
    /// What Hadoop says whose it is, or why that cannot be understood.
    pub version: Result<Option<Version>, String>,
}

/// The directory on a volume that is Hadoop's.
pub fn storage(who: &Who, volume: &Path) -> PathBuf {
    volume.join(who.kind.name())
}

/// The directory that has Hadoop's file `VERSION`.
fn current(who: &Who, volume: &Path) -> PathBuf {
    let storage = storage(who, volume);
    match who.kind {
        Kind::Journal => storage.join(&who.service).join("current"),
        Kind::Name | Kind::Data => storage.join("current"),
    }
}

/// Looks at a volume.
///
/// # Errors
/// When it cannot be listed.
pub fn look(who: &Who, volume: &Path) -> io::Result<Found> {
    let mut others = Vec::new();
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "lost+found" && !name.starts_with(MARKER_FILE) {
            others.push(name);
        }
    }
    others.sort();
    others.truncate(NAMES_MAX);
    let version = version(&current(who, volume)).map_err(|error| error.to_string());
    Ok(Found { marker: Marker::read(volume), others, version })
}

fn version(current: &Path) -> io::Result<Option<Version>> {
    let text = match fs::read_to_string(current.join("VERSION")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut version = Version::parse(&text).map_err(io::Error::other)?;
    if version.data_node.is_some() {
        version.identity.block_pool = block_pool(current)?;
    }
    Ok(Some(version))
}

/// The block pool of a data node's storage directory, if it has one and no other.
fn block_pool(current: &Path) -> io::Result<Option<String>> {
    let mut pools = Vec::new();
    for entry in fs::read_dir(current)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("BP-") {
            pools.push(name);
        }
    }
    Ok(pools.pop().filter(|_| pools.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::tests::{who, whole};

    #[test]
    fn a_volume_is_told_by_its_names_its_marker_and_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let (volume, name) = (dir.path(), who(Kind::Name, 0));
        fs::create_dir(volume.join("lost+found")).unwrap();
        let empty = Found { marker: Ok(None), others: Vec::new(), version: Ok(None) };
        assert_eq!(look(&name, volume).unwrap(), empty);
        // A marker that a power cut has left half written has not its name yet.
        for draft in ["", "{\"format\":1,"] {
            fs::write(volume.join(format!("{MARKER_FILE}.new")), draft).unwrap();
            assert_eq!(look(&name, volume).unwrap(), empty);
        }
        whole(&name, 0, 2).write(volume).unwrap();
        fs::create_dir_all(volume.join("name/current")).unwrap();
        fs::write(volume.join("name/current/VERSION"), "clusterID=c\nnamespaceID=7\n").unwrap();
        let found = look(&name, volume).unwrap();
        assert_eq!(found.marker, Ok(Some(whole(&name, 0, 2))));
        assert_eq!(found.others, ["name"]);
        assert_eq!(found.version.unwrap().unwrap().identity.cluster, "c");
        fs::write(volume.join("name/current/VERSION"), "nothing").unwrap();
        assert!(look(&name, volume).unwrap().version.is_err());
        assert!(look(&name, &volume.join("nowhere")).is_err());
    }

    #[test]
    fn a_data_node_keeps_its_block_pool_in_a_name_and_a_journal_node_its_nameservice() {
        let dir = tempfile::tempdir().unwrap();
        let data = who(Kind::Data, 0);
        let current = dir.path().join("data/current");
        fs::create_dir_all(current.join("BP-1")).unwrap();
        fs::write(current.join("VERSION"), "clusterID=c\ndatanodeUuid=u\nstorageID=DS\n").unwrap();
        let pool =
            || look(&data, dir.path()).unwrap().version.unwrap().unwrap().identity.block_pool;
        assert_eq!(pool().as_deref(), Some("BP-1"));
        fs::create_dir(current.join("BP-2")).unwrap();
        assert_eq!(pool(), None, "which of them is not known");
        let journal = who(Kind::Journal, 0);
        let current = dir.path().join("journal/files/current");
        fs::create_dir_all(&current).unwrap();
        fs::write(current.join("VERSION"), "clusterID=c\nnamespaceID=7\n").unwrap();
        assert!(look(&journal, dir.path()).unwrap().version.unwrap().is_some());
    }
}

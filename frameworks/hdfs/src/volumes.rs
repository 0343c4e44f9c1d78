//! What lies on a member's volumes, as far as it must be known before Hadoop starts on them.
//!
//! It looks at names, at the marker, and at the files `VERSION`. What it writes is the beginning of a journal that takes the place of a
//! lost one, and never over a journal.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::identity::{Kind, Version, Who};
use crate::looks::Edits;
use crate::marker::{Marker, MARKER_FILE};
use crate::order::Fill;

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

/// The file of a journal node that says up to which writer it has promised to listen to no earlier one.
const PROMISED: &str = "last-promised-epoch";

/// What a journal node has on its volume; `None` before its journal is formatted.
///
/// # Errors
/// When it cannot be read.
pub fn edits(who: &Who, volume: &Path) -> io::Result<Option<Edits>> {
    let current = current(who, volume);
    let version = match fs::read_to_string(current.join("VERSION")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut segments = Vec::new();
    for entry in fs::read_dir(&current)? {
        segments.extend(segment(&entry?.file_name().to_string_lossy()));
    }
    let promised = match fs::read_to_string(current.join(PROMISED)) {
        Ok(text) => text.trim().parse().map_err(io::Error::other)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(Some(Edits { version, promised, from: whole_from(segments) }))
}

/// The first transaction of a file of edits, and the last one of one that is complete.
fn segment(name: &str) -> Option<(u64, Option<u64>)> {
    let rest = name.strip_prefix("edits_")?;
    match rest.strip_prefix("inprogress_") {
        Some(first) => Some((first.parse().ok()?, None)),
        None => {
            let (first, last) = rest.split_once('-')?;
            Some((first.parse().ok()?, Some(last.parse().ok()?)))
        }
    }
}

/// From which transaction on nothing is missing.
fn whole_from(mut segments: Vec<(u64, Option<u64>)>) -> Option<u64> {
    segments.sort_unstable();
    let mut newest_first = segments.into_iter().rev();
    let mut from = newest_first.next()?.0;
    for (first, last) in newest_first {
        // One that was left behind in progress beside its complete self says nothing.
        if last.is_some_and(|it| it + 1 == from) {
            from = first;
        }
    }
    Some(from)
}

/// Makes an empty journal of the file system on a volume that has none, as a journal node does when it is formatted. It listens to no
/// writer that the others have turned away.
///
/// # Errors
/// When it cannot be written, or there is one.
pub fn begin_journal(who: &Who, volume: &Path, fill: &Fill) -> io::Result<()> {
    let current = current(who, volume);
    if current.join("VERSION").exists() {
        return Err(io::Error::other("it has a journal"));
    }
    fs::create_dir_all(current.join("paxos"))?;
    write_synced(&current.join(PROMISED), &format!("{}\n", fill.promised))?;
    let draft = current.join("VERSION.new");
    write_synced(&draft, &fill.version)?;
    fs::rename(draft, current.join("VERSION"))?;
    for folder in current.ancestors().take_while(|it| it.starts_with(volume)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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
    fn a_journal_is_begun_from_what_the_others_have_and_says_from_where_on_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let journal = who(Kind::Journal, 0);
        assert_eq!(edits(&journal, dir.path()).unwrap(), None);
        let version =
            "namespaceID=7\nclusterID=c\ncTime=1\nlayoutVersion=-66\nstorageType=JOURNAL_NODE\n";
        let fill = Fill { version: version.to_owned(), promised: 4 };
        begin_journal(&journal, dir.path(), &fill).unwrap();
        let new = Edits { version: version.to_owned(), promised: 4, from: None };
        assert_eq!(edits(&journal, dir.path()).unwrap(), Some(new));
        assert!(begin_journal(&journal, dir.path(), &fill).is_err(), "there is one");
        assert!(look(&journal, dir.path()).unwrap().version.unwrap().is_some());
        let from = |names: &[&str]| whole_from(names.iter().filter_map(|it| segment(it)).collect());
        assert_eq!(
            from(&["edits_01-04", "edits_05-09", "edits_inprogress_10", "VERSION"]),
            Some(1)
        );
        assert_eq!(from(&["edits_01-04", "edits_07-09", "edits_inprogress_10"]), Some(7));
        assert_eq!(from(&["edits_01-04", "edits_inprogress_10"]), Some(10));
        assert_eq!(from(&["edits_01-04", "edits_inprogress_01", "edits_05-06"]), Some(1));
        assert_eq!(from(&["edits_inprogress_10.empty", "edits_x-1"]), None);
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

//! The trash of a disk: its names, and the list of its entries.
//!
//! What it is for: between DESTROY and removal a volume can be seen, counted and restored. A name
//! there holds volume uuid, time of the DESTROY, and whether removal has begun. What it relies on:
//! names, and the labels that stay in the folders until the last. What it never does: remove
//! anything.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::disk::{OpenDisk, TRASH};
use crate::folder::{EnterFault, Folder};
use crate::label::VolumeLabel;
use crate::volume::{folder_name, read_volume_label, VolumeFault};

/// The end of the name of an entry whose removal has begun.
const PURGING: &str = ".purging";

/// A destroyed volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashEntry {
    /// The uuid of the volume.
    pub volume_uuid: Uuid,
    /// When it was destroyed, in milliseconds since 1970 as the caller of `trash_volume` said.
    pub deleted_at_ms: u64,
    /// Whether its removal has begun, so that it cannot be restored any more.
    pub purging: bool,
    /// The uuid of the disk that holds it.
    pub disk_uuid: Uuid,
    /// The path of its folder. [`crate::measure`] says how much space its removal will give back.
    pub path: PathBuf,
    /// Its label, if it can be read.
    pub label: Option<VolumeLabel>,
}

/// The content of a disk's trash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrashList {
    /// Destroyed volumes, oldest first.
    pub entries: Vec<TrashEntry>,
    /// Paths that no DESTROY put there. They are never removed.
    pub foreign: Vec<PathBuf>,
}

/// The content of a name in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrashName {
    pub volume_uuid: Uuid,
    pub deleted_at_ms: u64,
    pub purging: bool,
}

impl TrashName {
    /// The name as written.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}-{}{}",
            folder_name(self.volume_uuid),
            self.deleted_at_ms,
            if self.purging { PURGING } else { "" }
        )
    }

    /// Parses a name, if it is exactly as [`TrashName::text`] writes it.
    pub(crate) fn parse(name: &str) -> Option<TrashName> {
        let (rest, purging) = name.strip_suffix(PURGING).map_or((name, false), |rest| (rest, true));
        let (uuid, ms) = rest.rsplit_once('-')?;
        let parsed =
            TrashName { volume_uuid: uuid.parse().ok()?, deleted_at_ms: ms.parse().ok()?, purging };
        (parsed.text() == name).then_some(parsed)
    }
}

/// Finds the names of all volumes in the trash of a disk, whose `holdfast` folder is given. One
/// look serves a whole batch.
pub(crate) fn names_in_trash(holdfast: &Folder) -> io::Result<BTreeMap<Uuid, TrashName>> {
    let trash = match holdfast.enter(TRASH) {
        Ok(trash) => trash,
        Err(EnterFault::Absent) => return Ok(BTreeMap::new()),
        Err(fault) => return Err(fault.into_io()),
    };
    let names = trash.names()?;
    // A volume that was destroyed, restored and destroyed again never leaves two names behind; if
    // somebody's copying did, the first in the order of names is meant, as ever.
    let parsed = names.iter().rev().filter_map(|name| TrashName::parse(name));
    Ok(parsed.map(|name| (name.volume_uuid, name)).collect())
}

/// Makes the entry for a name.
pub(crate) fn entry(disk: &OpenDisk, trash: &Folder, name: TrashName) -> TrashEntry {
    let text = name.text();
    let label = trash
        .enter(&text)
        .ok()
        .and_then(|folder| read_volume_label(&folder, name.volume_uuid).ok())
        .map(|pair| pair.label);
    TrashEntry {
        volume_uuid: name.volume_uuid,
        deleted_at_ms: name.deleted_at_ms,
        purging: name.purging,
        disk_uuid: disk.label().disk_uuid,
        path: trash.path().join(text),
        label,
    }
}

/// Lists what lies in the trash of a disk.
///
/// # Errors
/// [`VolumeFault::Disk`] if the disk is unfit.
pub fn list_trash(disk: &OpenDisk) -> Result<TrashList, VolumeFault> {
    let entered = disk.enter()?;
    let mut list = TrashList::default();
    let trash = match entered.folder.enter(TRASH) {
        Ok(trash) => trash,
        Err(EnterFault::Absent) => return Ok(list),
        Err(fault) => return Err(disk.io("open its trash")(fault.into_io()).into()),
    };
    for name in trash.names().map_err(disk.io("list its trash"))? {
        match TrashName::parse(&name) {
            Some(parsed) => list.entries.push(entry(disk, &trash, parsed)),
            None => list.foreign.push(trash.path().join(name)),
        }
    }
    list.entries.sort_by_key(|entry| (entry.deleted_at_ms, entry.volume_uuid));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed};
    use crate::trash_volume;

    #[test]
    fn names_read_back_and_foreign_ones_do_not() {
        for purging in [false, true] {
            let name = TrashName {
                volume_uuid: Uuid::from_u128(3),
                deleted_at_ms: 1_700_000_000_123,
                purging,
            };
            assert_eq!(TrashName::parse(&name.text()), Some(name));
        }
        let uuid = folder_name(Uuid::from_u128(3));
        for bad in [
            "",
            "x",
            &uuid,
            &format!("{uuid}-"),
            &format!("{uuid}-+5"),
            &format!("{uuid}-05"),
            &format!("{uuid}-5.purging.purging"),
        ] {
            assert_eq!(TrashName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_list_is_oldest_first_and_leaves_nothing_out() {
        let bed = Bed::new();
        for (n, ms) in [(1, 30), (2, 10), (3, 20)] {
            bed.filled_volume(n);
            trash_volume(&bed.disk, volume_label(n).volume_uuid, ms).unwrap();
        }
        std::fs::write(bed.folder().join("trash/note"), "").unwrap();
        let list = list_trash(&bed.disk).unwrap();
        assert_eq!(
            list.entries
                .iter()
                .map(|e| (e.deleted_at_ms, e.label.clone().unwrap()))
                .collect::<Vec<_>>(),
            [(10, volume_label(2)), (20, volume_label(3)), (30, volume_label(1))]
        );
        assert_eq!(list.foreign.len(), 1);
        assert!(list.entries[0].path.join("data/precious").exists());
    }
}

//! DESTROY, second step: removal, off the agent's main loop.
//!
//! What it is for: giving back the space of a destroyed volume. What it relies on: the entry is
//! renamed before the first byte goes, so that half a volume can never be restored; labels go last,
//! so that half a volume still says what it was. What it never does: leave the entry's own folder,
//! cross a mount, or remove anything that no DESTROY put into the trash.

use std::ffi::CString;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use crate::disk::OpenDisk;
use crate::folder::{EnterFault, Folder};
use crate::guard::{Kept, Removed, Remover};
use crate::image::{has_image, unmount_image};
use crate::label_pair::LABEL_NAMES;
use crate::trash::{TrashEntry, TrashName};
use crate::volume::{damaged, enter_trash, volume_io, VolumeFault};
use crate::walker::walk;

/// The progress of a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeProgress {
    /// The number of files, links and directories removed by this call.
    pub removed_entries: u64,
    /// The bytes that this gave back, by blocks.
    pub removed_bytes: u64,
    /// Whether the entry is gone, durably.
    pub done: bool,
}

/// Removes a destroyed volume. `progress` is called after each removal and may stop it (`Break`);
/// then, and after a crash, the same call goes on where it stopped. An entry that is not there is
/// done.
///
/// # Errors [`VolumeFault::NotPurged`] if something of it could not be removed (a mount within it,
/// say); all else is gone then.
pub fn purge_trash(
    disk: &OpenDisk,
    entry: &TrashEntry,
    progress: &mut dyn FnMut(&PurgeProgress) -> ControlFlow<()>,
) -> Result<PurgeProgress, VolumeFault> {
    purge(disk, entry, false, progress)
}

/// Goes on with a removal of which this process has done a part already: that it has begun is
/// durable since, and is not synced again. A removal in many small parts would wait for the disk
/// each time.
///
/// # Errors As [`purge_trash`].
pub fn purge_trash_further(
    disk: &OpenDisk,
    entry: &TrashEntry,
    progress: &mut dyn FnMut(&PurgeProgress) -> ControlFlow<()>,
) -> Result<PurgeProgress, VolumeFault> {
    purge(disk, entry, true, progress)
}

fn purge(
    disk: &OpenDisk,
    entry: &TrashEntry,
    begun: bool,
    progress: &mut dyn FnMut(&PurgeProgress) -> ControlFlow<()>,
) -> Result<PurgeProgress, VolumeFault> {
    let volume_uuid = entry.volume_uuid;
    let disk_uuid = disk.label().disk_uuid;
    if entry.disk_uuid != disk_uuid {
        return Err(VolumeFault::WrongDisk {
            volume_uuid,
            claimed: entry.disk_uuid,
            disk: disk_uuid,
        });
    }
    let entered = disk.enter()?;
    let trash = enter_trash(disk, &entered)?;
    let Some((name, folder)) = begin(&trash, entry, begun)? else {
        return Ok(PurgeProgress { done: true, ..PurgeProgress::default() });
    };
    if has_image(&folder, volume_uuid)? {
        unmount_image(&folder, volume_uuid)?; // It was before, unless somebody has mounted it since.
    }
    let (removed, kept, stopped) = empty(&folder, volume_uuid, progress)?;
    let so_far = PurgeProgress {
        removed_entries: removed.entries,
        removed_bytes: removed.bytes,
        done: false,
    };
    if let Some(first) = kept.into_iter().next() {
        return Err(VolumeFault::NotPurged { volume_uuid, path: first.path, why: first.why });
    }
    if stopped {
        return Ok(so_far);
    }
    for label in LABEL_NAMES {
        folder.remove_file(label).map_err(volume_io(volume_uuid, "remove its label"))?;
    }
    trash
        .remove_dir(&name)
        .and_then(|()| trash.sync())
        .map_err(volume_io(volume_uuid, "remove its folder from the trash"))?;
    Ok(PurgeProgress {
        removed_entries: so_far.removed_entries + LABEL_NAMES.len() as u64 + 1,
        done: true,
        ..so_far
    })
}

/// Renames the entry, so that there is no way back, and opens it. `None` if it is gone already.
fn begin(
    trash: &Folder,
    entry: &TrashEntry,
    begun: bool,
) -> Result<Option<(String, Folder)>, VolumeFault> {
    let volume_uuid = entry.volume_uuid;
    let whole = TrashName { volume_uuid, deleted_at_ms: entry.deleted_at_ms, purging: false };
    let going = TrashName { purging: true, ..whole }.text();
    match trash.enter(&whole.text()) {
        Ok(_) => trash
            .move_to(&whole.text(), trash, &going)
            .map_err(volume_io(volume_uuid, "begin its removal"))?,
        Err(EnterFault::Absent) if begun => {}
        // An earlier call renamed it, and may have died before the sync.
        Err(EnterFault::Absent) => {
            trash.sync().map_err(volume_io(volume_uuid, "sync the trash"))?
        }
        Err(EnterFault::Io(source)) => {
            return Err(volume_io(volume_uuid, "open it in the trash")(source))
        }
        Err(_) => {
            return Err(damaged(
                volume_uuid,
                &entry.path,
                "its trash entry is no directory of this disk",
            ))
        }
    }
    match trash.enter(&going) {
        Ok(folder) => Ok(Some((going, folder))),
        Err(EnterFault::Absent) => Ok(None),
        Err(EnterFault::Io(source)) => Err(volume_io(volume_uuid, "open it in the trash")(source)),
        Err(_) => {
            Err(damaged(volume_uuid, &entry.path, "its trash entry is no directory of this disk"))
        }
    }
}

/// Removes all in the entry but its labels.
fn empty(
    folder: &Folder,
    volume_uuid: uuid::Uuid,
    progress: &mut dyn FnMut(&PurgeProgress) -> ControlFlow<()>,
) -> Result<(Removed, Vec<Kept>, bool), VolumeFault> {
    let mut on_removed = |removed: Removed| {
        progress(&PurgeProgress {
            removed_entries: removed.entries,
            removed_bytes: removed.bytes,
            done: false,
        })
    };
    let mut remover = Remover::new(folder.identity().mount, &mut on_removed);
    for name in folder.names().map_err(volume_io(volume_uuid, "list its folder"))? {
        if LABEL_NAMES.contains(&name.as_str()) {
            continue;
        }
        let name = CString::new(name).expect("the name of a directory entry holds no zero byte");
        walk(folder.as_fd(), folder.path(), &name, &mut remover)
            .map_err(volume_io(volume_uuid, "walk it"))?;
    }
    Ok((remover.removed, remover.kept, remover.stopped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::KeptWhy;
    use crate::steps::{crash_at, record};
    use crate::testbed::{volume_label, Bed, TmpfsMount};
    use crate::{list_trash, trash_volume};
    use std::fs;

    fn go_on(_: &PurgeProgress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn trashed(bed: &Bed) -> TrashEntry {
        let data = bed.filled_volume(1);
        fs::create_dir(data.join("sub")).unwrap();
        fs::write(data.join("sub/file"), vec![0; 5000]).unwrap();
        bed.filled_volume(2);
        std::os::unix::fs::symlink(bed.folder().join("volumes"), data.join("link")).unwrap();
        trash_volume(&bed.disk, volume_label(1).volume_uuid, 7).unwrap()
    }

    #[test]
    fn it_goes_wholly_and_alone() {
        let bed = Bed::new();
        let entry = trashed(&bed);
        let mut counts = Vec::new();
        let done = purge_trash(&bed.disk, &entry, &mut |progress| {
            counts.push(progress.removed_entries);
            ControlFlow::Continue(())
        });
        let done = done.unwrap();
        assert!(done.done && done.removed_bytes >= 5000, "{done:?}");
        assert_eq!((counts, done.removed_entries), (vec![1, 2, 3, 4, 5], 8));
        assert_eq!(list_trash(&bed.disk).unwrap(), Default::default());
        assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2", "the link was not followed");
        assert!(purge_trash(&bed.disk, &entry, &mut go_on).unwrap().done, "again");
    }

    #[test]
    fn it_stops_when_told_and_goes_on_later() {
        let bed = Bed::new();
        let entry = trashed(&bed);
        let first = purge_trash(&bed.disk, &entry, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!((first.removed_entries, first.done), (1, false));
        let listed = list_trash(&bed.disk).unwrap().entries;
        assert!(
            listed[0].purging && listed[0].label == Some(volume_label(1)),
            "it still says what it was"
        );
        assert!(purge_trash(&bed.disk, &listed[0], &mut go_on).unwrap().done);
    }

    #[test]
    fn going_on_waits_for_the_disk_only_at_the_end() {
        let bed = Bed::new();
        let entry = trashed(&bed);
        let stop = &mut |_: &PurgeProgress| ControlFlow::Break(());
        purge_trash(&bed.disk, &entry, stop).unwrap();
        let (_, steps) = record(|| purge_trash_further(&bed.disk, &entry, stop).unwrap());
        assert!(!steps.iter().any(|it| it.starts_with("sync")), "{steps:?}");
        let (done, steps) = record(|| purge_trash_further(&bed.disk, &entry, &mut go_on).unwrap());
        assert!(done.done && steps.iter().filter(|it| it.starts_with("sync")).count() == 1);
    }

    #[test]
    fn a_mount_within_it_stays() {
        let bed = Bed::new();
        let entry = trashed(&bed);
        let other = bed.folder().join("volumes").join(volume_label(2).volume_uuid.to_string());
        let Some(mount) =
            TmpfsMount::bind(&other, entry.path.join("data/sub/m"), "a_mount_within_it_stays")
        else {
            return;
        };
        let fault = purge_trash(&bed.disk, &entry, &mut go_on).unwrap_err();
        assert!(
            matches!(fault, VolumeFault::NotPurged { why: KeptWhy::OtherMount, .. }),
            "{fault}"
        );
        assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2");
        // The rename took the mount along; undo it where it is now.
        let moved = list_trash(&bed.disk).unwrap().entries[0].path.join("data/sub/m");
        rustix::mount::unmount(&moved, rustix::mount::UnmountFlags::DETACH).unwrap();
        drop(mount);
        assert!(purge_trash(&bed.disk, &entry, &mut go_on).unwrap().done);
        assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2");
    }

    #[test]
    fn a_crash_anywhere_can_be_gone_on_from() {
        for n in 0.. {
            let bed = Bed::new();
            let entry = trashed(&bed);
            let (_, crashed) = crash_at(n, || purge_trash(&bed.disk, &entry, &mut go_on));
            let listed = list_trash(&bed.disk).unwrap();
            assert!(
                listed.foreign.is_empty()
                    && listed.entries.iter().all(|e| e.volume_uuid == volume_label(1).volume_uuid)
            );
            assert!(purge_trash(&bed.disk, &entry, &mut go_on).unwrap().done);
            assert_eq!(fs::read_dir(bed.folder().join("trash")).unwrap().count(), 0);
            assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2");
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn an_entry_of_another_disk_is_refused() {
        let bed = Bed::new();
        let entry = TrashEntry { disk_uuid: uuid::Uuid::from_u128(1), ..trashed(&bed) };
        assert!(matches!(
            purge_trash(&bed.disk, &entry, &mut go_on),
            Err(VolumeFault::WrongDisk { .. })
        ));
        assert!(entry.path.join("data/precious").exists());
    }
}

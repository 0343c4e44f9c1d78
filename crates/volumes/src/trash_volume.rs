//! DESTROY, first step: moves the volume to the trash.
//!
//! What it is for: a volume that its owner destroyed leaves the place where tasks find it, at once
//! and whole, and can still be brought back. What it relies on: rename and directory syncs. What it
//! never does: remove a byte, or take a volume whose label says that it is another one.

use uuid::Uuid;

use crate::disk::OpenDisk;
use crate::trash::{entry, find_in_trash, TrashEntry, TrashName};
use crate::volume::{
    enter_trash, enter_volume, enter_volumes, folder_name, read_volume_label, volume_io,
    volume_path, VolumeFault,
};

/// Moves a volume to the trash, durably on return. Called again (after a crash, say) it returns the
/// entry that is there. `now_ms` is the time in milliseconds since 1970.
///
/// # Errors [`VolumeFault::Missing`] if the volume is neither on the disk nor in its trash;
/// `Foreign` if something else stands in its place. A volume with a damaged label can be destroyed:
/// the trash keeps it as it is.
pub fn trash_volume(
    disk: &OpenDisk,
    volume_uuid: Uuid,
    now_ms: u64,
) -> Result<TrashEntry, VolumeFault> {
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let trash = enter_trash(disk, &entered)?;
    let Some(folder) = enter_volume(&volumes, volume_uuid)? else {
        let name = find_in_trash(&entered.folder, volume_uuid)
            .map_err(volume_io(volume_uuid, "look into the trash"))?;
        let name = name.as_deref().and_then(TrashName::parse);
        let name = name.ok_or_else(|| VolumeFault::Missing {
            volume_uuid,
            path: volume_path(disk, volume_uuid),
        })?;
        // An earlier call may have renamed and died before the syncs.
        trash
            .sync()
            .and_then(|()| volumes.sync())
            .map_err(volume_io(volume_uuid, "sync the trash"))?;
        return Ok(entry(disk, &trash, name));
    };
    match read_volume_label(&folder, volume_uuid) {
        Ok(_) | Err(VolumeFault::Damaged { .. }) => {}
        Err(fault) => return Err(fault),
    }
    let name = TrashName { volume_uuid, deleted_at_ms: now_ms, purging: false };
    volumes
        .move_to(&folder_name(volume_uuid), &trash, &name.text())
        .map_err(volume_io(volume_uuid, "move it to the trash"))?;
    Ok(entry(disk, &trash, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::crash_at;
    use crate::testbed::{volume_label, Bed};
    use crate::{check_volume, list_trash, restore_volume};

    #[test]
    fn it_leaves_its_place_whole() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let uuid = volume_label(1).volume_uuid;
        let entry = trash_volume(&bed.disk, uuid, 42).unwrap();
        assert_eq!(
            (entry.deleted_at_ms, entry.purging, entry.label.clone()),
            (42, false, Some(volume_label(1)))
        );
        assert_eq!(
            std::fs::read_to_string(entry.path.join("data/precious")).unwrap(),
            "bytes of 1"
        );
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Missing { .. })
        ));
        assert_eq!(
            trash_volume(&bed.disk, uuid, 99).unwrap(),
            entry,
            "again: the same entry with the first time"
        );
        assert!(matches!(
            trash_volume(&bed.disk, Uuid::from_u128(5), 1),
            Err(VolumeFault::Missing { .. })
        ));
    }

    #[test]
    fn damaged_labels_can_go_foreign_ones_cannot() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let data = bed.filled_volume(2);
        let folder =
            |n: u128| bed.folder().join("volumes").join(volume_label(n).volume_uuid.to_string());
        for name in ["label", "label-copy"] {
            std::fs::write(folder(1).join(name), "x").unwrap();
        }
        assert_eq!(trash_volume(&bed.disk, volume_label(1).volume_uuid, 1).unwrap().label, None);
        std::fs::rename(data.parent().unwrap(), folder(3)).unwrap();
        assert!(matches!(
            trash_volume(&bed.disk, volume_label(3).volume_uuid, 1),
            Err(VolumeFault::Foreign { .. })
        ));
        assert!(folder(3).join("data/precious").exists());
    }

    #[test]
    fn a_crash_anywhere_leaves_it_whole_here_or_there() {
        for n in 0.. {
            let bed = Bed::new();
            bed.filled_volume(1);
            let uuid = volume_label(1).volume_uuid;
            let (_, crashed) = crash_at(n, || trash_volume(&bed.disk, uuid, 7));
            let in_place = check_volume(&bed.disk, &volume_label(1)).is_ok();
            assert!(in_place == list_trash(&bed.disk).unwrap().entries.is_empty());
            let entry = trash_volume(&bed.disk, uuid, 8).unwrap();
            assert_eq!(entry.deleted_at_ms, if in_place { 8 } else { 7 });
            let (_, _) = crash_at(n, || restore_volume(&bed.disk, &entry));
            restore_volume(&bed.disk, &entry).unwrap();
            assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
            if !crashed {
                break;
            }
        }
    }
}

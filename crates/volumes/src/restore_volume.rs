//! Restores a destroyed volume from the trash.
//!
//! What it is for: a DESTROY that was a slip. What it relies on: removal begins with a rename, so
//! an entry under its plain name is whole. What it never does: replace a volume, or bring back one
//! whose removal has begun.

use std::path::PathBuf;

use crate::disk::{OpenDisk, TRASH};
use crate::folder::EnterFault;
use crate::trash::{TrashEntry, TrashName};
use crate::volume::{
    enter_trash, enter_volume, enter_volumes, folder_name, look_at_data, read_volume_label,
    volume_io, VolumeFault, DATA,
};

/// Puts a destroyed volume back and returns the path of its data. It is durable on return;
/// repeating it is harmless. The caller decides whether its claim may come back.
///
/// # Errors [`VolumeFault::NotRestorable`] if the entry is gone or being removed; `Damaged` if it
/// is not whole (it stays in the trash).
pub fn restore_volume(disk: &OpenDisk, entry: &TrashEntry) -> Result<PathBuf, VolumeFault> {
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
    let volumes = enter_volumes(disk, &entered)?;
    let trash = enter_trash(disk, &entered)?;
    let name = TrashName { volume_uuid, deleted_at_ms: entry.deleted_at_ms, purging: false }.text();
    let folder = match trash.enter(&name) {
        Ok(folder) => folder,
        Err(EnterFault::Absent) => {
            let path = entered.folder.path().join(TRASH).join(&name);
            let back = enter_volume(&volumes, volume_uuid)?
                .ok_or(VolumeFault::NotRestorable { volume_uuid, path })?;
            let data = look_at_data(&back, &read_volume_label(&back, volume_uuid)?.label)?;
            volumes
                .sync()
                .and_then(|()| trash.sync())
                .map_err(volume_io(volume_uuid, "sync its folder"))?;
            return Ok(data);
        }
        Err(fault) => return Err(volume_io(volume_uuid, "open it in the trash")(fault.into_io())),
    };
    look_at_data(&folder, &read_volume_label(&folder, volume_uuid)?.label)?;
    trash
        .move_to(&name, &volumes, &folder_name(volume_uuid))
        .map_err(volume_io(volume_uuid, "move it back"))?;
    Ok(volumes.path().join(folder_name(volume_uuid)).join(DATA))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed};
    use crate::{check_volume, purge_trash, trash_volume};
    use std::ops::ControlFlow;

    #[test]
    fn there_and_back_again() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let entry = trash_volume(&bed.disk, volume_label(1).volume_uuid, 1).unwrap();
        assert_eq!(restore_volume(&bed.disk, &entry).unwrap(), data);
        assert_eq!(restore_volume(&bed.disk, &entry).unwrap(), data, "repeated");
        assert_eq!(check_volume(&bed.disk, &volume_label(1)).unwrap(), data);
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn what_is_being_removed_does_not_come_back() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let entry = trash_volume(&bed.disk, volume_label(1).volume_uuid, 1).unwrap();
        purge_trash(&bed.disk, &entry, &mut |_| ControlFlow::Break(())).unwrap();
        assert!(matches!(
            restore_volume(&bed.disk, &entry),
            Err(VolumeFault::NotRestorable { .. })
        ));
        purge_trash(&bed.disk, &entry, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(matches!(
            restore_volume(&bed.disk, &entry),
            Err(VolumeFault::NotRestorable { .. })
        ));
    }

    #[test]
    fn half_a_volume_stays_in_the_trash() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let entry = trash_volume(&bed.disk, volume_label(1).volume_uuid, 1).unwrap();
        std::fs::rename(entry.path.join("data"), entry.path.join("elsewhere")).unwrap();
        assert!(matches!(restore_volume(&bed.disk, &entry), Err(VolumeFault::Damaged { .. })));
        assert!(entry.path.join("elsewhere/precious").exists());
    }

    #[test]
    fn nothing_is_replaced() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let entry = trash_volume(&bed.disk, volume_label(1).volume_uuid, 1).unwrap();
        let place = bed.folder().join("volumes").join(volume_label(1).volume_uuid.to_string());
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("other"), "").unwrap();
        assert!(matches!(restore_volume(&bed.disk, &entry), Err(VolumeFault::Io { .. })));
        assert!(place.join("other").exists() && entry.path.join("data/precious").exists());
    }
}

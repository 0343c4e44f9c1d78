//! Gives a volume to the user whose task will use it.
//!
//! What it is for: a task that is not root must be able to write to its volume. What it relies on:
//! the right to change owners (root). What it never does: change anything below the top directory;
//! the rest belongs to the task.

use rustix::fs::{Gid, Uid};

use crate::disk::OpenDisk;
use crate::label::VolumeLabel;
use crate::mounts::stat_fd;
use crate::volume::{
    check_claim, check_claimed_here, enter_volume, enter_volumes, read_volume_label, use_data,
    volume_io, volume_path, VolumeFault,
};

/// Makes `uid` and `gid` the owners of the volume's top directory, if they are not. Checks the
/// volume as before any use. Returns whether anything was changed. The caller ensures that no other
/// task uses the volume.
///
/// # Errors
/// [`VolumeFault`]; `Io` if the agent may not change owners.
pub fn give_volume_to(
    disk: &OpenDisk,
    label: &VolumeLabel,
    uid: u32,
    gid: u32,
) -> Result<bool, VolumeFault> {
    let volume_uuid = label.volume_uuid;
    check_claimed_here(disk, label)?;
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let folder = enter_volume(&volumes, volume_uuid)?;
    let folder = folder.ok_or_else(|| VolumeFault::Missing {
        volume_uuid,
        path: volume_path(disk, volume_uuid),
    })?;
    let found = read_volume_label(&folder, volume_uuid)?.label;
    check_claim(folder.path(), label, &found)?;
    let data = use_data(&folder, &found)?;
    let stat = stat_fd(&data).map_err(volume_io(volume_uuid, "read its owner"))?;
    if (stat.stx_uid, stat.stx_gid) == (uid, gid) {
        return Ok(false);
    }
    rustix::fs::fchown(&data, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(|errno| volume_io(volume_uuid, "change its owner")(errno.into()))?;
    data.sync().map_err(volume_io(volume_uuid, "sync its directory"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_present_owner_is_left_alone() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let meta = std::fs::metadata(&data).unwrap();
        assert!(!give_volume_to(&bed.disk, &volume_label(1), meta.uid(), meta.gid()).unwrap());
        assert!(matches!(
            give_volume_to(&bed.disk, &volume_label(2), 1, 1),
            Err(VolumeFault::Missing { .. })
        ));
    }

    #[test]
    fn only_the_top_changes_owner_and_only_root_can() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let before = std::fs::metadata(data.join("precious")).unwrap().uid();
        let given = give_volume_to(&bed.disk, &volume_label(1), 4711, 4712);
        if !rustix::process::geteuid().is_root() {
            assert!(matches!(given, Err(VolumeFault::Io { .. })));
            return;
        }
        assert!(given.unwrap());
        let meta = std::fs::metadata(&data).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
        assert_eq!(std::fs::metadata(data.join("precious")).unwrap().uid(), before);
        assert!(!give_volume_to(&bed.disk, &volume_label(1), 4711, 4712).unwrap());
    }
}

//! Removes volumes that a crash left half made.
//!
//! What it is for: a CREATE that never became one leaves an empty folder under `making/`. What it
//! relies on: labels, an image that nobody was given and an *empty* data directory are all that such a folder can hold; `rmdir`
//! refuses anything more. What it never does: remove a byte that is not ours, or touch
//! `volumes/`.

use crate::disk::{DiskFault, OpenDisk, MAKING, VOLUMES};
use crate::folder::EnterFault;
use crate::image::{unmount_image, IMAGE};
use crate::label_pair::LABEL_NAMES;
use crate::volume::DATA;

/// Removes half-made volumes, and returns how many. Whatever a crash of ours would not leave like
/// that stays. To be called when no `make_volume` is under way on the disk.
///
/// # Errors
/// The [`DiskFault`] that makes the disk unfit.
pub fn sweep_unmade(disk: &OpenDisk) -> Result<u64, DiskFault> {
    let entered = disk.enter()?;
    let making = match entered.folder.enter(MAKING) {
        Ok(making) => making,
        Err(EnterFault::Absent) => return Ok(0),
        Err(fault) => {
            return Err(disk.io("open its folder of volumes in the making")(fault.into_io()))
        }
    };
    let volumes = entered.folder.enter(VOLUMES).ok();
    let mut swept = 0;
    for name in making.names().map_err(disk.io("list its volumes in the making"))? {
        if volumes.as_ref().is_some_and(|it| it.enter(&name).is_ok()) {
            tracing::warn!(name, "a volume stands under two names, of which one should be gone; both are kept, check the file system");
            continue;
        }
        let Ok(folder) = making.enter(&name) else { continue };
        if let Ok(uuid) = name.parse() {
            // It is not mounted unless we were killed right after that. What is not ours stays mounted, and keeps all below.
            let unmounted = unmount_image(&folder, uuid);
            if let Err(fault) = unmounted {
                tracing::warn!("{fault}");
            }
        }
        // The data directory is removed first: if it holds anything, all stays.
        if folder.remove_dir(DATA).is_err() {
            tracing::warn!(path = %folder.path().display(), "a volume in the making is not empty; it is kept, look at it");
            continue;
        }
        folder.remove_file(IMAGE).map_err(disk.io("clear a half-made volume"))?;
        for label in LABEL_NAMES {
            let draft = format!("{label}.draft");
            folder
                .remove_file(&draft)
                .and_then(|()| folder.remove_file(label))
                .map_err(disk.io("clear a half-made volume"))?;
        }
        if making.remove_dir(&name).is_ok() {
            swept += 1;
        }
    }
    making.sync().map_err(disk.io("sync its folder of volumes in the making"))?;
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::crash_at;
    use crate::testbed::{volume_label, Bed};
    use crate::{check_volume, make_volume};

    #[test]
    fn whatever_a_crash_left_is_cleared_and_whole_volumes_stay() {
        for n in 0.. {
            let bed = Bed::new();
            bed.filled_volume(2);
            let (_, crashed) = crash_at(n, || make_volume(&bed.disk, &volume_label(1)));
            let half = std::fs::read_dir(bed.folder().join("making")).unwrap().count() as u64;
            assert_eq!(sweep_unmade(&bed.disk).unwrap(), half, "step {n}");
            assert_eq!(std::fs::read_dir(bed.folder().join("making")).unwrap().count(), 0);
            assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2");
            if !crashed {
                check_volume(&bed.disk, &volume_label(1)).unwrap();
                break;
            }
        }
    }

    #[test]
    fn what_no_crash_of_ours_would_leave_stays() {
        let bed = Bed::new();
        let folder = bed.folder().join("making/strange");
        std::fs::create_dir_all(folder.join("data")).unwrap();
        std::fs::write(folder.join("data/x"), "x").unwrap();
        std::fs::write(bed.folder().join("making/file"), "x").unwrap();
        assert_eq!(sweep_unmade(&bed.disk).unwrap(), 0);
        assert!(folder.join("data/x").exists() && bed.folder().join("making/file").exists());
    }
}

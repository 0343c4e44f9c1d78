//! Checks a volume before each use.
//!
//! What it is for: a task gets exactly the volume that it claimed, or is rejected with a reason.
//! What it relies on: disk and volume labels, mount ids. What it never does: make, mount or change
//! anything but a bad copy of a label, and one of before that does not say that its volume is shared; the
//! image of a volume that is one is mounted.

use std::path::PathBuf;

use crate::disk::OpenDisk;
use crate::label::VolumeLabel;
use crate::relabel::say_shared;
use crate::volume::{
    check_claim, check_claimed_here, enter_volume, enter_volumes, read_volume_label, use_data,
    volume_path, VolumeFault,
};

/// Returns the path of the volume's data if the disk is the one that was opened, the volume's label
/// says what the claim says, and its data directory is there on the same mount, or is its image.
///
/// # Errors
/// The [`VolumeFault`] with which the task is to be rejected.
pub fn check_volume(disk: &OpenDisk, expected: &VolumeLabel) -> Result<PathBuf, VolumeFault> {
    let volume_uuid = expected.volume_uuid;
    check_claimed_here(disk, expected)?;
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let folder = enter_volume(&volumes, volume_uuid)?;
    let folder = folder.ok_or_else(|| VolumeFault::Missing {
        volume_uuid,
        path: volume_path(disk, volume_uuid),
    })?;
    let found = read_volume_label(&folder, volume_uuid)?;
    check_claim(folder.path(), expected, &found.label)?;
    if expected.shared && !found.label.shared {
        // The volume is whole whether that can be written now or not; it is tried again at the next use.
        let _ = say_shared(&folder, volume_uuid);
    }
    Ok(use_data(&folder, &found.label)?.path().to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};
    use crate::testbed::{volume_label, Bed, TmpfsMount};

    #[test]
    fn a_good_volume_is_shown_and_nothing_is_written() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let (checked, steps) = record(|| check_volume(&bed.disk, &volume_label(1)).unwrap());
        assert_eq!((checked, steps), (data, Vec::new()));
    }

    #[test]
    fn a_missing_volume_is_missing_and_stays_so() {
        let bed = Bed::new();
        let (result, steps) = record(|| check_volume(&bed.disk, &volume_label(1)));
        assert!(matches!(result, Err(VolumeFault::Missing { .. })));
        assert_eq!(steps, Vec::<String>::new());
        assert_eq!(std::fs::read_dir(bed.folder().join("volumes")).unwrap().count(), 0);
    }

    #[test]
    fn each_difference_has_its_name() {
        let bed = Bed::new();
        bed.filled_volume(1);
        type Edit = fn(&mut VolumeLabel);
        type Is = fn(&VolumeFault) -> bool;
        let cases: [(Edit, Is); 6] = [
            (|l| l.persistence_id.push('x'), |f| matches!(f, VolumeFault::Foreign { .. })),
            (
                |l| l.cluster_uuid = uuid::Uuid::from_u128(5),
                |f| matches!(f, VolumeFault::Foreign { .. }),
            ),
            (
                |l| l.generation = 2,
                |f| matches!(f, VolumeFault::Older { expected: 2, found: 1, .. }),
            ),
            (|l| l.generation = 0, |f| matches!(f, VolumeFault::Newer { .. })),
            (|l| l.role.push('x'), |f| matches!(f, VolumeFault::Differs { .. })),
            (|l| l.principal = None, |f| matches!(f, VolumeFault::Differs { .. })),
        ];
        for (edit, is) in cases {
            let mut label = volume_label(1);
            edit(&mut label);
            let fault = check_volume(&bed.disk, &label).unwrap_err();
            assert!(is(&fault), "{fault:?}");
        }
    }

    #[test]
    fn a_label_of_before_is_that_of_a_shared_volume_too_and_says_so_from_its_next_use_on() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let shared = VolumeLabel { shared: true, ..volume_label(1) };
        let says_so = || crate::list_volumes(&bed.disk).unwrap().volumes[0].label.shared;
        let (checked, steps) = record(|| check_volume(&bed.disk, &shared).unwrap());
        assert_eq!(checked, data);
        assert!(says_so() && !steps.is_empty());
        let (checked, steps) = record(|| check_volume(&bed.disk, &shared).unwrap());
        assert_eq!((checked, steps), (data, Vec::new()), "it is written once");
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn a_label_of_before_that_cannot_be_written_now_keeps_nobody_from_the_volume() {
        for at in 0.. {
            let bed = Bed::new();
            let data = bed.filled_volume(1);
            let shared = VolumeLabel { shared: true, ..volume_label(1) };
            let (checked, crashed) = crash_at(at, || check_volume(&bed.disk, &shared));
            assert_eq!(checked.unwrap(), data);
            assert_eq!(check_volume(&bed.disk, &shared).unwrap(), data);
            assert!(crate::list_volumes(&bed.disk).unwrap().volumes[0].label.shared);
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn a_volume_of_another_size_is_the_same_volume() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        for size_mb in [1, volume_label(1).size_mb * 2] {
            let resized = VolumeLabel { size_mb, ..volume_label(1) };
            assert_eq!(check_volume(&bed.disk, &resized).unwrap(), data);
        }
    }

    #[test]
    fn damage_is_reported_and_left() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let folder = data.parent().unwrap();
        std::fs::write(folder.join("label"), "x").unwrap();
        check_volume(&bed.disk, &volume_label(1)).expect("one bad copy is mended");
        assert_ne!(std::fs::read(folder.join("label")).unwrap(), b"x");
        std::fs::rename(&data, folder.join("elsewhere")).unwrap();
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Damaged { .. })
        ));
        std::os::unix::fs::symlink("elsewhere", &data).unwrap();
        assert!(
            matches!(check_volume(&bed.disk, &volume_label(1)), Err(VolumeFault::Damaged { .. })),
            "a link is not followed"
        );
        for name in ["label", "label-copy"] {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Damaged { .. })
        ));
        assert_eq!(
            std::fs::read_to_string(folder.join("elsewhere/precious")).unwrap(),
            "bytes of 1"
        );
    }

    #[test]
    fn a_folder_copied_under_another_uuid_is_foreign() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let there = bed.folder().join("volumes").join(volume_label(2).volume_uuid.to_string());
        std::fs::rename(data.parent().unwrap(), there).unwrap();
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(2)),
            Err(VolumeFault::Foreign { .. })
        ));
    }

    #[test]
    fn a_mount_over_the_data_is_foreign() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let Some(mount) = TmpfsMount::on(data, "a_mount_over_the_data_is_foreign") else { return };
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Foreign { .. })
        ));
        drop(mount);
        check_volume(&bed.disk, &volume_label(1)).expect("whole again, without anyone's help");
    }
}

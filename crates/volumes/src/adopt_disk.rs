//! Adopts a disk: makes the disk and its volumes members of another cluster, because the operator
//! said so.
//!
//! What it is for: a disk of a lost cluster, or one that was labelled before the agent knew its
//! cluster. What it relies on: volumes are relabelled first and the disk last, so that after a
//! crash the disk is still what it was and the same call finishes. What it never does: move, make
//! or remove a volume, or adopt a disk other than the one that was named.

use std::io;

use uuid::Uuid;

use crate::disk::{
    check_same, io_fault, open_root, read_label, DiskConfig, DiskFault, Entered, OpenDisk, Opened,
    TRASH, VOLUMES,
};
use crate::folder::{EnterFault, Folder};
use crate::label::{DiskLabel, VolumeLabel};
use crate::label_pair::{read_pair, write_pair, Repairing};

/// Makes the disk that bears the label `found` (as a [`DiskFault::Foreign`] named it) a disk of
/// `cluster_uuid`, with all volumes and all that is in its trash. Volumes that are damaged stay as
/// they are; [`crate::list_volumes`] names them.
///
/// # Errors
/// A [`DiskFault`]; `Foreign` if it is another disk than `found`. The disk keeps its cluster then.
pub fn adopt_disk(
    config: &DiskConfig,
    found: &DiskLabel,
    cluster_uuid: Uuid,
) -> Result<OpenDisk, DiskFault> {
    let root = open_root(config)?;
    let unlabelled =
        || DiskFault::Unlabelled { root: config.root.clone(), expected: found.disk_uuid };
    let lock = read_label(&root, Repairing::Yes)?.ok_or_else(unlabelled)?.folder;
    lock.lock().map_err(io_fault(&config.root, "lock its folder"))?;
    // The label is read again now that nobody else can write it.
    let entered = read_label(&root, Repairing::No)?.ok_or_else(unlabelled)?;
    let label = DiskLabel { disk_uuid: found.disk_uuid, cluster_uuid };
    let Entered { folder, pair } = entered;
    if pair.label != label {
        check_same(&config.root, found, &pair.label)?;
        if pair.label.cluster_uuid != found.cluster_uuid {
            let expected = (Some(found.disk_uuid), found.cluster_uuid);
            return Err(DiskFault::Foreign {
                root: config.root.clone(),
                expected,
                found: pair.label,
            });
        }
        let io = |source| DiskFault::Io {
            root: config.root.clone(),
            doing: "write the labels of the new cluster",
            source,
        };
        for place in [VOLUMES, TRASH] {
            adopt_volumes(&folder, place, &label).map_err(io)?;
        }
        write_pair(&folder, &label, pair.serial.saturating_add(1)).map_err(io)?;
    }
    Ok(OpenDisk { config: config.clone(), label, opened: Opened::Found, repair: pair.repair })
}

fn adopt_volumes(holdfast: &Folder, place: &str, disk: &DiskLabel) -> io::Result<()> {
    let place = match holdfast.enter(place) {
        Ok(place) => place,
        Err(EnterFault::Absent) => return Ok(()),
        Err(fault) => return Err(fault.into_io()),
    };
    for name in place.names()? {
        let Ok(folder) = place.enter(&name) else { continue };
        folder.lock()?;
        let Ok(pair) = read_pair::<VolumeLabel>(&folder, Repairing::No) else { continue };
        if pair.label.disk_uuid == disk.disk_uuid && pair.label.cluster_uuid != disk.cluster_uuid {
            let label = VolumeLabel { cluster_uuid: disk.cluster_uuid, ..pair.label };
            write_pair(&folder, &label, pair.serial.saturating_add(1))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::crash_at;
    use crate::testbed::{disk_label, volume_label, Bed};
    use crate::{check_volume, list_trash, list_volumes, open_disk, restore_volume, trash_volume};

    #[test]
    fn a_disk_of_another_cluster_comes_over_with_its_volumes_and_trash() {
        for n in 0.. {
            let bed = Bed::new();
            bed.filled_volume(1);
            bed.filled_volume(2);
            trash_volume(&bed.disk, volume_label(2).volume_uuid, 5).unwrap();
            let new_cluster = Uuid::from_u128(0xc2);
            let fresh = DiskLabel { cluster_uuid: new_cluster, ..disk_label(9) };
            let Err(DiskFault::Foreign { found, .. }) = open_disk(bed.disk.config(), None, &fresh)
            else {
                panic!("it must be foreign")
            };
            let (_, crashed) = crash_at(n, || adopt_disk(bed.disk.config(), &found, new_cluster));
            let disk = adopt_disk(bed.disk.config(), &found, new_cluster).unwrap();
            assert_eq!(disk.label(), &DiskLabel { cluster_uuid: new_cluster, ..disk_label(1) });
            let listed = list_volumes(&disk).unwrap();
            assert!(
                listed.damaged.is_empty() && listed.volumes[0].label.cluster_uuid == new_cluster
            );
            check_volume(&disk, &VolumeLabel { cluster_uuid: new_cluster, ..volume_label(1) })
                .unwrap();
            restore_volume(&disk, &list_trash(&disk).unwrap().entries[0]).unwrap();
            assert_eq!(list_volumes(&disk).unwrap().volumes[1].label.cluster_uuid, new_cluster);
            assert_eq!(
                (bed.precious("volumes", 1).unwrap(), bed.precious("volumes", 2).unwrap()),
                ("bytes of 1".into(), "bytes of 2".into())
            );
            assert!(bed.disk.verify().is_err(), "the old cluster's view of it is foreign now");
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn only_the_disk_that_was_named_is_adopted() {
        let bed = Bed::new();
        let other = disk_label(2);
        assert!(matches!(
            adopt_disk(bed.disk.config(), &other, Uuid::from_u128(3)),
            Err(DiskFault::Foreign { .. })
        ));
        let claimed = DiskLabel { cluster_uuid: Uuid::nil(), ..disk_label(1) };
        assert!(
            matches!(
                adopt_disk(bed.disk.config(), &claimed, Uuid::from_u128(3)),
                Err(DiskFault::Foreign { .. })
            ),
            "the nil uuid names no cluster"
        );
        bed.disk.verify().unwrap();
    }
}

//! Writes a change of a claim to its volume's label.
//!
//! What it is for: a claim gets another role, owner or size without moving a byte. What it relies
//! on: the label's serial number orders old and new. What it never does: go back to an older
//! generation, or touch the data.

use uuid::Uuid;

use crate::disk::OpenDisk;
use crate::folder::Folder;
use crate::label::VolumeLabel;
use crate::label_pair::{write_pair, Repairing};
use crate::volume::{
    check_claimed_here, check_identity, enter_volume, enter_volumes, look_at_label, volume_io,
    volume_path, VolumeFault,
};

/// Gives the volume the label `label`: same volume, disk, cluster and persistence id, of the same
/// or a later generation. Atomic and durable; nothing is written if the label says so already.
///
/// # Errors
/// [`VolumeFault`]; the label is then the old one, or (after `Io`) the old or the new one.
pub fn relabel(disk: &OpenDisk, label: &VolumeLabel) -> Result<(), VolumeFault> {
    let volume_uuid = label.volume_uuid;
    check_claimed_here(disk, label)?;
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let folder = enter_volume(&volumes, volume_uuid)?;
    let folder = folder.ok_or_else(|| VolumeFault::Missing {
        volume_uuid,
        path: volume_path(disk, volume_uuid),
    })?;
    folder.lock().map_err(volume_io(volume_uuid, "lock its folder"))?;
    let found = look_at_label(&folder, volume_uuid, Repairing::No)?;
    check_identity(folder.path(), label, &found.label)?;
    if found.label.generation > label.generation {
        return Err(VolumeFault::Newer {
            volume_uuid,
            expected: label.generation,
            found: found.label.generation,
        });
    }
    // What it is made of is no part of its claim.
    let label = VolumeLabel { image: found.label.image, ..label.clone() };
    if found.label == label && found.repair.is_none() {
        return Ok(());
    }
    write_pair(&folder, &label, found.serial.saturating_add(1))
        .map_err(volume_io(volume_uuid, "write its label"))
}

/// Makes the label of a volume say that several tasks may use it at a time; labels of before do not. Atomic and durable.
pub(crate) fn say_shared(folder: &Folder, volume_uuid: Uuid) -> Result<(), VolumeFault> {
    folder.lock().map_err(volume_io(volume_uuid, "lock its folder"))?;
    let said = look_at_label(folder, volume_uuid, Repairing::No).and_then(|found| {
        if found.label.shared {
            return Ok(());
        }
        let label = VolumeLabel { shared: true, ..found.label };
        write_pair(folder, &label, found.serial.saturating_add(1))
            .map_err(volume_io(volume_uuid, "write its label"))
    });
    folder.unlock().map_err(volume_io(volume_uuid, "unlock its folder"))?;
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_volume;
    use crate::steps::{crash_at, record};
    use crate::testbed::{volume_label, Bed};

    #[test]
    fn a_claim_moves_to_another_role_and_the_bytes_stay() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let next = VolumeLabel { role: "db/new".into(), generation: 2, ..volume_label(1) };
        relabel(&bed.disk, &next).unwrap();
        assert_eq!(check_volume(&bed.disk, &next).unwrap(), data);
        assert!(matches!(
            check_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Newer { .. })
        ));
        assert!(
            matches!(relabel(&bed.disk, &volume_label(1)), Err(VolumeFault::Newer { .. })),
            "never back"
        );
        let (_, steps) = record(|| relabel(&bed.disk, &next).unwrap());
        assert!(steps.is_empty(), "the same again writes nothing: {steps:?}");
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn identity_cannot_be_relabelled_and_nothing_is_made() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let other = VolumeLabel { persistence_id: "x".into(), generation: 2, ..volume_label(1) };
        assert!(matches!(relabel(&bed.disk, &other), Err(VolumeFault::Foreign { .. })));
        assert!(matches!(relabel(&bed.disk, &volume_label(2)), Err(VolumeFault::Missing { .. })));
    }

    #[test]
    fn a_crash_anywhere_leaves_the_old_or_the_new_label_and_can_be_repeated() {
        for n in 0.. {
            let bed = Bed::new();
            bed.filled_volume(1);
            let next = VolumeLabel { role: "new".into(), generation: 2, ..volume_label(1) };
            let (_, crashed) = crash_at(n, || relabel(&bed.disk, &next));
            let old = check_volume(&bed.disk, &volume_label(1)).is_ok();
            let new = check_volume(&bed.disk, &next).is_ok();
            assert!(old != new, "step {n}");
            relabel(&bed.disk, &next).unwrap();
            check_volume(&bed.disk, &next).unwrap();
            if !crashed {
                assert!(new);
                break;
            }
        }
    }
}

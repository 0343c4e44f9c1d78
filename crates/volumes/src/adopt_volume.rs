//! Makes a whole volume, which no claim stands for, that of a claim again.
//!
//! What it is for: a volume whose claim was given up while its disk was away gets a claim that may
//! have another name, role or principal. What it relies on: its label as it was found, by whose
//! generation it is recognised; the label's serial number orders old and new. What it never does:
//! take another volume, disk or cluster, touch the data, or make anything in its place.

use std::path::{Path, PathBuf};

use crate::disk::OpenDisk;
use crate::label::VolumeLabel;
use crate::label_pair::{write_pair, Repairing};
use crate::measure::{measure_up_to, MIB};
use crate::volume::{
    check_claimed_here, check_identity, enter_volume, enter_volumes, look_at_label, use_data,
    volume_io, volume_path, VolumeFault,
};

/// How many entries of a directory are looked at to see how much space it has already: some tenths of a second of work.
const MEASURED_ENTRIES: u64 = 200_000;

/// A volume as it was found, and what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The generation that its label had.
    pub generation: u64,
    /// How much of the space that its claim needs must be its own already, in MiB.
    pub own_mb: u64,
}

/// Gives the volume the label `label`, whatever name, role and principal the found one says, and returns the path of its data. Atomic and
/// durable; nothing is written if the label says so already, so that repeating it is harmless.
///
/// # Errors
/// [`VolumeFault`]; the label is then the old one, or (after `Io`) the old or the new one.
pub fn adopt_volume(
    disk: &OpenDisk,
    label: &VolumeLabel,
    adopted: Adopted,
) -> Result<PathBuf, VolumeFault> {
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
    let persistence_id = found.label.persistence_id.clone();
    let same_name = VolumeLabel { persistence_id, ..label.clone() };
    check_identity(folder.path(), &same_name, &found.label)?;
    // What it is made of is no part of its claim.
    let label = VolumeLabel { image: found.label.image, ..label.clone() };
    let is_adopted = found.label == label;
    if found.label.generation != adopted.generation && !is_adopted {
        let detail = format!(
            "its label is of generation {}, and was of generation {} when it was found; look at the disk again",
            found.label.generation, adopted.generation
        );
        return Err(VolumeFault::Differs { volume_uuid, detail });
    }
    if label.image && label.size_mb != found.label.size_mb {
        let detail = format!(
            "it is an image of {} MB, which is not resized; adopt it with that size",
            found.label.size_mb
        );
        return Err(VolumeFault::Differs { volume_uuid, detail });
    }
    let data = use_data(&folder, &label)?.path().to_path_buf();
    check_own_space(folder.path(), volume_uuid, adopted.own_mb)?;
    if !is_adopted || found.repair.is_some() {
        write_pair(&folder, &label, found.serial.saturating_add(1))
            .map_err(volume_io(volume_uuid, "write its label"))?;
    }
    Ok(data)
}

/// What data use already need not be free on their disk.
pub(crate) fn check_own_space(
    data: &Path,
    volume_uuid: uuid::Uuid,
    own_mb: u64,
) -> Result<(), VolumeFault> {
    if own_mb == 0 {
        return Ok(());
    }
    let measured = measure_up_to(data, MEASURED_ENTRIES);
    let (usage, _) =
        measured.map_err(|error| volume_io(volume_uuid, "measure it")(error.source))?;
    let used_mb = usage.used_bytes / MIB;
    if own_mb <= used_mb {
        return Ok(());
    }
    Err(VolumeFault::NoSpace { volume_uuid, missing_mb: own_mb - used_mb, used_mb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_volume;
    use crate::steps::{crash_at, record};
    use crate::testbed::{volume_label, Bed};
    use uuid::Uuid;

    const FOUND: Adopted = Adopted { generation: 1, own_mb: 0 };

    fn other() -> VolumeLabel {
        VolumeLabel {
            persistence_id: "other".into(),
            role: "new".into(),
            principal: None,
            generation: 2,
            ..volume_label(1)
        }
    }

    #[test]
    fn an_orphan_gets_another_name_role_and_principal_and_its_bytes_stay() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        assert_eq!(adopt_volume(&bed.disk, &other(), FOUND).unwrap(), data);
        assert_eq!(check_volume(&bed.disk, &other()).unwrap(), data);
        let (again, steps) = record(|| adopt_volume(&bed.disk, &other(), FOUND).unwrap());
        assert_eq!((again, steps), (data, Vec::new()), "the same again writes nothing");
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn what_is_not_as_it_was_found_is_refused_and_left() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        let changed = adopt_volume(&bed.disk, &other(), Adopted { generation: 7, ..FOUND });
        assert!(matches!(changed, Err(VolumeFault::Differs { .. })), "{changed:?}");
        let cluster = VolumeLabel { cluster_uuid: Uuid::from_u128(5), ..other() };
        let foreign = adopt_volume(&bed.disk, &cluster, FOUND);
        assert!(matches!(foreign, Err(VolumeFault::Foreign { .. })), "{foreign:?}");
        let missing = adopt_volume(&bed.disk, &volume_label(2), FOUND);
        assert!(matches!(missing, Err(VolumeFault::Missing { .. })), "{missing:?}");
        check_volume(&bed.disk, &volume_label(1)).unwrap();
        for name in ["label", "label-copy"] {
            std::fs::write(data.parent().unwrap().join(name), "x").unwrap();
        }
        let damaged = adopt_volume(&bed.disk, &other(), FOUND);
        assert!(matches!(damaged, Err(VolumeFault::Damaged { .. })), "{damaged:?}");
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn what_it_uses_already_need_not_be_free_and_no_more_than_that() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        std::fs::write(data.join("big"), vec![7; 3 << 20]).unwrap();
        adopt_volume(&bed.disk, &other(), Adopted { own_mb: 3, ..FOUND }).unwrap();
        let short = adopt_volume(&bed.disk, &other(), Adopted { own_mb: 5, ..FOUND });
        let short = short.unwrap_err();
        assert!(
            matches!(short, VolumeFault::NoSpace { missing_mb: 2, used_mb: 3, .. }),
            "{short:?}"
        );
    }

    #[test]
    fn a_crash_anywhere_leaves_the_old_or_the_new_label_and_can_be_repeated() {
        for n in 0.. {
            let bed = Bed::new();
            bed.filled_volume(1);
            let (_, crashed) = crash_at(n, || adopt_volume(&bed.disk, &other(), FOUND));
            let old = check_volume(&bed.disk, &volume_label(1)).is_ok();
            let new = check_volume(&bed.disk, &other()).is_ok();
            assert!(old != new, "step {n}");
            adopt_volume(&bed.disk, &other(), FOUND).unwrap();
            check_volume(&bed.disk, &other()).unwrap();
            assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
            if !crashed {
                assert!(new);
                break;
            }
        }
    }
}

//! Lists the volumes on a disk, by their labels.
//!
//! What it is for: an agent that lost a record, an adopted disk, `holdfast doctor`: the labels tell
//! which volumes are here, and whose. What it relies on: labels. What it never does: leave anything
//! out silently; what cannot be read is listed as damaged.

use std::path::PathBuf;

use uuid::Uuid;

use crate::disk::OpenDisk;
use crate::label::VolumeLabel;
use crate::label_pair::Repair;
use crate::volume::{
    check_identity, enter_volume, enter_volumes, folder_name, look_at_data, read_volume_label,
    VolumeFault,
};

/// A volume that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundVolume {
    /// The label of the volume.
    pub label: VolumeLabel,
    /// The path of its data.
    pub data: PathBuf,
    /// A bad copy of its label, if one was found.
    pub repair: Option<Repair>,
}

/// Something under `volumes/` that is not a whole volume of this disk. It is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedVolume {
    /// The volume that its name stands for, if it is a volume's name.
    pub volume_uuid: Option<Uuid>,
    /// The path of its folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// All that is under `volumes/`, sorted by uuid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundVolumes {
    /// The volumes that are whole.
    pub volumes: Vec<FoundVolume>,
    /// Everything that is not a whole volume.
    pub damaged: Vec<DamagedVolume>,
}

/// Lists the volumes of a disk. A copy of a label that is bad is mended on the way.
///
/// # Errors [`VolumeFault::Disk`] if the disk is unfit. A single volume that cannot be read is no
/// error but listed as damaged.
pub fn list_volumes(disk: &OpenDisk) -> Result<FoundVolumes, VolumeFault> {
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let mut found = FoundVolumes::default();
    for name in volumes.names().map_err(disk.io("list its volumes"))? {
        let path = volumes.path().join(&name);
        let volume_uuid = name.parse::<Uuid>().ok().filter(|uuid| folder_name(*uuid) == name);
        let Some(uuid) = volume_uuid else {
            found.damaged.push(DamagedVolume {
                volume_uuid: None,
                path,
                why: "its name is no volume's uuid".into(),
            });
            continue;
        };
        match look(disk, &volumes, uuid) {
            Ok(Some(volume)) => found.volumes.push(volume),
            Ok(None) => {}
            Err(fault) => {
                found.damaged.push(DamagedVolume { volume_uuid, path, why: fault.to_string() })
            }
        }
    }
    Ok(found)
}

/// Reads one volume; `None` if it was removed meanwhile (by a DESTROY on another thread).
fn look(
    disk: &OpenDisk,
    volumes: &crate::folder::Folder,
    uuid: Uuid,
) -> Result<Option<FoundVolume>, VolumeFault> {
    let Some(folder) = enter_volume(volumes, uuid)? else { return Ok(None) };
    let pair = read_volume_label(&folder, uuid)?;
    let here = disk.label();
    let expected = VolumeLabel {
        disk_uuid: here.disk_uuid,
        cluster_uuid: here.cluster_uuid,
        ..pair.label.clone()
    };
    check_identity(folder.path(), &expected, &pair.label)?;
    let data = look_at_data(&folder, &pair.label)?;
    Ok(Some(FoundVolume { label: pair.label, data, repair: pair.repair }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed};

    #[test]
    fn whole_and_damaged_are_told_apart_and_none_is_left_out() {
        let bed = Bed::new();
        for n in 1..=4 {
            bed.filled_volume(n);
        }
        let path =
            |n: u128| bed.folder().join("volumes").join(volume_label(n).volume_uuid.to_string());
        std::fs::write(path(1).join("label-copy"), "bad").unwrap();
        std::fs::remove_dir_all(path(2).join("data")).unwrap();
        for name in ["label", "label-copy"] {
            std::fs::write(path(3).join(name), "bad").unwrap();
        }
        std::fs::write(bed.folder().join("volumes/stray"), "").unwrap();
        let found = list_volumes(&bed.disk).unwrap();
        assert_eq!(
            found.volumes.iter().map(|v| v.label.clone()).collect::<Vec<_>>(),
            [volume_label(1), volume_label(4)]
        );
        assert!(
            found.volumes[0].repair.as_ref().unwrap().done && found.volumes[1].repair.is_none()
        );
        let damaged: Vec<_> = found.damaged.iter().map(|d| d.volume_uuid).collect();
        assert_eq!(
            damaged,
            [Some(volume_label(2).volume_uuid), Some(volume_label(3).volume_uuid), None]
        );
    }

    #[test]
    fn a_volume_of_another_disk_is_not_ours() {
        let (bed, other) = (Bed::new(), Bed::new());
        let label = VolumeLabel { disk_uuid: Uuid::from_u128(4), ..volume_label(1) };
        other.filled_volume(1);
        let uuid = label.volume_uuid.to_string();
        let to = bed.folder().join("volumes").join(&uuid);
        std::fs::create_dir(&to).unwrap();
        std::fs::create_dir(to.join("data")).unwrap();
        std::fs::write(to.join("label"), crate::label::render(&label, 1)).unwrap();
        let found = list_volumes(&bed.disk).unwrap();
        assert!(found.volumes.is_empty() && found.damaged[0].why.contains("disk"), "{found:?}");
    }
}

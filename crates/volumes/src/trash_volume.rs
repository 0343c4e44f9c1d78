//! DESTROY, first step: moves the volume to the trash.
//!
//! What it is for: a volume that its owner destroyed leaves the place where tasks find it, at once
//! and whole, and can still be brought back. What it relies on: rename and directory syncs. What it
//! never does: remove a byte, or take a volume whose label says that it is another one.

use std::collections::BTreeMap;
use std::io;

use uuid::Uuid;

use crate::disk::{Entered, OpenDisk};
use crate::folder::Folder;
use crate::image::{has_image, unmount_image};
use crate::sync_at_once::{sync_all_at_once, Unsynced};
use crate::trash::{entry, names_in_trash, TrashEntry, TrashName};
use crate::volume::{
    copy_of, enter_trash, enter_volume, enter_volumes, folder_name, read_volume_label, volume_io,
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
    trash_volumes(disk, &[volume_uuid], now_ms).pop().expect("there are as many answers as volumes")
}

/// Moves several volumes of one disk to the trash. They share the syncs of the two directories,
/// which wait beside each other: a batch waits for the disk once, whatever its size. There is one
/// result per volume, in order, as [`trash_volume`] would give it.
///
/// # Errors
/// Each result has its own; a disk that is unfit fails them all.
pub fn trash_volumes(
    disk: &OpenDisk,
    volume_uuids: &[Uuid],
    now_ms: u64,
) -> Vec<Result<TrashEntry, VolumeFault>> {
    let mut answers: Vec<Result<TrashEntry, VolumeFault>> = Vec::with_capacity(volume_uuids.len());
    let mut places = loop {
        match volume_uuids.get(answers.len()).map(|_| enter_places(disk)) {
            None => return answers,
            Some(Err(fault)) => answers.push(Err(fault)),
            Some(Ok(places)) => break places,
        }
    };
    let rest = &volume_uuids[answers.len()..];
    let moved: Vec<Result<TrashName, VolumeFault>> =
        rest.iter().map(|uuid| move_one(disk, &mut places, *uuid, now_ms)).collect();
    // Also for volumes that were found in the trash: an earlier call may have renamed and died
    // before this. Beside each other: a rename is one change to the file system, which the sync of
    // either directory makes durable where there is a journal, and where there is none both are
    // needed before anybody is told.
    let synced = if moved.iter().any(Result::is_ok) {
        sync_all_at_once(&[Unsynced::Folder(&places.trash), Unsynced::Folder(&places.volumes)])
    } else {
        Ok(())
    };
    let answer = |(volume_uuid, moved): (&Uuid, Result<TrashName, VolumeFault>)| {
        let name = moved?;
        match &synced {
            Ok(()) => Ok(entry(disk, &places.trash, name)),
            Err(error) => Err(volume_io(*volume_uuid, "sync the trash")(copy_of(error))),
        }
    };
    answers.extend(rest.iter().zip(moved).map(answer));
    answers
}

/// The directories that the work needs, and what lay in the trash when that was first asked.
struct Places {
    entered: Entered,
    volumes: Folder,
    trash: Folder,
    names: Option<BTreeMap<Uuid, TrashName>>,
}

fn enter_places(disk: &OpenDisk) -> Result<Places, VolumeFault> {
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let trash = enter_trash(disk, &entered)?;
    Ok(Places { entered, volumes, trash, names: None })
}

/// Moves one volume, or finds that it was moved. Durable only after the syncs of the caller.
fn move_one(
    disk: &OpenDisk,
    places: &mut Places,
    volume_uuid: Uuid,
    now_ms: u64,
) -> Result<TrashName, VolumeFault> {
    let Some(folder) = enter_volume(&places.volumes, volume_uuid)? else {
        let names = names(places).map_err(volume_io(volume_uuid, "look into the trash"))?;
        return names.get(&volume_uuid).copied().ok_or_else(|| VolumeFault::Missing {
            volume_uuid,
            path: volume_path(disk, volume_uuid),
        });
    };
    match read_volume_label(&folder, volume_uuid) {
        Ok(_) | Err(VolumeFault::Damaged { .. }) => {}
        Err(fault) => return Err(fault),
    }
    if has_image(&folder, volume_uuid)? {
        unmount_image(&folder, volume_uuid)?;
    }
    let name = TrashName { volume_uuid, deleted_at_ms: now_ms, purging: false };
    places
        .volumes
        .rename_to(&folder_name(volume_uuid), &places.trash, &name.text())
        .map_err(volume_io(volume_uuid, "move it to the trash"))?;
    if let Some(names) = &mut places.names {
        names.insert(volume_uuid, name);
    }
    Ok(name)
}

/// What lies in the trash: looked up once for a batch.
fn names(places: &mut Places) -> io::Result<&BTreeMap<Uuid, TrashName>> {
    match &mut places.names {
        Some(names) => Ok(names),
        none => Ok(none.insert(names_in_trash(&places.entered.folder)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};
    use crate::testbed::{volume_label, Bed};
    use crate::{check_volume, list_trash, restore_volume};

    #[test]
    fn a_batch_answers_each_and_waits_for_the_disk_once() {
        let bed = Bed::new();
        (1..=4).for_each(|n| drop(bed.filled_volume(n)));
        let uuids: Vec<Uuid> = (1..=5).map(|n| volume_label(n).volume_uuid).collect();
        let first = trash_volume(&bed.disk, uuids[1], 3).unwrap();
        let (answers, steps) = record(|| trash_volumes(&bed.disk, &uuids, 7));
        assert!(matches!(answers[4], Err(VolumeFault::Missing { .. })), "{answers:?}");
        assert_eq!(answers[1].as_ref().unwrap(), &first, "the entry of the first time");
        for n in [0, 2, 3] {
            let entry = answers[n].as_ref().unwrap();
            assert_eq!((entry.volume_uuid, entry.deleted_at_ms), (uuids[n], 7));
            assert!(entry.path.join("data/precious").exists());
        }
        let syncs: Vec<_> = steps.iter().filter(|it| it.starts_with("sync ")).collect();
        assert_eq!(syncs, ["sync trash", "sync volumes"]);
        assert_eq!(steps[steps.len() - 2..], ["sync trash", "sync volumes"], "after all moves");
        let twice = trash_volumes(&bed.disk, &[uuids[0], uuids[0]], 9);
        assert_eq!(twice[0].as_ref().unwrap(), answers[0].as_ref().unwrap());
        assert_eq!(twice[1].as_ref().unwrap(), answers[0].as_ref().unwrap());
        assert!(trash_volumes(&bed.disk, &[], 1).is_empty());
        let away = bed.dir.path().join("away");
        std::fs::rename(&bed.disk.config().root, &away).unwrap();
        assert!(trash_volumes(&bed.disk, &uuids, 1).iter().all(Result::is_err));
    }

    #[test]
    fn a_batch_that_crashes_anywhere_loses_none_and_the_next_finishes_it() {
        for n in 0.. {
            let bed = Bed::new();
            (1..=3).for_each(|n| drop(bed.filled_volume(n)));
            let uuids: Vec<Uuid> = (1..=3).map(|n| volume_label(n).volume_uuid).collect();
            let (answers, crashed) = crash_at(n, || trash_volumes(&bed.disk, &uuids, 7));
            assert!(!crashed || answers.iter().all(Result::is_err), "none is told too early");
            for (n, uuid) in (1..=3).zip(&uuids) {
                let in_place = check_volume(&bed.disk, &volume_label(n)).is_ok();
                let trash = list_trash(&bed.disk).unwrap().entries;
                assert!(in_place != trash.iter().any(|it| it.volume_uuid == *uuid));
            }
            let answers = trash_volumes(&bed.disk, &uuids, 8);
            for answer in answers {
                assert!(answer.unwrap().path.join("data/precious").exists());
            }
            if !crashed {
                break;
            }
        }
    }

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

//! Makes a volume, exactly once.
//!
//! What it is for: CREATE. What it relies on: the volume is built under `making/` and renamed when
//! label and directory are durable, so that a folder under `volumes/` is a whole volume or a
//! damaged one, never an unfinished one. What it never does: touch the content of a volume that is
//! there, reuse the uuid of one in the trash, or repair a volume that lost its `data` by an empty
//! one.

use std::io;
use std::path::PathBuf;

use crate::disk::{Entered, OpenDisk, MAKING, TRASH};
use crate::folder::{EnterFault, Folder, Syncing, DATA_MODE, PASS_MODE, PRIVATE_MODE};
use crate::label::VolumeLabel;
use crate::label_pair::write_first_pair;
use crate::trash::find_in_trash;
use crate::volume::{
    check_claim, check_claimed_here, damaged, enter_data, enter_volume, enter_volumes, folder_name,
    read_volume_label, volume_io, VolumeFault, DATA,
};

/// Makes the volume that `label` describes and returns the path of its data. It is durable on
/// return.
///
/// Called again (after a crash, say) it finds the volume and leaves its content untouched. To be
/// called only for a claim whose volume was never ready; for any other use there is
/// [`crate::check_volume`], which never makes anything.
///
/// # Errors [`VolumeFault`]; the volume is then either not there at all or as it was, or (after
/// `Io`) perhaps made.
pub fn make_volume(disk: &OpenDisk, label: &VolumeLabel) -> Result<PathBuf, VolumeFault> {
    make_volumes(disk, std::slice::from_ref(label))
        .pop()
        .expect("there are as many answers as labels")
}

/// Makes several volumes of one disk; they share the syncs of the directories that hold them, and
/// from a handful on a single sync of the file system stands for those of each volume. There is one
/// result per label, in order, as [`make_volume`] would give it.
///
/// # Errors
/// Each result has its own; a disk that is unfit fails them all.
pub fn make_volumes(disk: &OpenDisk, labels: &[VolumeLabel]) -> Vec<Result<PathBuf, VolumeFault>> {
    let syncing = if labels.len() < TOGETHER_FROM { Syncing::Each } else { Syncing::Together };
    let mut places: Option<Places> = None;
    let mut drafts: Vec<Result<Draft, VolumeFault>> = Vec::with_capacity(labels.len());
    for label in labels {
        let draft = match &places {
            Some(places) => draft_volume(disk, places, label, syncing),
            None => enter_places(disk, label)
                .and_then(|entered| draft_volume(disk, places.insert(entered), label, syncing)),
        };
        drafts.push(draft);
    }
    let Some(places) = places else {
        return drafts.into_iter().map(|it| it.map(Draft::into_path)).collect();
    };
    if syncing == Syncing::Together && drafts.iter().any(|it| matches!(it, Ok(Draft::New { .. }))) {
        if let Err(error) = places.making.sync_file_system() {
            return fail_all(labels, drafts, &error, "sync the file system");
        }
    }
    let made = labels
        .iter()
        .zip(drafts)
        .map(|(label, draft)| draft.and_then(|it| place_draft(&places, label, it)))
        .collect::<Vec<_>>();
    // This is also done for volumes that were found: an earlier call may have renamed and died
    // before this. That the name under `making/` is gone need not be durable: should it come back,
    // it is swept when the disk is opened.
    if made.iter().any(Result::is_ok) {
        if let Err(error) = places.volumes.sync() {
            return fail_all(labels, made, &error, "sync the folder of volumes");
        }
    }
    made
}

/// Makes one failed sync the failure of every volume that needed it.
fn fail_all<T>(
    labels: &[VolumeLabel],
    answers: Vec<Result<T, VolumeFault>>,
    error: &io::Error,
    doing: &'static str,
) -> Vec<Result<PathBuf, VolumeFault>> {
    let fault = |label: &VolumeLabel| volume_io(label.volume_uuid, doing)(copy_of(error));
    labels
        .iter()
        .zip(answers)
        .map(|(label, answer)| answer.and_then(|_| Err(fault(label))))
        .collect()
}

/// The number of volumes from which on one sync of the whole file system replaces those of each. A
/// single volume is synced by itself: it may be made beside a running database, whose dirty pages
/// it should not wait for.
const TOGETHER_FROM: usize = 2;

/// A volume that is being made.
enum Draft {
    /// The volume was there already.
    Found(PathBuf),
    /// Its folder is complete under `making/`.
    New { name: String, path: PathBuf },
}

impl Draft {
    fn into_path(self) -> PathBuf {
        match self {
            Draft::Found(path) | Draft::New { path, .. } => path,
        }
    }
}

/// The directories that the work needs. `making` stays locked: a disk makes one batch at a time.
struct Places {
    entered: Entered,
    volumes: Folder,
    making: Folder,
}

fn enter_places(disk: &OpenDisk, label: &VolumeLabel) -> Result<Places, VolumeFault> {
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let making =
        entered.folder.make(MAKING, PRIVATE_MODE).map_err(|fault| making_fault(label, fault))?;
    making
        .lock()
        .map_err(volume_io(label.volume_uuid, "lock the folder of volumes in the making"))?;
    Ok(Places { entered, volumes, making })
}

/// Finds one volume, or drafts it.
fn draft_volume(
    disk: &OpenDisk,
    places: &Places,
    label: &VolumeLabel,
    syncing: Syncing,
) -> Result<Draft, VolumeFault> {
    let volume_uuid = label.volume_uuid;
    check_claimed_here(disk, label)?;
    if let Some(folder) = enter_volume(&places.volumes, volume_uuid)? {
        let found = read_volume_label(&folder, volume_uuid)?;
        check_claim(folder.path(), label, &found.label)?;
        return Ok(Draft::Found(enter_data(&folder, volume_uuid)?.path().to_path_buf()));
    }
    let in_trash = find_in_trash(&places.entered.folder, volume_uuid)
        .map_err(volume_io(volume_uuid, "look into the trash"))?;
    if let Some(name) = in_trash {
        return Err(VolumeFault::InTrash {
            volume_uuid,
            path: places.entered.folder.path().join(TRASH).join(name),
        });
    }
    let name = folder_name(volume_uuid);
    let draft = places.making.make(&name, PASS_MODE).map_err(|fault| making_fault(label, fault))?;
    fill_draft(&draft, label, syncing)?;
    let path = places.volumes.path().join(&name).join(DATA);
    Ok(Draft::New { name, path })
}

/// Renames a draft, whose content is durable, into place. Its name is durable only after the syncs
/// of the caller.
fn place_draft(places: &Places, label: &VolumeLabel, draft: Draft) -> Result<PathBuf, VolumeFault> {
    if let Draft::New { name, .. } = &draft {
        // The same volume may be asked for twice in one batch.
        if enter_volume(&places.volumes, label.volume_uuid)?.is_none() {
            places
                .making
                .rename_to(name, &places.volumes, name)
                .map_err(volume_io(label.volume_uuid, "put it into place"))?;
        }
    }
    Ok(draft.into_path())
}

fn fill_draft(draft: &Folder, label: &VolumeLabel, syncing: Syncing) -> Result<(), VolumeFault> {
    let volume_uuid = label.volume_uuid;
    let data = draft.make(DATA, DATA_MODE).map_err(|fault| making_fault(label, fault))?;
    if !data.is_empty().map_err(volume_io(volume_uuid, "look into its new directory"))? {
        return Err(damaged(
            volume_uuid,
            draft.path(),
            "something was put into it while it was being made",
        ));
    }
    if syncing == Syncing::Each {
        data.sync().map_err(volume_io(volume_uuid, "sync its directory"))?;
    }
    write_first_pair(draft, label, syncing).map_err(volume_io(volume_uuid, "write its label"))?;
    match syncing {
        Syncing::Each => draft.sync().map_err(volume_io(volume_uuid, "sync its folder")),
        Syncing::Together => Ok(()),
    }
}

fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

fn making_fault(label: &VolumeLabel, fault: EnterFault) -> VolumeFault {
    volume_io(label.volume_uuid, "make its folder")(fault.into_io())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};
    use crate::testbed::{disk_label, volume_label, Bed, TmpfsMount};
    use crate::{check_volume, list_volumes, trash_volume, DiskFault};

    #[test]
    fn a_volume_is_made_once_and_its_content_stays() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        assert_eq!(
            data,
            bed.folder().join("volumes").join(volume_label(1).volume_uuid.to_string()).join("data")
        );
        assert_eq!(make_volume(&bed.disk, &volume_label(1)).unwrap(), data);
        assert_eq!(std::fs::read_to_string(data.join("precious")).unwrap(), "bytes of 1");
    }

    #[test]
    fn the_same_uuid_with_another_claim_is_refused() {
        let bed = Bed::new();
        bed.filled_volume(1);
        let mut label = volume_label(1);
        label.persistence_id = "other".into();
        assert!(matches!(make_volume(&bed.disk, &label), Err(VolumeFault::Foreign { .. })));
        let mut label = volume_label(1);
        label.role = "other".into();
        assert!(matches!(make_volume(&bed.disk, &label), Err(VolumeFault::Differs { .. })));
        let mut label = volume_label(2);
        label.disk_uuid = disk_label(9).disk_uuid;
        assert!(matches!(make_volume(&bed.disk, &label), Err(VolumeFault::WrongDisk { .. })));
        assert_eq!(bed.precious("volumes", 1).unwrap(), "bytes of 1");
    }

    #[test]
    fn a_volume_in_the_trash_is_not_made_again() {
        let bed = Bed::new();
        bed.filled_volume(1);
        trash_volume(&bed.disk, volume_label(1).volume_uuid, 5).unwrap();
        assert!(matches!(
            make_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::InTrash { .. })
        ));
    }

    #[test]
    fn lost_data_is_not_replaced_by_an_empty_directory() {
        let bed = Bed::new();
        let data = bed.filled_volume(1);
        std::fs::remove_dir_all(&data).unwrap();
        assert!(matches!(
            make_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Damaged { .. })
        ));
        assert!(!data.exists());
    }

    #[test]
    fn nothing_is_made_on_a_disk_that_went_away() {
        let bed = Bed::new();
        let Some(mount) = TmpfsMount::on(
            bed.dir.path().join("mount"),
            "nothing_is_made_on_a_disk_that_went_away",
        ) else {
            return;
        };
        let root = mount.path().to_path_buf();
        let config = crate::DiskConfig { kind: crate::DiskKind::Mount, root: root.clone() };
        let disk = crate::open_disk(&config, None, &disk_label(1)).unwrap();
        make_volume(&disk, &volume_label(1)).unwrap();
        drop(mount);
        assert!(matches!(
            make_volume(&disk, &volume_label(2)),
            Err(VolumeFault::Disk(DiskFault::NotMounted { .. }))
        ));
        assert!(matches!(
            check_volume(&disk, &volume_label(1)),
            Err(VolumeFault::Disk(DiskFault::NotMounted { .. }))
        ));
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }

    #[test]
    fn a_crash_anywhere_leaves_no_volume_or_a_whole_one() {
        for n in 0.. {
            let bed = Bed::new();
            let (result, crashed) = crash_at(n, || make_volume(&bed.disk, &volume_label(1)));
            assert_eq!(result.is_err(), crashed);
            let listed = list_volumes(&bed.disk).unwrap();
            assert!(listed.damaged.is_empty() && listed.volumes.len() <= 1, "step {n}: {listed:?}");
            match check_volume(&bed.disk, &volume_label(1)) {
                Ok(_) => assert_eq!(listed.volumes.len(), 1),
                Err(VolumeFault::Missing { .. }) => assert!(crashed && listed.volumes.is_empty()),
                Err(other) => panic!("step {n}: {other}"),
            }
            let data = make_volume(&bed.disk, &volume_label(1)).unwrap();
            assert_eq!(check_volume(&bed.disk, &volume_label(1)).unwrap(), data);
            assert_eq!(std::fs::read_dir(bed.folder().join("making")).unwrap().count(), 0);
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn all_is_synced_before_the_volume_gets_its_name() {
        let bed = Bed::new();
        let (_, steps) = record(|| make_volume(&bed.disk, &volume_label(1)).unwrap());
        let uuid = volume_label(1).volume_uuid.to_string();
        let at = |step: &str| {
            steps.iter().position(|s| *s == step).unwrap_or_else(|| panic!("{step} in {steps:?}"))
        };
        let named = at(&format!("move {uuid} {uuid}"));
        for before in ["fsync label", "fsync label-copy", "sync data", &format!("sync {uuid}")] {
            assert!(at(before) < named, "{before}");
        }
        assert_eq!(steps[named + 1..], ["sync volumes"]);
    }

    #[test]
    fn a_batch_answers_each_and_shares_its_syncs() {
        let bed = Bed::new();
        bed.filled_volume(2);
        let wrong = VolumeLabel { disk_uuid: disk_label(9).disk_uuid, ..volume_label(3) };
        let labels = [volume_label(1), volume_label(2), wrong, volume_label(4)];
        let (made, steps) = record(|| make_volumes(&bed.disk, &labels));
        assert!(
            matches!(made[..], [Ok(_), Ok(_), Err(VolumeFault::WrongDisk { .. }), Ok(_)]),
            "{made:?}"
        );
        let shared = |name: &str| steps.iter().filter(|step| *step == name).count();
        assert_eq!(shared("sync volumes"), 1);
        assert_eq!(list_volumes(&bed.disk).unwrap().volumes.len(), 3);
        assert_eq!(bed.precious("volumes", 2).unwrap(), "bytes of 2");
        assert!(make_volumes(&bed.disk, &[]).is_empty());
        std::fs::rename(&bed.disk.config().root, bed.dir.path().join("away")).unwrap();
        assert!(make_volumes(&bed.disk, &labels).iter().all(Result::is_err));
        assert!(!bed.disk.config().root.exists());
    }

    #[test]
    fn a_batch_whose_last_sync_fails_has_made_nothing_for_sure() {
        let (bed, other) = (Bed::new(), Bed::new());
        let labels = [volume_label(1), volume_label(2)];
        let (_, steps) = record(|| make_volumes(&other.disk, &labels));
        let (made, crashed) = crash_at(steps.len() - 1, || make_volumes(&bed.disk, &labels));
        assert!(crashed && made.iter().all(Result::is_err), "{made:?}");
        assert!(
            make_volumes(&bed.disk, &labels).iter().all(Result::is_ok),
            "and the next call finishes it"
        );
    }

    #[test]
    fn callers_at_the_same_time_get_the_same_volume() {
        let bed = Bed::new();
        let paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| make_volume(&bed.disk, &volume_label(1)).unwrap()))
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(paths.iter().all(|path| *path == paths[0]));
        assert_eq!(list_volumes(&bed.disk).unwrap().volumes.len(), 1);
    }

    #[test]
    fn something_strange_in_a_draft_is_kept() {
        let bed = Bed::new();
        let draft =
            bed.folder().join("making").join(volume_label(1).volume_uuid.to_string()).join("data");
        std::fs::create_dir_all(&draft).unwrap();
        std::fs::write(draft.join("strange"), "x").unwrap();
        assert!(matches!(
            make_volume(&bed.disk, &volume_label(1)),
            Err(VolumeFault::Damaged { .. })
        ));
        assert!(draft.join("strange").exists());
    }

    #[test]
    fn many_volumes_share_one_sync_of_the_file_system() {
        let bed = Bed::new();
        let labels: Vec<_> = (1..=8).map(volume_label).collect();
        let (made, steps) = record(|| make_volumes(&bed.disk, &labels));
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let of = |verb: &str| steps.iter().filter(|it| it.starts_with(verb)).count();
        assert_eq!((of("syncfs "), of("fsync ")), (1, 0), "{steps:?}");
        let synced = steps.iter().position(|it| it.starts_with("syncfs ")).unwrap();
        assert!(
            steps[..synced].iter().all(|it| !it.starts_with("rename")),
            "nothing has its place before it is durable: {steps:?}"
        );
        for label in &labels {
            check_volume(&bed.disk, label).unwrap();
        }
    }

    #[test]
    fn a_batch_that_crashes_anywhere_is_made_whole_by_the_next() {
        for n in 0.. {
            let bed = Bed::new();
            let labels: Vec<_> = (1..=5).map(volume_label).collect();
            let (_, crashed) = crash_at(n, || make_volumes(&bed.disk, &labels));
            assert!(
                make_volumes(&bed.disk, &labels).iter().all(Result::is_ok),
                "after a crash at step {n}"
            );
            if !crashed {
                break;
            }
        }
    }
}

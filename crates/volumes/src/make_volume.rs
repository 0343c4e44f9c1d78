//! Makes a volume, exactly once.
//!
//! What it is for: CREATE. What it relies on: the volume is built under `making/` and renamed when
//! label and directory are durable, so that a folder under `volumes/` is a whole volume or a
//! damaged one, never an unfinished one. What it never does: touch the content of a volume that is
//! there, reuse the uuid of one in the trash, or repair a volume that lost its `data` by an empty
//! one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use crate::dirty_pages::dirty_bytes;
use crate::disk::{Entered, OpenDisk, MAKING, TRASH};
use crate::folder::{EnterFault, Folder, DATA_MODE, PASS_MODE, PRIVATE_MODE};
use crate::image::{enter_image, give_up_image, make_image, BELOW_MODE};
use crate::label::VolumeLabel;
use crate::label_pair::{write_first_pair_unsynced, UnsyncedPair};
use crate::sync_at_once::{sync_at_once, Unsynced};
use crate::trash::{names_in_trash, TrashName};
use crate::volume::{
    check_claim, check_claimed_here, copy_of, damaged, enter_volume, enter_volumes, folder_name,
    read_volume_label, use_data, volume_io, VolumeFault, DATA,
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

/// Makes several volumes of one disk. They are synced beside each other, or with the whole file
/// system where nobody has much to write, and share the sync of the folder that holds them: a batch
/// waits for the disk about twice, whatever its size. There is one result per label, in order, as
/// [`make_volume`] would give it.
///
/// # Errors
/// Each result has its own; a disk that is unfit fails them all.
pub fn make_volumes(disk: &OpenDisk, labels: &[VolumeLabel]) -> Vec<Result<PathBuf, VolumeFault>> {
    let mut made: Vec<Result<PathBuf, VolumeFault>> = Vec::with_capacity(labels.len());
    let places = loop {
        match labels.get(made.len()).map(|label| enter_places(disk, label)) {
            None => return made,
            Some(Err(fault)) => made.push(Err(fault)),
            Some(Ok(places)) => break places,
        }
    };
    for labels in labels[made.len()..].chunks(DRAFTS_MAX) {
        made.extend(draft_and_place(disk, &places, labels));
    }
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
fn fail_all(
    labels: &[VolumeLabel],
    answers: Vec<Result<PathBuf, VolumeFault>>,
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

/// The number of volumes that are drafted before they are synced and placed. Each holds four
/// handles meanwhile, and a process has about a thousand.
const DRAFTS_MAX: usize = 64;

/// A volume that is being made.
enum Draft {
    /// The volume was there already.
    Found(PathBuf),
    /// Its folder is complete under `making/`, and not durable.
    New(Box<NewDraft>),
    /// It was asked for before in the same batch.
    Again,
}

/// What must be durable before a volume gets its name.
struct NewDraft {
    name: String,
    path: PathBuf,
    folder: Folder,
    data: Folder,
    labels: UnsyncedPair,
}

impl NewDraft {
    fn unsynced(&self) -> [Unsynced<'_>; 4] {
        let [(first, first_file), (second, second_file)] = &self.labels;
        [
            Unsynced::Folder(&self.data),
            Unsynced::File(first, first_file),
            Unsynced::File(second, second_file),
            Unsynced::Folder(&self.folder),
        ]
    }
}

/// What was looked up or done for volumes of the same batch.
#[derive(Default)]
struct Batch {
    in_trash: Option<BTreeMap<Uuid, TrashName>>,
    drafted: BTreeSet<Uuid>,
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

/// Makes volumes up to the sync of the folder that holds them all.
fn draft_and_place(
    disk: &OpenDisk,
    places: &Places,
    labels: &[VolumeLabel],
) -> Vec<Result<PathBuf, VolumeFault>> {
    let mut batch = Batch::default();
    let drafts = labels.iter().map(|label| draft_volume(disk, places, &mut batch, label)).collect();
    let drafts = sync_drafts(places, labels, drafts);
    labels
        .iter()
        .zip(drafts)
        .map(|(label, draft)| draft.and_then(|it| place_draft(places, label, it)))
        .collect()
}

/// Finds one volume, or drafts it.
fn draft_volume(
    disk: &OpenDisk,
    places: &Places,
    batch: &mut Batch,
    label: &VolumeLabel,
) -> Result<Draft, VolumeFault> {
    let volume_uuid = label.volume_uuid;
    check_claimed_here(disk, label)?;
    if let Some(folder) = enter_volume(&places.volumes, volume_uuid)? {
        return Ok(Draft::Found(find_whole(&folder, label)?));
    }
    let in_trash = match &mut batch.in_trash {
        Some(names) => names,
        None => batch.in_trash.insert(
            names_in_trash(&places.entered.folder)
                .map_err(volume_io(volume_uuid, "look into the trash"))?,
        ),
    };
    if let Some(name) = in_trash.get(&volume_uuid) {
        return Err(VolumeFault::InTrash {
            volume_uuid,
            path: places.entered.folder.path().join(TRASH).join(name.text()),
        });
    }
    if !batch.drafted.insert(volume_uuid) {
        return Ok(Draft::Again);
    }
    let name = folder_name(volume_uuid);
    let path = places.volumes.path().join(&name).join(DATA);
    let folder =
        places.making.make(&name, PASS_MODE).map_err(|fault| making_fault(label, fault))?;
    let (data, labels) = fill_draft(&folder, label)?;
    Ok(Draft::New(Box::new(NewDraft { name, path, folder, data, labels })))
}

fn fill_draft(draft: &Folder, label: &VolumeLabel) -> Result<(Folder, UnsyncedPair), VolumeFault> {
    let volume_uuid = label.volume_uuid;
    let mode = if label.image { BELOW_MODE } else { DATA_MODE };
    let data = draft.make(DATA, mode).map_err(|fault| making_fault(label, fault))?;
    if !data.is_empty().map_err(volume_io(volume_uuid, "look into its new directory"))? {
        return Err(damaged(
            volume_uuid,
            draft.path(),
            "something was put into it while it was being made",
        ));
    }
    if label.image {
        make_image(draft, label)?;
    }
    let labels = write_first_pair_unsynced(draft, label)
        .map_err(volume_io(volume_uuid, "write its label"))?;
    Ok((data, labels))
}

/// From this number of volumes on one sync of the whole file system is cheaper than those of each.
const TOGETHER_FROM: usize = 8;
/// It waits for everybody's pages, so it is made only where these are all that can be.
const TOGETHER_DIRTY_BYTES_MAX: u64 = 16 << 20;

/// Makes all drafts durable at once.
fn sync_drafts(
    places: &Places,
    labels: &[VolumeLabel],
    mut drafts: Vec<Result<Draft, VolumeFault>>,
) -> Vec<Result<Draft, VolumeFault>> {
    let fault = |at: usize| volume_io(labels[at].volume_uuid, "sync its label and folder");
    let news: Vec<usize> =
        (0..drafts.len()).filter(|at| matches!(drafts[*at], Ok(Draft::New(_)))).collect();
    if TOGETHER_FROM <= news.len()
        && dirty_bytes().is_some_and(|dirty| dirty <= TOGETHER_DIRTY_BYTES_MAX)
    {
        if let Err(error) = places.making.sync_file_system() {
            news.into_iter().for_each(|at| drafts[at] = Err(fault(at)(copy_of(&error))));
        }
        return drafts;
    }
    // One that could not be synced fails alone.
    let mut of = Vec::new();
    let mut unsynced = Vec::new();
    for at in news {
        if let Ok(Draft::New(draft)) = &drafts[at] {
            unsynced.extend(draft.unsynced());
            of.resize(unsynced.len(), at);
        }
    }
    let results = sync_at_once(&unsynced);
    for (at, result) in of.into_iter().zip(results) {
        if let Err(error) = result {
            drafts[at] = Err(fault(at)(error));
        }
    }
    drafts
}

/// Renames a draft, whose content is durable, into place. Its name is durable only after the syncs
/// of the caller.
fn place_draft(places: &Places, label: &VolumeLabel, draft: Draft) -> Result<PathBuf, VolumeFault> {
    let volume_uuid = label.volume_uuid;
    match draft {
        Draft::Found(path) => Ok(path),
        Draft::New(draft) => {
            if label.image {
                // Before it has its name: one that cannot be mounted is no volume, and takes no space. The mount moves with its folder.
                enter_image(&draft.folder, volume_uuid)
                    .inspect_err(|_| give_up_image(&draft.folder, volume_uuid))?;
            }
            let placed = places.making.rename_to(&draft.name, &places.volumes, &draft.name);
            if placed.is_err() && label.image {
                give_up_image(&draft.folder, volume_uuid);
            }
            placed.map_err(volume_io(volume_uuid, "put it into place"))?;
            Ok(draft.path)
        }
        Draft::Again => match enter_volume(&places.volumes, volume_uuid)? {
            Some(folder) => find_whole(&folder, label),
            None => Err(volume_io(volume_uuid, "make it, as the same batch failed to")(
                io::Error::from(io::ErrorKind::NotFound),
            )),
        },
    }
}

/// Finds a volume that is there to be the one that is wanted.
fn find_whole(folder: &Folder, label: &VolumeLabel) -> Result<PathBuf, VolumeFault> {
    let found = read_volume_label(folder, label.volume_uuid)?;
    check_claim(folder.path(), label, &found.label)?;
    Ok(use_data(folder, &found.label)?.path().to_path_buf())
}

fn making_fault(label: &VolumeLabel, fault: EnterFault) -> VolumeFault {
    volume_io(label.volume_uuid, "make its folder")(fault.into_io())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirty_pages::with_dirty_bytes;
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
    fn a_batch_is_synced_with_the_file_system_only_where_nobody_has_much_to_write() {
        for (volumes, dirty, whole) in [
            (TOGETHER_FROM, 0, true),
            (TOGETHER_FROM, TOGETHER_DIRTY_BYTES_MAX, true),
            (TOGETHER_FROM, TOGETHER_DIRTY_BYTES_MAX + 1, false),
            (TOGETHER_FROM - 1, 0, false),
        ] {
            let bed = Bed::new();
            let labels: Vec<_> = (1..=volumes as u128).map(volume_label).collect();
            let (made, steps) =
                record(|| with_dirty_bytes(dirty, || make_volumes(&bed.disk, &labels)));
            assert!(made.iter().all(Result::is_ok), "{made:?}");
            let at = |verb: &str| steps.iter().rposition(|it| it.starts_with(verb));
            assert_eq!((at("syncfs ").is_some(), at("fsync ").is_none()), (whole, whole));
            let placed = steps.iter().position(|it| it.starts_with("move "));
            assert!(at("syncfs ").max(at("fsync ")) < placed, "durable before: {steps:?}");
            assert_eq!(steps.last().unwrap(), "sync volumes");
        }
    }

    #[test]
    fn a_batch_that_crashes_anywhere_is_made_whole_by_the_next_whichever_way_it_is_synced() {
        let labels: Vec<_> = (1..=TOGETHER_FROM as u128).map(volume_label).collect();
        for n in 0.. {
            let bed = Bed::new();
            let make = || with_dirty_bytes(0, || make_volumes(&bed.disk, &labels));
            let (made, crashed) = crash_at(n, make);
            assert!(
                !crashed || made.iter().all(Result::is_err),
                "step {n}: none is told too early"
            );
            assert!(list_volumes(&bed.disk).unwrap().damaged.is_empty(), "step {n}");
            assert!(make_volumes(&bed.disk, &labels).iter().all(Result::is_ok), "step {n}");
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn a_batch_waits_for_the_disk_twice_and_not_for_a_busy_file_system() {
        let bed = Bed::new();
        let labels: Vec<_> = (1..=100).map(volume_label).collect();
        let (made, steps) = record(|| make_volumes(&bed.disk, &labels));
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let is_sync = |it: &String| it.starts_with("sync ") || it.starts_with("fsync ");
        // Runs of syncs with nothing between them wait beside each other.
        let waits = steps.chunk_by(|one, next| is_sync(one) == is_sync(next));
        let waits: Vec<usize> = waits.filter(|run| is_sync(&run[0])).map(<[_]>::len).collect();
        assert_eq!(waits, [4 * DRAFTS_MAX, 4 * (100 - DRAFTS_MAX), 1], "{steps:?}");
        assert!(!steps.iter().any(|it| it.starts_with("syncfs")), "{steps:?}");
        for label in &labels {
            check_volume(&bed.disk, label).unwrap();
        }
    }

    #[test]
    fn the_same_volume_twice_in_a_batch_is_made_once_or_fails_twice() {
        let labels = [volume_label(1), volume_label(1)];
        let bed = Bed::new();
        let (made, steps) = record(|| make_volumes(&bed.disk, &labels));
        assert_eq!(made[0].as_ref().unwrap(), made[1].as_ref().unwrap());
        let placed = steps.iter().position(|it| it.starts_with("move ")).unwrap();
        for n in 0..placed {
            let bed = Bed::new();
            let (made, crashed) = crash_at(n, || make_volumes(&bed.disk, &labels));
            assert!(crashed && made.iter().all(Result::is_err), "step {n}: {made:?}");
        }
        let other = VolumeLabel { role: "other".into(), ..volume_label(2) };
        let made = make_volumes(&bed.disk, &[volume_label(2), other]);
        assert!(matches!(made[..], [Ok(_), Err(VolumeFault::Differs { .. })]), "{made:?}");
    }

    /// What a power cut may take of what a volume's making did up to a step: everything that no
    /// later sync covers, each part by itself. Names it by the step that made it and the sync
    /// that keeps it.
    const PARTS: [(&str, &str); 7] = [
        ("mkdir data", "sync UUID"),
        ("mkdir data", "sync data"),
        ("write label", "fsync label"),
        ("write label", "sync UUID"),
        ("write label-copy", "fsync label-copy"),
        ("write label-copy", "sync UUID"),
        ("move UUID UUID", "sync volumes"),
    ];

    /// Takes one part away from the volume at `folder`.
    fn take(part: usize, folder: &std::path::Path) {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.unwrap(),
        };
        match part {
            0 => gone(std::fs::remove_dir(folder.join(DATA))),
            // Its mode, set after it was made.
            1 => gone(std::fs::set_permissions(
                folder.join(DATA),
                std::os::unix::fs::PermissionsExt::from_mode(PRIVATE_MODE),
            )),
            2 | 4 => {
                let copy = folder.join(["label", "label-copy"][part / 2 - 1]);
                if copy.exists() {
                    std::fs::write(copy, "").unwrap();
                }
            }
            3 | 5 => gone(std::fs::remove_file(folder.join(["label", "label-copy"][part / 2 - 1]))),
            _ => unreachable!("the move is taken back by its caller"),
        }
    }

    #[test]
    fn a_power_cut_anywhere_that_takes_any_unsynced_part_leaves_no_volume_or_a_whole_one() {
        let uuid = volume_label(1).volume_uuid.to_string();
        let (_, steps) = {
            let bed = Bed::new();
            record(|| make_volume(&bed.disk, &volume_label(1)).unwrap())
        };
        let mut cuts = 0;
        for n in 0..=steps.len() {
            let done = &steps[..n];
            let last = |step: &str| {
                let step = step.replace("UUID", &uuid);
                done.iter().rposition(|it| *it == step)
            };
            let loose: Vec<usize> = (0..PARTS.len())
                .filter(|part| {
                    let (made, kept) = (last(PARTS[*part].0), last(PARTS[*part].1));
                    made.is_some() && kept < made
                })
                .collect();
            for taken in 0..1_u32 << loose.len() {
                let bed = Bed::new();
                let _ = crash_at(n, || make_volume(&bed.disk, &volume_label(1)));
                let (making, placed) = (
                    bed.folder().join("making").join(&uuid),
                    bed.folder().join("volumes").join(&uuid),
                );
                for (_, part) in loose.iter().enumerate().filter(|(at, _)| taken >> at & 1 == 1) {
                    match part {
                        6 => std::fs::rename(&placed, &making).unwrap(),
                        part => take(*part, if placed.exists() { &placed } else { &making }),
                    }
                }
                cuts += 1;
                let listed = list_volumes(&bed.disk).unwrap();
                assert!(listed.damaged.is_empty(), "step {n}, without {loose:?}: {listed:?}");
                if n == steps.len() {
                    assert_eq!(listed.volumes.len(), 1, "it was acknowledged");
                }
                for volume in &listed.volumes {
                    assert_eq!(volume.repair, None, "both copies of its label are whole");
                    let mode = std::fs::metadata(&volume.data).unwrap().permissions();
                    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, DATA_MODE);
                }
                make_volume(&bed.disk, &volume_label(1)).unwrap();
                check_volume(&bed.disk, &volume_label(1)).unwrap();
            }
        }
        assert!(cuts > 100, "{cuts} cuts were tried");
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

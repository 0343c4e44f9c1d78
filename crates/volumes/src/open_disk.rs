//! Opens a disk for use.
//!
//! What it is for: the first use writes the label, every later one verifies it. What it relies on:
//! the disk's folder is built under another name and renamed when it is complete, so that a folder
//! without a label is damage and never an unfinished first use. What it never does: label a disk
//! that bears a folder of ours already, that should bear a known label, or that is missing,
//! unmounted or read-only.

use std::io;

use crate::disk::{
    check_same, io_fault, open_root, read_label, DiskConfig, DiskFault, Entered, OpenDisk, Opened,
    HOLDFAST, HOLDFAST_DRAFT, MAKING, TRASH, VOLUMES,
};
use crate::folder::{EnterFault, Folder, PASS_MODE, PRIVATE_MODE};
use crate::label::{same_cluster, DiskLabel};
use crate::label_pair::{write_first_pair, Repairing};

/// Opens a disk.
///
/// `expected` is the label that the ledger holds for it, if it holds one. `fresh` is the label that
/// an unlabelled disk is given when none is expected: its disk uuid must be new; its cluster uuid
/// may be nil (see [`crate::adopt_disk`]) and also says which cluster's disks are accepted when no
/// label is expected. When its disk uuid is nil, none is given. Safe to call again after a crash at any point.
///
/// # Errors A [`DiskFault`]: nothing was created. After `Io` in the middle of a first use only an
/// unfinished folder `holdfast.draft` may be left, which the next first use completes.
pub fn open_disk(
    config: &DiskConfig,
    expected: Option<&DiskLabel>,
    fresh: &DiskLabel,
) -> Result<OpenDisk, DiskFault> {
    let root = open_root(config)?;
    let (entered, opened) = match (read_label(&root, Repairing::Yes)?, expected) {
        (Some(entered), Some(expected)) => {
            check_same(&config.root, expected, &entered.pair.label)?;
            (entered, Opened::Known)
        }
        (Some(entered), None) => {
            let found = &entered.pair.label;
            if !same_cluster(found.cluster_uuid, fresh.cluster_uuid) {
                let expected = (None, fresh.cluster_uuid);
                return Err(DiskFault::Foreign {
                    root: config.root.clone(),
                    expected,
                    found: found.clone(),
                });
            }
            // It may be our own first use, cut short after the rename: make its name durable before
            // it is relied upon.
            root.sync().map_err(io_fault(&config.root, "sync its root"))?;
            (entered, Opened::Found)
        }
        (None, Some(expected)) => {
            return Err(DiskFault::Unlabelled {
                root: config.root.clone(),
                expected: expected.disk_uuid,
            });
        }
        (None, None) if fresh.disk_uuid.is_nil() => {
            return Err(DiskFault::Blank { root: config.root.clone() });
        }
        (None, None) => first_use(&root, fresh)?,
    };
    Ok(OpenDisk {
        config: config.clone(),
        label: entered.pair.label,
        opened,
        repair: entered.pair.repair,
    })
}

/// Labels a disk, unless somebody else does so at this moment.
fn first_use(root: &Folder, fresh: &DiskLabel) -> Result<(Entered, Opened), DiskFault> {
    let path = root.path();
    root.lock().map_err(io_fault(path, "lock it for its first label"))?;
    let mut opened = Opened::Found;
    if read_label(root, Repairing::Yes)?.is_none() {
        write_first_label(root, fresh).map_err(io_fault(path, "write its first label"))?;
        opened = Opened::FirstUse;
    }
    let entered = read_label(root, Repairing::Yes)?.ok_or_else(|| DiskFault::Unlabelled {
        root: path.to_path_buf(),
        expected: fresh.disk_uuid,
    })?;
    let label = &entered.pair.label;
    if opened == Opened::FirstUse || !same_cluster(label.cluster_uuid, fresh.cluster_uuid) {
        check_same(path, fresh, label)?;
    }
    root.unlock().map_err(io_fault(path, "unlock it"))?;
    Ok((entered, opened))
}

fn write_first_label(root: &Folder, label: &DiskLabel) -> io::Result<()> {
    let draft = root.make(HOLDFAST_DRAFT, PASS_MODE).map_err(EnterFault::into_io)?;
    for (name, mode) in [(VOLUMES, PASS_MODE), (MAKING, PRIVATE_MODE), (TRASH, PRIVATE_MODE)] {
        draft.make(name, mode).map_err(EnterFault::into_io)?.sync()?;
    }
    write_first_pair(&draft, label)?;
    draft.sync()?;
    root.move_to(HOLDFAST_DRAFT, root, HOLDFAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskKind;
    use crate::steps::{crash_at, record};
    use crate::testbed::{cluster, disk_label, TmpfsMount};
    use std::path::Path;
    use uuid::Uuid;

    fn path_disk(root: &Path) -> DiskConfig {
        DiskConfig { kind: DiskKind::Path, root: root.to_path_buf() }
    }

    fn names(dir: &Path) -> Vec<String> {
        Folder::open(dir).unwrap().names().unwrap()
    }

    #[test]
    fn two_that_label_a_disk_at_once_give_it_one_label() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let config = path_disk(dir.path());
            let open = |number| open_disk(&config, None, &disk_label(number)).unwrap();
            let (one, two) = std::thread::scope(|scope| {
                let other = scope.spawn(|| open(2));
                (open(1), other.join().unwrap())
            });
            assert_eq!(one.label(), two.label());
            assert_ne!(one.opened(), two.opened(), "one of them labelled it");
        }
    }

    #[test]
    fn the_first_use_labels_and_the_next_one_knows() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        let disk = open_disk(&config, None, &disk_label(1)).unwrap();
        assert_eq!(
            (disk.opened(), disk.label(), disk.repair()),
            (Opened::FirstUse, &disk_label(1), None)
        );
        assert_eq!(
            names(&dir.path().join("holdfast")),
            ["label", "label-copy", "making", "trash", "volumes"]
        );
        let again = open_disk(&config, Some(&disk_label(1)), &disk_label(2)).unwrap();
        assert_eq!((again.opened(), again.label()), (Opened::Known, &disk_label(1)));
        let found = open_disk(&config, None, &disk_label(3)).unwrap();
        assert_eq!(
            (found.opened(), found.label()),
            (Opened::Found, &disk_label(1)),
            "no second label is written"
        );
    }

    #[test]
    fn what_is_only_looked_at_gets_no_label() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        let none = DiskLabel { disk_uuid: Uuid::nil(), ..disk_label(1) };
        assert!(matches!(open_disk(&config, None, &none), Err(DiskFault::Blank { .. })));
        assert!(names(dir.path()).is_empty());
        open_disk(&config, None, &disk_label(1)).unwrap();
        assert_eq!(open_disk(&config, None, &none).unwrap().label(), &disk_label(1));
    }

    #[test]
    fn another_disk_and_another_clusters_disk_are_foreign_and_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        open_disk(&config, None, &disk_label(1)).unwrap();
        let before = std::fs::read(dir.path().join("holdfast/label")).unwrap();
        let fault = open_disk(&config, Some(&disk_label(2)), &disk_label(2)).unwrap_err();
        assert!(
            matches!(&fault, DiskFault::Foreign { found, .. } if *found == disk_label(1)),
            "{fault}"
        );
        let other = DiskLabel { cluster_uuid: Uuid::from_u128(77), ..disk_label(9) };
        assert!(matches!(
            open_disk(&config, None, &other),
            Err(DiskFault::Foreign { expected: (None, _), .. })
        ));
        let moved = DiskLabel { cluster_uuid: Uuid::from_u128(77), ..disk_label(1) };
        assert!(matches!(open_disk(&config, Some(&moved), &moved), Err(DiskFault::Foreign { .. })));
        assert_eq!(std::fs::read(dir.path().join("holdfast/label")).unwrap(), before);
    }

    #[test]
    fn a_disk_of_no_cluster_yet_is_anyones_and_a_disk_uuid_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        let nil = DiskLabel { cluster_uuid: Uuid::nil(), ..disk_label(1) };
        open_disk(&config, None, &nil).unwrap();
        assert_eq!(open_disk(&config, Some(&disk_label(1)), &disk_label(5)).unwrap().label(), &nil);
        assert!(matches!(
            open_disk(&config, Some(&disk_label(2)), &disk_label(5)),
            Err(DiskFault::Foreign { .. })
        ));
    }

    #[test]
    fn missing_relative_and_file_roots_are_named_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let gone = path_disk(&dir.path().join("gone"));
        assert!(matches!(open_disk(&gone, None, &disk_label(1)), Err(DiskFault::Missing { .. })));
        assert!(matches!(
            open_disk(&gone, Some(&disk_label(1)), &disk_label(1)),
            Err(DiskFault::Missing { .. })
        ));
        assert!(!gone.root.exists());
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(
            open_disk(&path_disk(&dir.path().join("file")), None, &disk_label(1)),
            Err(DiskFault::NotDirectory { .. })
        ));
        assert!(matches!(
            open_disk(&path_disk(Path::new("tmp")), None, &disk_label(1)),
            Err(DiskFault::NotAbsolute { .. })
        ));
    }

    #[test]
    fn an_expected_label_is_never_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        assert!(matches!(
            open_disk(&config, Some(&disk_label(1)), &disk_label(1)),
            Err(DiskFault::Unlabelled { .. })
        ));
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_folder_without_a_whole_label_is_damage_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        std::fs::create_dir(dir.path().join("holdfast")).unwrap();
        assert!(matches!(
            open_disk(&config, None, &disk_label(1)),
            Err(DiskFault::LabelDamaged { .. })
        ));
        std::fs::write(dir.path().join("holdfast/label"), "torn").unwrap();
        assert!(matches!(
            open_disk(&config, None, &disk_label(1)),
            Err(DiskFault::LabelDamaged { .. })
        ));
        assert_eq!(names(&dir.path().join("holdfast")), ["label"]);
        std::fs::remove_dir_all(dir.path().join("holdfast")).unwrap();
        std::os::unix::fs::symlink("/tmp", dir.path().join("holdfast")).unwrap();
        assert!(matches!(
            open_disk(&config, None, &disk_label(1)),
            Err(DiskFault::LabelDamaged { .. })
        ));
    }

    #[test]
    fn one_torn_copy_is_mended_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        open_disk(&config, None, &disk_label(1)).unwrap();
        std::fs::write(dir.path().join("holdfast/label"), "holdfast disk la").unwrap();
        let disk = open_disk(&config, Some(&disk_label(1)), &disk_label(2)).unwrap();
        assert!(disk
            .repair()
            .is_some_and(|repair| repair.done && repair.path.ends_with("holdfast/label")));
    }

    #[test]
    fn a_first_use_that_crashes_anywhere_is_finished_by_the_next() {
        for n in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let config = path_disk(dir.path());
            let (result, crashed) = crash_at(n, || open_disk(&config, None, &disk_label(1)));
            assert_eq!(result.is_err(), crashed);
            let next = open_disk(&config, None, &disk_label(2)).unwrap();
            assert!(next.label() == &disk_label(1) || crashed && next.label() == &disk_label(2));
            assert!(next.repair().is_none(), "two whole copies before the folder has its name");
            assert_eq!(names(dir.path()), ["holdfast"]);
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn everything_is_synced_before_the_folder_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (_, steps) =
            record(|| open_disk(&path_disk(dir.path()), None, &disk_label(1)).unwrap());
        let at = |step: &str| {
            steps.iter().position(|s| s == step).unwrap_or_else(|| panic!("{step} in {steps:?}"))
        };
        let named = at("move holdfast.draft holdfast");
        for before in [
            "fsync label",
            "fsync label-copy",
            "sync volumes",
            "sync trash",
            "sync making",
            "sync holdfast.draft",
        ] {
            assert!(at(before) < named, "{before}");
        }
        assert!(steps.last().unwrap().starts_with("sync "), "and its name is synced: {steps:?}");
    }

    #[test]
    fn a_mount_disk_must_be_mounted_and_nothing_is_made_under_it() {
        let dir = tempfile::tempdir().unwrap();
        let config = DiskConfig { kind: DiskKind::Mount, root: dir.path().join("disk") };
        std::fs::create_dir(&config.root).unwrap();
        assert!(matches!(
            open_disk(&config, None, &disk_label(1)),
            Err(DiskFault::NotMounted { .. })
        ));
        assert_eq!(names(&config.root), Vec::<String>::new());
        let Some(mount) = TmpfsMount::on(config.root.clone(), "a_mount_disk_must_be_mounted")
        else {
            return;
        };
        let disk = open_disk(&config, None, &disk_label(1)).unwrap();
        disk.verify().unwrap();
        mount.set_read_only(true);
        assert!(matches!(disk.verify(), Err(DiskFault::ReadOnly { .. })));
        mount.set_read_only(false);
        disk.verify().unwrap();
        drop(mount);
        assert!(matches!(disk.verify(), Err(DiskFault::NotMounted { .. })));
        assert!(matches!(
            open_disk(&config, Some(&disk_label(1)), &disk_label(1)),
            Err(DiskFault::NotMounted { .. })
        ));
        assert_eq!(names(&config.root), Vec::<String>::new());
        let Some(_other) = TmpfsMount::on(config.root.clone(), "another file system") else {
            return;
        };
        assert!(
            matches!(disk.verify(), Err(DiskFault::Unlabelled { .. })),
            "mounted, but not that one"
        );
        assert_eq!(names(&config.root), Vec::<String>::new());
    }

    #[test]
    fn a_mount_over_the_folder_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        let config = path_disk(dir.path());
        let disk = open_disk(&config, None, &disk_label(1)).unwrap();
        let Some(_mount) = TmpfsMount::on(dir.path().join("holdfast"), "a_mount_over_the_folder")
        else {
            return;
        };
        assert!(matches!(disk.verify(), Err(DiskFault::LabelDamaged { .. })));
    }

    #[test]
    fn messages_say_what_and_what_to_do() {
        let fault = DiskFault::Foreign {
            root: "/d".into(),
            expected: (None, cluster()),
            found: disk_label(1),
        };
        assert!(fault.to_string().contains("mount the right one"), "{fault}");
    }
}

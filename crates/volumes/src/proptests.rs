//! One property over all operations: nothing but trash and purge of a volume removes a byte of it.
//!
//! What it relies on: [`crate::testbed`]. What it never does: exist outside tests.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::steps::crash_at;
use crate::testbed::{disk_label, volume_label, Bed};
use crate::*;

const VOLUMES: usize = 3;

/// An operation or a fault, with the number of the volume where it concerns one.
#[derive(Clone, Debug)]
enum Act {
    Make(usize),
    Check(usize),
    Relabel(usize, u64),
    Trash(usize),
    Restore(usize),
    Purge(usize, bool),
    Measure(usize),
    Give(usize),
    Reopen,
    List,
    Sweep,
    Adopt,
    /// Removes a sandbox with links to volumes, and tries to remove the disk itself.
    CollectGarbage(usize),
    /// Tears one copy of a label.
    Tear(usize, bool),
    TearDisk(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let v = 0..VOLUMES;
    prop_oneof![
        4 => v.clone().prop_map(Act::Make),
        1 => v.clone().prop_map(Act::Check),
        2 => (v.clone(), 1..5u64).prop_map(|(v, generation)| Act::Relabel(v, generation)),
        2 => v.clone().prop_map(Act::Trash),
        2 => v.clone().prop_map(Act::Restore),
        1 => (v.clone(), any::<bool>()).prop_map(|(v, whole)| Act::Purge(v, whole)),
        1 => v.clone().prop_map(Act::Measure),
        1 => v.clone().prop_map(Act::Give),
        1 => Just(Act::Reopen),
        1 => Just(Act::List),
        1 => Just(Act::Sweep),
        1 => Just(Act::Adopt),
        2 => v.clone().prop_map(Act::CollectGarbage),
        1 => (v, any::<bool>()).prop_map(|(v, copy)| Act::Tear(v, copy)),
        1 => any::<bool>().prop_map(Act::TearDisk),
    ]
}

/// The expected state of one volume.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    /// Whether it was made and filled, and not purged since.
    filled: bool,
    /// Whether a purge of it began: from then on anything may be gone.
    purged: bool,
    /// Whether its destruction was asked for and no restore has succeeded since. Only then may a
    /// purge remove it.
    destroyed: bool,
}

fn carry_out(bed: &Bed, act: &Act) {
    let label = |v: usize| current_label(bed, v).unwrap_or_else(|| volume_label(v as u128));
    let entries = || list_trash(&bed.disk).map(|list| list.entries).unwrap_or_default();
    let mine = |v: usize| {
        entries().into_iter().find(|entry| entry.volume_uuid == volume_label(v as u128).volume_uuid)
    };
    match *act {
        Act::Make(v) => drop(make_volume(&bed.disk, &volume_label(v as u128))),
        Act::Check(v) => drop(check_volume(&bed.disk, &label(v))),
        Act::Relabel(v, generation) => drop(relabel(
            &bed.disk,
            &VolumeLabel { generation, role: format!("r{generation}"), ..label(v) },
        )),
        Act::Trash(v) => {
            drop(trash_volume(&bed.disk, volume_label(v as u128).volume_uuid, 1 + v as u64))
        }
        Act::Restore(v) => drop(mine(v).map(|entry| restore_volume(&bed.disk, &entry))),
        Act::Purge(v, whole) => {
            let mut told = |_: &PurgeProgress| {
                if whole {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            drop(mine(v).map(|entry| purge_trash(&bed.disk, &entry, &mut told)));
        }
        Act::Measure(v) => drop(measure_volume(&bed.disk, &label(v))),
        Act::Give(v) => drop(give_volume_to(&bed.disk, &label(v), 0, 0)),
        Act::Reopen => drop(open_disk(bed.disk.config(), Some(&disk_label(1)), &disk_label(2))),
        Act::List => drop(list_volumes(&bed.disk)),
        Act::Sweep => drop(sweep_unmade(&bed.disk)),
        Act::Adopt => {
            drop(adopt_disk(bed.disk.config(), &disk_label(1), disk_label(1).cluster_uuid))
        }
        Act::CollectGarbage(v) => collect_garbage(bed, v),
        Act::Tear(v, copy) => {
            for place in places(bed, v) {
                tear(&place, copy);
            }
        }
        Act::TearDisk(copy) => tear(&bed.folder(), copy),
    }
}

fn collect_garbage(bed: &Bed, v: usize) {
    let sandbox = bed.dir.path().join("sandbox");
    let _ = fs::create_dir_all(sandbox.join("sub"));
    for place in places(bed, v) {
        let _ = std::os::unix::fs::symlink(place.join("data"), sandbox.join("sub/data"));
        let _ = fs::hard_link(place.join("data/precious"), sandbox.join("sub/hard"));
        let _ = remove_tree_guarded(&place, &[]);
        let _ = remove_tree_guarded(&place.join("data"), &[]);
    }
    let _ = remove_tree_guarded(&sandbox, &[bed.folder()]);
    for target in [
        bed.folder(),
        bed.disk.config().root.clone(),
        bed.folder().join("volumes"),
        bed.folder().join("trash"),
    ] {
        let _ = remove_tree_guarded(&target, &[]);
    }
}

/// Tears one copy, unless that would leave no whole one (which would be two faults at once).
fn tear(folder: &Path, copy: bool) {
    let (torn, other) = if copy { ("label-copy", "label") } else { ("label", "label-copy") };
    if fs::read(folder.join(other)).is_ok_and(|bytes| bytes.len() > 30) {
        if let Ok(bytes) = fs::read(folder.join(torn)) {
            fs::write(folder.join(torn), &bytes[..bytes.len().min(20)]).unwrap();
        }
    }
}

/// The places where the volume's folder is: under `volumes/` or in the trash, whole or being
/// purged.
fn places(bed: &Bed, v: usize) -> Vec<PathBuf> {
    let uuid = volume_label(v as u128).volume_uuid.to_string();
    let mut found = Vec::new();
    for place in ["volumes", "trash"] {
        for entry in fs::read_dir(bed.folder().join(place)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&uuid) {
                found.push(entry.path());
            }
        }
    }
    found
}

fn current_label(bed: &Bed, v: usize) -> Option<VolumeLabel> {
    let found = list_volumes(&bed.disk).ok()?;
    found
        .volumes
        .into_iter()
        .map(|volume| volume.label)
        .find(|label| label.volume_uuid == volume_label(v as u128).volume_uuid)
}

fn content(v: usize) -> String {
    format!("bytes of {v}")
}

/// Fills volumes that have just been made, and checks those that were filled.
fn check_all(bed: &Bed, known: &mut BTreeMap<usize, Known>) -> Result<(), TestCaseError> {
    for (v, known) in known {
        let places = places(bed, *v);
        prop_assert!(places.len() <= 1, "volume {v} is in two places: {places:?}");
        if known.filled && !known.purged {
            prop_assert_eq!(places.len(), 1, "volume {} is nowhere", v);
            let kept = fs::read_to_string(places[0].join("data/precious")).unwrap_or_default();
            prop_assert_eq!(kept, content(*v));
            let in_trash = places[0].starts_with(bed.folder().join("trash"));
            prop_assert!(!in_trash || known.destroyed, "volume {} went to the trash by itself", v);
        } else if let (false, Some(place)) = (known.filled, places.first()) {
            fs::write(place.join("data/precious"), content(*v)).unwrap();
            known.filled = true;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_without_trash_and_purge_removes_a_byte(acts in proptest::collection::vec((act(), proptest::option::weighted(0.3, 0..25usize)), 1..40)) {
        let bed = Bed::new();
        let mut known: BTreeMap<usize, Known> = (0..VOLUMES).map(|v| (v, Known::default())).collect();
        for (act, crash) in &acts {
            match *act {
                Act::Trash(v) => known.get_mut(&v).unwrap().destroyed = true,
                Act::Purge(v, _) => {
                    let known = known.get_mut(&v).unwrap();
                    known.purged |= known.destroyed && places(&bed, v).iter().any(|place| place.starts_with(bed.folder().join("trash")));
                }
                _ => {}
            }
            match crash {
                Some(n) => drop(crash_at(*n, || carry_out(&bed, act))),
                None => carry_out(&bed, act),
            }
            check_all(&bed, &mut known)?;
        }
        // No volume is stuck: what was not purged can be used again.
        let bed = Bed { disk: open_disk(bed.disk.config(), Some(&disk_label(1)), &disk_label(2)).unwrap(), ..bed };
        for (v, known) in known.iter().filter(|(_, known)| known.filled && !known.purged) {
            let _ = list_trash(&bed.disk).unwrap().entries.iter().find(|e| e.volume_uuid == volume_label(*v as u128).volume_uuid)
                .map(|entry| restore_volume(&bed.disk, entry).unwrap());
            let label = current_label(&bed, *v);
            prop_assert!(label.is_some(), "volume {v} ({known:?}) is not listed");
            let data = check_volume(&bed.disk, &label.unwrap()).unwrap();
            prop_assert_eq!(fs::read_to_string(data.join("precious")).unwrap(), content(*v));
        }
    }
}

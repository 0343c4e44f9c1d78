//! Opening: what is refused, what is fenced, and what is rebuilt, each with a reason.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{
    check, Depth, DurableStore, Entry, Finding, OpenError, Options, Sequence, Store, StoreError,
};
use std::fs;
use std::path::{Path, PathBuf};

fn open(dir: &Path) -> DurableStore {
    DurableStore::open(dir, Options::new("agent").create_as([1; 16])).unwrap().0
}

fn segment(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension().is_some_and(|end| end == "seg")
            && !file.display().to_string().contains("damaged-")
    });
    files.sort();
    files.pop().unwrap()
}

/// Flips a bit in each occurrence of `needle` (both lanes hold it).
fn spoil(file: &Path, needle: &[u8]) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle)
        .map(|(at, _)| at)
        .collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(file, bytes).unwrap();
    places.len()
}

#[test]
fn a_value_damaged_in_every_copy_is_fenced_by_name_until_it_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store
        .commit(1, &[Entry::put("claims", "a", "older value"), Entry::put("claims", "b", "b1")])
        .unwrap();
    store.checkpoint().unwrap();
    store
        .commit(1, &[Entry::put("claims", "a", "doomed value"), Entry::put("claims", "c", "c1")])
        .unwrap();
    store.commit(1, &[Entry::put("claims", "d", "d1")]).unwrap();
    drop(store);
    assert_eq!(spoil(&segment(dir.path()), b"doomed"), 2);
    for round in 0..2 {
        let (store, report) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
        let [damaged] = store.damaged() else { panic!("{report}") };
        assert_eq!(
            (damaged.tree.as_deref(), damaged.key.as_deref()),
            (Some("claims"), Some(b"a".as_slice()))
        );
        assert_eq!(
            (damaged.sequence, damaged.last_known.as_deref()),
            (Some(Sequence(2)), Some(b"older value".as_slice()))
        );
        assert_eq!(store.value("claims", b"a"), None, "a fenced record is not served");
        assert_eq!(store.records().count(), 3);
        assert_eq!(report.is_sound(), round == 1, "told when found: {report}");
    }
    let (mut store, _) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
    store.commit(1, &[Entry::put("claims", "a", "from the label on the disk")]).unwrap();
    assert!(store.damaged().is_empty());
    drop(store);
    assert!(open(dir.path()).damaged().is_empty());
    let evidence = fs::read_dir(dir.path()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("damaged-")
    });
    assert!(evidence.count() >= 1, "damaged files are kept");
}

#[test]
fn the_mirror_repair_what_both_lanes_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(1, &[Entry::put("claims", "a", "precious value")]).unwrap();
    store.checkpoint().unwrap();
    store.commit(1, &[Entry::put("claims", "b", "later")]).unwrap();
    drop(store);
    assert_eq!(spoil(&segment(dir.path()), b"precious"), 2);
    let (store, report) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
    assert_eq!(store.value("claims", b"a"), Some(b"precious value".as_slice()), "{report}");
    assert!(store.damaged().is_empty());
    assert!(
        report.findings.iter().any(|finding| matches!(finding, Finding::JournalRebuilt { .. })),
        "{report}"
    );
}

#[test]
fn the_last_acknowledged_commit_is_not_taken_for_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(1, &[Entry::put("claims", "a", "first")]).unwrap();
    store.commit(1, &[Entry::put("claims", "a", "final value")]).unwrap();
    drop(store);
    assert_eq!(spoil(&segment(dir.path()), b"final"), 2);
    let (store, report) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
    let [damaged] = store.damaged() else { panic!("{report}") };
    assert_eq!(damaged.last_known.as_deref(), Some(b"first".as_slice()));
    assert_eq!(store.sequence(), Sequence(2));
}

#[test]
fn a_fence_can_be_settled() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(1, &[Entry::put("claims", "a", "one value")]).unwrap();
    store.checkpoint().unwrap();
    store.commit(1, &[Entry::put("claims", "a", "one value more")]).unwrap();
    drop(store);
    fs::remove_file(segment(dir.path())).unwrap();
    let refused = DurableStore::open(dir.path(), Options::new("agent")).unwrap_err();
    assert!(matches!(refused, OpenError::CommitsLost { from: 2, to: 2, .. }), "{refused}");
    let report = check(dir.path(), Depth::Bytes).unwrap();
    assert_eq!(report.lost, Some((2, 2)), "{report}");
    let (mut store, _) =
        DurableStore::open(dir.path(), Options::new("agent").accepting_lost_commits()).unwrap();
    let damaged = store.damaged()[0].clone();
    assert_eq!(damaged.tree, None);
    assert_eq!(store.commit(1, &[]).unwrap(), Sequence(3), "a lost number is not used again");
    store.settle(1, &damaged).unwrap();
    assert!(store.damaged().is_empty());
    drop(store);
    assert!(open(dir.path()).damaged().is_empty());
}

#[test]
fn others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let missing = DurableStore::open(&dir.path().join("none"), Options::new("agent")).unwrap_err();
    assert!(matches!(missing, OpenError::Absent { .. }) && !dir.path().join("none").exists());
    let store = open(dir.path());
    let busy = DurableStore::open(dir.path(), Options::new("agent")).unwrap_err();
    assert!(matches!(busy, OpenError::InUse { .. }), "{busy}");
    drop(store);
    let kind = DurableStore::open(dir.path(), Options::new("master")).unwrap_err();
    assert!(matches!(kind, OpenError::WrongIdentity { .. }), "{kind}");
    let uuid =
        DurableStore::open(dir.path(), Options::new("agent").expecting([2; 16])).unwrap_err();
    assert!(matches!(uuid, OpenError::WrongIdentity { .. }), "{uuid}");
    let kind = DurableStore::open(dir.path(), Options::new("")).unwrap_err();
    assert!(matches!(kind, OpenError::BadKind { .. }), "{kind}");
    let mut bytes = fs::read(segment(dir.path())).unwrap();
    bytes[8] = 9; // a later format, with a checksum that fits
    let crc = crc32fast::hash(&bytes[..140]).to_le_bytes();
    bytes[140..144].copy_from_slice(&crc);
    fs::write(segment(dir.path()), bytes).unwrap();
    let newer = DurableStore::open(dir.path(), Options::new("agent")).unwrap_err();
    assert!(matches!(newer, OpenError::Newer { version: 9, .. }), "{newer}");
}

#[test]
fn a_missing_half_is_made_anew_from_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for number in 0..50u8 {
        store.commit(3, &[Entry::put("claims", [number], vec![number; 300])]).unwrap();
    }
    store.close().unwrap();
    drop(store);
    fs::remove_dir_all(dir.path().join("books")).unwrap();
    let (mut store, report) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
    assert_eq!(report.findings, vec![Finding::MirrorMissing]);
    store.close().unwrap();
    drop(store);
    for file in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "seg") {
            fs::remove_file(file).unwrap();
        }
    }
    let (store, report) = DurableStore::open(dir.path(), Options::new("agent")).unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| matches!(finding, Finding::JournalRebuilt { sequence: 50, .. })),
        "{report}"
    );
    assert_eq!((store.records().count(), store.term(), store.damaged().len()), (50, 3, 0));
}

#[test]
fn a_store_that_cannot_write_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (place, there, file) =
        (dir.path().join("place"), dir.path().join("there"), dir.path().join("file"));
    fs::create_dir(&there).unwrap();
    std::os::unix::fs::symlink(&there, &place).unwrap();
    let mut store = open(&place);
    store.commit(1, &[Entry::put("claims", "a", "b")]).unwrap();
    // In one step: sled's threads would make a directory that is only removed anew.
    fs::write(&file, b"not a directory").unwrap();
    fs::rename(&file, &place).unwrap();
    let refused = store.checkpoint().unwrap_err();
    assert!(matches!(refused, StoreError::Mirror { .. }), "{refused}");
    assert!(matches!(store.commit(1, &[]), Err(StoreError::Poisoned { .. })));
}

//! Crashes at every disk operation of a workload, by power cut and by kill, and faults at every
//! write and sync. What was acknowledged is there; what was not is there whole or not at all; and a
//! mere crash is never called damage.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{Bounds, DiskFaults, Entry, FaultyStore, Store, StoreError};
use std::collections::BTreeMap;

type Model = BTreeMap<(String, Vec<u8>), Vec<u8>>;

const UUID: [u8; 16] = [9; 16];

fn bounds() -> Bounds {
    // Small segments: the workload rolls and trims several times.
    Bounds { segment_bytes: 4096, mirror_behind_records: 4, segments_kept: 1 }
}

/// The batch of commit `number` (from 1), always the same.
fn batch(number: u64) -> Vec<Entry> {
    let key = |n: u64| format!("k{}", n % 7).into_bytes();
    let mut entries =
        vec![Entry::put("claims", key(number), vec![number as u8; (number * 97 % 900) as usize])];
    if number.is_multiple_of(2) {
        entries.push(Entry::put("tasks", key(number * 3), format!("task of {number}")));
    }
    if number.is_multiple_of(3) {
        entries.push(Entry::delete("claims", key(number + 2)));
    }
    entries
}

fn model_at(sequence: u64) -> Model {
    let mut model = Model::new();
    for entry in (1..=sequence).flat_map(batch) {
        match entry.value {
            Some(value) => model.insert((entry.tree, entry.key), value),
            None => model.remove(&(entry.tree, entry.key)),
        };
    }
    model
}

fn state_of(store: &FaultyStore) -> Model {
    store
        .records()
        .map(|record| ((record.tree.to_owned(), record.key.to_vec()), record.value.to_vec()))
        .collect()
}

/// Commits up to `last`, with checkpoints between; returns the number of the last acknowledged
/// commit and the outcome.
fn run(store: &mut FaultyStore, last: u64) -> (u64, Result<(), StoreError>) {
    let mut acknowledged = store.sequence().0;
    while acknowledged < last {
        match store.commit(1, &batch(acknowledged + 1)) {
            Ok(sequence) => acknowledged = sequence.0,
            Err(error) => return (acknowledged, Err(error)),
        }
        if acknowledged.is_multiple_of(9) {
            if let Err(error) = store.checkpoint() {
                return (acknowledged, Err(error));
            }
        }
    }
    (acknowledged, Ok(()))
}

/// Opens after a crash and proves the outcome; returns the sequence found.
fn prove(store: &mut FaultyStore, acknowledged: u64, context: &str) -> u64 {
    let report = store.reopen().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(report.is_sound(), "{context}: a crash is no damage, but: {report}");
    let found = store.sequence().0;
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "{context}: acknowledged {acknowledged}, found {found}"
    );
    assert_eq!(state_of(store), model_at(found), "{context}: the state is that of a commit");
    found
}

fn operations_of(last: u64) -> u64 {
    let mut store = FaultyStore::unopened("agent", UUID, 0, bounds());
    store.reopen().unwrap();
    run(&mut store, last).1.unwrap();
    store.operations()
}

#[test]
fn a_crash_at_every_operation_keeps_what_was_acknowledged() {
    let last = 40;
    let operations = operations_of(last);
    assert!(operations > 200, "the workload is too small: {operations} operations");
    for at in 1..=operations {
        for seed in 0..4 {
            let context = format!("crash at {at} of {operations}, seed {seed}");
            let mut store = FaultyStore::unopened("agent", UUID, seed, bounds());
            store.set_faults(DiskFaults {
                crash_at: Some(at),
                in_order: seed == 1,
                ..DiskFaults::default()
            });
            let acknowledged = match store.reopen() {
                Ok(_) => run(&mut store, last).0,
                Err(_) => 0,
            };
            if seed % 2 == 0 {
                store.cut_power();
            } else {
                store.kill_process();
            }
            let found = prove(&mut store, acknowledged, &context);
            // More commits follow, and a second crash is survived as well.
            let (acknowledged, outcome) = run(&mut store, found + 3);
            outcome.unwrap_or_else(|error| panic!("{context}: {error}"));
            store.cut_power();
            prove(&mut store, acknowledged, &context);
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_recovery_is_survived() {
    for seed in 0..12 {
        let mut crashed = FaultyStore::with_bounds("agent", UUID, seed, bounds());
        crashed.set_faults(DiskFaults { crash_at: Some(150 + seed * 7), ..DiskFaults::default() });
        let acknowledged = run(&mut crashed, 60).0;
        crashed.cut_power();
        let mut probe = crashed.clone();
        let before = probe.operations();
        probe.reopen().unwrap();
        for at in before + 1..=probe.operations() {
            let mut store = crashed.clone();
            store.set_faults(DiskFaults { crash_at: Some(at), ..DiskFaults::default() });
            assert!(store.reopen().is_err(), "the crash at {at} strikes");
            store.cut_power();
            prove(&mut store, acknowledged, &format!("seed {seed}, crash at {at} of recovery"));
        }
    }
}

#[test]
fn a_failed_write_or_sync_stops_the_store_for_good() {
    let last = 30;
    let operations = operations_of(last);
    let mut struck = 0;
    for at in 1..=operations {
        for seed in 0..3 {
            let (fail_write_at, fail_sync_at) =
                if seed == 0 { (Some(at), None) } else { (None, Some(at)) };
            let mut store = FaultyStore::unopened("agent", UUID, seed, bounds());
            store.set_faults(DiskFaults { fail_write_at, fail_sync_at, ..DiskFaults::default() });
            let opened = store.reopen().is_ok();
            let (acknowledged, outcome) = if opened { run(&mut store, last) } else { (0, Ok(())) };
            if let Err(error) = outcome {
                struck += 1;
                assert!(
                    matches!(error, StoreError::Write { .. } | StoreError::Sync { .. }),
                    "{error}"
                );
                let again = store.commit(1, &[]);
                assert!(
                    matches!(again, Err(StoreError::Poisoned { .. })),
                    "a failed fsync is never retried: {again:?}"
                );
            }
            // Even when the page cache still shows what never reached the platter: kill, open, and
            // only then the power cut.
            let context = format!("fault at {at}, seed {seed}");
            store.kill_process();
            let found = prove(&mut store, acknowledged, &format!("{context}, killed"));
            store.cut_power();
            prove(&mut store, found, &format!("{context}, power cut"));
        }
    }
    assert!(struck > 100, "only {struck} faults struck a commit");
}

//! Runs the contract of stores against every implementation.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{conformance, DurableStore, FaultyStore, MemoryStore, Options, Store};
use std::cell::Cell;

#[test]
fn memory_keeps_the_contract() {
    conformance::check_all(MemoryStore::new);
    conformance::check_all(|| -> Box<dyn Store> { Box::new(MemoryStore::new()) });
    conformance::check_reopen(MemoryStore::new(), |store| store);
}

#[test]
fn faulty_keeps_the_contract() {
    let seed = Cell::new(0);
    let make = || {
        seed.set(seed.get() + 1);
        FaultyStore::new("agent", [1; 16], seed.get())
    };
    conformance::check_all(make);
    let turn = Cell::new(0);
    conformance::check_reopen(make(), |mut store| {
        turn.set(turn.get() + 1);
        match turn.get() % 3 {
            0 => store.cut_power(),
            1 => store.kill_process(),
            _ => store.close().unwrap(),
        }
        let report = store.reopen().unwrap();
        assert!(report.is_sound(), "{report}");
        store
    });
}

#[test]
fn durable_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let turn = Cell::new(0);
    let make = || {
        turn.set(turn.get() + 1);
        DurableStore::open(
            &dir.path().join(turn.get().to_string()),
            Options::new("agent").create_as([1; 16]),
        )
        .unwrap()
        .0
    };
    conformance::check_all(make);
    let (store, path) = (make(), dir.path().join(turn.get().to_string()));
    conformance::check_reopen(store, |mut store| {
        turn.set(turn.get() + 1);
        if turn.get() % 2 == 0 {
            store.close().unwrap();
        }
        drop(store);
        let (store, report) = DurableStore::open(&path, Options::new("agent")).unwrap();
        assert!(report.findings.is_empty(), "{report}");
        store
    });
}

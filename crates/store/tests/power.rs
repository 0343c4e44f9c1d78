//! A power cut and damage at once, on the simulated disk: the watermark on the disk may be old
//! then, and still nothing that was acknowledged is silently lost.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{Bounds, Entry, FaultyStore, OpenError, Store};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn rng(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound.max(1)
}

fn crashed(seed: u64) -> (FaultyStore, Model) {
    let bounds = Bounds { segment_bytes: 8192, mirror_behind_records: 6, segments_kept: 1 };
    let mut store = FaultyStore::with_bounds("agent", [2; 16], seed, bounds);
    let mut model = Model::new();
    for number in 0..20 + seed % 30 {
        let (key, value) =
            (vec![(number * 5 % 11) as u8], vec![number as u8; (number * 61 % 500) as usize]);
        if number % 4 == 3 {
            store.commit(1, &[Entry::delete("t", key.clone())]).unwrap();
            model.remove(&key);
        } else {
            store.commit(1, &[Entry::put("t", key.clone(), value.clone())]).unwrap();
            model.insert(key, value);
        }
    }
    store.cut_power();
    (store, model)
}

#[test]
fn damage_after_a_power_cut_is_repaired_named_or_refused() {
    let (mut repaired, mut refused) = (0, 0);
    for seed in 0..3000u64 {
        let (mut store, model) = crashed(seed);
        let mut state = seed ^ 0xD1CE;
        let names: Vec<String> = store
            .file_names()
            .into_iter()
            .filter(|name| name.ends_with(".seg") || name == "watermark")
            .collect();
        let file = names[rng(&mut state, names.len() as u64) as usize].clone();
        let kind = rng(&mut state, 4);
        let mut single = true;
        store.damage_file(&file, |bytes| match kind {
            0 | 1 => {
                let at = rng(&mut state, bytes.len() as u64) as usize;
                bytes[at] ^= 1 << rng(&mut state, 8);
            }
            2 => {
                let page = (rng(&mut state, bytes.len() as u64) / 4096 * 4096) as usize;
                let end = bytes.len().min(page + 4096);
                bytes[page..end].fill(0);
            }
            _ => {
                let len = rng(&mut state, bytes.len() as u64) as usize;
                bytes.truncate(len);
                single = false;
            }
        });
        let context = format!("seed {seed}: {file}, kind {kind}");
        match store.reopen() {
            Ok(report) => {
                let found: Model = store
                    .records()
                    .map(|record| (record.key.to_vec(), record.value.to_vec()))
                    .collect();
                assert_eq!(found, model, "{context}: {report}");
                repaired += u64::from(!report.is_sound());
            }
            Err(error) => {
                assert!(
                    !single && matches!(error, OpenError::CommitsLost { .. }),
                    "{context}: {error}"
                );
                refused += 1;
                store.accept_lost_commits(true);
                let report = store.reopen().unwrap();
                assert!(!store.damaged().is_empty(), "{context}: {report}");
            }
        }
    }
    println!("{repaired} repaired, {refused} refused");
    assert!(repaired > 500 && refused > 50, "{repaired} repaired, {refused} refused");
}

#[test]
fn one_commit_is_one_sync() {
    let mut store = FaultyStore::with_bounds("agent", [2; 16], 1, Bounds::default());
    let (syncs, operations) = (store.syncs(), store.operations());
    for number in 0..100u8 {
        store.commit(1, &[Entry::put("t", [number], "value")]).unwrap();
    }
    assert_eq!(store.syncs() - syncs, 100, "one sync a commit");
    assert_eq!(
        store.operations() - operations,
        400,
        "two writes, a sync, a watermark; nothing else"
    );
    let many: Vec<Entry> =
        (0..64u8).map(|caller| Entry::put("t", [caller], "from one of many callers")).collect();
    store.commit(1, &many).unwrap();
    assert_eq!(store.syncs() - syncs, 101, "a group of callers shares one sync");
}

//! Random histories of commits, checkpoints, crashes and faults against a map.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use holdfast_store::{DiskFaults, Entry, FaultyStore, Store};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Tree, key, and for a put the byte and the length of the value.
type Planned = (u8, u8, Option<(u8, u16)>);

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Planned>),
    Checkpoint,
    CutPower,
    Kill,
    CrashSoon(u8),
    FailSyncSoon(u8),
    FailWriteSoon(u8),
    DamageMirror,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::option::weighted(0.8, (any::<u8>(), 0u16..3000));
    prop_oneof![
        12 => prop::collection::vec((0u8..3, 0u8..12, value), 0..5).prop_map(Step::Commit),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::CutPower),
        1 => Just(Step::Kill),
        1 => any::<u8>().prop_map(Step::CrashSoon),
        1 => any::<u8>().prop_map(Step::FailSyncSoon),
        1 => any::<u8>().prop_map(Step::FailWriteSoon),
        1 => Just(Step::DamageMirror),
        1 => Just(Step::Close),
    ]
}

fn apply(model: &mut Model, batch: &[Entry]) {
    for entry in batch {
        let key = (entry.tree.clone(), entry.key.clone());
        match &entry.value {
            Some(value) => model.insert(key, value.clone()),
            None => model.remove(&key),
        };
    }
}

fn state_of(store: &FaultyStore) -> Model {
    store
        .records()
        .map(|record| ((record.tree.to_owned(), record.key.to_vec()), record.value.to_vec()))
        .collect()
}

/// Opens again; the state is the acknowledged one, or that plus the commit that was under way.
fn reopen(store: &mut FaultyStore, model: &mut Model, maybe: Option<Model>) {
    // A planned fault may strike the opening itself: what it left behind is survived, too.
    let report = store.reopen().or_else(|_| {
        store.kill_process();
        store.reopen()
    });
    let report = report.expect("a crash is always survived");
    assert!(store.damaged().is_empty(), "{report}");
    let found = state_of(store);
    match maybe {
        Some(maybe) if found == maybe => *model = maybe,
        _ => assert_eq!(&found, model, "{report}"),
    }
}

fn faults(store: &FaultyStore, step: &Step) -> DiskFaults {
    let soon = |by: u8| Some(store.operations() + 1 + u64::from(by % 40));
    match step {
        Step::CrashSoon(by) => DiskFaults { crash_at: soon(*by), ..DiskFaults::default() },
        Step::FailSyncSoon(by) => DiskFaults { fail_sync_at: soon(*by), ..DiskFaults::default() },
        Step::FailWriteSoon(by) => DiskFaults { fail_write_at: soon(*by), ..DiskFaults::default() },
        _ => DiskFaults::default(),
    }
}

fn play(seed: u64, steps: &[Step]) {
    let mut store = FaultyStore::new("agent", [1; 16], seed);
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Commit(changes) => {
                let batch: Vec<Entry> = changes
                    .iter()
                    .map(|(tree, key, value)| Entry {
                        tree: format!("tree-{tree}"),
                        key: vec![*key],
                        value: value.map(|(byte, len)| vec![byte; len as usize]),
                    })
                    .collect();
                let mut next = model.clone();
                apply(&mut next, &batch);
                match store.commit(1, &batch) {
                    Ok(_) => model = next,
                    Err(_) => {
                        if seed.is_multiple_of(2) {
                            store.cut_power();
                        } else {
                            store.kill_process();
                        }
                        reopen(&mut store, &mut model, Some(next));
                    }
                }
                assert_eq!(state_of(&store), model);
            }
            Step::Checkpoint | Step::Close => {
                let closing = matches!(step, Step::Close);
                let outcome = if closing { store.close() } else { store.checkpoint().map(|_| ()) };
                if closing || outcome.is_err() {
                    reopen(&mut store, &mut model, None);
                }
            }
            Step::CutPower => {
                store.cut_power();
                reopen(&mut store, &mut model, None);
            }
            Step::Kill => {
                store.kill_process();
                reopen(&mut store, &mut model, None);
            }
            Step::DamageMirror => store.damage_mirror(),
            Step::CrashSoon(_) | Step::FailSyncSoon(_) | Step::FailWriteSoon(_) => {
                let planned = faults(&store, step);
                store.set_faults(planned);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_acknowledged_state(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        play(seed, &steps);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..20)) {
        let digest = |seed| {
            let mut store = FaultyStore::new("agent", [1; 16], seed);
            for step in &steps {
                if let Step::Commit(changes) = step {
                    let batch: Vec<Entry> = changes.iter().map(|(tree, key, _)| Entry::put(format!("t{tree}"), vec![*key], "v")).collect();
                    store.commit(1, &batch).unwrap();
                }
            }
            store.cut_power();
            let report = store.reopen().unwrap();
            (report.digest, store.operations(), store.file_names())
        };
        prop_assert_eq!(digest(seed), digest(seed));
    }
}

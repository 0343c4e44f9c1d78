//! The contract of [`Store`] as one test suite that runs against every implementation.
//!
//! It relies on the trait alone. Each function panics with what was broken. It never looks behind
//! the trait.

use crate::contract::{Store, StoreError};
use crate::entry::{Entry, Sequence, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Runs every case, each on a store of its own that `make` makes empty.
pub fn check_all<S: Store>(mut make: impl FnMut() -> S) {
    starts_empty(make());
    numbers_commits(make());
    applies_in_order(make());
    keeps_large_values(make());
    reports_records_in_order(make());
    rejects_past_terms(make());
    rejects_and_stops_at_limits(make());
    checkpoints_agree(make());
    rejects_after_close(make());
}

/// Runs every case that needs the same state opened again: `reopen` closes or crashes the store and
/// opens it anew.
pub fn check_reopen<S: Store>(mut store: S, mut reopen: impl FnMut(S) -> S) {
    let mut expected: std::collections::BTreeMap<(String, Vec<u8>), Vec<u8>> =
        std::collections::BTreeMap::new();
    for round in 0u64..12 {
        for step in 0..round {
            let key = format!("key-{}", (round * 7 + step * 3) % 17);
            let tree = if step % 2 == 0 { "claims" } else { "tasks" };
            let value = vec![round as u8; (step * 700) as usize];
            let delete = (round + step) % 5 == 0;
            let entry = if delete {
                Entry::delete(tree, key.clone())
            } else {
                Entry::put(tree, key.clone(), value.clone())
            };
            store.commit(round, &[entry]).expect("a sound store commits");
            match delete {
                true => expected.remove(&(tree.to_owned(), key.into_bytes())),
                false => expected.insert((tree.to_owned(), key.into_bytes()), value),
            };
        }
        if round % 3 == 0 {
            store.checkpoint().expect("a sound store makes checkpoints");
        }
        let (sequence, term) = (store.sequence(), store.term());
        store = reopen(store);
        assert_eq!((store.sequence(), store.term()), (sequence, term), "sequence and term survive");
        let found = store
            .records()
            .map(|record| ((record.tree.to_owned(), record.key.to_vec()), record.value.to_vec()))
            .collect();
        assert_eq!(expected, found, "records survive, round {round}");
        assert!(store.damaged().is_empty());
    }
}

fn starts_empty<S: Store>(store: S) {
    assert_eq!((store.sequence(), store.term()), (Sequence(0), 0));
    assert_eq!(store.records().count(), 0);
    assert!(store.damaged().is_empty());
    assert_eq!(store.value("claims", b"a"), None);
}

fn numbers_commits<S: Store>(mut store: S) {
    for number in 1..=5 {
        let sequence =
            store.commit(1, &[Entry::put("claims", vec![number as u8], "v")]).expect("commit");
        assert_eq!(
            (sequence, store.sequence()),
            (Sequence(number), Sequence(number)),
            "numbers are dense"
        );
    }
    assert_eq!(store.commit(1, &[]).expect("an empty batch is a commit"), Sequence(6));
    assert_eq!(
        store.records().map(|record| record.sequence.0).collect::<Vec<_>>(),
        vec![1, 2, 3, 4, 5]
    );
}

fn applies_in_order<S: Store>(mut store: S) {
    let batch = [
        Entry::put("t", "k", "1"),
        Entry::delete("t", "k"),
        Entry::put("t", "k", "2"),
        Entry::put("t", "l", "3"),
        Entry::delete("t", "l"),
    ];
    store.commit(0, &batch).expect("commit");
    assert_eq!(store.value("t", b"k"), Some(b"2".as_slice()));
    assert_eq!(store.value("t", b"l"), None);
    store
        .commit(0, &[Entry::delete("t", "absent"), Entry::delete("t", "k")])
        .expect("deleting what is not there is allowed");
    assert_eq!(store.records().count(), 0);
}

fn keeps_large_values<S: Store>(mut store: S) {
    let large: Vec<u8> = (0..VALUE_BYTES_MAX).map(|at| (at / 3) as u8).collect();
    store
        .commit(
            0,
            &[Entry::put("t", vec![0xFF; KEY_BYTES_MAX], large.clone()), Entry::put("t", "", "")],
        )
        .expect("commit");
    assert_eq!(store.value("t", &[0xFF; KEY_BYTES_MAX]), Some(large.as_slice()));
    assert_eq!(store.value("t", b""), Some(b"".as_slice()));
    store.checkpoint().expect("checkpoint");
    store.commit(0, &[Entry::put("t", vec![0xFF; KEY_BYTES_MAX], "small")]).expect("commit");
    store.checkpoint().expect("a large value may become a small one");
}

fn reports_records_in_order<S: Store>(mut store: S) {
    for (tree, key) in [("b", "2"), ("a", "9"), ("b", "1"), ("a", "10")] {
        store.commit(0, &[Entry::put(tree, key, "v")]).expect("commit");
    }
    let order: Vec<(String, Vec<u8>)> =
        store.records().map(|record| (record.tree.to_owned(), record.key.to_vec())).collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(order, sorted);
}

fn rejects_past_terms<S: Store>(mut store: S) {
    store.commit(5, &[]).expect("commit");
    assert_eq!(store.term(), 5);
    let rejected = store.commit(4, &[Entry::put("t", "k", "v")]);
    assert!(matches!(rejected, Err(StoreError::TermPast { term: 4, latest: 5 })), "{rejected:?}");
    let rejected = store.commit(6, &[]);
    assert!(
        matches!(rejected, Err(StoreError::Poisoned { .. })),
        "a deposed leader's store stops: {rejected:?}"
    );
}

fn rejects_and_stops_at_limits<S: Store>(mut store: S) {
    let rejected = store.commit(0, &[Entry::put("t", vec![0; KEY_BYTES_MAX + 1], "v")]);
    assert!(matches!(rejected, Err(StoreError::Limit(_))), "{rejected:?}");
    assert!(matches!(store.commit(0, &[]), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.checkpoint(), Err(StoreError::Poisoned { .. })));
    assert!(matches!(store.close(), Err(StoreError::Poisoned { .. })));
}

fn checkpoints_agree<S: Store>(mut store: S) {
    store
        .commit(
            0,
            &[Entry::put("a", "1", "x"), Entry::put("a", "2", "y"), Entry::put("b", "1", "z")],
        )
        .expect("commit");
    let first = store.checkpoint().expect("checkpoint");
    assert_eq!(first.counts, [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
    assert_eq!(store.checkpoint().expect("checkpoint"), first, "nothing changed");
    store.commit(0, &[Entry::delete("b", "1")]).expect("commit");
    let second = store.checkpoint().expect("checkpoint");
    assert_eq!((second.sequence, second.counts), (Sequence(2), [("a".to_owned(), 2)].into()));
    assert_ne!(first.digest, second.digest);
}

fn rejects_after_close<S: Store>(mut store: S) {
    store.commit(0, &[Entry::put("a", "1", "x")]).expect("commit");
    store.close().expect("close");
    assert!(matches!(store.commit(0, &[]), Err(StoreError::Closed)));
    assert!(matches!(store.checkpoint(), Err(StoreError::Closed)));
    assert!(matches!(store.close(), Err(StoreError::Closed)));
}

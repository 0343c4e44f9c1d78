//! The difference of two ordered maps, row by row.

use std::cmp::Ordering;
use std::iter::Peekable;

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diff<'a, V> {
    /// Only the newer map has it.
    Added(&'a V),
    /// Both maps have it, and do not share it: it may have changed.
    Both(&'a V, &'a V),
    /// Only the older map has it.
    Gone(&'a V),
}

/// The rows that two maps do not share, in the order of their keys. Both iterators must give rising keys.
pub fn diff<'a, K: Ord + 'a, V: 'a>(
    old: impl Iterator<Item = (&'a K, &'a V)> + 'a,
    new: impl Iterator<Item = (&'a K, &'a V)> + 'a,
) -> impl Iterator<Item = (&'a K, Diff<'a, V>)> {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    std::iter::from_fn(move || loop {
        let (key, diff) = next(&mut old, &mut new)?;
        match diff {
            Diff::Both(before, after) if std::ptr::eq(before, after) => {}
            diff => return Some((key, diff)),
        }
    })
}

fn next<'a, K: Ord, V>(
    old: &mut Peekable<impl Iterator<Item = (&'a K, &'a V)>>,
    new: &mut Peekable<impl Iterator<Item = (&'a K, &'a V)>>,
) -> Option<(&'a K, Diff<'a, V>)> {
    let order = match (old.peek(), new.peek()) {
        (Some((before, _)), Some((after, _))) => before.cmp(after),
        (Some(_), None) => Ordering::Less,
        (None, _) => Ordering::Greater,
    };
    match order {
        Ordering::Less => old.next().map(|(key, value)| (key, Diff::Gone(value))),
        Ordering::Greater => new.next().map(|(key, value)| (key, Diff::Added(value))),
        Ordering::Equal => {
            let (_, before) = old.next()?;
            new.next().map(|(key, after)| (key, Diff::Both(before, after)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn rows_that_are_not_shared_come_in_order() {
        let old = BTreeMap::from([(1, 'a'), (3, 'c'), (4, 'd')]);
        let new = BTreeMap::from([(1, 'a'), (2, 'b'), (4, 'D')]);
        let found: Vec<_> = diff(old.iter(), new.iter()).collect();
        let expected = [
            (&1, Diff::Both(&'a', &'a')),
            (&2, Diff::Added(&'b')),
            (&3, Diff::Gone(&'c')),
            (&4, Diff::Both(&'d', &'D')),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn shared_rows_are_passed_over() {
        let shared = Arc::new('a');
        let old = BTreeMap::from([(1, shared.clone()), (2, Arc::new('b'))]);
        let new = BTreeMap::from([(1, shared), (2, Arc::new('b'))]);
        let rows = |map: &'static BTreeMap<i32, Arc<char>>| map.iter().map(|(k, v)| (k, &**v));
        let (old, new) = (Box::leak(Box::new(old)), Box::leak(Box::new(new)));
        let found: Vec<_> = diff(rows(old), rows(new)).map(|(key, _)| *key).collect();
        assert_eq!(found, [2], "equal rows that are not shared are for the caller to compare");
        assert_eq!(diff(rows(old), rows(old)).count(), 0);
    }
}

//! The newest names that were seen, so that what comes twice is noticed. Forgets the oldest beyond a count.

use std::collections::{BTreeSet, VecDeque};

/// At most `MAX` names.
#[derive(Debug)]
pub(super) struct Seen<T, const MAX: usize> {
    /// The oldest first.
    order: VecDeque<T>,
    names: BTreeSet<T>,
}

impl<T, const MAX: usize> Default for Seen<T, MAX> {
    fn default() -> Self {
        Seen { order: VecDeque::new(), names: BTreeSet::new() }
    }
}

impl<T: Ord + Copy, const MAX: usize> Seen<T, MAX> {
    /// Notes a name; says whether it is new.
    pub(super) fn note(&mut self, name: T) -> bool {
        if !self.names.insert(name) {
            return false;
        }
        if MAX <= self.order.len() {
            let oldest = self.order.pop_front().expect("it holds as many as it may");
            self.names.remove(&oldest);
        }
        self.order.push_back(name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_new_once_until_it_is_long_ago() {
        let mut seen: Seen<u32, 3> = Seen::default();
        assert!([1, 2, 3].into_iter().all(|it| seen.note(it)));
        assert!(!seen.note(1) && seen.note(4) && !seen.note(2));
        assert!(seen.note(1), "the oldest was let go");
        assert_eq!((seen.order.len(), seen.names.len()), (3, 3));
    }
}

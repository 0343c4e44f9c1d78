//! The masters' journal as a model: linearizable, fenced by term, kept as the very records that a
//! real one keeps.
//!
//! It relies on the conversions of `model`. A leader of an older term cannot append: it was
//! deposed, and dies. It never loses what it took.

use std::collections::BTreeMap;

use holdfast_model::convert::ledger::master::{encode, fold};
use holdfast_model::{MasterChange, MasterLedger, Term};

use crate::difference::difference;

/// The masters' journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    term: Term,
    records: BTreeMap<(&'static str, Vec<u8>), Vec<u8>>,
    /// The state, folded independently of the master's.
    pub ledger: MasterLedger,
    /// The number of batches that it took.
    pub length: u64,
}

impl Journal {
    /// A leadership begins: older ones cannot append any more.
    pub(crate) fn begin(&mut self, term: Term) {
        assert!(self.term < term, "each leadership has a greater term");
        self.term = term;
    }

    /// The term of the last leadership.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// What a new leader reads: decoded from the records.
    ///
    /// # Errors
    /// A sentence, when the records do not say what was appended.
    pub(crate) fn read(&self) -> Result<MasterLedger, String> {
        let records = self
            .records
            .iter()
            .map(|((tree, key), value)| (*tree, key.as_slice(), value.as_slice()));
        let ledger = fold(records).map_err(|it| it.to_string())?;
        if ledger == self.ledger {
            return Ok(ledger);
        }
        Err(format!(
            "the journal's records do not say what was appended: {}",
            difference(&self.ledger, &ledger)
        ))
    }

    /// Takes a batch, all or none.
    ///
    /// # Errors
    /// When a later leadership has begun.
    pub(crate) fn append(&mut self, term: Term, changes: &[MasterChange]) -> Result<(), String> {
        if term < self.term {
            return Err(format!("term {term} is past, term {} has begun", self.term));
        }
        for change in changes {
            self.ledger.apply(change);
            let entry = encode(change);
            match entry.value {
                Some(value) => drop(self.records.insert((entry.tree, entry.key), value)),
                None => drop(self.records.remove(&(entry.tree, entry.key))),
            }
        }
        self.length += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{Role, Scalar};

    #[test]
    fn a_deposed_leader_cannot_append() {
        let mut journal = Journal::default();
        let weight =
            |count| vec![MasterChange::Weight(Role::parse("db").unwrap(), Scalar::whole(count))];
        journal.begin(Term(1));
        journal.append(Term(1), &weight(2)).unwrap();
        journal.begin(Term(2));
        assert!(journal.append(Term(1), &weight(3)).unwrap_err().contains("term 1 is past"));
        journal.append(Term(2), &weight(4)).unwrap();
        assert_eq!(
            journal.read().unwrap().weights.values().copied().collect::<Vec<_>>(),
            [Scalar::whole(4)]
        );
        assert_eq!(journal.length, 2);
    }
}

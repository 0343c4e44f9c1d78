//! What a step writes down and sends: the ledger, the term that it is written under, and the effects in their order.
//!
//! Relies on the shell, which makes a commit durable before it carries out what comes after it. The ledger changes here and nowhere else.

use holdfast_model::{MasterChange, MasterLedger, Term};

use crate::Effect;

/// The ledger, and what the shell is to do.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The term that this master leads in.
    term: Option<Term>,
    /// Survives a crash; the fold of every committed change.
    ledger: MasterLedger,
    effects: Vec<Effect>,
}

impl Outbox {
    pub(crate) fn new(ledger: MasterLedger) -> Outbox {
        Outbox { term: None, ledger, effects: Vec::new() }
    }

    pub(crate) fn begin(&mut self, term: Term) {
        self.term = Some(term);
    }

    /// The term is over; nothing can be written under it any more.
    pub(crate) fn end(&mut self) {
        self.term = None;
    }

    pub(crate) fn term(&self) -> Option<Term> {
        self.term
    }

    /// The term of a master that leads.
    pub(crate) fn term_led(&self) -> Term {
        self.term.expect("only a leader speaks to agents and writes down")
    }

    pub(crate) fn ledger(&self) -> &MasterLedger {
        &self.ledger
    }

    /// Writes down, then goes on: in memory now, on disk before the next effect.
    pub(crate) fn commit(&mut self, changes: Vec<MasterChange>) {
        if changes.is_empty() {
            return;
        }
        let term = self.term_led();
        changes.iter().for_each(|change| self.ledger.apply(change));
        match self.effects.last_mut() {
            Some(Effect::Commit(last, earlier)) if *last == term => earlier.extend(changes),
            _ => self.effects.push(Effect::Commit(term, changes)),
        }
    }

    pub(crate) fn send(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn log(&mut self, line: impl Into<String>) {
        self.effects.push(Effect::Log(line.into()));
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{Role, Scalar};

    fn weight(count: i64) -> MasterChange {
        MasterChange::Weight(Role::any(), Scalar::whole(count))
    }

    #[test]
    fn commits_side_by_side_are_one_barrier_and_others_keep_their_place() {
        let mut outbox = Outbox::new(MasterLedger::default());
        outbox.begin(Term(3));
        outbox.commit(Vec::new());
        outbox.commit(vec![weight(2)]);
        outbox.commit(vec![weight(3)]);
        outbox.log("between");
        outbox.commit(vec![weight(4)]);
        assert_eq!(outbox.ledger().weights[&Role::any()], Scalar::whole(4));
        let expected = [
            Effect::Commit(Term(3), vec![weight(2), weight(3)]),
            Effect::Log("between".to_owned()),
            Effect::Commit(Term(3), vec![weight(4)]),
        ];
        assert_eq!(outbox.take_effects(), expected);
        assert!(outbox.take_effects().is_empty());
    }

    #[test]
    #[should_panic(expected = "only a leader")]
    fn nothing_is_written_outside_of_a_term() {
        Outbox::new(MasterLedger::default()).commit(vec![weight(2)]);
    }
}

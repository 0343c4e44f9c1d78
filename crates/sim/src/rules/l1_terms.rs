//! L1: a deposed leader's orders change nothing: an agent that knows a greater term does nothing
//! that an older one says.
//!
//! It relies on the terms that agents wrote down. It never checks what a master sends, only what is
//! done about it.

use std::collections::BTreeMap;

use holdfast_model::{AgentChange, Instant, Term};

use super::known::Known;
use super::{Checked, Rule};
use crate::fact::Fact;

/// Rule L1.
#[derive(Default)]
pub(crate) struct Terms {
    known: BTreeMap<usize, Term>,
    journal: Term,
}

impl Rule for Terms {
    fn letters(&self) -> &'static str {
        "L1"
    }

    fn see(&mut self, _now: Instant, _known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::AgentCommits { machine, changes } => {
                for change in *changes {
                    if let AgentChange::Identity(identity) = change {
                        self.known.insert(*machine, identity.term);
                    }
                }
            }
            Fact::AgentHears { machine, message, commits } => {
                let known = self.known.get(machine).copied().unwrap_or_default();
                if message.term < known && !commits.is_empty() {
                    let (term, order) = (message.term, &message.order);
                    return Err(format!("machine {machine} knows term {known} and obeys an order of term {term}: {order:?}"));
                }
            }
            Fact::MasterCommits { term, .. } => {
                if *term < self.journal {
                    return Err(format!(
                        "the journal took a batch of term {term} after one of term {}",
                        self.journal
                    ));
                }
                self.journal = *term;
            }
            Fact::JournalLost { term } => self.journal = *term,
            _ => {}
        }
        Ok(())
    }
}

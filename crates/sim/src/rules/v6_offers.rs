//! V6: no offer holds what is reserved for others, offered already, or used; and what is offered
//! and used is never more than there is.
//!
//! It relies on offers as they were sent and answered, and on tasks as agents wrote them down; sums
//! are of agents that the leader still talks to. It never asks a master what it has offered.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, Call, Event, Identity, Instant, Offer, OfferId, Resources, Term};

use super::known::Known;
use super::v5_whole::capacity;
use super::{Checked, Rule, Truth};
use crate::fact::Fact;

/// Rule V6.
#[derive(Default)]
pub(crate) struct Offers {
    term: Term,
    /// The links on which the leader last heard a report of each machine.
    heard: BTreeMap<usize, u64>,
    open: BTreeMap<OfferId, (usize, AgentId, Resources)>,
    dirty: BTreeSet<AgentId>,
}

impl Offers {
    /// Offers are used up by whoever they were made to, and by nobody else.
    fn answered(&mut self, framework: usize, offers: &[OfferId]) {
        for id in offers {
            if self.open.get(id).is_some_and(|it| it.0 == framework) {
                self.open.remove(id);
            }
        }
    }

    fn offered(&mut self, known: &Known, framework: usize, offer: &Offer) -> Checked {
        let roles = known.roles.get(&framework).cloned().unwrap_or_default();
        for (identity, _) in offer.resources.entries() {
            let reserved = identity.role();
            let fits = reserved.is_any()
                || roles.iter().any(|role| *role == reserved || role.is_below(&reserved));
            if !fits {
                return Err(format!(
                    "offer {} to framework {framework} holds {identity}, which is not for it",
                    offer.id
                ));
            }
        }
        self.open.insert(
            offer.id.clone(),
            (framework, offer.agent.clone(), offer.resources.unallocated()),
        );
        self.dirty.insert(offer.agent.clone());
        Ok(())
    }
}

impl Rule for Offers {
    fn letters(&self) -> &'static str {
        "V6"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        match fact {
            Fact::Elected { term, .. } => {
                self.term = *term;
                self.open.clear();
                self.heard.clear();
            }
            Fact::MasterHearsReport { machine, link, .. } => {
                self.heard.insert(*machine, *link);
            }
            Fact::MasterTells { term, framework, event, .. } if *term == self.term => match event {
                Event::Offers(offers) => {
                    return offers
                        .iter()
                        .try_for_each(|offer| self.offered(known, *framework, offer))
                }
                Event::Rescind(offer) => drop(self.open.remove(offer)),
                Event::Error(_) => self.open.retain(|_, it| it.0 != *framework), // The end of its session.
                _ => {}
            },
            Fact::MasterHears { framework, call, .. } => match &call.call {
                Call::Accept { offers, .. } | Call::Decline { offers, .. } => {
                    self.answered(*framework, offers)
                }
                Call::Subscribe { .. } | Call::Teardown => {
                    self.open.retain(|_, it| it.0 != *framework)
                }
                _ => {}
            },
            Fact::MasterLoses { framework, .. } => self.open.retain(|_, it| it.0 != *framework),
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        for agent in std::mem::take(&mut self.dirty) {
            let Some(index) = known.machines.get(&agent).copied() else { continue };
            // An agent that has gone to a deposed leader, of whose successor it has not heard,
            // rightly does what that one orders. The successor cannot know yet; and what it orders
            // on the link that the agent has left never arrives, so nothing is used twice.
            if truth.machines[index].link() != self.heard.get(&index).copied() {
                continue;
            }
            let mut sum = Resources::new();
            self.open.values().filter(|it| it.1 == agent).for_each(|it| sum.add_all(&it.2));
            let ledger = truth.machines[index].proven();
            for task in ledger.tasks.values().filter(|it| !it.state.is_terminal()) {
                sum.add_all(&task.info.own_resources().unallocated());
            }
            for executor in ledger.executors.values().filter(|it| !it.command) {
                sum.add_all(&executor.info.resources.iter().collect::<Resources>().unallocated());
            }
            let open = self
                .open
                .iter()
                .filter(|(_, it)| it.1 == agent)
                .map(|(id, it)| format!("{id} of framework {} with {}", it.0, it.2));
            check_sum(index, &sum, capacity(&truth.machines[index])).map_err(|why| {
                format!("{why}; offers: {}; all: {sum}", open.collect::<Vec<_>>().join(", "))
            })?;
        }
        Ok(())
    }
}

fn check_sum(
    index: usize,
    sum: &Resources,
    mut left: BTreeMap<(String, Option<String>), i64>,
) -> Checked {
    for (identity, amount) in sum.entries() {
        if is_single(identity) && 1 < amount.copies {
            return Err(format!(
                "{identity} of machine {index} is offered or used {} times at once",
                amount.copies
            ));
        }
        let root = identity.source.as_ref().and_then(|it| it.root.clone());
        let rest = left.entry((identity.name.clone(), root)).or_default();
        let copies = if identity.shared { 1 } else { i64::from(amount.copies) };
        *rest -= amount.value.quantity().as_thousandths() * copies;
        if *rest < 0 {
            return Err(format!("more {} of machine {index} is offered and used than there is; the last is {identity}", identity.name));
        }
    }
    Ok(())
}

/// Whether only one can have it at a time. A shared volume is there once, too, however many have it.
fn is_single(identity: &Identity) -> bool {
    identity.persistence.is_some() && !identity.shared
}

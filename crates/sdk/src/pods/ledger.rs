//! The part of a framework's ledger that a service of pods has: specs, members, plans.
//!
//! An empty one means "I know nothing", never "destroy". Changes are records put; a spec that nobody
//! runs any more is the only record that is removed.

use std::collections::BTreeMap;

use super::member::{MemberId, PodMember};
use crate::plans::{Plan, PlanHead, PlanKind, Step, StepKey};
use crate::spec::ServiceSpec;

/// A change of a service's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChange {
    /// A spec was accepted; it is the one to reach.
    Spec(u64, Box<ServiceSpec>),
    /// The scheduler was started with this spec, and what follows from that was begun.
    Given(Box<ServiceSpec>),
    /// Nobody runs by this spec any more.
    SpecDropped(u64),
    /// A member has changed to this.
    Member(Box<PodMember>),
    /// A plan was made, or changed as a whole.
    Plan(Box<PlanHead>),
    /// A step of a plan has changed to this.
    Step(StepKey, Box<Step>),
}

/// The durable state of a service of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceLedger {
    /// The specs by generation: the last is the one to reach, earlier ones are still run by.
    pub specs: BTreeMap<u64, ServiceSpec>,
    /// The spec that the scheduler was last started with, and that was accepted then.
    pub given: Option<ServiceSpec>,
    /// The members.
    pub members: BTreeMap<MemberId, PodMember>,
    /// The last plan of each kind.
    pub plans: BTreeMap<PlanKind, Plan>,
}

impl ServiceLedger {
    /// Folds one change in.
    pub fn apply(&mut self, change: &ServiceChange) {
        match change {
            ServiceChange::Spec(generation, spec) => {
                self.specs.insert(*generation, (**spec).clone());
            }
            ServiceChange::Given(spec) => self.given = Some((**spec).clone()),
            ServiceChange::SpecDropped(generation) => drop(self.specs.remove(generation)),
            ServiceChange::Member(member) => {
                if let Some(old) = self.members.get(&member.id) {
                    assert!(
                        old.launches <= member.launches && old.attempts <= member.attempts,
                        "names are given once"
                    );
                }
                self.members.insert(member.id.clone(), (**member).clone());
            }
            ServiceChange::Plan(head) => {
                let plan = self.plans.entry(head.kind).or_insert_with(|| Plan::new(head));
                plan.set_head(head);
            }
            ServiceChange::Step(key, step) => {
                if let Some(plan) = self.plans.get_mut(&key.plan) {
                    plan.set_step(key, step);
                }
            }
        }
    }

    /// The generation to reach, and its spec.
    pub fn wanted(&self) -> Option<(u64, &ServiceSpec)> {
        self.specs.last_key_value().map(|(generation, spec)| (*generation, spec))
    }

    /// The spec of a generation, or the one to reach.
    pub fn spec_of(&self, generation: u64) -> Option<&ServiceSpec> {
        self.specs.get(&generation).or_else(|| self.wanted().map(|it| it.1))
    }

    /// Whether nothing was ever done by this ledger.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty() && self.members.is_empty()
    }
}

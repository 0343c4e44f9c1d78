//! How often each framework holds each shared volume: it counts once for its framework, from the first to the last.
//!
//! Relies on whoever holds a volume giving it back. Never knows who else shares it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use holdfast_model::{AgentId, FrameworkId, Identity, Resources};

/// How often a framework holds a volume (allocated) of an agent; nothing that is held zero times.
#[derive(Debug, Default)]
pub(super) struct SharedUses(BTreeMap<FrameworkId, BTreeMap<(AgentId, Identity), u32>>);

impl SharedUses {
    /// Notes that a framework holds `resources` (allocated); says what of that it did not share yet.
    pub(super) fn first_of<'a>(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &'a Resources,
    ) -> Cow<'a, Resources> {
        let mut counted = resources.unshared();
        for (identity, amount) in resources.shared() {
            let held = self.0.entry(framework.clone()).or_default();
            let held = held.entry((agent.clone(), identity.clone())).or_default();
            if *held == 0 {
                counted.to_mut().add_one_of(resources, identity);
            }
            *held += amount.copies;
        }
        counted
    }

    /// Notes that it gives them back; says what of that it shares no more.
    pub(super) fn last_of<'a>(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        resources: &'a Resources,
    ) -> Cow<'a, Resources> {
        let mut counted = resources.unshared();
        for (identity, amount) in resources.shared() {
            let Some(uses) = self.0.get_mut(framework) else { continue };
            let key = (agent.clone(), identity.clone());
            let Some(held) = uses.get_mut(&key) else { continue };
            *held = held.saturating_sub(amount.copies);
            if *held == 0 {
                uses.remove(&key);
                counted.to_mut().add_one_of(resources, identity);
            }
            if uses.is_empty() {
                self.0.remove(framework);
            }
        }
        counted
    }

    /// A framework holds nothing.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.0.remove(framework);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{disk, role, volume};

    fn sharing(mb: i64) -> Resources {
        let mut shared = volume("v", mb);
        shared.identity.shared = true;
        [shared, disk(5)].iter().collect::<Resources>().allocated_to(&role("db"))
    }

    #[test]
    fn a_shared_volume_counts_from_its_first_use_to_its_last_on_each_agent() {
        let mut uses = SharedUses::default();
        let framework = FrameworkId::made("F1".to_owned());
        let [a, b] = ["S1", "S2"].map(|it| AgentId::made(it.to_owned()));
        let all = sharing(100);
        let alone = all.unshared().into_owned();
        assert_eq!(*uses.first_of(&framework, &a, &all), all);
        assert_eq!(*uses.first_of(&framework, &a, &all), alone);
        assert_eq!(*uses.first_of(&framework, &b, &all), all, "that is another volume");
        assert_eq!(*uses.last_of(&framework, &a, &all), alone);
        assert_eq!(*uses.last_of(&framework, &a, &all), all);
        assert_eq!(*uses.last_of(&framework, &b, &all), all);
        assert!(uses.0.is_empty());
    }
}

//! Where to look for members without walking all of them.
//!
//! It is derived from the ledger, and follows every change of a member.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{AgentId, TaskId};

use super::member::{Fate, MemberId, PodMember, Target};
use crate::ledger::Stage;

/// The members by what they are looked up by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Those with a place, by agent.
    pub(crate) by_agent: BTreeMap<AgentId, BTreeSet<MemberId>>,
    /// Those with claims that are kept, by the agent of the claim.
    pub(crate) kept: BTreeMap<AgentId, BTreeSet<MemberId>>,
    /// Those with a task, by the task.
    pub(crate) by_task: BTreeMap<TaskId, MemberId>,
    /// Those that shall run and have no place, by pod.
    pub(crate) unplaced: BTreeMap<String, BTreeSet<MemberId>>,
    /// Those that shall run and are not ready.
    pub(crate) unready: BTreeSet<MemberId>,
    /// Those that have a claim and no task, and shall run.
    pub(crate) idle: BTreeSet<MemberId>,
    /// Those whose claim may exist.
    pub(crate) claiming: BTreeSet<MemberId>,
    /// Those with a task that may be dead, and since when.
    pub(crate) lost: BTreeSet<MemberId>,
    /// How many members of a pod are at agents with this value of this attribute.
    spread: BTreeMap<(String, String, String), u32>,
    /// How many members are launched with this generation.
    pub(crate) generations: BTreeMap<u64, u32>,
}

impl Index {
    /// The index of these members.
    pub(crate) fn of<'a>(members: impl Iterator<Item = &'a PodMember>) -> Index {
        let mut index = Index::default();
        members.for_each(|it| index.add(it));
        index
    }

    /// Follows a change.
    pub(crate) fn change(&mut self, old: Option<&PodMember>, new: &PodMember) {
        if let Some(old) = old {
            self.remove(old);
        }
        self.add(new);
    }

    /// How many members of the pod are at agents with this value.
    pub(crate) fn spread(&self, pod: &str, attribute: &str, value: &str) -> u32 {
        let key = (pod.to_owned(), attribute.to_owned(), value.to_owned());
        self.spread.get(&key).copied().unwrap_or(0)
    }

    /// How many members of the pod are at the agent.
    pub(crate) fn at(&self, agent: &AgentId, pod: &str) -> usize {
        self.by_agent.get(agent).map_or(0, |all| all.iter().filter(|it| it.pod == pod).count())
    }

    fn add(&mut self, it: &PodMember) {
        let id = || it.id.clone();
        if let Some(agent) = &it.agent {
            self.by_agent.entry(agent.clone()).or_default().insert(id());
            for key in spread_keys(it) {
                *self.spread.entry(key).or_default() += 1;
            }
        }
        for claim in &it.kept {
            self.kept.entry(claim.agent.clone()).or_default().insert(id());
        }
        if let Some(run) = &it.run {
            self.by_task.insert(run.task.clone(), id());
        }
        if it.stage == Stage::Claiming {
            self.claiming.insert(id());
        }
        if let Some(Fate::Unreachable(_) | Fate::Unknown(_)) = it.run.as_ref().map(|it| it.fate) {
            self.lost.insert(id());
        }
        if 0 < it.generation {
            *self.generations.entry(it.generation).or_default() += 1;
        }
        if it.target == Target::Up {
            if !it.is_ready() {
                self.unready.insert(id());
            }
            if it.agent.is_none() {
                self.unplaced.entry(it.id.pod.clone()).or_default().insert(id());
            }
            if it.run.is_none() && it.has_claim() {
                self.idle.insert(id());
            }
        }
    }

    fn remove(&mut self, it: &PodMember) {
        if let Some(agent) = &it.agent {
            forget(&mut self.by_agent, agent, &it.id);
            for key in spread_keys(it) {
                if let Some(count) = self.spread.get_mut(&key) {
                    *count -= 1;
                    if *count == 0 {
                        self.spread.remove(&key);
                    }
                }
            }
        }
        for claim in &it.kept {
            forget(&mut self.kept, &claim.agent, &it.id);
        }
        if let Some(run) = &it.run {
            self.by_task.remove(&run.task);
        }
        if let Some(count) = self.generations.get_mut(&it.generation) {
            *count -= 1;
            if *count == 0 {
                self.generations.remove(&it.generation);
            }
        }
        forget(&mut self.unplaced, &it.id.pod, &it.id);
        for set in [&mut self.unready, &mut self.idle, &mut self.claiming, &mut self.lost] {
            set.remove(&it.id);
        }
    }
}

fn forget<K: Ord + Clone>(map: &mut BTreeMap<K, BTreeSet<MemberId>>, key: &K, id: &MemberId) {
    if let Some(set) = map.get_mut(key) {
        set.remove(id);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

fn spread_keys(it: &PodMember) -> Vec<(String, String, String)> {
    let named = it.attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
    let host = std::iter::once(("hostname".to_owned(), it.hostname.clone()));
    named.chain(host).map(|(name, value)| (it.id.pod.clone(), name, value)).collect()
}

//! A member of a pod as its service's ledger has it: where it is, what it has for life, and what it
//! runs.
//!
//! Plain values. Names of tasks and volumes are made here, each given once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use holdfast_model::{AgentId, ExecutorId, Instant, PersistenceId, TaskId};

use crate::ledger::Stage;

/// The identity of a member: its pod and its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId {
    /// The name of the pod.
    pub pod: String,
    /// The number within the pod, from 0.
    pub index: u32,
}

impl MemberId {
    /// The member of that pod with that number.
    pub fn new(pod: &str, index: u32) -> MemberId {
        MemberId { pod: pod.to_owned(), index }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pod, self.index)
    }
}

/// What a member shall do. It is changed by plans only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It shall not run: a plan has not come to it, or has stopped it.
    Stopped,
    /// It shall run.
    Up,
}

/// What is known of a task that a member was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was launched.
    Launched,
    /// It runs.
    Running,
    /// It runs, and its checks pass.
    Ready,
    /// Its agent cannot be reached since then. It may run.
    Unreachable(Instant),
    /// Nobody knows it, since then. Its volumes, if they are offered, prove that it has ended.
    Unknown(Instant),
}

/// A task that a member was given and that may be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRun {
    /// The id of the task.
    pub task: TaskId,
    /// Its name in the pod's spec.
    pub name: String,
    /// The generation of the spec that it was launched with.
    pub generation: u64,
    /// What is known of it.
    pub fate: Fate,
}

/// A claim that a member had and that is kept until its release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptClaim {
    /// The agent that has it.
    pub agent: AgentId,
    /// The name of the agent's machine.
    pub hostname: String,
    /// Its volumes.
    pub volumes: Vec<PersistenceId>,
    /// Who said, and when, that it is not needed any more.
    pub released: Option<(String, Instant)>,
}

/// A member of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMember {
    /// Which member it is.
    pub id: MemberId,
    /// How far its claim has come.
    pub stage: Stage,
    /// What it shall do.
    pub target: Target,
    /// The generation of the spec that it is launched with.
    pub generation: u64,
    /// The agent that has, or may have, its claim; of a member without state the one that runs it.
    pub agent: Option<AgentId>,
    /// The name of that agent's machine.
    pub hostname: String,
    /// The attributes of that agent when the member got its place.
    pub attributes: Vec<(String, String)>,
    /// Its volumes, in the order of the spec.
    pub volumes: Vec<PersistenceId>,
    /// Its ports by name.
    pub ports: BTreeMap<String, u16>,
    /// How many claims were asked for; makes the names of volumes unique.
    pub attempts: u32,
    /// How many tasks were launched; makes their names unique.
    pub launches: u64,
    /// The one-shot tasks that have run on these volumes.
    pub done: BTreeSet<String>,
    /// The task that it was given, if that may be alive.
    pub run: Option<PodRun>,
    /// The durable note of the service's author.
    pub note: Vec<u8>,
    /// Claims that it had, and that are kept.
    pub kept: Vec<KeptClaim>,
}

impl PodMember {
    /// Makes a member that has nothing yet and shall not run yet.
    pub fn new(id: MemberId) -> PodMember {
        PodMember {
            id,
            stage: Stage::Wanted,
            target: Target::Stopped,
            generation: 0,
            agent: None,
            hostname: String::new(),
            attributes: Vec::new(),
            volumes: Vec::new(),
            ports: BTreeMap::new(),
            attempts: 0,
            launches: 0,
            done: BTreeSet::new(),
            run: None,
            note: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Whether the task that goes on runs, and passes its checks.
    pub fn is_ready(&self) -> bool {
        self.run.as_ref().is_some_and(|it| it.fate == Fate::Ready)
    }

    /// Whether it has, or may have, a claim.
    pub fn has_claim(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// The value of an attribute of its agent.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// The same without a place, as before its first claim; names stay given.
    pub(crate) fn without_place(self) -> PodMember {
        PodMember {
            stage: Stage::Wanted,
            agent: None,
            hostname: String::new(),
            attributes: Vec::new(),
            volumes: Vec::new(),
            ports: BTreeMap::new(),
            done: BTreeSet::new(),
            ..self
        }
    }

    /// The same with its claim among those that are kept.
    pub(crate) fn keeping_claim(mut self) -> PodMember {
        if let (Some(agent), true) = (self.agent.clone(), self.has_claim()) {
            self.kept.push(KeptClaim {
                agent,
                hostname: self.hostname.clone(),
                volumes: self.volumes.clone(),
                released: None,
            });
        }
        self.without_place()
    }
}

/// The executor of a task that has one of its own: each task has another, with the task's name.
pub(crate) fn executor_of(task: &TaskId) -> ExecutorId {
    ExecutorId::made(task.as_str().to_owned())
}

/// The id of the operation that makes a claim's volumes.
pub(crate) fn create_id(volume: &PersistenceId) -> String {
    format!("create-{volume}")
}

/// The id of the operation that gives a claim's volumes back.
pub(crate) fn destroy_id(volume: &PersistenceId) -> String {
    format!("release-{volume}")
}

/// The name of a volume: service, pod, number, place in the spec, and attempt.
pub(crate) fn volume_name(
    service: &str,
    member: &MemberId,
    place: usize,
    attempt: u32,
) -> PersistenceId {
    PersistenceId::made(format!("{service}-{member}-{place}-{attempt}"))
}

/// Whose volume this is by its name, its place in the spec, and the attempt.
pub(crate) fn volume_owner(service: &str, volume: &str) -> Option<(MemberId, usize, u32)> {
    let (rest, attempt) = volume.rsplit_once('-')?;
    let (rest, place) = rest.rsplit_once('-')?;
    Some((owner(service, rest)?, place.parse().ok()?, attempt.parse().ok()?))
}

/// Whose task this is by its name, and the launch.
pub(crate) fn task_owner(service: &str, task: &TaskId) -> Option<(MemberId, u64)> {
    let (rest, launch) = task.as_str().rsplit_once('-')?;
    Some((owner(service, rest)?, launch.parse().ok()?))
}

/// Reads `service-pod-3`.
pub(crate) fn owner(service: &str, text: &str) -> Option<MemberId> {
    let (pod, index) = text.strip_prefix(service)?.strip_prefix('-')?.rsplit_once('-')?;
    Some(MemberId::new(pod, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_they_are() {
        let member = MemberId::new("name-node", 2);
        let volume = volume_name("hdfs", &member, 1, 3);
        assert_eq!(volume.as_str(), "hdfs-name-node-2-1-3");
        assert_eq!(volume_owner("hdfs", volume.as_str()), Some((member.clone(), 1, 3)));
        let task = TaskId::made("hdfs-name-node-2-17".to_owned());
        assert_eq!(task_owner("hdfs", &task), Some((member, 17)));
        assert_eq!(task_owner("hdf", &task), None);
        assert_eq!(volume_owner("hdfs", "hdfs-data"), None);
    }
}

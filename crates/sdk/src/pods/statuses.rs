//! What the cluster says of tasks, operations and volumes, written into the ledger.
//!
//! A status is acknowledged only once its content is durable.

use holdfast_model::convert::carried::check_is_well;
use holdfast_model::{Call, Instant, OperationState, OperationStatus, TaskState, TaskStatus};

use super::hooks::Hooks;
use super::member::{
    create_id, destroy_id, executor_of, task_owner, volume_owner, Fate, MemberId, PodMember,
    PodRun, Target,
};
use super::{ServiceKeeper, ASKED_MAX};
use crate::ended::Endings;
use crate::keeper::Effect;
use crate::ledger::Stage;
use crate::plans::{self, PlanKind};
use crate::spec::{Goal, Recovery};

/// How long an agent may be lost before it is asked whether its members shall be replaced, in
/// milliseconds.
const ASK_AFTER_MS: u64 = 60_000;

impl<H: Hooks> ServiceKeeper<H> {
    pub(super) fn updated(&mut self, now: Instant, status: TaskStatus) {
        let owner = self.index.by_task.get(&status.task).and_then(|it| self.member(it)).cloned();
        let owner = owner.or_else(|| self.take_back(&status));
        if let Some(member) = owner {
            let is_over = status.state.is_terminal()
                || (status.state == TaskState::Unknown && !member.has_claim());
            match is_over {
                true => self.over(now, member, &status),
                false => self.moved_on(now, member, &status),
            }
        }
        if let (Some(uuid), Some(agent)) = (status.uuid, status.agent) {
            self.call(Call::Acknowledge { agent, task: status.task, status: uuid });
        }
    }

    fn moved_on(&mut self, now: Instant, mut member: PodMember, status: &TaskStatus) {
        let Some(run) = member.run.take() else { return };
        let fate = self.fate(now, &member, &run, status);
        let runs = matches!(fate, Fate::Running | Fate::Ready);
        if runs && member.stage == Stage::Claiming {
            member.stage = Stage::Placed; // The volumes of a task that runs exist.
        }
        let id = member.id.clone();
        if runs {
            self.paces.entry(id.clone()).or_default().running(now);
            self.reasons.remove(&id);
        }
        member.run = Some(PodRun { fate, ..run });
        if self.member(&id) != Some(&member) {
            self.commit_member(member);
        }
    }

    /// What a status that is no end says of a task.
    fn fate(&self, now: Instant, member: &PodMember, run: &PodRun, status: &TaskStatus) -> Fate {
        let was_ready = run.fate == Fate::Ready;
        match status.state {
            TaskState::Unreachable => match run.fate {
                Fate::Unreachable(at) => Fate::Unreachable(at),
                _ => Fate::Unreachable(status.unreachable.unwrap_or(now).min(now)),
            },
            TaskState::Unknown => match run.fate {
                Fate::Unknown(at) => Fate::Unknown(at),
                _ => Fate::Unknown(now),
            },
            TaskState::Running => {
                let pod = self.pod_of(member);
                let task = pod.as_ref().and_then(|it| it.task(&run.name));
                let Some(task) = task.filter(|it| it.goal == Goal::Running) else {
                    return Fate::Running;
                };
                let seen = |is_wanted: bool, seen: Option<bool>| match (is_wanted, seen) {
                    (false, _) => true,
                    (true, Some(is_well)) => is_well,
                    (true, None) => was_ready,
                };
                let is_ready = seen(task.health.is_some(), status.healthy)
                    && seen(task.readiness.is_some(), check_is_well(status));
                if is_ready {
                    Fate::Ready
                } else {
                    Fate::Running
                }
            }
            // It was asked to end, and runs until it has.
            TaskState::Killing => run.fate,
            _ => match run.fate {
                Fate::Unreachable(_) | Fate::Unknown(_) => Fate::Launched,
                fate => fate,
            },
        }
    }

    fn over(&mut self, now: Instant, mut member: PodMember, status: &TaskStatus) {
        let Some(run) = member.run.take() else { return };
        let id = member.id.clone();
        let pod = self.pod_of(&member);
        let task = pod.as_ref().and_then(|it| it.task(&run.name));
        let goal = task.map(|it| it.goal);
        let own = task.is_some_and(|it| self.hooks.is_executor(&member, it));
        if let Some(agent) = status.agent.clone().or_else(|| member.agent.clone()).filter(|_| own) {
            // One that does not end with its task would hold the volumes.
            self.call(Call::Shutdown(executor_of(&run.task), agent));
        }
        let is_done = goal == Some(Goal::Once) && status.state == TaskState::Finished;
        if is_done {
            member.done.insert(run.name.clone());
        } else {
            let why = status.message.clone().unwrap_or_default();
            self.log(format!("task {} is {}: {why}", status.task, status.state.name()));
            let pace = self.paces.entry(id.clone()).or_default();
            pace.over(now);
            if let Some(until) = pace.until() {
                self.rests.insert(id.clone(), until);
            }
            if status.state != TaskState::Killed {
                let ends = self.ends.entry(id.clone()).or_default();
                *ends = (ends.0 + 1, format!("{} {why}", status.state.name()));
            }
        }
        if !member.has_claim() {
            let done = if is_done { member.done.clone() } else { Default::default() };
            member = PodMember { done, ..member.without_place() };
        }
        let wants = member.target == Target::Up;
        self.commit_member(member);
        if wants {
            self.revive();
        }
    }

    /// Handles a task that lives and that the ledger does not know: a member without a task takes it
    /// back; where another has taken its place, or the member shall not run, it is ended.
    fn take_back(&mut self, status: &TaskStatus) -> Option<PodMember> {
        let lives = matches!(
            status.state,
            TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing
        );
        let (id, launch) = task_owner(&self.spec().name, &status.task).filter(|_| lives)?;
        let member = self.member(&id)?.clone();
        let is_its = member.run.is_none()
            && member.target == Target::Up
            && member.has_claim()
            && member.agent == status.agent;
        let pod = self.pod_of(&member);
        let name = pod.and_then(|pod| {
            let once = pod.once().find(|it| !member.done.contains(&it.name));
            once.or_else(|| pod.main()).map(|it| it.name.clone())
        });
        if let (true, Some(name)) = (is_its, name) {
            self.log(format!("task {} lives after all; member {id} takes it back", status.task));
            let run = PodRun {
                task: status.task.clone(),
                name,
                generation: member.generation,
                fate: Fate::Launched,
            };
            let launches = member.launches.max(launch);
            let member = PodMember { run: Some(run), launches, ..member };
            self.commit_member(member.clone());
            return Some(member);
        }
        self.log(format!("task {} is no member's any more; it is ended", status.task));
        let (task, agent) = (status.task.clone(), status.agent.clone());
        self.call(Call::Kill { task, agent, grace_ms: None });
        None
    }

    pub(super) fn heard(&mut self, executor: &str, data: &[u8]) {
        let task = holdfast_model::TaskId::made(executor.to_owned());
        let Some(member) = self.index.by_task.get(&task).and_then(|it| self.member(it)).cloned()
        else {
            return;
        };
        if let Some(note) = self.hooks.heard(&member, data).filter(|it| *it != member.note) {
            self.commit_member(PodMember { note, ..member });
        }
    }

    pub(super) fn operation_updated(&mut self, status: OperationStatus) {
        let id = status.id.clone().unwrap_or_default();
        let volume = id.strip_prefix("create-").or_else(|| id.strip_prefix("release-"));
        let owner = volume.and_then(|it| volume_owner(&self.spec().name, it)).map(|it| it.0);
        if let Some(member) = owner.and_then(|it| self.member(&it)).cloned() {
            let is_create = member.stage == Stage::Claiming
                && member.volumes.first().is_some_and(|it| create_id(it) == id);
            if is_create {
                self.created(member, &status);
            } else {
                self.given_up(member, &id, &status);
            }
        }
        if let (Some(uuid), Some(operation)) = (status.uuid, status.id) {
            self.call(Call::AcknowledgeOperation { agent: status.agent, operation, status: uuid });
        }
    }

    fn created(&mut self, member: PodMember, status: &OperationStatus) {
        match status.state {
            OperationState::Finished => {
                self.commit_member(PodMember { stage: Stage::Placed, ..member });
            }
            OperationState::Failed | OperationState::Error | OperationState::Dropped => {
                let why = status.message.as_deref().unwrap_or("no reason was given");
                self.log(format!("the volumes of member {} were not made: {why}", member.id));
                // The task that was to use them gets a status of its own, unless nobody knows it.
                let known = |it: &PodRun| !matches!(it.fate, Fate::Unknown(_));
                let run = member.run.clone().filter(known);
                self.commit_member(PodMember { run, ..member.without_place() });
                self.revive();
            }
            OperationState::Unknown => {
                // The agent is there and does not know the operation: it was either done and long
                // acknowledged, or never arrived. The agent's next offer shows which.
                if let Some(volume) = member.volumes.first() {
                    self.refuted.insert(member.id, volume.clone());
                }
            }
            _ => {}
        }
    }

    fn given_up(&mut self, mut member: PodMember, id: &str, status: &OperationStatus) {
        let is_it = |it: &super::KeptClaim| {
            it.released.is_some() && it.volumes.first().is_some_and(|it| destroy_id(it) == id)
        };
        let Some(at) = member.kept.iter().position(is_it) else { return };
        match status.state {
            OperationState::Finished => {
                let claim = member.kept.remove(at);
                self.log(format!(
                    "member {} has given up its old claim on agent {}",
                    member.id, claim.agent
                ));
                self.commit_member(member);
            }
            OperationState::Failed | OperationState::Error | OperationState::Dropped => {
                let why = status.message.as_deref().unwrap_or("no reason was given");
                self.log(format!("an old claim of member {} was not given up: {why}", member.id));
                self.revive();
            }
            _ => {}
        }
    }

    /// Asks what became of volumes that are waited for: of some after the other.
    pub(super) fn ask_ended(&mut self) {
        let released = self.releasing().filter_map(|(_, it)| {
            Some(Effect::AskEnded(it.agent.clone(), it.volumes.first()?.clone()))
        });
        let mut asked: Vec<Effect> = released.take(ASKED_MAX).collect();
        let idle: Vec<MemberId> = self.index.idle.iter().cloned().collect();
        let next = idle.partition_point(|it| Some(it) <= self.asked.as_ref());
        let turn = idle[next..].iter().chain(&idle[..next]).take(ASKED_MAX);
        for id in turn {
            let Some(member) = self.member(id).filter(|it| it.stage == Stage::Placed) else {
                continue;
            };
            let Some(agent) = member.agent.clone() else { continue };
            asked.extend(
                member.volumes.iter().map(|it| Effect::AskEnded(agent.clone(), it.clone())),
            );
            self.asked = Some(id.clone());
        }
        self.effects.extend(asked);
    }

    /// What the masters say of volumes: that they were moved, or that somebody ended their claim.
    pub(super) fn endings(&mut self, endings: &Endings) {
        for it in &endings.moved {
            let is_there_too =
                endings.living.iter().any(|(agent, id)| *agent == it.from && *id == it.volume);
            if !is_there_too {
                self.was_moved(it);
            }
        }
        let framework = self.ledger.framework.clone();
        for it in endings.ended.iter().filter(|it| it.framework == framework) {
            if it.is_final() && !endings.living.iter().any(|(_, id)| *id == it.volume) {
                self.was_ended(it);
            }
        }
    }

    fn was_moved(&mut self, it: &crate::ended::MovedVolume) {
        let owner = volume_owner(&self.spec().name, it.volume.as_str());
        let Some(member) = owner.and_then(|it| self.member(&it.0)).cloned() else { return };
        let waits = self.index.idle.contains(&member.id) && member.agent.as_ref() == Some(&it.from);
        if !waits || !member.volumes.contains(&it.volume) {
            return;
        }
        let moved = self.moved.entry(member.id.clone()).or_default();
        moved.insert(it.volume.clone(), it.to.clone());
        // A member follows when all that it has is in one place again.
        let all = member.volumes.iter().all(|volume| moved.get(volume) == Some(&it.to));
        if all {
            self.moved.remove(&member.id);
            self.reasons.remove(&member.id);
            self.log(format!(
                "member {} follows its volumes to agent {}, where they were moved from agent {}",
                member.id, it.to, it.from
            ));
            self.commit_member(PodMember { agent: Some(it.to.clone()), ..member });
            self.revive();
        }
    }

    fn was_ended(&mut self, it: &crate::ended::EndedVolume) {
        let owner = volume_owner(&self.spec().name, it.volume.as_str());
        let Some(mut member) = owner.and_then(|it| self.member(&it.0)).cloned() else { return };
        let is_kept =
            |kept: &super::KeptClaim| kept.agent == it.agent && kept.volumes.contains(&it.volume);
        if let Some(at) = member.kept.iter().position(is_kept) {
            member.kept.remove(at);
            self.log(format!("an old claim of member {} has ended", member.id));
            return self.commit_member(member);
        }
        if self.index.idle.contains(&member.id) && member.volumes.contains(&it.volume) {
            let how = format!(
                "its volume {} on agent {} was {} by {}",
                it.volume,
                it.agent,
                it.how.as_deref().unwrap_or("ended"),
                it.by.as_deref().unwrap_or("somebody who is not known"),
            );
            self.waits(&member.id, format!("{how}; replace the member to give it an empty one"));
            self.ended.insert(member.id, how);
        }
    }

    /// Makes a plan for a member whose agent is lost, if its pod's policy says so and no other plan
    /// is under way.
    pub(super) fn recover_lost(&mut self, now: Instant) {
        if self.active.is_some() {
            return;
        }
        let due = self.index.lost.iter().find_map(|id| {
            let member = self.member(id)?;
            let Fate::Unreachable(since) = member.run.as_ref()?.fate else { return None };
            let recovery = self.spec().pod(&id.pod)?.recovery;
            let (after_ms, asks) = match recovery {
                Recovery::Wait => return None,
                Recovery::ReplaceAfter(ms) => (ms, false),
                Recovery::Ask => (ASK_AFTER_MS, true),
            };
            (after_ms <= now.since_ms(since)).then(|| (id.clone(), asks))
        });
        let Some((id, asks)) = due else { return };
        let by = format!("the recovery policy of pod {}", id.pod);
        let request = self.plan_request(PlanKind::Recover, &by, now);
        let dependents = self.hooks.dependents(&self.view(), &id);
        let plan = plans::recover(&request, &id, dependents, asks);
        self.log(format!("member {id} has lost its agent: a plan to replace it is made by {by}"));
        self.start_plan(plan);
    }
}

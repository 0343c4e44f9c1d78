//! What is seen of a plan's step: the ledger, which follows the cluster's statuses, and the author's
//! hooks decide, never the memory of what was sent.

use holdfast_model::Instant;

use super::hooks::{Hooks, Observation, Verdict};
use super::member::{Fate, PodMember, PodRun, Target};
use super::ServiceKeeper;
use crate::plans::{Act, Intent, PlanKind, Step};

/// How long a task runs before it is believed, when nothing is checked of it, in milliseconds.
const STEADY_MS: u64 = 5_000;

impl<H: Hooks> ServiceKeeper<H> {
    /// How far a step that has begun has come.
    pub(super) fn observe(&self, now: Instant, step: &Step, intent: &Intent) -> Observation {
        let Some(member) = self.member(&step.member) else { return Observation::NotBegun };
        let seen = match &step.act {
            Act::Launch | Act::Place => self.launched(member),
            Act::Update => match self.restarted(member, intent) {
                Observation::Done => self.steady(now, member),
                other => other,
            },
            Act::Restart => self.restarted(member, intent),
            Act::Stop => stopped(member),
            Act::Release | Act::GiveUp => self.released(member),
            Act::Hook(_) => Observation::Done,
        };
        match seen {
            Observation::Done => self.hooks.observe(&self.view(), step),
            other => other,
        }
    }

    fn launched(&self, member: &PodMember) -> Observation {
        match member.is_ready() {
            true => Observation::Done,
            false => Observation::Running(self.why_not_ready(member)),
        }
    }

    /// A member was started anew when it is ready with a task that was launched after the intent.
    fn restarted(&self, member: &PodMember, intent: &Intent) -> Observation {
        match &member.run {
            Some(run) if intent.task.as_ref() == Some(&run.task) => match run.fate {
                Fate::Unreachable(_) | Fate::Unknown(_) => {
                    Observation::Running(self.why_not_ready(member))
                }
                _ => Observation::NotBegun,
            },
            Some(run) if run.fate == Fate::Ready && intent.launches < member.launches => {
                Observation::Done
            }
            _ => Observation::Running(self.why_not_ready(member)),
        }
    }

    /// A task that nothing is checked of is believed only once it has run for a while: a bad update
    /// shall not go from member to member.
    fn steady(&self, now: Instant, member: &PodMember) -> Observation {
        match self.steady_at(member).filter(|at| now < *at) {
            None => Observation::Done,
            Some(_) => Observation::Running(format!(
                "it runs, and nothing is checked of it, so that it must run for {} s first",
                STEADY_MS / 1_000
            )),
        }
    }

    /// From when on a member's task that nothing is checked of is believed.
    pub(super) fn steady_at(&self, member: &PodMember) -> Option<Instant> {
        let pod = self.pod_of(member)?;
        let task = pod.main().filter(|it| it.readiness.is_none() && it.health.is_none());
        task.and_then(|_| self.paces.get(&member.id)?.since()).map(|it| it.plus_ms(STEADY_MS))
    }

    fn released(&self, member: &PodMember) -> Observation {
        if member.target == Target::Stopped && member.has_claim() {
            return Observation::NotBegun;
        }
        match member.kept.first() {
            None => Observation::Done,
            Some(claim) if claim.released.is_none() => Observation::NotBegun,
            Some(claim) => Observation::Running(format!(
                "agent {} has not offered the volume {} to be given up",
                claim.agent,
                claim.volumes.first().map(ToString::to_string).unwrap_or_default()
            )),
        }
    }

    /// Why a member is not ready, in a sentence with what to do where that is known.
    pub(super) fn why_not_ready(&self, member: &PodMember) -> String {
        let agent = member.agent.as_ref().map(ToString::to_string).unwrap_or_default();
        if let Some(how) = self.ended.get(&member.id) {
            return format!("{how}; replace the member to give it an empty one");
        }
        match &member.run {
            Some(PodRun { task, fate, .. }) => match fate {
                Fate::Unreachable(_) => format!(
                    "agent {agent} cannot be reached, so that task {task} may run; wait for the agent, or say that it is gone"
                ),
                Fate::Unknown(_) => format!("nobody knows whether task {task} on {agent} has ended"),
                Fate::Launched => format!("task {task} starts on {agent}"),
                Fate::Running => format!("task {task} runs on {agent}, and its checks have not passed"),
                Fate::Ready => format!("task {task} runs on {agent}"),
            },
            None => match (self.reasons.get(&member.id), self.ends.get(&member.id)) {
                (Some(why), _) => why.clone(),
                (None, Some((count, words))) => {
                    format!("its task has ended {count} times, the last time with: {words}")
                }
                (None, None) if member.has_claim() => {
                    format!("agent {agent} has not offered its volumes yet")
                }
                (None, None) => "no offer had a place for it yet".to_owned(),
            },
        }
    }

    /// Whether a step may begin.
    pub(super) fn may_begin(&self, plan: PlanKind, is_parallel: bool, step: &Step) -> Verdict {
        let member = self.member(&step.member);
        if let (Act::Place, Some(run)) = (&step.act, member.and_then(|it| it.run.as_ref())) {
            return Verdict::Ask(format!("task {} has not ended as far as is known", run.task));
        }
        let disturbs = matches!(step.act, Act::Update | Act::Restart | Act::Stop | Act::Hook(_))
            && plan != PlanKind::Uninstall
            && !is_parallel
            && member.is_some_and(PodMember::is_ready);
        if disturbs {
            let mut others = self.index.unready.iter();
            let other = others.find(|it| it.pod == step.member.pod && **it != step.member);
            if let Some(other) = other {
                let why = self.member(other).map(|it| self.why_not_ready(it)).unwrap_or_default();
                return Verdict::NotYet(format!("member {other} is not ready: {why}"));
            }
        }
        self.hooks.may_begin(&self.view(), step)
    }
}

fn stopped(member: &PodMember) -> Observation {
    match &member.run {
        None => Observation::Done,
        Some(run) => match run.fate {
            Fate::Unknown(_) => Observation::Unknown(format!(
                "nobody knows whether task {} has ended; complete the step by force once you know that it has",
                run.task
            )),
            Fate::Unreachable(_) => Observation::Running(format!(
                "agent {} cannot be reached, so that task {} may run; wait for it, or say that the agent is gone",
                member.agent.as_ref().map(ToString::to_string).unwrap_or_default(),
                run.task
            )),
            _ => Observation::NotBegun,
        },
    }
}

//! Carries the plan that is under way out: observes steps that have begun, begins the next.
//!
//! A step's intent is durable with the member's change in one commit, before anything is sent. What
//! is sent may be sent again, since it names the task that it is about.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{Call, Instant, TaskId};

use super::hooks::{Hooks, Observation, Verdict};
use super::member::{MemberId, PodMember, Target};
use super::{Guard, ServiceChange, ServiceKeeper, RECONCILE_MS};
use crate::plans::{Act, Intent, Plan, PlanKind, Signed, Step, StepKey, StepState};

/// So many ends of a member's task stop the step that started it.
const ENDS_MAX: u32 = 4;

/// Where a plan is: the first phase that is not over.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    kind: PlanKind,
    serial: u64,
    phase: usize,
    /// The first step that has not begun.
    next: usize,
    /// Steps that have begun or stopped, and are not over.
    open: BTreeSet<usize>,
    /// When the act of a step was sent last in this session.
    sent: BTreeMap<usize, Instant>,
    /// What steps wait for.
    pub(super) reasons: BTreeMap<usize, String>,
}

impl Cursor {
    fn of(plan: &Plan) -> Option<Cursor> {
        let phase = plan.steps.iter().position(|it| it.iter().any(|it| !it.is_over()))?;
        let steps = &plan.steps[phase];
        let open = |(_, it): &(usize, &Step)| {
            matches!(it.state, StepState::Begun(_) | StepState::Failed { .. })
        };
        Some(Cursor {
            kind: plan.head.kind,
            serial: plan.head.serial,
            phase,
            next: steps.iter().position(|it| it.state == StepState::Pending).unwrap_or(steps.len()),
            open: steps.iter().enumerate().filter(open).map(|it| it.0).collect(),
            sent: BTreeMap::new(),
            reasons: BTreeMap::new(),
        })
    }

    fn key(&self, index: usize) -> StepKey {
        StepKey { plan: self.kind, serial: self.serial, phase: self.phase, index }
    }
}

impl<H: Hooks> ServiceKeeper<H> {
    /// Goes on with the plan that is under way, as far as it can now.
    pub(super) fn drive(&mut self, now: Instant) {
        if self.guard != Guard::Clear || !self.subscribed {
            return;
        }
        self.look_at = None;
        while let Some(kind) = self.active {
            if !self.locate(kind) {
                self.finish(kind);
                continue;
            }
            let observed = self.observe_open(now);
            let begun = self.begin_next(now);
            if !observed && !begun {
                return;
            }
        }
    }

    /// What was sent in an earlier session may be lost.
    pub(super) fn forget_sent(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            cursor.sent.clear();
        }
    }

    /// What a step of the current phase waits for.
    pub(super) fn step_waits(&self, key: &StepKey) -> Option<&str> {
        let cursor = self.cursor.as_ref()?;
        let is_it = cursor.key(key.index) == *key;
        cursor.reasons.get(&key.index).filter(|_| is_it).map(String::as_str)
    }

    /// Finds the first phase that is not over; whether there is one.
    fn locate(&mut self, kind: PlanKind) -> bool {
        let Some(plan) = self.ledger.service.plans.get(&kind) else { return false };
        if plan.head.ended.is_some() {
            return false;
        }
        let is_current = self.cursor.as_ref().is_some_and(|it| {
            let len = plan.steps.get(it.phase).map_or(0, Vec::len);
            let is_over = it.open.is_empty() && len <= it.next;
            it.kind == kind && it.serial == plan.head.serial && !is_over
        });
        if !is_current {
            self.cursor = Cursor::of(plan);
        }
        self.cursor.is_some()
    }

    fn finish(&mut self, kind: PlanKind) {
        self.active = None;
        self.cursor = None;
        self.log(format!("plan {kind} is complete"));
        let wanted = self.ledger.service.wanted().map(|it| it.0);
        let specs = self.ledger.service.specs.keys().copied();
        let dropped = specs
            .filter(|it| Some(*it) != wanted && !self.index.generations.contains_key(it))
            .map(ServiceChange::SpecDropped);
        let dropped: Vec<ServiceChange> = dropped.collect();
        if !dropped.is_empty() {
            self.commit_service(dropped);
        }
    }

    fn step_at(&self, key: &StepKey) -> Option<Step> {
        self.ledger.service.plans.get(&key.plan)?.step(key.phase, key.index).cloned()
    }

    /// Looks at all steps that have begun; whether one of them changed.
    fn observe_open(&mut self, now: Instant) -> bool {
        let Some(cursor) = &self.cursor else { return false };
        let open: Vec<StepKey> = cursor.open.iter().map(|it| cursor.key(*it)).collect();
        let mut is_changed = false;
        for key in open {
            let Some(step) = self.step_at(&key) else { continue };
            let Some(intent) = step.intent().cloned() else { continue };
            let has_failed = matches!(step.state, StepState::Failed { .. });
            match self.observe(now, &step, &intent) {
                Observation::Done => {
                    is_changed = true;
                    self.set_step(&key, Step { state: StepState::Done, ..step });
                }
                _ if has_failed => {}
                Observation::NotBegun => is_changed |= self.act(now, &key, &step, &intent),
                Observation::Running(why) => {
                    self.repeat_blindly(&key, &step);
                    self.look_again(now, &step);
                    match self.ends.get(&step.member).filter(|it| ENDS_MAX <= it.0).cloned() {
                        Some((count, words)) => {
                            is_changed = true;
                            let why = format!(
                                "its task has ended {count} times, the last time with: {words}"
                            );
                            self.stop_step(&key, step, Some(intent), why);
                        }
                        None => self.set_reason(&key, why),
                    }
                }
                Observation::Unknown(why) => {
                    is_changed = true;
                    self.stop_step(&key, step, Some(intent), why);
                }
            }
        }
        is_changed
    }

    /// Has a step looked at once its task has run for long enough, without anything having happened.
    fn look_again(&mut self, now: Instant, step: &Step) {
        let member = self.member(&step.member).filter(|it| it.is_ready());
        let at = member.and_then(|it| self.steady_at(it)).filter(|at| now < *at);
        if let (Some(at), Act::Update) = (at, &step.act) {
            self.look_at = Some(self.look_at.map_or(at, |it| it.min(at)));
        }
    }

    /// Only when that bug is put in: a step that has begun is done again after a restart, whatever is
    /// observed.
    fn repeat_blindly(&mut self, key: &StepKey, step: &Step) {
        let is_first = self.cursor.as_ref().is_some_and(|it| !it.sent.contains_key(&key.index));
        if !self.is_planted("plans-repeat-blindly") || !is_first {
            return;
        }
        let task = self.member(&step.member).and_then(|it| it.run.clone());
        if let (Some(run), Act::Update | Act::Restart) = (task, &step.act) {
            self.kill(&step.member, run.task);
            self.set_sent(key, Instant(u64::MAX));
        }
    }

    fn set_sent(&mut self, key: &StepKey, at: Instant) {
        if let Some(cursor) = &mut self.cursor {
            cursor.sent.insert(key.index, at);
        }
    }

    fn set_reason(&mut self, key: &StepKey, why: String) {
        if let Some(cursor) = &mut self.cursor {
            cursor.reasons.insert(key.index, why);
        }
    }

    /// Does what a step does; whether the ledger has changed by it.
    fn act(&mut self, now: Instant, key: &StepKey, step: &Step, intent: &Intent) -> bool {
        let sent = self.cursor.as_ref().and_then(|it| it.sent.get(&key.index).copied());
        let is_due = sent.is_none_or(|at| RECONCILE_MS <= now.since_ms(at));
        match &step.act {
            Act::Update | Act::Restart | Act::Stop if is_due => {
                let current = || self.member(&step.member)?.run.as_ref().map(|it| it.task.clone());
                let task = match step.act {
                    Act::Stop => current(),
                    _ => intent.task.clone(),
                };
                if let Some(task) = task {
                    self.kill(&step.member, task);
                }
                self.set_sent(key, now);
                self.set_reason(key, "its task is being ended".to_owned());
            }
            Act::Release | Act::GiveUp => return self.give_up(now, key, step),
            Act::Hook(_) if is_due => {
                self.hooks.begin(step);
                self.set_sent(key, now);
            }
            _ => {}
        }
        false
    }

    fn kill(&mut self, id: &MemberId, task: TaskId) {
        let agent = self.member(id).and_then(|it| it.agent.clone());
        self.call(Call::Kill { task, agent, grace_ms: None });
    }

    /// Writes down that claims of a member are to be given up, once that is said.
    fn give_up(&mut self, now: Instant, key: &StepKey, step: &Step) -> bool {
        let Some(mut member) = self.member(&step.member).cloned() else { return false };
        if member.target == Target::Stopped && member.has_claim() {
            member = member.keeping_claim();
        }
        let (mut by, mut waits) = (None, None);
        for claim in member.kept.iter().filter(|it| it.released.is_none()) {
            let verdict = match step.act {
                Act::GiveUp => Verdict::Yes,
                _ => self.hooks.may_release(&self.view(), &member, claim),
            };
            match verdict {
                Verdict::Yes | Verdict::Needless(_) => by = Some(key.plan.name().to_owned()),
                Verdict::NotYet(why) => waits = Some(why),
                Verdict::Ask(why) => {
                    waits = Some(format!(
                        "{why}; release the claim, or keep it by completing the step by force"
                    ))
                }
            }
        }
        if let Some(why) = waits {
            self.set_reason(key, why);
        } else if let Some(by) = by {
            let unsaid = member.kept.iter_mut().filter(|it| it.released.is_none());
            unsaid.for_each(|it| it.released = Some((by.clone(), now)));
        }
        let is_changed = self.member(&step.member) != Some(&member);
        if is_changed {
            self.commit_member(member);
            self.revive();
        }
        is_changed
    }

    fn stop_step(&mut self, key: &StepKey, step: Step, intent: Option<Intent>, why: String) {
        self.log(format!("plan {} stops at {}: {why}", key.plan, step.name()));
        let state = StepState::Failed { why, intent };
        self.set_step(key, Step { state, ..step });
    }

    /// Writes a step down, and moves on when it is over.
    fn set_step(&mut self, key: &StepKey, step: Step) {
        if step.is_over() {
            self.log(format!("plan {}: {} is done", key.plan, step.name()));
            self.ends.remove(&step.member);
        }
        self.note_step(key, step.is_over());
        self.commit_service(vec![ServiceChange::Step(*key, Box::new(step))]);
    }

    fn note_step(&mut self, key: &StepKey, is_over: bool) {
        let Some(cursor) = &mut self.cursor else { return };
        cursor.reasons.remove(&key.index);
        if is_over {
            cursor.open.remove(&key.index);
            cursor.sent.remove(&key.index);
        } else {
            cursor.open.insert(key.index);
        }
    }

    /// Begins the next step of the current phase if it may; whether anything changed.
    fn begin_next(&mut self, now: Instant) -> bool {
        let Some(cursor) = self.cursor.clone() else { return false };
        let Some(plan) = self.ledger.service.plans.get(&cursor.kind) else { return false };
        let (head, phase) = (plan.head.clone(), plan.head.phases[cursor.phase].clone());
        let Some(step) = plan.step(cursor.phase, cursor.next).cloned() else { return false };
        if head.paused.is_some() || (!phase.is_parallel && !cursor.open.is_empty()) {
            return false;
        }
        let key = cursor.key(cursor.next);
        if phase.is_gated {
            let mut head = head;
            head.phases[cursor.phase].is_gated = false;
            head.paused = Some(Signed { by: format!("phase {}", phase.name), at: now });
            self.log(format!("plan {} pauses before phase {}", head.kind, phase.name));
            self.commit_service(vec![ServiceChange::Plan(Box::new(head))]);
            return false;
        }
        if step.is_over() {
            self.skip(&cursor);
            return true;
        }
        let step = self.first_of(&cursor, step);
        match self.may_begin(cursor.kind, phase.is_parallel, &step) {
            Verdict::NotYet(why) => {
                self.set_reason(&key, why);
                false
            }
            Verdict::Ask(why) => {
                self.skip(&cursor);
                self.stop_step(&key, step, None, why);
                true
            }
            Verdict::Yes => {
                self.skip(&cursor);
                self.begin(&key, step);
                true
            }
            Verdict::Needless(why) => {
                self.log(format!("plan {}: {} is not needed: {why}", key.plan, step.name()));
                self.skip(&cursor);
                self.set_step(&key, Step { state: StepState::Done, ..step });
                true
            }
        }
    }

    /// The step that the author wants first, of those that have not begun; it changes places with the
    /// one whose turn it is.
    fn first_of(&mut self, cursor: &Cursor, step: Step) -> Step {
        let Some(id) = self.hooks.before(&self.view(), &step) else { return step };
        let steps = self.ledger.service.plans.get(&cursor.kind);
        let steps = steps.and_then(|it| it.steps.get(cursor.phase)).map(Vec::as_slice);
        let mut later = steps.unwrap_or_default().iter().enumerate().skip(cursor.next + 1);
        let is_it =
            |it: &Step| it.member == id && it.act == step.act && it.state == StepState::Pending;
        let Some((index, first)) = later.find(|it| is_it(it.1)) else { return step };
        let first = first.clone();
        self.log(format!("plan {}: {} comes before {}", cursor.kind, first.name(), step.name()));
        self.commit_service(vec![
            ServiceChange::Step(cursor.key(cursor.next), Box::new(first.clone())),
            ServiceChange::Step(cursor.key(index), Box::new(step)),
        ]);
        first
    }

    fn skip(&mut self, cursor: &Cursor) {
        self.cursor = Some(Cursor { next: cursor.next + 1, ..cursor.clone() });
    }

    /// Writes a step's intent down, with what it changes of its member.
    fn begin(&mut self, key: &StepKey, step: Step) {
        let id = step.member.clone();
        let member = self.member(&id).cloned().unwrap_or_else(|| PodMember::new(id.clone()));
        let wanted = self.ledger.service.wanted().map_or(0, |it| it.0);
        let intent = Intent {
            task: member.run.as_ref().map(|it| it.task.clone()),
            launches: member.launches,
        };
        let member = match step.act {
            Act::Launch => PodMember { target: Target::Up, generation: wanted, ..member },
            Act::Update => PodMember { generation: wanted, ..member },
            Act::Stop => PodMember { target: Target::Stopped, ..member },
            Act::Place => {
                PodMember { target: Target::Up, generation: wanted, ..member.keeping_claim() }
            }
            Act::Restart | Act::Release | Act::GiveUp | Act::Hook(_) => member,
        };
        self.ends.remove(&id);
        self.reasons.remove(&id);
        self.ended.remove(&id);
        self.shunned.remove(&id);
        let needs_offers = matches!(step.act, Act::Launch | Act::Place);
        self.log(format!("plan {}: {} begins", key.plan, step.name()));
        let mut changes = Vec::new();
        if self.member(&id) != Some(&member) {
            changes.push(ServiceChange::Member(Box::new(member)));
        }
        let step = Step { state: StepState::Begun(intent), ..step };
        changes.push(ServiceChange::Step(*key, Box::new(step)));
        self.note_step(key, false);
        self.commit_service(changes);
        if needs_offers {
            self.revive();
        }
    }
}

//! Carries out what is asked of a service: each request becomes a plan or a change of one, or is
//! refused with the reason.
//!
//! One plan is under way at a time. Another spec takes the place of a plan that starts members; no
//! plan that changes who belongs to the service is broken off.

use holdfast_model::Instant;

use super::command::{Answer, Command, Refused, Request};
use super::hooks::{Hooks, ServiceView};
use super::member::{KeptClaim, MemberId, PodMember, Target};
use super::{Guard, ServiceChange, ServiceKeeper};
use crate::plans::{self, Act, Plan, PlanKind, PlanRequest, Rolled, Signed, Step, StepState};
use crate::spec::{change, Consequence, Difference, Refusal, ServiceSpec};

type Answered = Result<Answer, Refused>;

impl<H: Hooks> ServiceKeeper<H> {
    pub(super) fn command(&mut self, now: Instant, command: Command) -> Answered {
        let by = command.by;
        if by.trim().is_empty() {
            return Err(Refused::Conflict("nobody is named who asks".to_owned()));
        }
        match (&command.request, &self.guard) {
            (Request::Adopt, _) => return self.adopt(now),
            (Request::New, _) => return self.begin_anew(now),
            (_, Guard::Clear) => {}
            _ => {
                return Err(Refused::Conflict(
                    "the ledger is empty, and whose volumes exist is not settled; say `adopt` or `new` first".to_owned(),
                ))
            }
        }
        match command.request {
            Request::Spec { spec, is_preview } => self.take_spec(now, &by, *spec, is_preview),
            Request::Pause(kind) => self.pause(now, by, kind),
            Request::Resume(kind) => self.resume(kind),
            Request::Retry(kind, step) => self.retry(now, by, kind, &step),
            Request::ForceComplete(kind, step) => self.force(now, by, kind, &step),
            Request::Preview(of) => self.foresee(now, &by, &of),
            Request::Restart(..) | Request::Replace(_) | Request::Uninstall { .. } => {
                let plan = self.planned(now, &by, &command.request)?;
                Ok(self.start_plan(plan))
            }
            Request::ScaleIn(pod, count) => self.scale_in(now, &by, &pod, count),
            Request::Release(id) => self.release(now, by, &id),
            Request::Start(kind) => self.start_own(now, &by, kind),
            Request::Adopt | Request::New => Ok(Answer::default()),
        }
    }

    /// Who asks for a plan of a kind.
    pub(super) fn plan_request<'a>(
        &self,
        kind: PlanKind,
        by: &'a str,
        at: Instant,
    ) -> PlanRequest<'a> {
        let last = self.ledger.service.plans.get(&kind).map_or(0, |it| it.head.serial);
        PlanRequest { kind, serial: last + 1, by, at }
    }

    /// Writes a plan down, and begins it with the next drive.
    pub(super) fn start_plan(&mut self, plan: Plan) -> Answer {
        self.start_with(Vec::new(), plan)
    }

    /// Writes a plan down together with what it follows from, all or nothing, and begins it with the
    /// next drive.
    fn start_with(&mut self, mut changes: Vec<ServiceChange>, plan: Plan) -> Answer {
        let answer = answer_of(&plan, Vec::new());
        changes.push(ServiceChange::Plan(Box::new(plan.head.clone())));
        changes.extend(
            plan.all_steps().map(|(key, it)| ServiceChange::Step(key, Box::new(it.clone()))),
        );
        self.log(format!(
            "plan {} of {} steps is made by {}",
            plan.head.kind,
            answer.steps.len(),
            plan.head.asked.by
        ));
        self.commit_service(changes);
        self.active = Some(plan.head.kind);
        self.relocate();
        answer
    }

    fn idle(&self) -> Result<(), Refused> {
        match self.active {
            None => Ok(()),
            Some(kind) => Err(Refused::Conflict(format!(
                "plan {kind} is under way; wait until it is complete, or complete its steps by force"
            ))),
        }
    }

    fn known(&self, id: &MemberId) -> Result<MemberId, Refused> {
        match self.member(id) {
            Some(member) if member.target == Target::Up => Ok(id.clone()),
            Some(_) => Err(Refused::Conflict(format!("member {id} is stopped"))),
            None => Err(Refused::NotFound(format!("there is no member {id}"))),
        }
    }

    /// Takes the spec that the keeper was started with, once it may.
    pub(super) fn accept_given(&mut self, now: Instant) {
        if self.guard != Guard::Clear {
            return;
        }
        let Some(spec) = self.given.take() else { return };
        let by = "the scheduler's start";
        // Of a start with the same spec as the last one nothing follows, even when another spec was
        // put in force meanwhile.
        if self.ledger.service.given.as_ref() == Some(&spec) {
            return;
        }
        match self.take_spec(now, by, spec.clone(), false) {
            Ok(_) => self.commit_service(vec![ServiceChange::Given(Box::new(spec))]),
            Err(refused) => {
                self.log(format!("the spec of this start is not put in force: {refused}"));
                self.refused = match refused {
                    Refused::Change(all) => all,
                    other => vec![Refusal {
                        path: String::new(),
                        why: other.to_string(),
                        instead: "mend it, or try again later".to_owned(),
                    }],
                };
                if self.ledger.service.wanted().is_none() {
                    self.given = Some(spec);
                }
            }
        }
    }

    fn take_spec(
        &mut self,
        now: Instant,
        by: &str,
        spec: ServiceSpec,
        is_preview: bool,
    ) -> Answered {
        spec.check().map_err(Refused::Spec)?;
        let Some((generation, old)) = self.ledger.service.wanted() else {
            let request = self.plan_request(PlanKind::Deploy, by, now);
            let plan = plans::deploy(&request, &spec);
            if is_preview {
                return Ok(answer_of(&plan, Vec::new()));
            }
            return Ok(self.start_with(vec![ServiceChange::Spec(1, Box::new(spec))], plan));
        };
        let differences = change(old, &spec).map_err(Refused::Change)?;
        if differences.is_empty() {
            return Ok(Answer::default());
        }
        let refused = self.hooks.refuses(&self.view(), &spec);
        if !refused.is_empty() {
            return Err(Refused::Change(refused));
        }
        if let Some(kind) = self.active.filter(|it| !it.gives_way()) {
            return Err(Refused::Conflict(format!(
                "plan {kind} is under way, and is not broken off; give the spec again when it is complete"
            )));
        }
        let is_growth = differences
            .iter()
            .all(|it| matches!(it.consequence, Consequence::NewMembers(_) | Consequence::NewPod));
        let kind = if is_growth { PlanKind::Scale } else { PlanKind::Update };
        let rolled = self.rolled(&spec);
        let request = self.plan_request(kind, by, now);
        let plan = plans::update(&request, &spec, &rolled, &self.ledger.service.members);
        let plan = self.with_own_end(plan, &spec);
        if is_preview {
            return Ok(answer_of(&plan, differences));
        }
        let by = by.to_owned();
        let changes = self.put_in_force(now, by, generation + 1, spec, &rolled);
        let answer = self.start_with(changes, plan);
        Ok(Answer { differences, ..answer })
    }

    /// A plan that leads to another spec, with what the author has to be done at its end.
    fn with_own_end(&self, plan: Plan, spec: &ServiceSpec) -> Plan {
        let launched = plan.all_steps().filter(|it| it.1.act == Act::Launch);
        let added: Vec<MemberId> = launched.map(|it| it.1.member.clone()).collect();
        let view = ServiceView { spec, ledger: &self.ledger.service };
        let own = self.hooks.afterwards(&view, plan.head.kind, &added);
        plans::ending_with(plan, own)
    }

    /// What puts another spec in force; a plan that was under way ends where it is.
    fn put_in_force(
        &self,
        now: Instant,
        by: String,
        generation: u64,
        spec: ServiceSpec,
        rolled: &Rolled,
    ) -> Vec<ServiceChange> {
        let mut changes = vec![ServiceChange::Spec(generation, Box::new(spec))];
        if let Some(plan) = self.active.and_then(|it| self.ledger.service.plans.get(&it)) {
            let mut head = plan.head.clone();
            head.ended = Some(Signed { by, at: now });
            changes.push(ServiceChange::Plan(Box::new(head)));
        }
        // Whoever needs no new start is of the new generation from now on.
        let same = |it: &&PodMember| {
            let key = (it.id.pod.clone(), it.generation);
            0 < it.generation && rolled.get(&key) == Some(&false)
        };
        let same = self.ledger.service.members.values().filter(same);
        changes.extend(
            same.map(|it| ServiceChange::Member(Box::new(PodMember { generation, ..it.clone() }))),
        );
        changes
    }

    /// Whether the members of a pod that are launched with a generation must be started anew for
    /// this spec.
    fn rolled(&self, spec: &ServiceSpec) -> Rolled {
        let mut rolled = Rolled::new();
        for generation in self.index.generations.keys() {
            let Some(old) = self.ledger.service.spec_of(*generation) else { continue };
            let found = change(old, spec).unwrap_or_default();
            let rolls = |it: &&Difference| it.consequence == Consequence::Roll;
            for pod in &spec.pods {
                let is_rolled =
                    found.iter().filter(rolls).any(|it| it.pod.as_ref() == Some(&pod.name));
                rolled.insert((pod.name.clone(), *generation), is_rolled);
            }
        }
        rolled
    }

    /// The plan that a request asks for; nothing is changed.
    fn planned(&self, now: Instant, by: &str, request: &Request) -> Result<Plan, Refused> {
        self.idle()?;
        match request {
            Request::Restart(pod, index) => self.restart(now, by, pod, *index),
            Request::Replace(id) => {
                let id = self.known(id)?;
                let dependents = self.hooks.dependents(&self.view(), &id);
                let request = self.plan_request(PlanKind::Replace, by, now);
                Ok(plans::replace(&request, &id, dependents))
            }
            Request::Uninstall { is_release } => {
                let act = if *is_release { Act::GiveUp } else { Act::Release };
                let request = self.plan_request(PlanKind::Uninstall, by, now);
                let members = &self.ledger.service.members;
                Ok(plans::uninstall(&request, self.spec(), members, &act))
            }
            Request::ScaleIn(pod, count) => self.smaller(now, by, pod, *count).map(|it| it.2),
            _ => Err(Refused::Conflict(
                "what this would do cannot be shown beforehand; ask without `plan`".to_owned(),
            )),
        }
    }

    /// What a request would do, in words.
    fn foresee(&self, now: Instant, by: &str, request: &Request) -> Answered {
        let Request::Release(id) = request else {
            return Ok(answer_of(&self.planned(now, by, request)?, Vec::new()));
        };
        let unsaid = self.releasable(id)?.kept.iter().filter(|it| it.released.is_none());
        let words = |claim: &KeptClaim| {
            let volume = |it| format!("{id}: volume {it} at {} is destroyed", claim.hostname);
            claim.volumes.iter().map(volume).collect::<Vec<_>>()
        };
        Ok(Answer { steps: unsaid.flat_map(words).collect(), ..Answer::default() })
    }

    fn restart(
        &self,
        now: Instant,
        by: &str,
        pod: &str,
        index: Option<u32>,
    ) -> Result<Plan, Refused> {
        let spec = self.spec().pod(pod).cloned();
        let spec = spec.ok_or_else(|| Refused::NotFound(format!("there is no pod {pod}")))?;
        let of = match index {
            Some(index) => vec![self.known(&MemberId::new(pod, index))?],
            None => (0..spec.count)
                .map(|it| MemberId::new(pod, it))
                .filter(|it| self.known(it).is_ok())
                .collect(),
        };
        let request = self.plan_request(PlanKind::Restart, by, now);
        Ok(plans::restart(&request, &spec, of, &self.ledger.service.members))
    }

    fn scale_in(&mut self, now: Instant, by: &str, pod: &str, count: u32) -> Answered {
        let (generation, spec, plan) = self.smaller(now, by, pod, count)?;
        let same = self.index.generations.keys().map(|it| ((pod.to_owned(), *it), false)).collect();
        let changes = self.put_in_force(now, by.to_owned(), generation, spec, &same);
        Ok(self.start_with(changes, plan))
    }

    /// The spec with fewer members of a pod, its generation, and the plan that leads to it.
    fn smaller(
        &self,
        now: Instant,
        by: &str,
        pod: &str,
        count: u32,
    ) -> Result<(u64, ServiceSpec, Plan), Refused> {
        self.idle()?;
        let (generation, old) = match self.ledger.service.wanted() {
            Some((generation, spec)) => (generation, spec.clone()),
            None => return Err(Refused::Conflict("nothing is deployed yet".to_owned())),
        };
        let mut spec = old.clone();
        let Some(changed) = spec.pods.iter_mut().find(|it| it.name == pod) else {
            return Err(Refused::NotFound(format!("there is no pod {pod}")));
        };
        let was = changed.count;
        if was <= count {
            return Err(Refused::Conflict(format!(
                "pod {pod} has {was} members; to have more, give the spec with the new count"
            )));
        }
        changed.count = count;
        spec.check().map_err(Refused::Spec)?;
        let refused = self.hooks.refuses(&self.view(), &spec);
        if !refused.is_empty() {
            return Err(Refused::Change(refused));
        }
        let leaving = (count..was).rev().map(|it| MemberId::new(pod, it)).collect();
        let request = self.plan_request(PlanKind::Decommission, by, now);
        let plan = self.with_own_end(plans::decommission(&request, leaving), &spec);
        Ok((generation + 1, spec, plan))
    }

    fn start_own(&mut self, now: Instant, by: &str, kind: PlanKind) -> Answered {
        self.idle()?;
        let steps = match kind {
            PlanKind::Backup | PlanKind::Restore | PlanKind::Repair => {
                self.hooks.steps(&self.view(), kind)
            }
            _ => Vec::new(),
        };
        if steps.is_empty() {
            return Err(Refused::NotFound(format!("this service has no plan {kind} to start")));
        }
        let request = self.plan_request(kind, by, now);
        let plan = plans::of_hooks(&request, steps);
        Ok(self.start_plan(plan))
    }

    fn release(&mut self, now: Instant, by: String, id: &MemberId) -> Answered {
        let mut member = self.releasable(id)?.clone();
        let unsaid = member.kept.iter_mut().filter(|it| it.released.is_none());
        unsaid.for_each(|it| it.released = Some((by.clone(), now)));
        self.log(format!("the old claims of member {id} are released by {by}"));
        self.commit_member(member);
        self.revive();
        Ok(Answer::default())
    }

    /// A member of which a claim is kept that nobody has released.
    fn releasable(&self, id: &MemberId) -> Result<&PodMember, Refused> {
        let Some(member) = self.member(id) else {
            return Err(Refused::NotFound(format!("there is no member {id}")));
        };
        match member.kept.iter().any(|it| it.released.is_none()) {
            true => Ok(member),
            false => Err(Refused::Conflict(format!("no claim of member {id} is kept"))),
        }
    }

    fn plan_of(&self, kind: PlanKind) -> Result<&Plan, Refused> {
        let plan = self.ledger.service.plans.get(&kind);
        let plan = plan.ok_or_else(|| Refused::NotFound(format!("there is no plan {kind}")))?;
        match plan.is_over() {
            true => Err(Refused::Conflict(format!("plan {kind} is complete"))),
            false => Ok(plan),
        }
    }

    fn pause(&mut self, now: Instant, by: String, kind: PlanKind) -> Answered {
        let mut head = self.plan_of(kind)?.head.clone();
        if head.paused.is_none() {
            head.paused = Some(Signed { by, at: now });
            self.commit_service(vec![ServiceChange::Plan(Box::new(head))]);
        }
        Ok(Answer { plan: Some(kind), ..Answer::default() })
    }

    fn resume(&mut self, kind: PlanKind) -> Answered {
        let mut head = self.plan_of(kind)?.head.clone();
        if head.paused.take().is_some() {
            self.commit_service(vec![ServiceChange::Plan(Box::new(head))]);
        }
        Ok(Answer { plan: Some(kind), ..Answer::default() })
    }

    fn retry(&mut self, now: Instant, by: String, kind: PlanKind, name: &str) -> Answered {
        let (key, step) = self.step_of(kind, name)?;
        let StepState::Failed { intent, .. } = &step.state else {
            return Err(Refused::Conflict(format!("step {name} has not stopped")));
        };
        let state = match intent {
            Some(intent) => StepState::Begun(intent.clone()),
            None => StepState::Pending,
        };
        self.ends.remove(&step.member);
        let step = Step { state, retried: Some(Signed { by, at: now }), ..step };
        self.commit_service(vec![ServiceChange::Step(key, Box::new(step))]);
        self.relocate();
        Ok(Answer { plan: Some(kind), steps: vec![name.to_owned()], ..Answer::default() })
    }

    fn force(&mut self, now: Instant, by: String, kind: PlanKind, name: &str) -> Answered {
        let (key, step) = self.step_of(kind, name)?;
        if step.is_over() {
            return Err(Refused::Conflict(format!("step {name} is done")));
        }
        self.log(format!("step {name} of plan {kind} counts as done, as {by} says"));
        let mut changes = Vec::new();
        // Who completes a stop by force says that the task has ended.
        let member = self.member(&step.member).filter(|_| step.act == Act::Stop);
        if let Some(member) = member.filter(|it| it.run.is_some()) {
            let member = PodMember { run: None, target: Target::Stopped, ..member.clone() };
            changes.push(ServiceChange::Member(Box::new(member)));
        }
        let state = StepState::Forced(Signed { by, at: now });
        changes.push(ServiceChange::Step(key, Box::new(Step { state, ..step })));
        self.commit_service(changes);
        self.relocate();
        Ok(Answer { plan: Some(kind), steps: vec![name.to_owned()], ..Answer::default() })
    }

    fn step_of(
        &self,
        kind: PlanKind,
        name: &str,
    ) -> Result<(crate::plans::StepKey, Step), Refused> {
        let found = self.plan_of(kind)?.step_named(name);
        let found = found.map(|(key, step)| (key, step.clone()));
        found.ok_or_else(|| Refused::NotFound(format!("plan {kind} has no step {name}")))
    }
}

fn answer_of(plan: &Plan, differences: Vec<Difference>) -> Answer {
    Answer {
        plan: Some(plan.head.kind),
        steps: plan.all_steps().map(|it| it.1.name()).collect(),
        differences,
    }
}

//! The keeper of pods against a cluster of a page: agents with resources, operations that succeed,
//! tasks that run. What it is told is durable is checked at each call.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    Action, ClaimAction, Offer, OfferId, Operation, OperationState, OperationStatus, PersistenceId,
    Ranges, Resource, Resources, Role, Scalar, TaskInfo, TaskState, TaskStatus, Value,
};

use super::*;
use crate::plans::{PlanKind, Status, StepState};
use crate::spec::testbed::{ring, two_pods};
use crate::spec::{Attribute, ConfigFile, Strategy};

/// Hooks that say what a test has them say.
#[derive(Clone, Debug, Default)]
struct Said {
    release: Option<Verdict>,
    observed: BTreeMap<String, Observation>,
    begun: Vec<String>,
    /// Its members bring their own executors, and the old ones tidy up when new ones have come.
    is_own: bool,
    /// What is said next.
    words: Vec<(MemberId, Vec<u8>)>,
    refused: Vec<crate::spec::Refusal>,
    /// Who comes before all others.
    first: Option<MemberId>,
    /// Who knows where a member is, and whether he must be told anew.
    told: Vec<MemberId>,
    needless: Option<MemberId>,
}

impl Hooks for Said {
    fn before(&self, _: &ServiceView<'_>, step: &crate::plans::Step) -> Option<MemberId> {
        let first = self.first.clone().filter(|it| it.pod == step.member.pod);
        first.filter(|it| *it != step.member)
    }
    fn dependents(&self, _: &ServiceView<'_>, _: &MemberId) -> Vec<MemberId> {
        self.told.clone()
    }
    fn may_begin(&self, _: &ServiceView<'_>, step: &crate::plans::Step) -> Verdict {
        match self.needless.as_ref() == Some(&step.member) {
            true => Verdict::Needless("it knows".into()),
            false => Verdict::Yes,
        }
    }
    fn may_release(&self, _: &ServiceView<'_>, _: &PodMember, _: &KeptClaim) -> Verdict {
        self.release.clone().unwrap_or(Verdict::Ask("not said".into()))
    }
    fn observe(&self, _: &ServiceView<'_>, step: &crate::plans::Step) -> Observation {
        self.observed.get(step.act.name()).cloned().unwrap_or(Observation::Done)
    }
    fn begin(&mut self, step: &crate::plans::Step) {
        self.begun.push(step.name());
    }
    fn is_executor(&self, _: &PodMember, task: &crate::spec::TaskSpec) -> bool {
        self.is_own && task.goal == crate::spec::Goal::Running
    }
    fn say(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        std::mem::take(&mut self.words)
    }
    fn afterwards(
        &self,
        service: &ServiceView<'_>,
        plan: PlanKind,
        added: &[MemberId],
    ) -> Vec<(MemberId, String)> {
        let is_grown = self.is_own && plan == PlanKind::Scale;
        let there = service.placed("node").filter(|it| is_grown && !added.contains(&it.id));
        there.map(|it| (it.id.clone(), "tidy".to_owned())).collect()
    }
    fn refuses(&self, _: &ServiceView<'_>, _: &ServiceSpec) -> Vec<crate::spec::Refusal> {
        self.refused.clone()
    }
    fn adopted(&self, member: &PodMember) -> Vec<u8> {
        member.id.to_string().into_bytes()
    }
}

/// A task that runs.
struct Running {
    agent: String,
    info: TaskInfo,
}

struct Cluster {
    keeper: ServiceKeeper<Said>,
    now: Instant,
    free: BTreeMap<String, Resources>,
    tasks: BTreeMap<TaskId, Running>,
    /// Tasks that are killed are reported only when this is set.
    is_mute: bool,
    /// Tasks with this in their command fail at once.
    bad: Option<&'static str>,
    launched: Vec<TaskInfo>,
    killed: Vec<TaskId>,
    /// Executors that were said something, and what; nothing for those that were shut down.
    spoken_to: Vec<(String, Option<Vec<u8>>)>,
    destroyed: Vec<PersistenceId>,
    answers: Vec<Result<Answer, Refused>>,
    log: Vec<String>,
    offers: u32,
    asked_found: bool,
}

fn role() -> Role {
    Role::parse("db").unwrap()
}

fn whole_agent() -> Resources {
    let of = |name: &str| Resource::scalar(name, Scalar::whole(1_000)).allocated_to(&role());
    let ports = Resource::unreserved("ports", Value::Ranges(Ranges::new([(9_000, 9_100)])));
    let ports = ports.allocated_to(&role());
    ["cpus", "mem", "disk"].map(of).iter().chain([&ports]).collect()
}

impl Cluster {
    fn new(spec: ServiceSpec, agents: usize) -> Cluster {
        Cluster::with(spec, Lost::New, KeeperLedger::default(), agents)
    }

    fn with(spec: ServiceSpec, lost: Lost, ledger: KeeperLedger, agents: usize) -> Cluster {
        let mut cluster = Cluster {
            keeper: ServiceKeeper::recover(spec, Said::default(), lost, ledger),
            now: Instant(1),
            free: (0..agents).map(|it| (format!("a{it}"), whole_agent())).collect(),
            tasks: BTreeMap::new(),
            is_mute: false,
            bad: None,
            launched: Vec::new(),
            killed: Vec::new(),
            spoken_to: Vec::new(),
            destroyed: Vec::new(),
            answers: Vec::new(),
            log: Vec::new(),
            offers: 0,
            asked_found: false,
        };
        cluster.event(Event::Subscribed(FrameworkId::made("f-1".to_owned())));
        cluster
    }

    /// Another process over the same ledger, with the same cluster.
    fn again(&mut self, spec: ServiceSpec) {
        let ledger = self.keeper.ledger().clone();
        let hooks = self.keeper.hooks().clone();
        self.keeper = ServiceKeeper::recover(spec, hooks, Lost::Ask, ledger);
        self.event(Event::Subscribed(FrameworkId::made("f-1".to_owned())));
    }

    fn event(&mut self, event: Event) {
        self.handle(Input::Event(event));
    }

    fn handle(&mut self, input: Input) {
        let mut durable = self.keeper.ledger().clone();
        let effects = self.keeper.handle(self.now, input);
        let mut then = Vec::new();
        for effect in effects {
            match effect {
                Effect::Commit(changes) => changes.iter().for_each(|it| durable.apply(it)),
                Effect::Call(call) => {
                    if let Call::Accept { operations, .. } = &*call {
                        let tasks = operations.iter().flat_map(launched_by);
                        for task in tasks {
                            let knows = |it: &PodMember| {
                                it.run.as_ref().is_some_and(|run| run.task == task.id)
                            };
                            assert!(durable.service.members.values().any(knows), "not durable");
                        }
                    }
                    then.push(*call);
                }
                Effect::Log(line) => self.log.push(line),
                Effect::Answer(_, answer) => self.answers.push(*answer),
                Effect::AskFound => self.asked_found = true,
                Effect::AskEnded(..) | Effect::AskMoved(..) => {}
            }
        }
        assert_eq!(&durable, self.keeper.ledger(), "what is remembered is durable");
        self.index_is_right();
        then.into_iter().for_each(|call| self.call(call));
    }

    /// The index is what it would be if it were made anew.
    fn index_is_right(&self) {
        let anew = Index::of(self.keeper.ledger.service.members.values());
        assert_eq!(format!("{anew:?}"), format!("{:?}", self.keeper.index));
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Accept { offers, operations, .. } => {
                let agent = offers[0].as_str().split('/').next().unwrap().to_owned();
                operations.into_iter().for_each(|it| self.operate(&agent, it));
            }
            Call::Kill { task, .. } => {
                self.killed.push(task.clone());
                if !self.is_mute {
                    self.end(&task, TaskState::Killed, "");
                }
            }
            Call::Message(_, executor, words) => {
                self.spoken_to.push((executor.to_string(), Some(words)));
            }
            Call::Shutdown(executor, _) => self.spoken_to.push((executor.to_string(), None)),
            _ => {}
        }
    }

    fn operate(&mut self, agent: &str, operation: Operation) {
        let free = self.free.get_mut(agent).unwrap();
        let mut swap = |from: &Resource, to: Resource| {
            assert!(free.contains_one(from), "{from} is not there");
            free.subtract(from);
            free.add(&to);
        };
        match &operation.action {
            Action::Claim(ClaimAction::Reserve { resources, .. }) => {
                resources.iter().for_each(|it| swap(&it.popped(), it.clone()));
            }
            Action::Claim(ClaimAction::Create(volumes)) => {
                volumes.iter().for_each(|it| swap(&it.without_volume(), it.clone()));
            }
            Action::Claim(ClaimAction::Destroy(volumes)) => {
                volumes.iter().for_each(|it| swap(it, it.without_volume()));
                let names = volumes.iter().filter_map(|it| it.identity.persistence.clone());
                self.destroyed.extend(names);
            }
            Action::Claim(ClaimAction::Unreserve(all)) => {
                all.iter().for_each(|it| swap(it, it.popped()));
            }
            Action::Launch(tasks) => {
                for info in tasks.clone() {
                    let used: Resources = info.resources.iter().collect();
                    let free = self.free.get_mut(agent).unwrap();
                    assert!(free.contains(&used), "{used:?} is not offered of {free:?}");
                    free.subtract_all(&used);
                    self.launched.push(info.clone());
                    self.tasks.insert(info.id.clone(), Running { agent: agent.to_owned(), info });
                }
            }
            other => panic!("{other:?}"),
        }
        if let Some(id) = operation.id {
            let status = OperationStatus {
                id: Some(id),
                state: OperationState::Finished,
                message: None,
                uuid: None,
                agent: Some(AgentId::made(agent.to_owned())),
                converted: Default::default(),
            };
            self.event(Event::UpdateOperation(status));
        }
    }

    fn end(&mut self, task: &TaskId, state: TaskState, why: &str) {
        let Some(it) = self.tasks.remove(task) else { return };
        let used: Resources = it.info.resources.iter().collect();
        self.free.get_mut(&it.agent).unwrap().add_all(&used);
        let mut status = TaskStatus::new(task.clone(), state, self.now);
        status.agent = Some(AgentId::made(it.agent));
        status.message = Some(why.to_owned());
        self.event(Event::Update(status));
    }

    fn say(&mut self, task: &TaskId, state: TaskState) {
        let mut status = TaskStatus::new(task.clone(), state, self.now);
        status.agent = self.tasks.get(task).map(|it| AgentId::made(it.agent.clone()));
        self.event(Event::Update(status));
    }

    /// A second of the cluster's life: everything is offered, what was launched runs.
    fn round(&mut self) {
        self.now = self.now.plus_ms(1_000);
        self.handle(Input::Tick);
        let offers: Vec<Offer> = self.free.clone().into_iter().map(|it| self.offer(it)).collect();
        self.event(Event::Offers(offers));
        for task in self.tasks.keys().cloned().collect::<Vec<_>>() {
            let Some(info) = self.tasks.get(&task).map(|it| it.info.clone()) else { continue };
            let line = info.command.and_then(|it| it.value).unwrap_or_default();
            self.say(&task, TaskState::Running);
            if self.bad.is_some_and(|bad| line.contains(bad)) {
                self.end(&task, TaskState::Failed, "it is bad");
            } else if info.name.ends_with("-format") {
                self.end(&task, TaskState::Finished, "");
            }
        }
    }

    fn offer(&mut self, (agent, resources): (String, Resources)) -> Offer {
        self.offers += 1;
        Offer {
            id: OfferId::made(format!("{agent}/{}", self.offers)),
            framework: FrameworkId::made("f-1".to_owned()),
            role: role(),
            agent: AgentId::made(agent.clone()),
            resources,
            executors: Vec::new(),
            hostname: agent,
            machine: Default::default(),
            claims: Vec::new(),
            unavailability: None,
        }
    }

    fn rounds(&mut self, count: usize) {
        (0..count).for_each(|_| self.round());
    }

    fn until_content(&mut self) {
        for _ in 0..200 {
            if self.keeper.is_content() {
                return;
            }
            self.round();
        }
        panic!("{:?}\n{}", self.keeper.state(), self.log.join("\n"));
    }

    fn ask(&mut self, request: Request) -> Result<Answer, Refused> {
        let command = Command { by: "ann".into(), request };
        self.handle(Input::Command(1, Box::new(command)));
        self.answers.pop().expect("each command is answered")
    }

    fn member(&self, pod: &str, index: u32) -> PodMember {
        self.keeper.member(&MemberId::new(pod, index)).unwrap().clone()
    }

    fn status(&self, kind: PlanKind) -> Status {
        self.keeper.plan(kind).unwrap().status()
    }
}

fn launched_by(operation: &Operation) -> Vec<TaskInfo> {
    match &operation.action {
        Action::Launch(tasks) => tasks.clone(),
        _ => Vec::new(),
    }
}

fn content(spec: ServiceSpec, agents: usize) -> Cluster {
    let mut cluster = Cluster::new(spec, agents);
    cluster.until_content();
    cluster
}

#[test]
fn a_member_has_volumes_and_ports_for_life_and_is_formatted_once() {
    let mut cluster = content(ring(), 3);
    assert_eq!(cluster.status(PlanKind::Deploy), Status::Complete);
    let names: Vec<&str> = cluster.launched.iter().map(|it| it.name.as_str()).collect();
    let each = |it: u32| [format!("ring-node-{it}-format"), format!("ring-node-{it}")];
    assert_eq!(names, (0..3).flat_map(each).collect::<Vec<_>>(), "one after the other");
    let before = cluster.member("node", 1);
    assert_eq!(before.volumes.len(), 2);
    assert_eq!(before.ports["cql"], 9_042);
    let task = before.run.clone().unwrap().task;
    let info = cluster.tasks[&task].info.clone();
    let command = info.command.unwrap();
    let variable =
        |name: &str| command.environment.iter().find(|it| it.0 == name).unwrap().1.clone();
    assert_eq!(variable("PORT_GOSSIP"), before.ports["gossip"].to_string());
    assert_eq!(variable("NAME"), "node-1");
    assert_eq!(variable("HOLDFAST_FILE_0"), "port: 9042\n");
    assert!(command.value.unwrap().ends_with("\nserve data"));
    cluster.end(&task, TaskState::Failed, "it died");
    cluster.until_content();
    let after = cluster.member("node", 1);
    assert_eq!((&after.volumes, &after.ports), (&before.volumes, &before.ports));
    assert_eq!(cluster.launched.last().unwrap().name, "ring-node-1", "not formatted again");
    assert!(cluster.destroyed.is_empty());
    let agents: BTreeSet<_> = (0..3).map(|it| cluster.member("node", it).agent.unwrap()).collect();
    assert_eq!(agents.len(), 3, "one per agent");
}

#[test]
fn the_file_is_written_by_the_shell_before_the_command() {
    let mut spec = ring();
    let file =
        |path: &str, template: &str| ConfigFile { path: path.into(), template: template.into() };
    spec.pods[0].tasks[1].files = vec![file("conf/it's $HOME.txt", "a 'b' $c\n{{HOST}}\n")];
    spec.pods[0].tasks[1].command =
        "cat 'conf/it'\\''s $HOME.txt'; echo \"[$HOLDFAST_FILE_0]\"".into();
    let cluster = content(spec, 3);
    let run = cluster.member("node", 0).run.unwrap();
    let command = cluster.tasks[&run.task].info.command.clone().unwrap();
    let dir = std::env::temp_dir().join(format!("holdfast-files-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let output = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(command.value.unwrap())
        .envs(command.environment)
        .current_dir(&dir)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a 'b' $c\na0\n[]\n");
}

#[test]
fn a_pod_without_volumes_moves_freely() {
    let mut cluster = content(two_pods(), 3);
    let before = cluster.member("proxy", 0);
    assert!(before.volumes.is_empty() && before.is_ready());
    cluster.end(&before.run.unwrap().task, TaskState::Failed, "it died");
    assert_eq!(cluster.member("proxy", 0).agent, None);
    cluster.until_content();
}

#[test]
fn a_restart_ends_the_task_of_its_intent_and_no_other_whatever_is_forgotten() {
    let mut cluster = content(ring(), 3);
    let before = cluster.member("node", 0);
    let old = before.run.clone().unwrap().task;
    cluster.is_mute = true;
    cluster.ask(Request::Restart("node".into(), Some(0))).unwrap();
    assert_eq!(cluster.killed, std::slice::from_ref(&old));
    cluster.again(ring());
    assert_eq!(
        cluster.killed,
        [old.clone(), old.clone()],
        "the act is repeated, and names the task"
    );
    cluster.is_mute = false;
    cluster.end(&old, TaskState::Killed, "");
    cluster.round();
    cluster.again(ring());
    cluster.until_content();
    assert_eq!(cluster.killed.len(), 2, "the new task is left alone");
    let after = cluster.member("node", 0);
    assert_eq!((after.volumes, after.launches), (before.volumes, before.launches + 1));
    assert_eq!(cluster.status(PlanKind::Restart), Status::Complete);
}

#[test]
fn a_replaced_member_keeps_its_old_claim_until_it_is_released() {
    let mut cluster = content(ring(), 4);
    let before = cluster.member("node", 1);
    cluster.ask(Request::Replace(MemberId::new("node", 1))).unwrap();
    cluster.rounds(20);
    let after = cluster.member("node", 1);
    assert!(after.is_ready() && after.volumes != before.volumes, "{after:?}");
    assert_eq!(after.kept[0].volumes, before.volumes);
    assert!(cluster.destroyed.is_empty(), "nobody said so");
    let plan = cluster.keeper.plan(PlanKind::Replace).unwrap();
    let (key, step) = plan.step_named("node-1:release").unwrap();
    assert!(matches!(step.state, StepState::Begun(_)));
    assert!(cluster.keeper.step_reason(&key).unwrap().contains("release the claim"));
    assert!(cluster.ask(Request::Restart("node".into(), None)).is_err(), "one plan at a time");
    cluster.ask(Request::Release(MemberId::new("node", 1))).unwrap();
    cluster.until_content();
    assert_eq!(cluster.destroyed, before.volumes);
    assert!(cluster.member("node", 1).kept.is_empty());
    assert_eq!(cluster.launched.iter().filter(|it| it.name.ends_with("1-format")).count(), 2);
}

#[test]
fn the_author_says_when_data_have_streamed() {
    let mut cluster = content(ring(), 4);
    cluster.keeper.hooks_mut().release = Some(Verdict::NotYet("it streams".into()));
    cluster.ask(Request::Replace(MemberId::new("node", 1))).unwrap();
    cluster.rounds(20);
    assert!(cluster.destroyed.is_empty());
    cluster.keeper.hooks_mut().release = Some(Verdict::Yes);
    cluster.handle(Input::Poke);
    cluster.until_content();
    assert_eq!(cluster.destroyed.len(), 2);
}

#[test]
fn the_authors_first_one_goes_first_whatever_the_plan_said_when_it_was_made() {
    let mut cluster = content(ring(), 3);
    cluster.keeper.hooks_mut().first = Some(MemberId::new("node", 2));
    let task = |it: &Cluster, index| it.member("node", index).run.unwrap().task;
    let before: Vec<TaskId> = (0..3).map(|it| task(&cluster, it)).collect();
    cluster.ask(Request::Restart("node".into(), None)).unwrap();
    cluster.until_content();
    let order = [2, 1, 0].map(|it: usize| before[it].clone());
    assert_eq!(cluster.killed, order, "it changes places with the one whose turn it was");
    assert_eq!(cluster.status(PlanKind::Restart), Status::Complete);
}

#[test]
fn those_that_are_told_where_a_member_is_are_started_anew_when_it_was_replaced_if_need_be() {
    let mut cluster = content(ring(), 4);
    let of = |it| MemberId::new("node", it);
    let hooks = cluster.keeper.hooks_mut();
    (hooks.told, hooks.needless) = (vec![of(0), of(2)], Some(of(2)));
    hooks.release = Some(Verdict::Yes);
    let told = cluster.member("node", 0).run.unwrap().task;
    let knows = cluster.member("node", 2).run;
    let would = cluster.ask(Request::Preview(Box::new(Request::Replace(of(1))))).unwrap();
    assert!(cluster.killed.is_empty() && cluster.keeper.state().plan.is_none(), "only shown");
    let answer = cluster.ask(Request::Replace(of(1))).unwrap();
    let steps =
        ["node-1:stop", "node-1:place", "node-0:restart", "node-2:restart", "node-1:release"];
    assert_eq!(
        (answer.steps.as_slice(), would.steps),
        (&steps.map(String::from)[..], answer.steps.clone())
    );
    cluster.until_content();
    assert_eq!(cluster.killed[1..], [told]);
    assert_eq!(cluster.member("node", 2).run, knows, "it was not needed");
}

#[test]
fn a_member_is_not_placed_on_the_disk_that_it_has_left_unless_there_is_no_other() {
    let mut cluster = content(ring(), 4);
    let left = cluster.member("node", 1).agent;
    cluster.keeper.hooks_mut().release = Some(Verdict::Yes);
    cluster.ask(Request::Replace(MemberId::new("node", 1))).unwrap();
    cluster.until_content();
    assert_ne!(cluster.member("node", 1).agent, left);
    let mut alone = content(ring(), 3);
    let before = alone.member("node", 1);
    alone.ask(Request::Replace(MemberId::new("node", 1))).unwrap();
    alone.rounds(3);
    let waits = alone.keeper.state().waits;
    assert!(waits[0].1.contains("only when no other has room"), "{waits:?}");
    alone.rounds(20);
    let after = alone.member("node", 1);
    assert!(after.is_ready() && after.agent == before.agent && after.volumes != before.volumes);
    assert!(alone.log.iter().any(|it| it.contains("no other with room was offered")));
}

#[test]
fn what_a_request_would_do_is_told_and_not_done() {
    let mut cluster = content(ring(), 4);
    let preview = |request| Request::Preview(Box::new(request));
    let id = MemberId::new("node", 1);
    for (request, first) in [
        (Request::Restart("node".into(), None), "node-0:restart"),
        (Request::ScaleIn("node".into(), 2), "node-2:leave"),
        (Request::Uninstall { is_release: false }, "node-2:stop"),
    ] {
        assert_eq!(cluster.ask(preview(request)).unwrap().steps[0], first);
    }
    assert!(cluster.ask(preview(Request::Release(id.clone()))).is_err(), "nothing is kept");
    assert!(cluster.ask(preview(Request::Adopt)).is_err());
    assert!(cluster.keeper.is_content() && cluster.killed.is_empty());
    cluster.ask(Request::Replace(id.clone())).unwrap();
    cluster.rounds(20);
    let steps = cluster.ask(preview(Request::Release(id))).unwrap().steps;
    assert_eq!(steps[0], "node-1: volume ring-node-1-0-1 at a1 is destroyed");
    cluster.rounds(5);
    assert!(cluster.destroyed.is_empty());
}

#[test]
fn a_member_that_leaves_is_stopped_by_the_hooks_word_and_its_names_are_not_given_again() {
    let mut cluster = content(ring(), 3);
    let last = cluster.member("node", 2);
    let leave = |it| BTreeMap::from([("leave".to_owned(), it)]);
    cluster.keeper.hooks_mut().observed = leave(Observation::NotBegun);
    cluster.ask(Request::ScaleIn("node".into(), 2)).unwrap();
    assert_eq!(cluster.keeper.hooks().begun, ["node-2:leave"]);
    assert!(cluster.killed.is_empty(), "it streams away first");
    cluster.keeper.hooks_mut().observed = leave(Observation::Unknown("no answer".into()));
    cluster.round();
    assert!(matches!(cluster.status(PlanKind::Decommission), Status::Error(_)), "unknown asks");
    cluster.keeper.hooks_mut().observed = leave(Observation::Done);
    cluster.rounds(3);
    assert_eq!(cluster.killed, [last.run.unwrap().task]);
    cluster.ask(Request::Release(MemberId::new("node", 2))).unwrap();
    cluster.until_content();
    assert_eq!(cluster.destroyed, last.volumes);
    assert_eq!(cluster.keeper.spec().pods[0].count, 2);
    cluster.ask(Request::Spec { spec: Box::new(ring()), is_preview: false }).unwrap();
    cluster.until_content();
    assert_ne!(cluster.member("node", 2).volumes, last.volumes);
    assert_eq!(cluster.status(PlanKind::Scale), Status::Complete);
}

fn changed(command: &str) -> Box<ServiceSpec> {
    let mut spec = ring();
    spec.pods[0].tasks[1].command = command.to_owned();
    Box::new(spec)
}

#[test]
fn an_update_goes_one_after_the_other_and_a_bad_one_stops_and_is_taken_back() {
    let mut cluster = content(ring(), 3);
    let preview = Request::Spec { spec: changed("serve worse"), is_preview: true };
    let answer = cluster.ask(preview).unwrap();
    assert_eq!(answer.steps, ["node-0:update", "node-1:update", "node-2:update"]);
    assert_eq!(answer.differences.len(), 1);
    assert!(cluster.keeper.is_content(), "nothing was done");
    cluster.bad = Some("worse");
    cluster.ask(Request::Spec { spec: changed("serve worse"), is_preview: false }).unwrap();
    cluster.rounds(40);
    let Status::Error(why) = cluster.status(PlanKind::Update) else { panic!("it goes on") };
    assert!(why.contains("node-0:update") && why.contains("it is bad"), "{why}");
    assert_eq!(cluster.killed.len(), 1, "the others are left alone");
    cluster.ask(Request::Spec { spec: Box::new(ring()), is_preview: false }).unwrap();
    cluster.until_content();
    assert_eq!(cluster.killed.len(), 1, "only the bad one is started anew");
    assert_eq!(cluster.keeper.ledger.service.specs.len(), 1, "old specs are dropped");
}

#[test]
fn a_canary_waits_for_somebody_and_its_step_may_be_forced() {
    let mut spec = ring();
    spec.pods[0].strategy = Strategy::Canary(1);
    let mut cluster = content(spec.clone(), 3);
    spec.pods[0].tasks[1].command = "serve better".into();
    cluster.ask(Request::Spec { spec: Box::new(spec), is_preview: false }).unwrap();
    cluster.rounds(10);
    assert_eq!(cluster.status(PlanKind::Update), Status::Waiting);
    assert_eq!(cluster.killed.len(), 1);
    assert!(cluster.ask(Request::Retry(PlanKind::Update, "node-1:update".into())).is_err());
    cluster.ask(Request::ForceComplete(PlanKind::Update, "node-2:update".into())).unwrap();
    cluster.ask(Request::Resume(PlanKind::Update)).unwrap();
    cluster.until_content();
    assert_eq!(cluster.killed.len(), 2);
    let plan = cluster.keeper.plan(PlanKind::Update).unwrap();
    let StepState::Forced(by) = &plan.step_named("node-2:update").unwrap().1.state else {
        panic!()
    };
    assert_eq!(by.by, "ann");
}

#[test]
fn no_second_member_is_taken_down_while_one_is() {
    let mut cluster = content(ring(), 3);
    let down = cluster.member("node", 2).run.unwrap().task;
    cluster.bad = Some("serve");
    cluster.end(&down, TaskState::Failed, "it died");
    cluster.ask(Request::Restart("node".into(), Some(0))).unwrap();
    assert!(cluster.killed.is_empty());
    let plan = cluster.keeper.plan(PlanKind::Restart).unwrap();
    let (key, _) = plan.step_named("node-0:restart").unwrap();
    assert!(cluster.keeper.step_reason(&key).unwrap().contains("node-2 is not ready"));
}

#[test]
fn a_change_that_is_unsafe_is_refused_at_the_start_and_the_old_spec_stays() {
    let mut cluster = content(ring(), 3);
    let mut spec = ring();
    spec.pods[0].count = 2;
    cluster.again(spec);
    assert_eq!(cluster.keeper.spec(), &ring());
    assert_eq!(cluster.keeper.state().refused[0].path, "pods.node.count");
}

#[test]
fn an_empty_ledger_beside_volumes_of_its_name_stops_and_asks() {
    let mut old = content(ring(), 3);
    let found: Vec<FoundVolume> = (0..3)
        .flat_map(|it| {
            let member = old.member("node", it);
            let agent = member.agent.unwrap();
            member.volumes.into_iter().map(move |volume| FoundVolume {
                agent: agent.clone(),
                volume,
                framework: None,
            })
        })
        .collect();
    for task in old.tasks.keys().cloned().collect::<Vec<_>>() {
        old.end(&task, TaskState::Killed, "");
    }
    let begin = |lost| {
        let mut cluster = Cluster::with(ring(), lost, KeeperLedger::default(), 0);
        cluster.free = old.free.clone();
        cluster.rounds(2);
        assert!(cluster.asked_found && cluster.launched.is_empty(), "it waits for the answer");
        cluster.handle(Input::Found(found.clone()));
        cluster
    };
    let mut cluster = begin(Lost::Ask);
    cluster.rounds(5);
    assert!(cluster.launched.is_empty() && !cluster.keeper.is_content());
    assert_eq!(cluster.keeper.state().found.len(), 6);
    cluster.ask(Request::Adopt).unwrap();
    cluster.until_content();
    for it in 0..3 {
        let (new, old) = (cluster.member("node", it), old.member("node", it));
        assert_eq!((new.volumes, new.hostname), (old.volumes, old.hostname));
        assert_eq!(
            new.note,
            format!("node-{it}").into_bytes(),
            "the author knows that it is adopted"
        );
    }
    assert!(cluster.launched.iter().all(|it| !it.name.ends_with("-format")), "data are kept");
    let mut cluster = begin(Lost::Ask);
    cluster.ask(Request::New).unwrap();
    cluster.until_content();
    assert_ne!(cluster.member("node", 0).volumes, old.member("node", 0).volumes);
    let mut cluster = begin(Lost::Adopt);
    cluster.until_content();
    assert_eq!(cluster.member("node", 2).volumes, old.member("node", 2).volumes);
    let mut cluster = Cluster::with(ring(), Lost::Ask, KeeperLedger::default(), 3);
    cluster.handle(Input::Found(Vec::new()));
    cluster.until_content();
}

#[test]
fn volumes_of_members_without_pods_are_neither_adopted_nor_stepped_beside() {
    let mut cluster = Cluster::with(ring(), Lost::Adopt, KeeperLedger::default(), 3);
    let agent = AgentId::made("a0".to_owned());
    let volume = PersistenceId::made("ring-2-1".to_owned());
    cluster.handle(Input::Found(vec![FoundVolume { agent, volume, framework: None }]));
    cluster.rounds(5);
    assert!(cluster.launched.is_empty() && !cluster.keeper.is_content());
    let Err(Refused::Conflict(why)) = cluster.ask(Request::Adopt) else { panic!("it is taken") };
    assert!(why.contains("ring-2-1 is the volume of a service of members without pods"), "{why}");
    cluster.ask(Request::New).unwrap();
    cluster.until_content();
}

#[test]
fn a_ledger_that_is_older_than_a_volume_of_its_members_claims_nothing_beside_it() {
    let mut cluster = Cluster::with(ring(), Lost::Ask, KeeperLedger::default(), 3);
    cluster.handle(Input::Found(Vec::new()));
    let disk = Resource::scalar("disk", Scalar::whole(100)).allocated_to(&role());
    let reserved = place::reservation(&ring(), &MemberId::new("node", 0), &role());
    let name = PersistenceId::made("ring-node-0-0-3".to_owned());
    let volume = disk.reserved(reserved).volume(name, "data", None);
    cluster.free.get_mut("a0").unwrap().add(&volume);
    cluster.rounds(5);
    assert!(cluster.launched.is_empty());
    let waits = cluster.keeper.state().waits;
    assert!(waits[0].1.contains("ring-node-0-0-3"), "{waits:?}");
}

#[test]
fn a_member_whose_agent_is_lost_is_not_started_a_second_time() {
    let mut spec = ring();
    spec.pods[0].recovery = crate::spec::Recovery::ReplaceAfter(30_000);
    let mut cluster = content(spec, 4);
    let old = cluster.member("node", 0).run.unwrap().task;
    cluster.say(&old, TaskState::Unreachable);
    let launched = cluster.launched.len();
    let mute = |cluster: &mut Cluster| {
        cluster.now = cluster.now.plus_ms(20_000);
        cluster.handle(Input::Tick);
    };
    mute(&mut cluster);
    assert!(cluster.keeper.plan(PlanKind::Recover).is_none());
    (0..4).for_each(|_| mute(&mut cluster));
    let plan = cluster.keeper.plan(PlanKind::Recover).unwrap();
    let (key, _) = plan.step_named("node-0:stop").unwrap();
    assert!(cluster.keeper.step_reason(&key).unwrap().contains("cannot be reached"));
    assert_eq!(cluster.launched.len(), launched, "the old one may run");
    cluster.tasks.remove(&old);
    cluster.say(&old, TaskState::GoneByOperator);
    cluster.keeper.hooks_mut().release = Some(Verdict::Yes);
    cluster.rounds(20);
    assert!(cluster.member("node", 0).is_ready());
}

#[test]
fn members_are_spread_and_kept_apart() {
    let mut spec = two_pods();
    spec.pods[0].placement.spread_over = Some(Attribute::Hostname);
    spec.pods[1].placement.not_near = vec!["node".into()];
    let cluster = content(spec, 4);
    let proxy = cluster.member("proxy", 0).agent;
    assert!((0..3).all(|it| cluster.member("node", it).agent != proxy));
    let mut alone = Cluster::new(ring(), 1);
    alone.rounds(10);
    let waits = alone.keeper.state().waits;
    assert!(!waits.is_empty());
    let offers: Vec<&OfferView> = alone.keeper.offers().collect();
    assert!(offers.len() <= OFFERS_MAX);
    assert!(offers.last().unwrap().why_not[0].contains("1 members of the pod already"));
}

#[test]
fn what_cannot_be_rendered_keeps_a_member_from_starting_with_the_reason() {
    let mut spec = ring();
    spec.pods[0].tasks[0].files =
        vec![ConfigFile { path: "c".into(), template: "{{NOBODY}}".into() }];
    let mut cluster = Cluster::new(spec, 3);
    cluster.rounds(3);
    assert!(cluster.launched.is_empty());
    let waits = cluster.keeper.state().waits;
    assert!(waits[0].1.contains("`{{NOBODY}}`"), "{waits:?}");
}

#[test]
fn a_start_with_the_same_spec_takes_nothing_back() {
    let mut cluster = content(ring(), 3);
    cluster.ask(Request::Spec { spec: changed("serve better"), is_preview: false }).unwrap();
    cluster.until_content();
    cluster.again(ring());
    cluster.until_content();
    assert_eq!(cluster.keeper.spec(), &*changed("serve better"));
    cluster.again(*changed("serve best"));
    cluster.until_content();
    assert_eq!(cluster.keeper.spec(), &*changed("serve best"));
}

#[test]
fn a_member_that_brings_its_own_executor_is_spoken_to_and_its_executor_ends_with_it() {
    let mut cluster = Cluster::new(ring(), 3);
    cluster.keeper.hooks_mut().is_own = true;
    cluster.until_content();
    let task = cluster.member("node", 0).run.unwrap().task;
    let info = cluster.tasks[&task].info.clone();
    let executor = info.executor.expect("it has an executor of its own");
    assert_eq!((executor.id.as_str(), info.command), (task.as_str(), None));
    assert!(executor.command.unwrap().value.unwrap().ends_with("\nserve data"));
    let words = (MemberId::new("node", 0), b"hello".to_vec());
    let nobody = (MemberId::new("node", 7), b"hello".to_vec());
    cluster.keeper.hooks_mut().words = vec![words, nobody];
    cluster.handle(Input::Poke);
    assert_eq!(cluster.spoken_to, [(task.to_string(), Some(b"hello".to_vec()))]);
    cluster.handle(Input::Poke);
    assert_eq!(cluster.spoken_to.len(), 1, "it is said once");
    cluster.end(&task, TaskState::Failed, "it died");
    assert_eq!(cluster.spoken_to[1], (task.to_string(), None), "it would hold the volumes");
}

#[test]
fn a_plan_that_adds_members_ends_with_what_the_author_has_the_others_do() {
    let mut cluster = Cluster::new(ring(), 4);
    cluster.keeper.hooks_mut().is_own = true;
    cluster.until_content();
    let mut spec = ring();
    spec.pods[0].count = 4;
    let answer = cluster.ask(Request::Spec { spec: Box::new(spec), is_preview: false }).unwrap();
    let steps = ["node-3:launch", "node-0:tidy", "node-1:tidy", "node-2:tidy"];
    assert_eq!(answer.steps, steps);
    cluster.until_content();
    assert_eq!(cluster.status(PlanKind::Scale), Status::Complete);
}

#[test]
fn what_the_author_refuses_of_a_spec_is_not_put_in_force() {
    let mut cluster = content(ring(), 3);
    let refusal = crate::spec::Refusal {
        path: "pods.node.tasks.server.command".into(),
        why: "it is frozen".into(),
        instead: "leave it".into(),
    };
    cluster.keeper.hooks_mut().refused = vec![refusal.clone()];
    let asked = Request::Spec { spec: changed("serve better"), is_preview: false };
    assert_eq!(cluster.ask(asked), Err(Refused::Change(vec![refusal.clone()])));
    let fewer = cluster.ask(Request::ScaleIn("node".into(), 2));
    assert_eq!(fewer, Err(Refused::Change(vec![refusal])), "fewer members are another spec, too");
    assert_eq!(cluster.keeper.spec(), &ring());
}

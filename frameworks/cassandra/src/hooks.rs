//! What a ring decides beside its spec: who is told what, who may join or be disturbed now, and when a step is done.
//!
//! Hooks answer from what is known: the notes in the ledger, what executors have said, and what [`Watch`] saw of the ring. What is not known
//! is waited for, and what an executor cannot say is asked of a person.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_sdk::plans::{Act as StepAct, PlanKind, Step, StepState};
use holdfast_sdk::pods::{
    Hooks, KeptClaim, MemberId, Observation, PodMember, ServiceView, Target, Verdict,
};
use holdfast_sdk::spec::{Refusal, ServiceSpec, TaskSpec};

use crate::leaving::may_leave;
use crate::marker::{Memory, Note, ADOPTED};
use crate::node::NOTE_VARIABLE;
use crate::orders::{to_text, Act, Order, Progress, Report};
use crate::seeds::{seeds, Peer, Seeds};
use crate::settings::Settings;
use crate::spec::{quoted, settings_of, POD};
use crate::topology::Census;
use crate::watch::{Question, Watch};

/// An order that was given, and to which task's executor.
#[derive(Clone, Debug)]
struct Given {
    order: Order,
    task: String,
    progress: Option<Progress>,
}

#[derive(Debug, Default)]
struct Soft {
    given: BTreeMap<MemberId, Given>,
    words: Vec<(MemberId, Vec<u8>)>,
}

/// The hooks of a ring.
#[derive(Debug)]
pub struct Ring {
    watch: Watch,
    soft: Mutex<Soft>,
}

/// What is known of a member.
fn memory(member: &PodMember) -> Memory {
    // What cannot be read is refused at the scheduler's start, and by the node.
    Memory::read(&member.note).unwrap_or_default()
}

/// The note of a member on the volume that it has now.
fn note(member: &PodMember) -> Option<Note> {
    match memory(member) {
        Memory::Joined(note) if claim(member) == note.claim && !note.left => Some(*note),
        _ => None,
    }
}

/// The node that a member was on an earlier volume, and whose place in the ring it has to take.
fn replaced(member: &PodMember) -> Option<Note> {
    match memory(member) {
        Memory::Joined(note) if claim(member) != note.claim && !note.left => Some(*note),
        _ => None,
    }
}

fn claim(member: &PodMember) -> &str {
    member.volumes.first().map(|it| it.as_str()).unwrap_or_default()
}

fn members<'a>(service: &ServiceView<'a>) -> impl Iterator<Item = &'a PodMember> {
    service.ledger.members.values().filter(|it| it.id.pod == POD)
}

/// The nodes that have joined, but for those whose place another one is to take.
fn peers(service: &ServiceView<'_>) -> Vec<Peer> {
    let peer = |member: &PodMember| {
        let note = note(member)?;
        let address = note.address.parse().ok()?;
        Some(Peer { member: member.id.index, address, rack: note.frozen.rack })
    };
    members(service).filter_map(peer).collect()
}

/// The plan that is under way.
fn active(service: &ServiceView<'_>) -> Option<(PlanKind, u64)> {
    let plan = service.ledger.plans.values().find(|it| !it.is_over())?;
    Some((plan.head.kind, plan.head.serial))
}

fn settings(service: &ServiceView<'_>) -> Result<Settings, String> {
    settings_of(service.spec)
}

impl Ring {
    /// Hooks that look at the ring by this watch.
    pub fn new(watch: Watch) -> Ring {
        Ring { watch, soft: Mutex::default() }
    }

    fn soft(&self) -> MutexGuard<'_, Soft> {
        self.soft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ring is calm but for these nodes, as a look says that began after this was first asked for; why not.
    fn calm(
        &self,
        service: &ServiceView<'_>,
        key: String,
        but: Vec<IpAddr>,
    ) -> Result<Census, String> {
        let port = settings(service)?.native_transport_port;
        let known = peers(service).into_iter().map(|it| it.address);
        let seeds = known.filter(|it| !but.contains(it)).collect();
        match self.watch.ask(Question { key, seeds, port, but }) {
            Some(Ok(census)) => Ok(census),
            Some(Err(why)) => Err(format!("the ring is not calm: {why}")),
            None => Err("the ring is being looked at".to_owned()),
        }
    }

    fn once_calm(&self, service: &ServiceView<'_>, key: String, but: Vec<IpAddr>) -> Verdict {
        self.calm(service, key, but).map_or_else(Verdict::NotYet, |_| Verdict::Yes)
    }

    /// Whether a node may join, or take the place of another one.
    fn may_join(&self, service: &ServiceView<'_>, member: &PodMember) -> Verdict {
        let unknown =
            members(service).find(|it| it.id != member.id && memory(it) == Memory::Adopted);
        if let Some(it) = unknown {
            return Verdict::NotYet(format!(
                "{} was adopted, and has not said yet who it is",
                it.id
            ));
        }
        let key = format!("start {} {}", member.id, member.launches);
        let Some(old) = replaced(member) else {
            if peers(service).is_empty() {
                return first(service, member);
            }
            return self.once_calm(service, key, Vec::new());
        };
        let rack = settings(service).ok().and_then(|it| it.rack_attribute);
        let rack = rack.map(|name| member.attribute(&name).unwrap_or_default().to_owned());
        if let Some(rack) = rack.filter(|it| *it != old.frozen.rack) {
            return Verdict::NotYet(format!(
                "it takes the place of a node in rack {}, and this agent is in rack {rack}",
                old.frozen.rack
            ));
        }
        match may_replace(service, member, &old) {
            Err(why) => Verdict::Ask(why),
            Ok(address) => self.once_calm(service, key, vec![address]),
        }
    }

    /// Whether a member may be stopped, or have something done beside it, now.
    fn may_disturb(&self, service: &ServiceView<'_>, step: &Step, member: &PodMember) -> Verdict {
        match (member.is_ready(), &step.act) {
            (true, _) => self.once_calm(service, format!("before {}", step.name()), Vec::new()),
            (false, StepAct::Hook(_)) => Verdict::NotYet("it is not up".to_owned()),
            // Who is down already takes nothing away from the ring, and may be so by a wrong setting.
            (false, _) => Verdict::Yes,
        }
    }

    fn may_leave(&self, service: &ServiceView<'_>, step: &Step, member: &PodMember) -> Verdict {
        let Some(note) = note(member).filter(|_| member.is_ready()) else {
            return Verdict::NotYet("it does not run, so that it cannot give its data to the others; bring it back first".to_owned());
        };
        let census = match self.calm(service, format!("before {}", step.name()), Vec::new()) {
            Ok(census) => census,
            Err(why) => return Verdict::NotYet(why),
        };
        let disk_mb = service.spec.pod(POD).and_then(|it| it.volumes.first()).map(|it| it.size_mb);
        match may_leave(&census, &note.joined.host_id, disk_mb.unwrap_or(0)) {
            Ok(()) => Verdict::Yes,
            Err(why) => Verdict::Ask(why.to_string()),
        }
    }

    /// How far a member that was started has come.
    fn launched(&self, service: &ServiceView<'_>, step: &Step, member: &PodMember) -> Observation {
        if note(member).is_none() {
            return Observation::Running("it has not said that it has joined".to_owned());
        }
        // While a ring is brought back node by node, the others are down on purpose.
        let waits = |it: &PodMember| it.target == Target::Stopped && it.has_claim();
        if step.act == StepAct::Launch && members(service).any(waits) {
            return Observation::Done;
        }
        self.calm_after(service, step, member)
    }

    fn calm_after(
        &self,
        service: &ServiceView<'_>,
        step: &Step,
        member: &PodMember,
    ) -> Observation {
        let task = member.run.as_ref().map(|it| it.task.to_string()).unwrap_or_default();
        let key = format!("after {} {task}", step.name());
        match self.calm(service, key, Vec::new()) {
            Ok(_) => Observation::Done,
            Err(why) => Observation::Running(why),
        }
    }

    /// How far an order has come, as the executor that runs it has said. One that another executor was given may be given anew: that
    /// asks the node first how it stands.
    fn ordered(
        &self,
        service: &ServiceView<'_>,
        step: &Step,
        member: &PodMember,
        act: Act,
    ) -> Observation {
        if act == Act::Leave && matches!(memory(member), Memory::Joined(it) if it.left) {
            return Observation::Done;
        }
        let Some(run) = &member.run else {
            return Observation::Running("it does not run".to_owned());
        };
        let (kind, serial) = active(service).unwrap_or((PlanKind::Repair, 0));
        let tried = step.retried.as_ref().map_or(0, |it| it.at.0);
        let order = format!("{kind}-{serial}/{}/{tried}", step.name());
        let backup = backup_of(service).filter(|_| matches!(act, Act::Backup | Act::Restore));
        let order = Order { order, act, backup };
        let task = run.task.to_string();
        let mut soft = self.soft();
        let given = soft.given.get(&member.id);
        let same = given.filter(|it| it.order == order && it.task == task);
        match same.and_then(|it| it.progress.as_ref()) {
            Some(Progress::Running) => Observation::Running(format!("{} is under way", act.name())),
            Some(Progress::Done) if act == Act::Leave => {
                Observation::Running("it has not said that it has left".to_owned())
            }
            Some(Progress::Done) => Observation::Done,
            Some(Progress::Failed(why)) => Observation::Unknown(why.clone()),
            // A node that leaves is not ready any more: whether it was told does not depend on that.
            None if !member.is_ready() => Observation::Running("it is not up".to_owned()),
            None => {
                soft.given.insert(member.id.clone(), Given { order, task, progress: None });
                Observation::NotBegun
            }
        }
    }
}

/// The name of the last backup: when it was asked for.
fn backup_of(service: &ServiceView<'_>) -> Option<String> {
    let plan = service.ledger.plans.get(&PlanKind::Backup)?;
    Some(format!("backup-{}", plan.head.asked.at.0))
}

/// Whether the last backup is good: every step of it was seen to be done.
fn is_backed_up(service: &ServiceView<'_>) -> bool {
    let plan = service.ledger.plans.get(&PlanKind::Backup);
    plan.is_some_and(|it| {
        it.head.ended.is_none() && it.steps.iter().flatten().all(|it| it.state == StepState::Done)
    })
}

/// The first node of a new cluster is its own seed. Whoever finds no other node, and is not surely that, would begin another ring.
fn first(service: &ServiceView<'_>, member: &PodMember) -> Verdict {
    let other =
        members(service).find(|it| it.id != member.id && (it.has_claim() || 0 < it.attempts));
    match (member.id.index, other) {
        (0, None) => Verdict::Yes,
        (_, Some(other)) => Verdict::Ask(format!(
            "no node is known to have joined, and {} has or had a volume: started here it would begin another ring; bring that node back first",
            other.id
        )),
        (_, None) => Verdict::NotYet("node-0 has not joined".to_owned()),
    }
}

/// The address of the node whose place a member takes, if it may.
fn may_replace(
    service: &ServiceView<'_>,
    member: &PodMember,
    old: &Note,
) -> Result<IpAddr, String> {
    let others = peers(service).into_iter().filter(|it| it.member != member.id.index);
    let others: Vec<Peer> = others.collect();
    if others.is_empty() {
        return Err(
            "no other node has joined, so that nobody has its data; bring its old volume back"
                .to_owned(),
        );
    }
    let address =
        old.address.parse().map_err(|_| format!("{}: that is no address", old.address))?;
    match others.iter().find(|it| it.address == address) {
        Some(it) => Err(format!(
            "its old address {address} is that of node-{} now, which would be replaced in its place",
            it.member
        )),
        None => Ok(address),
    }
}

impl Hooks for Ring {
    fn is_executor(&self, _member: &PodMember, _task: &TaskSpec) -> bool {
        true
    }

    fn adopted(&self, _member: &PodMember) -> Vec<u8> {
        ADOPTED.as_bytes().to_vec()
    }

    fn task(&self, service: &ServiceView<'_>, member: &PodMember, task: TaskSpec) -> TaskSpec {
        let has_joined = note(member).is_some();
        let mut words =
            vec![format!("--member={}", member.id.index), format!("--claim={}", claim(member))];
        let peers = peers(service);
        match seeds(&peers, member.id.index, has_joined) {
            Seeds::First if memory(member) == Memory::Nothing => words.push("--first".to_owned()),
            Seeds::Of(seeds) => {
                let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
                words.push(format!("--seeds={}", seeds.join(",")));
            }
            // The node refuses to join without, and says so.
            Seeds::First | Seeds::Nobody => {}
        }
        let racks: BTreeSet<&String> = peers.iter().map(|it| &it.rack).collect();
        words.push(format!("--ring-racks={}", racks.len()));
        if let Some(old) = replaced(member) {
            words.push(format!("--replace={}", old.address));
        }
        let words: Vec<String> = words.iter().map(|it| quoted(it)).collect();
        let command = format!("{} {}", task.command, words.join(" "));
        // A node that begins on a new volume must find nothing there, whoever the member was before.
        let told: &[u8] = match memory(member) {
            Memory::Joined(_) if !has_joined => b"",
            // What cannot be read goes to the node as it is, which refuses it.
            _ => &member.note,
        };
        let told = String::from_utf8_lossy(told).replace("{{", "{{{{");
        let mut environment = task.environment.clone();
        environment.push((NOTE_VARIABLE.to_owned(), told));
        TaskSpec { command, environment, ..task }
    }

    /// Who has joined is remembered before anything else happens; what is remembered goes forward only.
    fn heard(&mut self, member: &PodMember, data: &[u8]) -> Option<Vec<u8>> {
        if let Ok(report) = serde_json::from_slice::<Report>(data) {
            let mut soft = self.soft();
            let given = soft.given.get_mut(&member.id).filter(|it| it.order.order == report.order);
            if let Some(given) = given {
                given.progress = Some(report.progress);
            }
            return None;
        }
        let said = Note::read(data).ok()?;
        if said.member != member.id.index || said.claim != claim(member) {
            return None;
        }
        let is_news = match Memory::read(&member.note) {
            Ok(Memory::Nothing | Memory::Adopted) => true,
            Ok(Memory::Joined(note)) if note.claim != said.claim => true,
            Ok(Memory::Joined(note)) => {
                return note.gives_way_to(&said).then(|| data.to_owned());
            }
            Err(_) => false,
        };
        if is_news {
            let frozen = &said.frozen;
            tracing::info!(
                "{} joined `{}` as host {} at {} in {}/{}",
                member.id,
                frozen.cluster_name,
                said.joined.host_id,
                said.address,
                frozen.dc,
                frozen.rack
            );
        }
        is_news.then(|| data.to_owned())
    }

    fn say(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        std::mem::take(&mut self.soft().words)
    }

    fn may_start(
        &self,
        service: &ServiceView<'_>,
        member: &PodMember,
        _task: &TaskSpec,
    ) -> Verdict {
        match Memory::read(&member.note) {
            Err(why) => Verdict::Ask(format!("its note in the ledger cannot be read: {why}")),
            Ok(Memory::Adopted) => Verdict::Yes,
            Ok(_) if note(member).is_some() => Verdict::Yes,
            Ok(_) => self.may_join(service, member),
        }
    }

    fn may_begin(&self, service: &ServiceView<'_>, step: &Step) -> Verdict {
        let plan = active(service).map(|it| it.0);
        if plan == Some(PlanKind::Uninstall) {
            return Verdict::Yes;
        }
        let key = format!("before {}", step.name());
        let Some(member) = service.member(&step.member) else {
            // It is new: one joins at a time, while all others are well.
            return match peers(service).is_empty() {
                true => Verdict::Yes,
                false => self.once_calm(service, key, Vec::new()),
            };
        };
        match &step.act {
            StepAct::Release | StepAct::GiveUp => Verdict::Yes,
            StepAct::Launch if member.has_claim() || peers(service).is_empty() => Verdict::Yes,
            StepAct::Launch => self.once_calm(service, key, Vec::new()),
            StepAct::Stop if plan == Some(PlanKind::Decommission) => Verdict::Yes,
            StepAct::Stop | StepAct::Place => match note(member) {
                None => Verdict::Yes,
                Some(old) => match may_replace(service, member, &old) {
                    Err(why) => Verdict::Ask(why),
                    Ok(address) => self.once_calm(service, key, vec![address]),
                },
            },
            StepAct::Update | StepAct::Restart => self.may_disturb(service, step, member),
            StepAct::Hook(name) => match Act::of_name(name) {
                Some(Act::Leave) => self.may_leave(service, step, member),
                Some(_) => self.may_disturb(service, step, member),
                None => Verdict::Ask(format!("nobody knows how to {name}")),
            },
        }
    }

    fn begin(&mut self, step: &Step) {
        let mut soft = self.soft();
        let order = soft.given.get(&step.member).map(|it| to_text(&it.order));
        soft.words.extend(order.map(|it| (step.member.clone(), it.into_bytes())));
    }

    fn observe(&self, service: &ServiceView<'_>, step: &Step) -> Observation {
        let Some(member) = service.member(&step.member) else { return Observation::NotBegun };
        match &step.act {
            StepAct::Launch | StepAct::Place => self.launched(service, step, member),
            StepAct::Update | StepAct::Restart => self.calm_after(service, step, member),
            StepAct::Stop | StepAct::Release | StepAct::GiveUp => Observation::Done,
            StepAct::Hook(name) => match Act::of_name(name) {
                Some(act) => self.ordered(service, step, member, act),
                None => Observation::Unknown(format!("nobody knows how to {name}")),
            },
        }
    }

    fn may_release(
        &self,
        _service: &ServiceView<'_>,
        member: &PodMember,
        kept: &KeptClaim,
    ) -> Verdict {
        match memory(member) {
            // The others have its data, as the node itself has said.
            Memory::Joined(it)
                if it.left && kept.volumes.iter().any(|id| id.as_str() == it.claim) =>
            {
                Verdict::Yes
            }
            _ => Verdict::Ask(
                "what is written there is in the other copies, if its keyspaces have any"
                    .to_owned(),
            ),
        }
    }

    fn steps(&self, service: &ServiceView<'_>, plan: PlanKind) -> Vec<(MemberId, String)> {
        let has_place = settings(service).is_ok_and(|it| it.backup_dir.is_some());
        let act = match plan {
            PlanKind::Repair => Act::Repair,
            PlanKind::Backup if has_place => Act::Backup,
            PlanKind::Restore if has_place && is_backed_up(service) => Act::Restore,
            _ => return Vec::new(),
        };
        let all = members(service).filter(|it| it.target == Target::Up && note(it).is_some());
        all.map(|it| (it.id.clone(), act.name().to_owned())).collect()
    }

    /// What the new nodes have taken over is dropped by those that had it.
    fn afterwards(
        &self,
        service: &ServiceView<'_>,
        _plan: PlanKind,
        added: &[MemberId],
    ) -> Vec<(MemberId, String)> {
        let there =
            members(service).filter(|it| it.target == Target::Up && !added.contains(&it.id));
        let there: Vec<_> = there.map(|it| (it.id.clone(), Act::Cleanup.name().into())).collect();
        if added.is_empty() {
            return Vec::new();
        }
        there
    }

    fn refuses(&self, service: &ServiceView<'_>, new: &ServiceSpec) -> Vec<Refusal> {
        let path = "pods.node.tasks.server.command".to_owned();
        let settings = match settings_of(new) {
            Ok(settings) => settings,
            Err(why) => {
                let instead = "start the scheduler with other options".to_owned();
                return vec![Refusal { path, why, instead }];
            }
        };
        let frozen = members(service).find_map(|it| thawed(&settings, it));
        let sizes = settings.sizes().err().map(|it| it.to_string());
        let refused = frozen.or(sizes);
        let instead = "set it back".to_owned();
        refused.map(|why| Refusal { path, why, instead }).into_iter().collect()
    }
}

/// The setting that was frozen when this member joined, and is another one now.
pub fn thawed(settings: &Settings, member: &PodMember) -> Option<String> {
    let note = match Memory::read(&member.note) {
        Ok(Memory::Joined(note)) if !note.left => note,
        Ok(_) => return None,
        Err(why) => {
            return Some(format!("what the ledger says of {} cannot be read: {why}", member.id))
        }
    };
    // The rack is its agent's; the node compares it itself.
    let wanted = settings.frozen(&note.frozen.rack);
    let (setting, old, new) = note.frozen.difference(&wanted)?;
    Some(format!(
        "{setting} was `{old}` when {} joined and is `{new}` now; it cannot be changed on nodes that have data",
        member.id
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use holdfast_sdk::model::{AgentId, Instant, PersistenceId, TaskId};
    use holdfast_sdk::net::News;
    use holdfast_sdk::plans::{Plan, PlanHead, Signed};
    use holdfast_sdk::pods::{Fate, PodRun, ServiceLedger};

    use super::*;
    use crate::marker::tests::joined_marker;
    use crate::prepare;
    use crate::settings::tests::settings as settings_given;
    use crate::spec::service_spec;
    use crate::spec::tests::frame;
    use crate::topology::NotCalm;
    use crate::watch::Look;

    #[derive(Parser)]
    enum Verb {
        Node(prepare::Arguments),
    }

    /// A ring of members, and what a look at it says.
    struct Bed {
        ring: Ring,
        spec: ServiceSpec,
        ledger: ServiceLedger,
    }

    const CALM: Look = |_| Ok(Census::default());
    const HANGS: Look = |_| Err(NotCalm::Nobody("it hangs".to_owned()));

    impl Bed {
        fn new(look: Look, members: impl IntoIterator<Item = PodMember>) -> Bed {
            let settings = settings_given(&["--rack-attribute", "rack"]).unwrap();
            let members = members.into_iter().map(|it| (it.id.clone(), it)).collect();
            let ledger = ServiceLedger { members, ..ServiceLedger::default() };
            let ring = Ring::new(Watch::start(News::default(), look));
            Bed { ring, spec: service_spec(&frame(4), &settings), ledger }
        }

        fn view(&self) -> ServiceView<'_> {
            ServiceView { spec: &self.spec, ledger: &self.ledger }
        }

        fn with_plan(mut self, kind: PlanKind) -> Bed {
            let head = PlanHead {
                kind,
                serial: 1,
                asked: Signed { by: "ann".to_owned(), at: Instant(1) },
                paused: None,
                ended: None,
                phases: Vec::new(),
            };
            let pending = Step::new(MemberId::new(POD, 0), StepAct::Restart);
            let plan = Plan { steps: vec![vec![pending]], head };
            self.ledger.plans.insert(kind, plan);
            self
        }

        /// What is said once the ring was looked at.
        fn seen<T: PartialEq + std::fmt::Debug>(&self, ask: impl Fn(&Bed) -> T, not_yet: T) -> T {
            loop {
                let said = ask(self);
                if said != not_yet {
                    return said;
                }
                std::thread::yield_now();
            }
        }

        fn may_begin(&self, member: u32, act: StepAct) -> Verdict {
            let step = Step::new(MemberId::new(POD, member), act);
            let looked_at = Verdict::NotYet("the ring is being looked at".to_owned());
            self.seen(|it| it.ring.may_begin(&it.view(), &step), looked_at)
        }

        fn may_start(&self, member: u32) -> Verdict {
            let member = &self.ledger.members[&MemberId::new(POD, member)];
            let task = self.spec.pods[0].tasks[0].clone();
            let looked_at = Verdict::NotYet("the ring is being looked at".to_owned());
            self.seen(|it| it.ring.may_start(&it.view(), member, &task), looked_at)
        }

        fn told(&self, member: u32) -> (prepare::Arguments, String) {
            let member = &self.ledger.members[&MemberId::new(POD, member)];
            let task = self.ring.task(&self.view(), member, self.spec.pods[0].tasks[0].clone());
            let spec = ServiceSpec {
                pods: vec![holdfast_sdk::spec::PodSpec {
                    tasks: vec![task.clone()],
                    ..self.spec.pods[0].clone()
                }],
                ..self.spec.clone()
            };
            // The same words, as the shell takes them apart.
            let line = spec.pods[0].tasks[0].command.clone();
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", &line.replacen("exec '/opt/it'\\''s/here'", "printf '%s\\n'", 1)])
                .output()
                .unwrap();
            let words = String::from_utf8(output.stdout).unwrap();
            let words = std::iter::once("x").chain(words.lines());
            let Verb::Node(arguments) = Verb::try_parse_from(words).unwrap();
            let note = task.environment.into_iter().find(|it| it.0 == NOTE_VARIABLE).unwrap().1;
            (arguments, note)
        }
    }

    fn claim_of(member: u32, attempt: u32) -> String {
        format!("cassandra-node-{member}-0-{attempt}")
    }

    fn note_of(member: u32, starts: u64, attempt: u32) -> Vec<u8> {
        let address = format!("10.0.0.{}", member + 1);
        let note = joined_marker(member, starts).note(&address, &claim_of(member, attempt));
        note.unwrap().to_text().into_bytes()
    }

    /// A member on its first volume, in rack r1, whose task is as this says.
    fn member(index: u32, note: &[u8], fate: Option<Fate>) -> PodMember {
        let run = fate.map(|fate| PodRun {
            task: TaskId::parse(&format!("t-{index}")).unwrap(),
            name: "server".to_owned(),
            generation: 1,
            fate,
        });
        PodMember {
            target: Target::Up,
            agent: Some(AgentId::parse(&format!("a-{index}")).unwrap()),
            attributes: vec![("rack".to_owned(), "r1".to_owned())],
            volumes: vec![PersistenceId::parse(&claim_of(index, 1)).unwrap()],
            attempts: 1,
            launches: 1,
            note: note.to_vec(),
            run,
            ..PodMember::new(MemberId::new(POD, index))
        }
    }

    fn joined(index: u32) -> PodMember {
        member(index, &note_of(index, 1, 1), Some(Fate::Ready))
    }

    /// One that has a new volume, and whose node of before is to be replaced.
    fn anew(index: u32) -> PodMember {
        let volumes = vec![PersistenceId::parse(&claim_of(index, 2)).unwrap()];
        PodMember { volumes, attempts: 2, ..member(index, &note_of(index, 1, 1), None) }
    }

    fn says<T: std::fmt::Debug>(verdict: T, words: &str) {
        let text = format!("{verdict:?}");
        assert!(text.contains(words), "{text} does not say `{words}`");
    }

    #[test]
    fn the_first_node_is_its_own_seed_only_while_nobody_else_was_ever_there() {
        let alone = Bed::new(CALM, [member(0, b"", None)]);
        assert_eq!(alone.may_start(0), Verdict::Yes);
        assert!(alone.told(0).0.first);
        let beside = Bed::new(CALM, [member(0, b"", None), member(1, b"", None)]);
        says(beside.may_start(0), "started here it would begin another ring");
        says(beside.may_start(1), "started here it would begin another ring");
    }

    #[test]
    fn a_node_joins_a_calm_ring_and_no_other() {
        let ring = || [joined(0), joined(1), member(2, b"", None)];
        let calm = Bed::new(CALM, ring());
        assert_eq!(calm.may_start(2), Verdict::Yes);
        assert_eq!(calm.may_begin(3, StepAct::Launch), Verdict::Yes);
        let (told, note) = calm.told(2);
        let seeds: Vec<String> = told.seeds.iter().map(ToString::to_string).collect();
        assert_eq!(
            (told.first, seeds),
            (false, vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()])
        );
        assert_eq!((told.claim, note, told.ring_racks), (claim_of(2, 1), String::new(), 1));
        let hangs = Bed::new(HANGS, ring());
        says(hangs.may_start(2), "the ring is not calm");
        says(hangs.may_begin(3, StepAct::Launch), "the ring is not calm");
        assert_eq!(hangs.may_start(1), Verdict::Yes, "who has joined comes back at any time");
    }

    #[test]
    fn a_node_is_disturbed_only_while_the_ring_is_calm() {
        for act in [StepAct::Update, StepAct::Restart, StepAct::Hook("cleanup".to_owned())] {
            let calm = Bed::new(CALM, [joined(0), joined(1)]);
            assert_eq!(calm.may_begin(0, act.clone()), Verdict::Yes);
            says(Bed::new(HANGS, [joined(0), joined(1)]).may_begin(0, act), "not calm");
        }
        let down = || [joined(0), member(1, &note_of(1, 1, 1), Some(Fate::Running))];
        let bed = Bed::new(HANGS, down());
        assert_eq!(bed.may_begin(1, StepAct::Update), Verdict::Yes, "it is down by itself");
        says(bed.may_begin(1, StepAct::Hook("repair".to_owned())), "it is not up");
        let bed = Bed::new(HANGS, down()).with_plan(PlanKind::Uninstall);
        assert_eq!(bed.may_begin(0, StepAct::Stop), Verdict::Yes);
    }

    #[test]
    fn who_takes_a_nodes_place_is_told_whose_and_is_in_the_same_rack() {
        let bed = Bed::new(CALM, [joined(0), anew(1), joined(2)]);
        assert_eq!(bed.may_start(1), Verdict::Yes);
        let (told, note) = bed.told(1);
        assert_eq!(told.replace, Some("10.0.0.2".parse().unwrap()));
        assert_eq!(note, "", "it must find nothing on its volume");
        assert!(!told.seeds.contains(&"10.0.0.2".parse().unwrap()), "{:?}", told.seeds);
        assert!(!bed.told(2).0.seeds.contains(&"10.0.0.2".parse().unwrap()));
        let attributes = vec![("rack".to_owned(), "r2".to_owned())];
        let bed = Bed::new(CALM, [joined(0), PodMember { attributes, ..anew(1) }]);
        says(bed.may_start(1), "in rack r1, and this agent is in rack r2");
    }

    #[test]
    fn nobody_replaces_the_last_node_or_one_whose_address_is_anothers_now() {
        let alone = Bed::new(CALM, [joined(0)]);
        says(alone.may_begin(0, StepAct::Stop), "nobody has its data");
        let moved = joined_marker(0, 1).note("10.0.0.2", &claim_of(0, 1)).unwrap().to_text();
        let bed = Bed::new(CALM, [member(0, moved.as_bytes(), Some(Fate::Ready)), joined(1)]);
        says(bed.may_begin(1, StepAct::Stop), "that of node-0 now");
        let bed = Bed::new(CALM, [joined(0), joined(1)]);
        assert_eq!(bed.may_begin(1, StepAct::Stop), Verdict::Yes);
    }

    #[test]
    fn an_adopted_ring_is_asked_who_it_is_before_anybody_joins() {
        let adopted = || member(0, ADOPTED.as_bytes(), None);
        let bed = Bed::new(CALM, [adopted(), joined(1), member(2, b"", None)]);
        assert_eq!(bed.may_start(0), Verdict::Yes);
        says(bed.may_start(2), "node-0 was adopted, and has not said yet who it is");
        let alone = Bed::new(CALM, [adopted()]);
        let (told, note) = alone.told(0);
        assert_eq!((told.first, told.seeds.is_empty(), note.as_str()), (false, true, ADOPTED));
        let mut ring = alone.ring;
        assert_eq!(ring.heard(&adopted(), &note_of(0, 7, 1)), Some(note_of(0, 7, 1)));
    }

    #[test]
    fn what_is_remembered_goes_forward_only_and_is_of_the_volume_at_hand() {
        let mut ring = Bed::new(CALM, []).ring;
        let of = |note: &[u8]| member(0, note, None);
        assert_eq!(ring.heard(&of(b""), &note_of(0, 1, 1)), Some(note_of(0, 1, 1)));
        assert_eq!(ring.heard(&of(&note_of(0, 1, 1)), &note_of(0, 2, 1)), Some(note_of(0, 2, 1)));
        for (old, said) in [
            (note_of(0, 2, 1), note_of(0, 1, 1)),
            (note_of(0, 1, 1), note_of(0, 1, 1)),
            (note_of(0, 1, 1), note_of(0, 9, 2)),
            (b"?".to_vec(), note_of(0, 1, 1)),
            (Vec::new(), note_of(1, 1, 1)),
            (Vec::new(), b"hello".to_vec()),
        ] {
            assert_eq!(ring.heard(&of(&old), &said), None);
        }
        assert_eq!(ring.heard(&anew(0), &note_of(0, 1, 2)), Some(note_of(0, 1, 2)));
        assert_eq!(ring.heard(&anew(0), &note_of(0, 2, 1)), None, "the old node's last words");
    }

    #[test]
    fn an_order_is_given_until_it_is_answered_and_a_failure_asks() {
        let mut bed = Bed::new(CALM, [joined(0), joined(1)]).with_plan(PlanKind::Repair);
        let begun = |tried: Option<u64>| {
            let mut step = Step::new(MemberId::new(POD, 0), StepAct::Hook("repair".to_owned()));
            step.state = StepState::Pending;
            step.retried = tried.map(|at| Signed { by: "ann".to_owned(), at: Instant(at) });
            step
        };
        let step = begun(None);
        assert_eq!(bed.ring.observe(&bed.view(), &step), Observation::NotBegun);
        bed.ring.begin(&step);
        let said = bed.ring.say();
        let order: Order = serde_json::from_slice(&said[0].1).unwrap();
        assert_eq!((said.len(), &said[0].0, order.act), (1, &step.member, Act::Repair));
        assert_eq!(order.order, "repair-1/node-0:repair/0");
        assert_eq!(bed.ring.observe(&bed.view(), &step), Observation::NotBegun, "not answered");
        let report = |progress| to_text(&Report { order: order.order.clone(), progress });
        let (first, second) = (joined(0), joined(1));
        assert_eq!(bed.ring.heard(&second, report(Progress::Done).as_bytes()), None);
        assert_eq!(bed.ring.observe(&bed.view(), &step), Observation::NotBegun, "another node's");
        for (progress, seen) in [
            (Progress::Running, Observation::Running("repair is under way".to_owned())),
            (Progress::Failed("no".to_owned()), Observation::Unknown("no".to_owned())),
            (Progress::Done, Observation::Done),
        ] {
            assert_eq!(bed.ring.heard(&first, report(progress).as_bytes()), None);
            assert_eq!(bed.ring.observe(&bed.view(), &step), seen);
        }
        let again = begun(Some(7));
        assert_eq!(bed.ring.observe(&bed.view(), &again), Observation::NotBegun, "it is retried");
        let started =
            |it: &mut PodMember| it.run.as_mut().unwrap().task = TaskId::parse("x").unwrap();
        bed.ledger.members.values_mut().for_each(started);
        assert_eq!(
            bed.ring.observe(&bed.view(), &again),
            Observation::NotBegun,
            "another executor"
        );
    }

    #[test]
    fn a_claim_is_given_up_by_itself_only_once_the_node_says_that_it_has_left() {
        let bed = Bed::new(CALM, []);
        let kept = KeptClaim {
            agent: AgentId::parse("a").unwrap(),
            hostname: String::new(),
            volumes: vec![PersistenceId::parse(&claim_of(0, 1)).unwrap()],
            released: None,
        };
        says(bed.ring.may_release(&bed.view(), &joined(0), &kept), "in the other copies");
        says(bed.ring.may_release(&bed.view(), &anew(0), &kept), "in the other copies");
        let left = joined_marker(0, 1).having_left().note("10.0.0.1", &claim_of(0, 1)).unwrap();
        let left = member(0, left.to_text().as_bytes(), None);
        assert_eq!(bed.ring.may_release(&bed.view(), &left, &kept), Verdict::Yes);
        let leave = Step::new(left.id.clone(), StepAct::Hook("leave".to_owned()));
        let bed = Bed::new(CALM, [left.clone(), joined(1)]);
        assert_eq!(bed.ring.observe(&bed.view(), &leave), Observation::Done);
        // When it is wanted again it is a new node, and takes nobody's place.
        let again = PodMember { volumes: anew(0).volumes, ..left };
        let bed = Bed::new(CALM, [again, joined(1)]);
        assert_eq!((bed.may_start(0), bed.told(0).0.replace), (Verdict::Yes, None));
    }

    #[test]
    fn a_plan_that_adds_nodes_ends_with_a_cleanup_of_the_others() {
        let bed = Bed::new(CALM, [joined(0), joined(1)]);
        let added = [MemberId::new(POD, 2)];
        let steps = bed.ring.afterwards(&bed.view(), PlanKind::Scale, &added);
        let names: Vec<String> = steps.iter().map(|it| format!("{}:{}", it.0, it.1)).collect();
        assert_eq!(names, ["node-0:cleanup", "node-1:cleanup"]);
        assert_eq!(bed.ring.afterwards(&bed.view(), PlanKind::Update, &[]), Vec::new());
        assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Repair).len(), 2);
    }

    #[test]
    fn a_backup_needs_a_place_and_only_one_that_is_whole_is_restored() {
        let mut bed = Bed::new(CALM, [joined(0), joined(1)]);
        assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Backup), Vec::new());
        let settings = settings_given(&["--backup-dir", "/backups"]).unwrap();
        bed.spec = service_spec(&frame(4), &settings);
        assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Backup).len(), 2);
        assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Restore), Vec::new());
        let mut bed = bed.with_plan(PlanKind::Backup);
        assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Restore), Vec::new(), "it is under way");
        let by_force = StepState::Forced(Signed { by: "ann".to_owned(), at: Instant(1) });
        for (state, count) in [(by_force, 0), (StepState::Done, 2)] {
            let plan = bed.ledger.plans.get_mut(&PlanKind::Backup).unwrap();
            plan.steps[0][0].state = state;
            assert_eq!(bed.ring.steps(&bed.view(), PlanKind::Restore).len(), count);
        }
        assert_eq!(backup_of(&bed.view()).as_deref(), Some("backup-1"));
    }

    #[test]
    fn a_setting_that_is_frozen_is_refused() {
        let bed = Bed::new(CALM, [joined(0), member(1, b"", None)]);
        let with = |words: &[&str]| service_spec(&frame(4), &settings_given(words).unwrap());
        let refused = |words: &[&str]| bed.ring.refuses(&bed.view(), &with(words));
        assert_eq!(refused(&["--cluster-name", "hf", "--set", "concurrent_reads=3"]), Vec::new());
        for (words, why) in [
            (&["--cluster-name", "other"][..], "cluster_name was `hf` when node-0 joined"),
            (&["--cluster-name", "hf", "--num-tokens", "4"], "num_tokens was `16`"),
            (&["--cluster-name", "hf", "--dc", "dc2"], "dc was `dc1`"),
            (&["--cluster-name", "hf", "--mem-mb", "100"], "--mem-mb 100"),
        ] {
            assert!(refused(words)[0].why.contains(why), "{words:?}");
        }
        let mut other = with(&["--cluster-name", "hf"]);
        other.pods[0].tasks[0].command = "sleep 1".to_owned();
        assert!(bed.ring.refuses(&bed.view(), &other)[0].why.contains("starts no node"));
        assert!(thawed(&settings_given(&[]).unwrap(), &member(0, b"?", None)).is_some());
    }
}

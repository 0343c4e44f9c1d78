//! The disk format of what a service of pods has: specs, members, heads of plans, steps.
//!
//! Keys sort as things are to be folded: steps by phase and number, after the heads of their plans.

use std::collections::BTreeMap;

use holdfast_model::{AgentId, Instant, Invalid, PersistenceId, TaskId};
use prost::Message;

use super::spec::{self, pairs, unknown, unpaired, PairRecord};
use super::{Record, RecordError};
use crate::ledger::Stage;
use crate::plans::{Act, Intent, PhaseHead, PlanHead, PlanKind, Signed, Step, StepKey, StepState};
use crate::pods::{Fate, KeptClaim, MemberId, PodMember, PodRun, ServiceChange, Target};

/// The tree of specs, by their generation (big endian).
const SPEC_TREE: &str = "spec";
/// The tree of the spec that the scheduler was last started with.
const GIVEN_TREE: &str = "spec-given";
/// The only key of [`GIVEN_TREE`].
const GIVEN_KEY: &[u8] = b"spec";
/// The tree of members, by pod, a zero byte, and number (big endian).
const POD_TREE: &str = "pod";
/// The tree of plans, by kind.
const PLAN_TREE: &str = "plan";
/// The tree of steps, by kind, a zero byte, phase and number (big endian).
const STEP_TREE: &str = "plan-step";

#[derive(Clone, PartialEq, Message)]
struct PodMemberRecord {
    #[prost(string, tag = "1")]
    pod: String,
    #[prost(uint32, tag = "2")]
    index: u32,
    /// 1 wanted, 2 claiming, 3 placed.
    #[prost(uint32, tag = "3")]
    stage: u32,
    /// 1 stopped, 2 up.
    #[prost(uint32, tag = "4")]
    target: u32,
    #[prost(uint64, tag = "5")]
    generation: u64,
    #[prost(string, optional, tag = "6")]
    agent: Option<String>,
    #[prost(string, tag = "7")]
    hostname: String,
    #[prost(message, repeated, tag = "8")]
    attributes: Vec<PairRecord>,
    #[prost(string, repeated, tag = "9")]
    volumes: Vec<String>,
    #[prost(btree_map = "string, uint32", tag = "10")]
    ports: BTreeMap<String, u32>,
    #[prost(uint32, tag = "11")]
    attempts: u32,
    #[prost(uint64, tag = "12")]
    launches: u64,
    #[prost(string, repeated, tag = "13")]
    done: Vec<String>,
    #[prost(message, optional, tag = "14")]
    run: Option<RunRecord>,
    #[prost(bytes = "vec", tag = "15")]
    note: Vec<u8>,
    #[prost(message, repeated, tag = "16")]
    kept: Vec<KeptRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct RunRecord {
    #[prost(string, tag = "1")]
    task: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    generation: u64,
    /// 1 launched, 2 running, 3 ready, 4 unreachable since `since`, 5 unknown since `since`.
    #[prost(uint32, tag = "4")]
    fate: u32,
    #[prost(uint64, tag = "5")]
    since: u64,
}

#[derive(Clone, PartialEq, Message)]
struct KeptRecord {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(string, tag = "2")]
    hostname: String,
    #[prost(string, repeated, tag = "3")]
    volumes: Vec<String>,
    #[prost(message, optional, tag = "4")]
    released: Option<SignedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct SignedRecord {
    #[prost(string, tag = "1")]
    by: String,
    #[prost(uint64, tag = "2")]
    at: u64,
}

#[derive(Clone, PartialEq, Message)]
struct PlanRecord {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(uint64, tag = "2")]
    serial: u64,
    #[prost(message, optional, tag = "3")]
    asked: Option<SignedRecord>,
    #[prost(message, optional, tag = "4")]
    paused: Option<SignedRecord>,
    #[prost(message, optional, tag = "5")]
    ended: Option<SignedRecord>,
    #[prost(message, repeated, tag = "6")]
    phases: Vec<PhaseRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PhaseRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    is_parallel: bool,
    #[prost(bool, tag = "3")]
    is_gated: bool,
}

#[derive(Clone, PartialEq, Message)]
struct StepRecord {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(uint64, tag = "2")]
    serial: u64,
    #[prost(uint32, tag = "3")]
    phase: u32,
    #[prost(uint32, tag = "4")]
    index: u32,
    #[prost(string, tag = "5")]
    pod: String,
    #[prost(uint32, tag = "6")]
    member: u32,
    /// 1 launch, 2 update, 3 restart, 4 stop, 5 place, 6 release, 7 give up, 8 the hook `hook`.
    #[prost(uint32, tag = "7")]
    act: u32,
    #[prost(string, tag = "8")]
    hook: String,
    /// 1 pending, 2 begun, 3 failed, 4 done, 5 forced.
    #[prost(uint32, tag = "9")]
    state: u32,
    #[prost(message, optional, tag = "10")]
    intent: Option<IntentRecord>,
    #[prost(string, tag = "11")]
    why: String,
    #[prost(message, optional, tag = "12")]
    forced: Option<SignedRecord>,
    #[prost(message, optional, tag = "13")]
    retried: Option<SignedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct IntentRecord {
    #[prost(string, optional, tag = "1")]
    task: Option<String>,
    #[prost(uint64, tag = "2")]
    launches: u64,
}

/// Encodes a change.
pub(super) fn write(change: &ServiceChange) -> Record {
    match change {
        ServiceChange::Spec(generation, it) => Record::put(
            SPEC_TREE,
            generation.to_be_bytes().to_vec(),
            &spec::write(it).encode_to_vec(),
        ),
        ServiceChange::Given(it) => {
            Record::put(GIVEN_TREE, GIVEN_KEY.to_vec(), &spec::write(it).encode_to_vec())
        }
        ServiceChange::SpecDropped(generation) => {
            Record { tree: SPEC_TREE, key: generation.to_be_bytes().to_vec(), value: None }
        }
        ServiceChange::Member(it) => {
            Record::put(POD_TREE, member_key(&it.id), &member(it).encode_to_vec())
        }
        ServiceChange::Plan(it) => {
            Record::put(PLAN_TREE, it.kind.name().as_bytes().to_vec(), &plan(it).encode_to_vec())
        }
        ServiceChange::Step(key, it) => {
            Record::put(STEP_TREE, step_key(key), &step(key, it).encode_to_vec())
        }
    }
}

/// Whether a tree is one of a service of pods.
pub(super) fn is_tree(tree: &str) -> bool {
    [SPEC_TREE, GIVEN_TREE, POD_TREE, PLAN_TREE, STEP_TREE].contains(&tree)
}

/// Reads what [`write`] wrote.
pub(super) fn read(tree: &str, key: &[u8], value: &[u8]) -> Result<ServiceChange, RecordError> {
    let change = match tree {
        SPEC_TREE => {
            let generation = key.try_into().map(u64::from_be_bytes).map_err(|_| misfiled())?;
            let spec = spec::read(spec::SpecRecord::decode(value)?)?;
            return Ok(ServiceChange::Spec(generation, Box::new(spec)));
        }
        GIVEN_TREE => ServiceChange::Given(Box::new(spec::read(spec::SpecRecord::decode(value)?)?)),
        POD_TREE => ServiceChange::Member(Box::new(member_of(PodMemberRecord::decode(value)?)?)),
        PLAN_TREE => ServiceChange::Plan(Box::new(plan_of(PlanRecord::decode(value)?)?)),
        _ => {
            let (key, step) = step_of(StepRecord::decode(value)?)?;
            ServiceChange::Step(key, Box::new(step))
        }
    };
    match write(&change).key == key {
        true => Ok(change),
        false => Err(misfiled().into()),
    }
}

fn misfiled() -> Invalid {
    Invalid::new("key", "the record is not the one that it is filed under")
}

fn member_key(id: &MemberId) -> Vec<u8> {
    [id.pod.as_bytes(), &[0], &id.index.to_be_bytes()].concat()
}

fn step_key(key: &StepKey) -> Vec<u8> {
    let (phase, index) = (number(key.phase), number(key.index));
    [key.plan.name().as_bytes(), &[0], &phase.to_be_bytes(), &index.to_be_bytes()].concat()
}

/// Counts of phases and steps are bounded far below this.
fn number(it: usize) -> u32 {
    u32::try_from(it).unwrap_or(u32::MAX)
}

fn signed(it: &Signed) -> SignedRecord {
    SignedRecord { by: it.by.clone(), at: it.at.0 }
}

fn signed_of(record: SignedRecord) -> Signed {
    Signed { by: record.by, at: Instant(record.at) }
}

fn kind_of(name: &str) -> Result<PlanKind, Invalid> {
    PlanKind::of_name(name).ok_or_else(|| {
        let why = format!("`{name}` is no kind of plan; a newer version may have written it");
        Invalid::new("kind", why)
    })
}

fn member(it: &PodMember) -> PodMemberRecord {
    let kept = |it: &KeptClaim| KeptRecord {
        agent: it.agent.as_str().to_owned(),
        hostname: it.hostname.clone(),
        volumes: it.volumes.iter().map(|it| it.as_str().to_owned()).collect(),
        released: it.released.as_ref().map(|(by, at)| SignedRecord { by: by.clone(), at: at.0 }),
    };
    PodMemberRecord {
        pod: it.id.pod.clone(),
        index: it.id.index,
        stage: match it.stage {
            Stage::Wanted => 1,
            Stage::Claiming => 2,
            Stage::Placed => 3,
        },
        target: match it.target {
            Target::Stopped => 1,
            Target::Up => 2,
        },
        generation: it.generation,
        agent: it.agent.as_ref().map(|it| it.as_str().to_owned()),
        hostname: it.hostname.clone(),
        attributes: pairs(&it.attributes),
        volumes: it.volumes.iter().map(|it| it.as_str().to_owned()).collect(),
        ports: it.ports.iter().map(|(name, port)| (name.clone(), u32::from(*port))).collect(),
        attempts: it.attempts,
        launches: it.launches,
        done: it.done.iter().cloned().collect(),
        run: it.run.as_ref().map(run),
        note: it.note.clone(),
        kept: it.kept.iter().map(kept).collect(),
    }
}

fn run(it: &PodRun) -> RunRecord {
    let (fate, since) = match it.fate {
        Fate::Launched => (1, 0),
        Fate::Running => (2, 0),
        Fate::Ready => (3, 0),
        Fate::Unreachable(at) => (4, at.0),
        Fate::Unknown(at) => (5, at.0),
    };
    RunRecord {
        task: it.task.as_str().to_owned(),
        name: it.name.clone(),
        generation: it.generation,
        fate,
        since,
    }
}

fn run_of(record: RunRecord) -> Result<PodRun, Invalid> {
    let since = Instant(record.since);
    Ok(PodRun {
        task: TaskId::parse(&record.task)?,
        name: record.name,
        generation: record.generation,
        fate: match record.fate {
            1 => Fate::Launched,
            2 => Fate::Running,
            3 => Fate::Ready,
            4 => Fate::Unreachable(since),
            5 => Fate::Unknown(since),
            other => return Err(unknown("fate", other)),
        },
    })
}

fn volumes_of(all: &[String]) -> Result<Vec<PersistenceId>, Invalid> {
    all.iter().map(|it| PersistenceId::parse(it)).collect()
}

fn member_of(record: PodMemberRecord) -> Result<PodMember, Invalid> {
    let port = |(name, port): (String, u32)| match u16::try_from(port) {
        Ok(port) => Ok((name, port)),
        Err(_) => Err(unknown("ports", port)),
    };
    let kept = |it: KeptRecord| -> Result<KeptClaim, Invalid> {
        Ok(KeptClaim {
            agent: AgentId::parse(&it.agent)?,
            hostname: it.hostname,
            volumes: volumes_of(&it.volumes)?,
            released: it.released.map(|it| (it.by, Instant(it.at))),
        })
    };
    Ok(PodMember {
        id: MemberId { pod: record.pod, index: record.index },
        stage: match record.stage {
            1 => Stage::Wanted,
            2 => Stage::Claiming,
            3 => Stage::Placed,
            other => return Err(unknown("stage", other)),
        },
        target: match record.target {
            1 => Target::Stopped,
            2 => Target::Up,
            other => return Err(unknown("target", other)),
        },
        generation: record.generation,
        agent: record.agent.map(|it| AgentId::parse(&it)).transpose()?,
        hostname: record.hostname,
        attributes: unpaired(record.attributes),
        volumes: volumes_of(&record.volumes)?,
        ports: record.ports.into_iter().map(port).collect::<Result<_, _>>()?,
        attempts: record.attempts,
        launches: record.launches,
        done: record.done.into_iter().collect(),
        run: record.run.map(run_of).transpose()?,
        note: record.note,
        kept: record.kept.into_iter().map(kept).collect::<Result<_, _>>()?,
    })
}

fn plan(it: &PlanHead) -> PlanRecord {
    let phase = |it: &PhaseHead| PhaseRecord {
        name: it.name.clone(),
        is_parallel: it.is_parallel,
        is_gated: it.is_gated,
    };
    PlanRecord {
        kind: it.kind.name().to_owned(),
        serial: it.serial,
        asked: Some(signed(&it.asked)),
        paused: it.paused.as_ref().map(signed),
        ended: it.ended.as_ref().map(signed),
        phases: it.phases.iter().map(phase).collect(),
    }
}

fn plan_of(record: PlanRecord) -> Result<PlanHead, Invalid> {
    let phase = |it: PhaseRecord| PhaseHead {
        name: it.name,
        is_parallel: it.is_parallel,
        is_gated: it.is_gated,
    };
    Ok(PlanHead {
        kind: kind_of(&record.kind)?,
        serial: record.serial,
        asked: signed_of(record.asked.unwrap_or_default()),
        paused: record.paused.map(signed_of),
        ended: record.ended.map(signed_of),
        phases: record.phases.into_iter().map(phase).collect(),
    })
}

fn step(key: &StepKey, it: &Step) -> StepRecord {
    let (act, hook) = match &it.act {
        Act::Launch => (1, String::new()),
        Act::Update => (2, String::new()),
        Act::Restart => (3, String::new()),
        Act::Stop => (4, String::new()),
        Act::Place => (5, String::new()),
        Act::Release => (6, String::new()),
        Act::GiveUp => (7, String::new()),
        Act::Hook(name) => (8, name.clone()),
    };
    let intent = |it: &Intent| IntentRecord {
        task: it.task.as_ref().map(|it| it.as_str().to_owned()),
        launches: it.launches,
    };
    let mut record = StepRecord {
        kind: key.plan.name().to_owned(),
        serial: key.serial,
        phase: number(key.phase),
        index: number(key.index),
        pod: it.member.pod.clone(),
        member: it.member.index,
        act,
        hook,
        retried: it.retried.as_ref().map(signed),
        ..StepRecord::default()
    };
    match &it.state {
        StepState::Pending => record.state = 1,
        StepState::Begun(begun) => (record.state, record.intent) = (2, Some(intent(begun))),
        StepState::Failed { why, intent: begun } => {
            record.state = 3;
            record.why.clone_from(why);
            record.intent = begun.as_ref().map(intent);
        }
        StepState::Done => record.state = 4,
        StepState::Forced(by) => (record.state, record.forced) = (5, Some(signed(by))),
    }
    record
}

fn step_of(record: StepRecord) -> Result<(StepKey, Step), Invalid> {
    let intent = |it: IntentRecord| -> Result<Intent, Invalid> {
        let task = it.task.map(|it| TaskId::parse(&it)).transpose()?;
        Ok(Intent { task, launches: it.launches })
    };
    let begun = record.intent.map(intent).transpose()?;
    let state = match record.state {
        1 => StepState::Pending,
        2 => StepState::Begun(
            begun.ok_or_else(|| Invalid::new("intent", "is missing of a step that has begun"))?,
        ),
        3 => StepState::Failed { why: record.why, intent: begun },
        4 => StepState::Done,
        5 => StepState::Forced(signed_of(record.forced.unwrap_or_default())),
        other => return Err(unknown("state", other)),
    };
    let act = match record.act {
        1 => Act::Launch,
        2 => Act::Update,
        3 => Act::Restart,
        4 => Act::Stop,
        5 => Act::Place,
        6 => Act::Release,
        7 => Act::GiveUp,
        8 => Act::Hook(record.hook),
        other => return Err(unknown("act", other)),
    };
    let key = StepKey {
        plan: kind_of(&record.kind)?,
        serial: record.serial,
        phase: record.phase as usize,
        index: record.index as usize,
    };
    let member = MemberId { pod: record.pod, index: record.member };
    let retried = record.retried.map(signed_of);
    Ok((key, Step { member, act, state, retried }))
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::spec::testbed::two_pods;

    /// One change of each kind, and one of each form that a record can have.
    pub(crate) fn changes() -> Vec<ServiceChange> {
        let id = MemberId::new("node", 1);
        let mut member = PodMember {
            stage: Stage::Placed,
            target: Target::Up,
            generation: 2,
            agent: Some(AgentId::made("a1".to_owned())),
            hostname: "h1".to_owned(),
            attributes: vec![("rack".to_owned(), "r1".to_owned())],
            volumes: vec![PersistenceId::made("ring-node-1-0-2".to_owned())],
            ports: BTreeMap::from([("cql".to_owned(), 9042)]),
            attempts: 2,
            launches: 5,
            done: ["format".to_owned()].into(),
            run: Some(PodRun {
                task: TaskId::made("ring-node-1-5".to_owned()),
                name: "server".to_owned(),
                generation: 2,
                fate: Fate::Ready,
            }),
            note: vec![1, 2],
            kept: vec![KeptClaim {
                agent: AgentId::made("a0".to_owned()),
                hostname: "h0".to_owned(),
                volumes: vec![PersistenceId::made("ring-node-1-0-1".to_owned())],
                released: Some(("ann".to_owned(), Instant(7))),
            }],
            ..PodMember::new(id.clone())
        };
        let mut changes = vec![
            ServiceChange::Spec(2, Box::new(two_pods())),
            ServiceChange::Given(Box::new(crate::spec::testbed::ring())),
            ServiceChange::Member(Box::new(PodMember::new(MemberId::new("proxy", 0)))),
            ServiceChange::Member(Box::new(member.clone())),
        ];
        let fates = [
            Fate::Launched,
            Fate::Running,
            Fate::Unreachable(Instant(3)),
            Fate::Unknown(Instant(4)),
        ];
        for fate in fates {
            member.run = member.run.map(|it| PodRun { fate, ..it });
            changes.push(ServiceChange::Member(Box::new(member.clone())));
        }
        changes.extend(plans(&id));
        changes
    }

    /// A plan with a step of each act and each state.
    fn plans(id: &MemberId) -> Vec<ServiceChange> {
        let who = || Signed { by: "ann".to_owned(), at: Instant(7) };
        let mut changes = Vec::new();
        let phase = PhaseHead { name: "node".to_owned(), is_parallel: true, is_gated: true };
        changes.push(ServiceChange::Plan(Box::new(PlanHead {
            kind: PlanKind::Update,
            serial: 3,
            asked: who(),
            paused: Some(who()),
            ended: Some(who()),
            phases: vec![phase],
        })));
        let intent = Intent { task: Some(TaskId::made("ring-node-1-5".to_owned())), launches: 5 };
        let acts = [
            (Act::Launch, StepState::Pending),
            (Act::Update, StepState::Begun(intent.clone())),
            (Act::Restart, StepState::Failed { why: "w".to_owned(), intent: Some(intent) }),
            (Act::Stop, StepState::Failed { why: "w".to_owned(), intent: None }),
            (Act::Place, StepState::Done),
            (Act::Release, StepState::Forced(who())),
            (Act::GiveUp, StepState::Pending),
            (Act::Hook("leave".to_owned()), StepState::Done),
        ];
        for (index, (act, state)) in acts.into_iter().enumerate() {
            let key = StepKey { plan: PlanKind::Update, serial: 3, phase: 0, index };
            let step = Step { member: id.clone(), act, state, retried: Some(who()) };
            changes.push(ServiceChange::Step(key, Box::new(step)));
        }
        changes
    }
}

//! Storms with byzantine peers in them: agents that lie about who they are and what they have, frameworks that call in others' names. They may hurt
//! themselves; they stop nobody, and no rule of [`super::balance`] breaks.
//!
//! Relies on [`super::storms`] for the honest half of the world.

use std::collections::BTreeSet;

use holdfast_model::{
    Action, AgentId, Call, CallerIdentity, ClusterId, Event, ExecutorId, Filters, FrameworkCall,
    FrameworkId, LinkId, OfferId, Operation, OperationState, OperationUpdate, OperationUuid,
    OperatorCall, Presence, Report, Resources, StatusUuid, TaskId, TaskState, TaskStatus, Term,
    ToMaster,
};
use proptest::prelude::*;
use proptest::sample::{select, Index};
use uuid::Uuid;

use super::bed::*;
use super::storms::{go, step, world, Step};
use crate::Input;

#[derive(Clone, Debug)]
enum ByzantinePeer {
    Reports(usize, usize, Index, Vec<Lie>),
    TaskUpdate(Index, usize, u8, TaskState, bool),
    OperationUpdate(Index, Index, OperationState),
    Exited(Index, usize),
    Pong(Index, u64),
    Subscribes(Index, usize, u8),
    Accepts(Index, Vec<Index>, bool),
    Acknowledges(Index, usize, Index),
    Asks(Index, u8),
    Operates(u8),
    Loses(Index),
    Terms(u64),
}

#[derive(Clone, Debug)]
enum Lie {
    OrdersSeen(u64),
    Version(u64),
    Name(u8),
    Node(u128),
    Cluster(u8),
    TwiceTheTasks,
    OthersTasks,
    OthersOperations,
    OthersClaims,
    NoClaims,
    NoResources,
    AllFaulty,
    Strangers,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        2 => select(vec![0, 1, 5, u64::MAX]).prop_map(Lie::OrdersSeen),
        1 => select(vec![0, 10_000]).prop_map(Lie::Version),
        2 => (0u8..6).prop_map(Lie::Name),
        1 => select(vec![1u128, 2, 3, 77]).prop_map(Lie::Node),
        1 => (0u8..2).prop_map(Lie::Cluster),
        1 => select(vec![Lie::TwiceTheTasks, Lie::OthersTasks, Lie::OthersOperations, Lie::OthersClaims]),
        1 => select(vec![Lie::NoClaims, Lie::NoResources, Lie::AllFaulty, Lie::Strangers]),
    ]
}

fn byzantine() -> impl Strategy<Value = ByzantinePeer> {
    let link = any::<Index>;
    let states = select(vec![
        OperationState::Pending,
        OperationState::Finished,
        OperationState::Failed,
        OperationState::Unknown,
    ]);
    prop_oneof![
        6 => (0usize..3, 0usize..3, link(), prop::collection::vec(lie(), 0..3)).prop_map(|(m, o, l, lies)| ByzantinePeer::Reports(m, o, l, lies)),
        2 => (link(), 0usize..3, 0u8..6, select(TaskState::ALL.to_vec()), any::<bool>())
            .prop_map(|(l, s, t, state, named)| ByzantinePeer::TaskUpdate(l, s, t, state, named)),
        2 => (link(), link(), states).prop_map(|(l, pick, state)| ByzantinePeer::OperationUpdate(l, pick, state)),
        1 => (link(), 0usize..3).prop_map(|(l, s)| ByzantinePeer::Exited(l, s)),
        1 => (link(), select(vec![0, 1, u64::MAX])).prop_map(|(l, number)| ByzantinePeer::Pong(l, number)),
        3 => (link(), 0usize..3, 0u8..6).prop_map(|(l, s, how)| ByzantinePeer::Subscribes(l, s, how)),
        3 => (link(), prop::collection::vec(link(), 0..4), any::<bool>()).prop_map(|(l, picks, twice)| ByzantinePeer::Accepts(l, picks, twice)),
        1 => (link(), 0usize..3, link()).prop_map(|(l, s, pick)| ByzantinePeer::Acknowledges(l, s, pick)),
        2 => (link(), 0u8..7).prop_map(|(l, what)| ByzantinePeer::Asks(l, what)),
        1 => (0u8..5).prop_map(ByzantinePeer::Operates),
        1 => link().prop_map(ByzantinePeer::Loses),
        1 => (0u64..9).prop_map(ByzantinePeer::Terms),
    ]
}

/// Any link that was ever used, or one that never was.
fn some_link(bed: &mut Bed, index: &Index) -> LinkId {
    match index.index(bed.links as usize + 2) as u64 {
        fresh if bed.links < fresh => bed.link(),
        used => LinkId(used),
    }
}

fn tell(bed: &mut Bed, report: &mut Report, lie: &Lie, other: usize) {
    let cluster = bed.folded.cluster.as_ref().expect("it leads").id;
    match lie {
        Lie::OrdersSeen(count) => report.orders_seen = *count,
        Lie::Version(version) => report.ledger_version = *version,
        Lie::Name(0) => report.agent = None,
        Lie::Name(1) => report.agent.clone_from(&bed.machines[other].agent),
        Lie::Name(2) => report.agent = Some(AgentId::made(format!("{cluster}-S{}", u64::MAX))),
        Lie::Name(3) => report.agent = Some(AgentId::made("nobody".to_owned())),
        Lie::Name(_) => report.agent = Some(AgentId::made(format!("{cluster}-S12"))),
        Lie::Node(number) => {
            report.node = holdfast_model::NodeId(Uuid::from_u128(0xa0_0000 + number))
        }
        Lie::Cluster(0) => report.cluster = None,
        Lie::Cluster(_) => report.cluster = Some(ClusterId(Uuid::from_u128(99))),
        Lie::TwiceTheTasks => {
            report.tasks.extend(report.tasks.clone());
            report.executors.extend(report.executors.clone());
            report.operations.extend(report.operations.clone());
        }
        Lie::OthersTasks => {
            report.tasks.extend(bed.machines[other].tasks.values().cloned());
            report.executors.extend(bed.machines[other].executors.values().cloned());
        }
        Lie::OthersOperations => {
            report.operations.extend(bed.machines[other].operations.values().cloned())
        }
        Lie::OthersClaims => report.claims.extend(bed.machines[other].claims.values().cloned()),
        Lie::NoClaims => report.claims.clear(),
        Lie::NoResources => report.machine.resources = Resources::new(),
        Lie::AllFaulty => {
            report.faults = report.claims.iter().map(|it| (it.id, "ill".to_owned())).collect()
        }
        Lie::Strangers => {
            let id = Some(FrameworkId::made("stranger".to_owned()));
            report
                .frameworks
                .push(holdfast_model::FrameworkInfo { id, ..info("stranger", &["db"]) });
            report.frameworks.push(info("nameless", &["db"]));
        }
    }
}

fn act(bed: &mut Bed, byzantine: ByzantinePeer) {
    match byzantine {
        ByzantinePeer::Reports(machine, other, link, lies) => {
            let mut report = bed.machines[machine].report();
            lies.iter().for_each(|lie| tell(bed, &mut report, lie, other));
            let link = some_link(bed, &link);
            bed.input(Input::FromAgent(link, ToMaster::Report(Box::new(report))));
        }
        ByzantinePeer::TaskUpdate(link, scheduler, number, latest, named) => {
            let link = some_link(bed, &link);
            let mut status = TaskStatus::new(
                TaskId::made(format!("t{number}")),
                latest,
                holdfast_model::Instant(1),
            );
            status.uuid = named.then(|| StatusUuid(Uuid::from_u128(7)));
            let framework = framework(bed, scheduler);
            bed.input(Input::FromAgent(link, ToMaster::TaskUpdate { framework, status, latest }));
        }
        ByzantinePeer::OperationUpdate(link, pick, state) => settle(bed, &link, &pick, state),
        ByzantinePeer::Exited(link, scheduler) => {
            let (link, framework) = (some_link(bed, &link), framework(bed, scheduler));
            let executor = ExecutorId::made("e".to_owned());
            bed.input(Input::FromAgent(
                link,
                ToMaster::ExecutorExited {
                    framework: framework.clone(),
                    executor: executor.clone(),
                    status: 9,
                },
            ));
            bed.input(Input::FromAgent(
                link,
                ToMaster::ExecutorMessage(framework, executor, vec![1; 100]),
            ));
        }
        ByzantinePeer::Pong(link, number) => {
            let link = some_link(bed, &link);
            bed.input(Input::FromAgent(link, ToMaster::Pong(number)));
        }
        ByzantinePeer::Loses(link) => {
            let link = some_link(bed, &link);
            forget_link(bed, link);
            bed.input(Input::AgentLost(link));
            bed.input(Input::FrameworkLost(link));
        }
        ByzantinePeer::Terms(term) => {
            bed.input(Input::Elected(Term(term.min(bed.term))));
            bed.input(Input::Deposed(Term(term.min(bed.term - 1))));
        }
        others => call(bed, others),
    }
}

/// An outcome of an operation that may be another agent's, or nobody's.
fn settle(bed: &mut Bed, link: &Index, pick: &Index, state: OperationState) {
    let link = some_link(bed, link);
    let known: Vec<OperationUuid> = bed.master.operations().keys().copied().collect();
    let uuid = if known.is_empty() { OperationUuid(Uuid::from_u128(5)) } else { *pick.get(&known) };
    let ended = bed.folded.claims.keys().map(|(_, id)| *id).take(1).collect();
    let status = StatusUuid(Uuid::from_u128(6));
    let (message, claims) = (None, Vec::new());
    let update = OperationUpdate {
        uuid,
        id: None,
        framework: None,
        state,
        message,
        status,
        ledger_checksum: None,
        ledger_version: 3,
        claims,
        ended,
        endings: Vec::new(),
        claims_generation: 0,
    };
    bed.input(Input::FromAgent(link, ToMaster::OperationUpdate(update)));
}

/// The harness's own peers notice that their link is gone.
fn forget_link(bed: &mut Bed, link: LinkId) {
    for machine in bed.machines.iter_mut().filter(|it| it.link == Some(link)) {
        machine.disconnect();
    }
    for scheduler in bed.schedulers.iter_mut().filter(|it| it.link == Some(link)) {
        scheduler.link = None;
        scheduler.offers.clear();
    }
}

fn framework(bed: &Bed, scheduler: usize) -> FrameworkId {
    bed.schedulers[scheduler].info.id.clone().unwrap_or_else(|| FrameworkId::made("x".to_owned()))
}

fn byzantine_call(what: u8) -> Call {
    let (agent, executor) = (AgentId::made("none".to_owned()), ExecutorId::made("e".to_owned()));
    match what {
        0 => Call::Teardown,
        1 => Call::Kill {
            task: TaskId::made("t1".to_owned()),
            agent: Some(agent),
            grace_ms: Some(u64::MAX),
        },
        2 => Call::Shutdown(executor, agent),
        3 => Call::Message(agent, executor, vec![0; 10]),
        4 => Call::Revive(BTreeSet::from([role("nobodys")])),
        5 => Call::ReconcileOperations(vec![("x".to_owned(), Some(agent))]),
        _ => Call::UpdateFramework {
            info: Box::new(info("other", &["web"])),
            suppressed: BTreeSet::new(),
        },
    }
}

fn call(bed: &mut Bed, byzantine: ByzantinePeer) {
    let say = |bed: &mut Bed, link: LinkId, framework: Option<FrameworkId>, call: Call| {
        bed.input(Input::FromFramework(
            link,
            CallerIdentity::Anonymous,
            FrameworkCall { framework, call },
        ));
    };
    match byzantine {
        ByzantinePeer::Subscribes(link, scheduler, how) => {
            let link = some_link(bed, &link);
            let mut info = bed.schedulers[scheduler].info.clone();
            let mut suppressed = BTreeSet::new();
            match how {
                0 => info.id = None,
                1 => info.principal = Some("mallory".to_owned()),
                2 => suppressed = BTreeSet::from([role("nobodys")]),
                3 => info.roles = vec![role("db"), role("db"), role("*")],
                4 => info.failover_timeout_ms = u64::MAX,
                _ => {}
            }
            say(bed, link, info.id.clone(), Call::Subscribe { info: Box::new(info), suppressed });
        }
        ByzantinePeer::Accepts(link, picks, twice) => {
            let link = some_link(bed, &link);
            let all: Vec<OfferId> = bed.master.offers().keys().cloned().collect();
            let mut offers: Vec<OfferId> =
                picks.iter().filter(|_| !all.is_empty()).map(|it| it.get(&all).clone()).collect();
            if twice {
                offers.extend(offers.clone());
                offers.push(OfferId::made("none".to_owned()));
            }
            let agent = AgentId::made("none".to_owned());
            let operations = vec![
                launch(&[task("t1", &agent, &[amount("cpus", 1)])]),
                unnamed(reserve(&[reserved(5)])),
                Operation { id: Some("x".to_owned()), action: Action::Unsupported("CREATE_DISK") },
            ];
            say(
                bed,
                link,
                None,
                Call::Accept { offers, operations, filters: Filters { refuse_ms: u64::MAX } },
            );
        }
        ByzantinePeer::Acknowledges(link, scheduler, pick) => {
            let link = some_link(bed, &link);
            let agents: Vec<AgentId> = bed.folded.agents.keys().cloned().collect();
            let agent = pick.get(&agents).clone();
            for status in bed.schedulers[scheduler].outcomes().into_iter().take(5) {
                let (operation, status) =
                    (status.id.unwrap_or_default(), status.uuid.unwrap_or(StatusUuid(Uuid::nil())));
                say(
                    bed,
                    link,
                    None,
                    Call::AcknowledgeOperation { agent: Some(agent.clone()), operation, status },
                );
            }
            let (task, status) = (TaskId::made("t1".to_owned()), StatusUuid(Uuid::nil()));
            say(bed, link, None, Call::Acknowledge { agent, task, status });
        }
        ByzantinePeer::Asks(link, what) => {
            let link = some_link(bed, &link);
            let other = framework(bed, usize::from(what) % 3);
            say(bed, link, Some(other), byzantine_call(what));
        }
        ByzantinePeer::Operates(what) => operate(bed, what),
        _ => unreachable!("done by the caller"),
    }
}

fn operate(bed: &mut Bed, what: u8) {
    let none = AgentId::made("none".to_owned());
    let _ = bed.ask(match what {
        0 => OperatorCall::Teardown(FrameworkId::made("none".to_owned())),
        1 => OperatorCall::Kill(framework(bed, 0), TaskId::made("t1".to_owned())),
        2 => OperatorCall::Claim { agent: none, action: reserve(&[reserved(1)]) },
        3 => OperatorCall::Weight(role("*"), holdfast_model::Scalar::thousandths(i64::MAX)),
        _ => OperatorCall::Claim { agent: none, action: reserve(&[]) },
    });
}

#[derive(Clone, Debug)]
enum Turn {
    Honest(Step),
    ByzantinePeer(ByzantinePeer),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn byzantine_peers_break_no_rule_and_stop_nobody(
        turns in prop::collection::vec(prop_oneof![3 => step().prop_map(Turn::Honest), 1 => byzantine().prop_map(Turn::ByzantinePeer)], 1..120)
    ) {
        let mut bed = world();
        bed.byzantine_peers = true;
        for (number, turn) in turns.into_iter().enumerate() {
            match turn {
                Turn::Honest(step) => go(&mut bed, number, step),
                Turn::ByzantinePeer(byzantine) => act(&mut bed, byzantine),
            }
        }
        // Whoever never met a byzantine peer is welcome now as ever.
        let newcomer = bed.add_machine(plenty());
        let guest = bed.add_scheduler(info("guest", &["guests"]));
        bed.settle();
        let id = bed.agent(newcomer);
        prop_assert_eq!(bed.folded.agents[&id].presence, Presence::Admitted);
        prop_assert!(bed.schedulers[guest].events.iter().any(|it| matches!(it, Event::Subscribed(_))));
    }
}

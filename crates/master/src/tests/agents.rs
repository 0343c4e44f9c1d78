//! Agents: admitted, fenced, pinged, lost, unreachable and back.

use holdfast_model::{
    AgentId, Call, ClaimAction, ClaimId, ClaimState, DiskRecord, DiskReport, Event, LinkId, NodeId,
    OperationState, OperatorCall, Order, Presence, Reason, Resources, TaskId, TaskState, ToMaster,
};
use uuid::Uuid;

use super::bed::*;
use crate::{AgentHealth, Config, Input, Refusal};

fn failures(bed: &Bed, scheduler: usize) -> usize {
    bed.schedulers[scheduler]
        .events
        .iter()
        .filter(|it| matches!(it, Event::Failure { executor: None, .. }))
        .count()
}

#[test]
fn f20_a_new_agent_is_admitted_named_and_offered() {
    let mut bed = Bed::empty(Config::default());
    bed.add_scheduler(info("keeper", &["db"]));
    bed.add_machine(plenty());
    bed.hear_one(0);
    assert_eq!(bed.folded.agents.len(), 1);
    assert_eq!(
        bed.master.agents().values().next().unwrap().health(),
        &AgentHealth::Joining,
        "its disks are not open yet"
    );
    assert!(bed.schedulers[0].offers.is_empty());
    bed.settle();
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn an_agent_that_did_not_introduce_itself_is_hung_up_on() {
    let mut bed = Bed::with_agents(1);
    bed.input(Input::FromAgent(LinkId(77), ToMaster::Pong(1)));
    assert!(bed.closed.contains(&LinkId(77)));
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn r2_an_agent_with_an_old_ledger_is_fenced_and_named() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)]))]);
    let claims = bed.folded.claims.clone();
    bed.machines[0].version = 1;
    bed.machines[0].claims.clear();
    bed.connect(0);
    bed.hear_one(0);
    assert!(bed.machines[0].refused.as_ref().unwrap().contains("lost data"));
    assert_eq!(bed.folded.claims, claims, "what it does not say is not believed");
    bed.lose(0);
    bed.connect(0);
    bed.hear_one(0);
    assert!(bed.machines[0].link.is_none());
}

#[test]
fn a_fenced_agent_is_unreachable_in_the_end_and_welcome_when_mended() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let version = bed.folded.agents[&bed.agent(0)].ledger_version;
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)]))]);
    assert!(version < bed.folded.agents[&bed.agent(0)].ledger_version);
    bed.lose(0);
    let mended = std::mem::replace(&mut bed.machines[0].version, version);
    bed.connect(0);
    bed.hear_one(0);
    assert!(matches!(bed.state(0).health(), AgentHealth::Fenced(_)));
    bed.pass_ms(75_000);
    assert_eq!(bed.folded.agents[&bed.agent(0)].presence, Presence::Unreachable);
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Unreachable));
    bed.machines[0].version = mended;
    bed.connect(0);
    bed.settle();
    assert_eq!(
        (bed.state(0).health().clone(), bed.schedulers[0].states("t").pop()),
        (AgentHealth::Well, Some(TaskState::Running))
    );
}

#[test]
fn r2_an_old_ledger_that_counts_past_what_was_acknowledged_stays_fenced() {
    let mut bed = Bed::usual();
    let (old, points) = (bed.machines[0].version, bed.machines[0].points.clone());
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)]))]);
    bed.lose(0);
    bed.connect(0);
    bed.settle();
    let (acknowledged, claims) = (
        bed.folded.agents[&bed.agent(0)].ledger_version,
        (bed.folded.claims.clone(), bed.machines[0].claims.clone()),
    );
    assert!(old < acknowledged);
    let kept = (bed.machines[0].version, bed.machines[0].points.clone());
    // Its ledger is put back, and goes on from there without a master: past the acknowledged version, or over it exactly.
    let machine = &mut bed.machines[0];
    (machine.version, machine.points, machine.branch) = (old, points, 7);
    machine.claims.clear();
    for version in old..acknowledged + 40 {
        bed.machines[0].version = version;
        bed.lose(0);
        bed.connect(0);
        bed.hear_one(0);
        assert!(bed.machines[0].refused.as_ref().unwrap().contains("lost data"), "{version}");
        assert!(matches!(bed.state(0).health(), AgentHealth::Fenced(_)), "{version}");
        assert_eq!(bed.folded.claims, claims.0, "{version}");
    }
    // With its own ledger it is believed again.
    let machine = &mut bed.machines[0];
    ((machine.version, machine.points), machine.claims, machine.branch) = (kept, claims.1, 0);
    bed.lose(0);
    bed.connect(0);
    bed.settle();
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn r2_of_two_processes_with_copies_of_one_ledger_the_second_is_refused_until_the_first_is_gone() {
    let mut bed = Bed::usual();
    let first = bed.machines[0].link;
    let mut copy = bed.machines[0].report();
    copy.history.last_mut().unwrap().checksum += 1; // Its start is written down.
    let say = |bed: &mut Bed, link: u64| {
        bed.input(Input::FromAgent(LinkId(link), ToMaster::Report(Box::new(copy.clone()))));
    };
    say(&mut bed, 771);
    assert!(bed.closed.contains(&LinkId(771)));
    assert_eq!((bed.state(0).health().clone(), bed.state(0).link()), (AgentHealth::Well, first));
    // The same process on a newer link is no other one.
    bed.connect(0);
    bed.settle();
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    assert_ne!(bed.state(0).link(), first);
}

#[test]
fn an_impostor_does_not_unseat_the_agent_that_is_here() {
    let mut bed = Bed::with_agents(2);
    let mut report = bed.machines[0].report();
    report.node = NodeId(Uuid::from_u128(666));
    bed.input(Input::FromAgent(LinkId(77), ToMaster::Report(Box::new(report))));
    assert!(bed.closed.contains(&LinkId(77)));
    assert_eq!(
        (bed.state(0).health().clone(), bed.state(0).link()),
        (AgentHealth::Well, bed.machines[0].link)
    );
}

#[test]
fn a_link_is_one_agents_for_ever() {
    let mut bed = Bed::with_agents(2);
    let link = bed.machines[0].link.unwrap();
    let other = bed.machines[1].report();
    bed.input(Input::FromAgent(link, ToMaster::Report(Box::new(other))));
    assert!(bed.closed.contains(&link), "whoever it is, it is nobody's any more");
    assert!(matches!(bed.state(0).health(), AgentHealth::Away(_)));
    assert_eq!(*bed.state(1).health(), AgentHealth::Well);
}

#[test]
fn names_that_no_cluster_gave_are_refused() {
    let mut bed = Bed::with_agents(1);
    let cluster = bed.folded.cluster.as_ref().unwrap().id;
    for (at, name) in [
        "S5".to_owned(),
        format!("{cluster}-S{}", u64::MAX),
        format!("{cluster}-S007"),
        format!("{cluster}-Sx"),
    ]
    .iter()
    .enumerate()
    {
        let mut report = bed.machines[0].report();
        (report.node, report.agent) =
            (NodeId(Uuid::from_u128(900 + at as u128)), Some(AgentId::made(name.clone())));
        let link = bed.link();
        bed.input(Input::FromAgent(link, ToMaster::Report(Box::new(report))));
        assert!(bed.closed.contains(&link), "{name}");
    }
    assert_eq!(bed.folded.agents.len(), 1);
}

#[test]
fn a_newer_link_takes_over_and_the_end_of_the_older_means_nothing() {
    let mut bed = Bed::usual();
    let old = bed.machines[0].link.unwrap();
    bed.connect(0);
    bed.settle();
    assert!(bed.closed.contains(&old));
    bed.input(Input::AgentLost(old));
    bed.input(Input::FromAgent(old, ToMaster::Pong(1)));
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    let mut late = bed.machines[0].report();
    late.orders_seen = 0;
    bed.input(Input::FromAgent(old, ToMaster::Report(Box::new(late))));
    assert_eq!(
        bed.state(0).link(),
        bed.machines[0].link,
        "an introduction that was long under way unseats nobody"
    );
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c13_offers_are_rescinded_when_the_agent_is_lost_or_comes_anew() {
    let mut bed = Bed::usual();
    bed.lose(0);
    assert_eq!((bed.schedulers[0].rescinded(), bed.master.offers().len()), (1, 0));
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.offered(0), plenty());
    bed.connect(0);
    bed.settle();
    assert_eq!((bed.schedulers[0].rescinded(), bed.master.offers().len()), (2, 1));
}

#[test]
fn f26_five_unanswered_pings_end_a_link() {
    let mut bed = Bed::usual();
    for _ in 0..5 {
        bed.pass_ms(15_000);
    }
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    bed.pass_ms(15_000);
    assert!(matches!(bed.state(0).health(), AgentHealth::Away(_)));
    assert!(bed.machines[0].link.is_none());
}

#[test]
fn f26_late_answers_are_answers() {
    let mut bed = Bed::usual();
    for _ in 0..20 {
        bed.pass_ms(15_000); // Each answer comes after the next question.
        bed.hear_one(0);
        bed.obey_one(0);
    }
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn f28_tasks_of_an_agent_that_stays_away_are_unreachable() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.lose(0);
    bed.pass_ms(74_999);
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Running]);
    bed.pass_ms(1);
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!(
        (status.state, status.reason, status.uuid),
        (TaskState::Unreachable, Some(Reason::AgentRemoved as i32), None)
    );
    assert_eq!((status.unreachable.map(|it| it.0), failures(&bed, 0)), (Some(bed.now), 1));
    assert_eq!(bed.folded.agents[&bed.agent(0)].presence, Presence::Unreachable);
    assert!(
        bed.master.belief.agents.totals().is_empty(),
        "what cannot be reached is nobody's share"
    );
    assert!(bed.roles(0)[0].allocated.is_empty());
}

#[test]
fn f23_tasks_of_an_agent_that_returns_are_as_it_says() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.lose(0);
    bed.pass_ms(75_000);
    bed.connect(0);
    bed.settle();
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!(
        (status.state, status.reason),
        (TaskState::Running, Some(Reason::AgentReregistered as i32))
    );
    assert_eq!(bed.folded.agents[&bed.agent(0)].presence, Presence::Admitted);
    assert_eq!(
        bed.roles(0)[0].allocated["cpus"],
        holdfast_model::Scalar::whole(8),
        "one used, seven offered"
    );
}

#[test]
fn f15_a_new_leader_tells_of_agents_that_never_came() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.fail_over();
    bed.subscribe(0);
    bed.pass_ms(599_999);
    assert_eq!(failures(&bed, 0), 0);
    bed.pass_ms(1);
    assert_eq!(failures(&bed, 0), 1);
    bed.connect(0);
    bed.settle();
    assert_eq!(
        bed.schedulers[0].states("t").last(),
        Some(&TaskState::Running),
        "though this leader never called it unreachable"
    );
}

#[test]
fn f30_an_agent_that_was_declared_gone_is_refused() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    bed.folded.agents.get_mut(&agent).unwrap().presence = Presence::Gone;
    bed.fail_over();
    assert!(bed.master.agents().is_empty());
    bed.connect(0);
    bed.hear_one(0);
    assert!(bed.machines[0].refused.as_ref().unwrap().contains("gone"));
    bed.subscribe(0);
    bed.call(0, Call::Reconcile(vec![(TaskId::made("t".to_owned()), Some(agent.clone()))]));
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::GoneByOperator]);
    bed.call(0, Call::ReconcileOperations(vec![("o".to_owned(), Some(agent))]));
    assert_eq!(bed.schedulers[0].outcome("o"), [OperationState::GoneByOperator]);
}

#[test]
fn e53_a_report_that_has_not_seen_all_orders_is_not_believed() {
    let mut bed = Bed::usual();
    bed.machines[0].introduce(); // It lies in the outbox while the master sends an order.
    let offer = bed.offer(0);
    let operations = vec![launch(&[task("t", &offer.agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers: vec![offer.id], operations, filters: no_filter() });
    bed.hear_one(0);
    assert_eq!(*bed.state(0).health(), AgentHealth::Resyncing);
    assert_eq!(bed.schedulers[0].states("t"), [], "the task is not called gone");
    bed.settle();
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    assert_eq!(bed.master.tasks().len(), 1);
}

#[test]
fn a_busy_link_does_not_keep_an_agent_from_being_believed() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.machines[0].fails = true;
    bed.accept(0, vec![]);
    bed.pass_ms(100);
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)]))]);
    bed.machines[0].introduce();
    let (agent, executor) = (bed.agent(0), holdfast_model::ExecutorId::made("t".to_owned()));
    let message = || Call::Message(agent.clone(), executor.clone(), vec![0]);
    bed.call(0, message());
    for round in 0..20 {
        bed.obey_one(0);
        bed.call(0, message()); // Somebody talks to its executor all the time.
        bed.hear_one(0);
        if *bed.state(0).health() == AgentHealth::Well && 5 < round {
            break;
        }
    }
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn orders_are_held_back_while_an_agent_is_asked_and_then_sent_in_order() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.machines[0].fails = true;
    bed.call(
        0,
        Call::Accept {
            offers: vec![bed.offer(0).id],
            operations: vec![unnamed(reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.obey_one(0);
    bed.hear_one(0); // It failed: the master asks how things are.
    assert_eq!(*bed.state(0).health(), AgentHealth::Resyncing);
    bed.task_will_be(0, "t", TaskState::Finished);
    bed.hear_one(0);
    bed.acknowledge_last_unsettled(0);
    assert!(bed.master.tasks().is_empty(), "the framework has acknowledged the end");
    assert_eq!(
        bed.master.belief.agents.queued_until_resync(&bed.agent(0)).len(),
        2,
        "an operation's and a task's acknowledgement"
    );
    bed.settle();
    assert!(
        bed.master.tasks().is_empty(),
        "the agent's answer, which still names the task, does not bring it back"
    );
    assert!(bed.machines[0].tasks.is_empty() && bed.machines[0].operations.is_empty());
    let last: Vec<_> = bed.machines[0].obeyed.iter().rev().take(2).collect();
    assert!(matches!(last[..], [Order::AcknowledgeTask(..), Order::AcknowledgeOperation(..)]));
}

#[test]
fn kills_for_an_agent_that_is_away_are_done_when_it_is_back() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.lose(0);
    bed.call(0, Call::Kill { task: TaskId::made("t".to_owned()), agent: None, grace_ms: Some(7) });
    bed.connect(0);
    bed.settle();
    assert!(bed.machines[0]
        .obeyed
        .iter()
        .any(|it| matches!(it, Order::Kill { grace_ms: Some(7), .. })));
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Killed));
}

#[test]
fn a_kill_that_was_held_back_survives_the_link() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.machines[0].fails = true;
    bed.call(
        0,
        Call::Accept {
            offers: vec![bed.offer(0).id],
            operations: vec![unnamed(reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.obey_one(0);
    bed.hear_one(0);
    bed.call(0, Call::Kill { task: TaskId::made("t".to_owned()), agent: None, grace_ms: None });
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Killed));
}

#[test]
fn f24_a_task_whose_launch_was_lost_is_dropped_and_one_that_vanished_is_gone() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "old");
    let offer = bed.offer(0);
    let operations = vec![launch(&[task("new", &offer.agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers: vec![offer.id], operations, filters: no_filter() });
    bed.machines[0].tasks.clear();
    bed.machines[0].executors.clear();
    bed.connect(0); // The launch was under way.
    bed.settle();
    assert_eq!(
        (bed.schedulers[0].states("old").pop(), bed.schedulers[0].states("new").pop()),
        (Some(TaskState::Gone), Some(TaskState::Dropped))
    );
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn what_missing_tasks_held_is_not_taken_from_others() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "stays");
    bed.run(0, 0, "vanishes");
    bed.machines[0].tasks.retain(|key, _| key.1.as_str() == "stays");
    bed.connect(0);
    bed.settle();
    let cpus = bed.offered(0).quantity("cpus");
    assert_eq!(cpus, holdfast_model::Scalar::whole(7), "one task still uses one");
}

#[test]
fn c8_filters_end_when_the_machine_is_described_anew() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        Call::Decline { offers, filters: holdfast_model::Filters { refuse_ms: 1_000_000 } },
    );
    bed.machines[0].introduce();
    bed.settle();
    assert!(bed.schedulers[0].offers.is_empty());
    bed.machines[0].payload = vec![1].into();
    bed.machines[0].introduce();
    bed.settle();
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn offers_of_what_is_there_no_more_are_rescinded() {
    let mut bed = Bed::usual();
    bed.machines[0].configured =
        [amount("cpus", 8), amount("mem", 4096), disk(500)].iter().collect();
    bed.machines[0].introduce();
    bed.settle();
    assert_eq!(bed.schedulers[0].rescinded(), 1);
    assert_eq!(bed.offered(0).quantity("disk"), holdfast_model::Scalar::whole(500));
}

/// A volume `v` that is on offer, and a claim of the same name but another size beside it, which cannot be used.
fn with_a_namesake(state: ClaimState) -> Bed {
    let mut bed = Bed::usual();
    let create = ClaimAction::Create(vec![volume("v", 100)]);
    bed.accept(0, vec![unnamed(reserve(&[reserved(100)])), unnamed(create)]);
    bed.pass_ms(100);
    let mut namesake = bed.machines[0].claims.values().next().unwrap().clone();
    namesake.id = ClaimId(Uuid::from_u128(77));
    namesake.state = state;
    namesake.resource = volume("v", 40);
    bed.machines[0].faults.insert(namesake.id, "its disk is away".to_owned());
    bed.machines[0].claims.insert(namesake.id, namesake);
    bed.machines[0].introduce();
    bed.settle();
    bed
}

#[test]
fn a_destroyed_volume_that_cannot_be_trashed_holds_up_no_volume_of_its_name() {
    let bed = with_a_namesake(ClaimState::Destroying);
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
}

#[test]
fn a_volume_that_cannot_be_used_is_not_offered_at_another_size_either() {
    let bed = with_a_namesake(ClaimState::Ready);
    let offered = bed.offered(0);
    assert!(offered.get(&volume("v", 100).identity).is_none(), "{offered}");
}

#[test]
fn v9_a_volume_that_cannot_be_used_is_not_offered_and_comes_back_when_it_can() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    bed.pass_ms(100);
    let claim = *bed.machines[0].claims.keys().next().unwrap();
    bed.machines[0].faults.insert(claim, "its disk is away".to_owned());
    bed.machines[0].introduce();
    bed.settle();
    assert!(
        !bed.offered(0).contains_one(&volume("v", 100)) && !bed.schedulers[0].offers.is_empty()
    );
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(10)])),
            named("again", ClaimAction::Create(vec![volume("v", 10)])),
        ],
    );
    assert_eq!(bed.schedulers[0].outcome("again"), [OperationState::Error], "it keeps its name");
    let agent = bed.agent(0);
    let request = bed
        .ask(OperatorCall::Claim { agent, action: ClaimAction::Destroy(vec![volume("v", 100)]) });
    assert!(matches!(&bed.answers[&request], Err(Refusal::Conflict(_))));
    bed.machines[0].faults.clear();
    bed.machines[0].introduce();
    bed.settle();
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
}

#[test]
fn nothing_of_a_disk_that_cannot_be_used_is_offered_claimed_or_not() {
    let mut bed = Bed::usual();
    let on_disk = || holdfast_model::Scalar::whole(0);
    let before = bed.offered(0);
    assert_ne!(before.quantity("disk"), on_disk());
    let disk = DiskRecord {
        id: holdfast_model::DiskId(Uuid::from_u128(1)),
        kind: holdfast_model::DiskKind::Path,
        root: "/d1".to_owned(),
        size_mb: 1,
    };
    let fault = Some("it has not answered for 10 s".to_owned());
    bed.machines[0].disks = vec![DiskReport {
        disk,
        fault,
        space: None,
        added: false,
        orphans: Vec::new(),
        more_orphans: 0,
    }];
    bed.machines[0].introduce();
    bed.settle();
    assert_eq!(bed.schedulers[0].rescinded(), 1, "what was offered of it is taken back");
    let now = bed.offered(0);
    assert_eq!((now.quantity("disk"), now.quantity("cpus")), (on_disk(), before.quantity("cpus")));
    bed.machines[0].disks[0].fault = None;
    bed.machines[0].introduce();
    bed.settle();
    bed.accept(0, Vec::new()); // What is left of it is too little for an offer of its own.
    bed.pass_ms(100);
    assert_eq!(bed.offered(0), before);
}

#[test]
fn an_agent_that_came_back_with_less_than_its_tasks_use_offers_what_they_leave() {
    let ports = |begin, end| {
        let range = holdfast_model::Ranges::new([(begin, end)]);
        holdfast_model::Resource::unreserved("ports", holdfast_model::Value::Ranges(range))
    };
    let mut bed = Bed::empty(Config::default());
    let resources = [amount("cpus", 4), amount("mem", 2048), disk(1000), ports(1, 100)];
    bed.add_machine(resources.iter().collect());
    bed.add_scheduler(info("keeper", &["db"]));
    bed.settle();
    let kept = |mb| amount("mem", mb).reserved(crate::tests::bed::reservation("db"));
    bed.operate(0, reserve(&[kept(600)])).unwrap();
    bed.settle();
    bed.launch_all(0, "t", &[amount("cpus", 3), amount("mem", 512), ports(50, 50)]);
    bed.task_is(0, "t", TaskState::Running);
    bed.acknowledge_last(0);
    bed.lose(0);
    bed.machines[0].configured =
        [amount("cpus", 1), amount("mem", 700), disk(300), ports(1, 10)].iter().collect();
    bed.connect(0);
    bed.settle();
    bed.pass_ms(1_000);
    assert_eq!(bed.offered(0), [kept(188), disk(300), ports(1, 10)].iter().collect());
    bed.launch_all(0, "more", &[kept(600)]);
    bed.settle();
    assert_eq!(bed.schedulers[0].states("more"), [TaskState::Error]);
    bed.pass_ms(10_000);
    assert_eq!(bed.offered(0), [kept(188), disk(300), ports(1, 10)].iter().collect());
    bed.task_is(0, "t", TaskState::Finished);
    bed.settle();
    bed.pass_ms(10_000);
    assert_eq!(bed.offered(0).quantity("mem"), holdfast_model::Scalar::whole(700));
}

#[test]
fn an_agent_that_can_begin_nothing_is_offered_to_nobody_until_it_can() {
    let mut bed = Bed::usual();
    let room = |full: Option<&str>| {
        let resources = vec![amount("cpus", 8), amount("mem", 4096), disk(1000)];
        let full = full.map(str::to_owned);
        ToMaster::SpaceNews(holdfast_model::SpaceNews { resources, disks: Vec::new(), full })
    };
    bed.say(0, room(Some("its file system is nearly full")));
    bed.pass_ms(1_000);
    assert_eq!((bed.schedulers[0].rescinded(), bed.offers(0).len()), (1, 0));
    bed.say(0, room(None));
    bed.pass_ms(1_000);
    assert_eq!(bed.offered(0).quantity("cpus"), holdfast_model::Scalar::whole(8));
}

#[test]
fn news_of_the_space_on_disks_change_offers_without_a_report_and_whatever_is_on_its_way() {
    let mut bed = Bed::usual();
    let space = |mb| {
        let resources = vec![amount("cpus", 8), amount("mem", 4096), disk(mb)];
        let news = holdfast_model::SpaceNews { resources, disks: Vec::new(), full: None };
        ToMaster::SpaceNews(news)
    };
    bed.say(0, space(400));
    bed.pass_ms(1_000);
    assert_eq!(bed.schedulers[0].rescinded(), 1);
    assert_eq!(bed.offered(0).quantity("disk"), holdfast_model::Scalar::whole(400));
    // An order is on its way, and the machine is well all the same.
    bed.call(
        0,
        Call::Accept {
            offers: bed.offers(0).into_iter().map(|it| it.id).collect(),
            operations: vec![unnamed(reserve(&[reserved(300)]))],
            filters: no_filter(),
        },
    );
    bed.say(0, space(350));
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    bed.settle();
    bed.pass_ms(1_000);
    assert_eq!(bed.offered(0).quantity("disk"), holdfast_model::Scalar::whole(350));
    // Less than is claimed is not what it was told: only the agent knows.
    bed.say(0, space(100));
    bed.settle();
    assert!(bed.machines[0].obeyed.contains(&Order::Resync));
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn t2_a_task_whose_name_was_used_again_elsewhere_is_ended_and_nobody_is_told() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let offer = bed.offers(0)[0].clone();
    let old = bed.machines.iter().position(|it| it.agent.as_ref() == Some(&offer.agent)).unwrap();
    let new = 1 - old;
    let operations = vec![launch(&[task("t", &offer.agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers: vec![offer.id], operations, filters: no_filter() });
    bed.settle();
    bed.fail_over();
    bed.subscribe(0);
    bed.connect(new);
    bed.settle();
    bed.launch(0, "t", &[amount("cpus", 1)]);
    bed.task_will_be(new, "t", TaskState::Running);
    bed.connect(old);
    bed.settle();
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Running], "of the one that it knows");
    assert_eq!(
        bed.master.tasks().values().map(|it| it.agent.clone()).collect::<Vec<_>>(),
        [bed.agent(new)]
    );
    assert!(bed.machines[old].tasks.is_empty() && bed.state(old).name_conflicts().is_empty());
    let there = bed.agent(old);
    let offered: Resources = bed
        .offers(0)
        .iter()
        .filter(|it| it.agent == there)
        .flat_map(|it| it.resources.unallocated().iter().collect::<Vec<_>>())
        .collect();
    assert_eq!(offered, plenty(), "what it used is free once it has ended");
}

#[test]
fn the_waiting_operator_is_told_when_the_agent_is_lost() {
    let mut bed = Bed::with_agents(1);
    let call = OperatorCall::Claim { agent: bed.agent(0), action: reserve(&[reserved(10)]) };
    let request = bed.ask(call);
    bed.obey_one(0);
    bed.lose(0);
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("not known"))
    );
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.folded.claims.len(), 1, "it was done all the same");
    assert!(bed.master.operations().is_empty() && bed.machines[0].operations.is_empty());
}

//! Leading, losing the lead, and leading again: what survives, what is forgotten, and who is told.

use std::collections::BTreeSet;

use holdfast_model::{
    Call, ClaimAction, Cluster, ClusterId, Event, FrameworkId, Instant, LinkId, MasterChange,
    OperationState, OperatorCall, Presence, TaskId, TaskState, Term, ToMaster,
};
use uuid::Uuid;

use super::bed::*;
use crate::{AgentHealth, Config, Effect, Input, Refusal};

#[test]
fn who_does_not_lead_hangs_up_and_refuses() {
    let mut bed = Bed::usual();
    bed.input(Input::Deposed(Term(1)));
    assert!(
        bed.machines[0].link.is_none() && bed.schedulers[0].link.is_none(),
        "f12: links belong to one term"
    );
    let report = bed.machines[0].report();
    bed.input(Input::FromAgent(LinkId(90), ToMaster::Report(Box::new(report))));
    bed.subscribe(0);
    assert!(bed.closed.contains(&LinkId(90)) && bed.schedulers[0].link.is_none());
    let request = bed.ask(OperatorCall::Teardown(bed.id(0)));
    assert_eq!(bed.answers[&request], Err(Refusal::NotLeading));
    assert_eq!(bed.master.next_deadline(), None);
}

#[test]
fn words_about_an_older_term_change_nothing() {
    let mut bed = Bed::usual();
    bed.fail_over();
    bed.reunite();
    bed.input(Input::Deposed(Term(1)));
    bed.input(Input::Elected(Term(2)));
    bed.input(Input::Elected(Term(1)));
    assert_eq!(
        (bed.master.term(), bed.state(0).health().clone()),
        (Some(Term(2)), AgentHealth::Well)
    );
}

#[test]
fn a_later_term_without_an_end_of_the_former_begins_anew() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.input(Input::Elected(Term(7)));
    assert_eq!(bed.master.term(), Some(Term(7)));
    assert!(bed.machines[0].link.is_none() && bed.schedulers[0].link.is_none());
    assert!(
        bed.master.tasks().is_empty()
            && bed.master.offers().is_empty()
            && bed.master.belief.tasks.completed().next().is_none()
    );
    bed.reunite();
    assert_eq!(bed.master.tasks().len(), 1);
    assert!(bed.offer(0).id.as_str().contains("-T7-"), "c2: ids of offers are never used again");
}

#[test]
fn operators_who_wait_are_told_when_the_lead_is_lost() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::Claim { agent, action: reserve(&[reserved(10)]) });
    assert!(!bed.answers.contains_key(&request));
    bed.input(Input::Deposed(Term(1)));
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("not known whether"))
    );
}

#[test]
fn d20_frameworks_and_their_deadlines_survive_the_leader() {
    let mut bed = Bed::usual();
    let deadline = bed.now + 600_000;
    bed.leave(0);
    assert_eq!(bed.folded.frameworks[&bed.id(0)].deadline.map(|it| it.0), Some(deadline));
    bed.pass_ms(100_000);
    bed.fail_over();
    assert_eq!(
        bed.folded.frameworks[&bed.id(0)].deadline.map(|it| it.0),
        Some(deadline),
        "a new leader does not begin to count again"
    );
    bed.pass_ms(499_999);
    assert!(!bed.folded.frameworks[&bed.id(0)].removed);
    bed.pass_ms(1);
    assert!(bed.folded.frameworks[&bed.id(0)].removed, "d19");
}

#[test]
fn d20_a_framework_that_was_here_gets_its_time_from_the_new_leader() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(holdfast_model::FrameworkInfo {
        failover_timeout_ms: 0,
        ..info("hasty", &["db"])
    });
    bed.fail_over();
    bed.pass_ms(74_999);
    assert!(
        !bed.folded.frameworks[&bed.id(0)].removed,
        "it has to have time to find the new leader"
    );
    bed.pass_ms(1);
    assert!(bed.folded.frameworks[&bed.id(0)].removed);
}

#[test]
fn d7_a_removed_framework_stays_removed_under_the_next_leader() {
    let mut bed = Bed::usual();
    bed.call(0, holdfast_model::Call::Teardown);
    bed.fail_over();
    bed.subscribe(0);
    assert_eq!(bed.schedulers[0].errors().len(), 1);
    assert!(bed.schedulers[0].errors()[0].contains("Framework has been removed"));
    assert!(bed.schedulers[0].link.is_none());
}

#[test]
fn f14_whatever_the_order_in_which_they_come_back_the_new_leader_believes_what_is() {
    for framework_first in [true, false] {
        let mut bed = Bed::usual();
        bed.accept(
            0,
            vec![
                unnamed(reserve(&[reserved(100)])),
                unnamed(ClaimAction::Create(vec![volume("v", 100)])),
            ],
        );
        bed.pass_ms(100);
        bed.launch(0, "t", &[amount("cpus", 2), volume("v", 100)]);
        bed.task_is(0, "t", TaskState::Running);
        let claims = bed.folded.claims.clone();
        bed.fail_over();
        assert_eq!(
            bed.folded.claims, claims,
            "where each claim is, is known before its agent is back"
        );
        if framework_first {
            bed.subscribe(0);
            bed.connect(0);
        } else {
            bed.connect(0);
            bed.settle();
            bed.subscribe(0);
        }
        bed.settle();
        assert_eq!(bed.folded.claims, claims);
        assert_eq!(
            bed.master.tasks().values().map(|it| it.state).collect::<Vec<_>>(),
            [TaskState::Running]
        );
        let rest: BTreeSet<String> = bed.offered(0).iter().map(|it| it.to_string()).collect();
        assert_eq!(
            rest,
            ["cpus:6", "mem:4096", "disk[Path:/d1]:900"].map(str::to_owned).into(),
            "m3: the task was not touched"
        );
    }
}

#[test]
fn claims_are_offered_to_their_holder_as_soon_as_their_agent_is_back() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db"]));
    let first = bed.offers(0)[0].clone();
    let operations = vec![
        unnamed(reserve(&[reserved(100)])),
        unnamed(ClaimAction::Create(vec![volume("v", 100)])),
    ];
    bed.call(
        0,
        holdfast_model::Call::Accept { offers: vec![first.id], operations, filters: no_filter() },
    );
    bed.settle();
    let home = bed.machines.iter().position(|it| it.agent.as_ref() == Some(&first.agent)).unwrap();
    bed.fail_over();
    bed.add_scheduler(info("other", &["db"]));
    bed.connect(home);
    bed.settle();
    assert!(
        bed.offered(1).iter().all(|it| it.identity.persistence.is_none()),
        "its holder is expected"
    );
    bed.subscribe(0);
    assert!(bed.offered(0).contains_one(&volume("v", 100)), "no waiting for the other agent");
}

#[test]
fn b79_an_order_that_was_lost_with_the_leader_is_dropped_and_told() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        holdfast_model::Call::Accept {
            offers,
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.fail_over(); // The order never reached the agent.
    bed.subscribe(0);
    bed.call(0, holdfast_model::Call::ReconcileOperations(vec![("r".to_owned(), None)]));
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Recovering], "b81");
    bed.connect(0);
    bed.settle();
    assert_eq!(
        bed.schedulers[0].outcome("r"),
        [OperationState::Recovering, OperationState::Dropped]
    );
    bed.acknowledge_operations(0);
    assert!(bed.folded.pending.is_empty() && bed.master.operations().is_empty());
}

#[test]
fn v5_a_lost_order_is_told_to_a_framework_that_was_away_by_whoever_leads_until_it_has_acknowledged_it(
) {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    let operations = vec![named("r", reserve(&[reserved(10)])), unnamed(reserve(&[reserved(10)]))];
    bed.call(0, holdfast_model::Call::Accept { offers, operations, filters: no_filter() });
    bed.leave(0);
    bed.connect(0); // The order was on the old link.
    bed.settle();
    assert_eq!(
        (bed.folded.pending.len(), bed.state(0).reserved_by_operation().len()),
        (1, 0),
        "who gave no name wants no answer, and nothing waits"
    );
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    bed.subscribe(0);
    let told = bed.schedulers[0].outcomes();
    assert_eq!(
        (told.len(), told[0].state, told[0].agent.clone()),
        (1, OperationState::Dropped, Some(bed.agent(0)))
    );
    bed.subscribe(0);
    bed.call(0, holdfast_model::Call::ReconcileOperations(Vec::new()));
    let names: Vec<_> =
        bed.schedulers[0].outcomes().into_iter().map(|it| (it.state, it.uuid)).collect();
    let dropped = |uuid| (OperationState::Dropped, uuid);
    assert_eq!(
        names,
        [dropped(told[0].uuid), dropped(told[0].uuid), dropped(None)],
        "it is one and the same, whoever tells it"
    );
    bed.connect(0);
    bed.settle();
    bed.acknowledge_operations(0);
    assert!(bed.folded.pending.is_empty() && bed.master.operations().is_empty());
    bed.subscribe(0);
    assert_eq!(bed.schedulers[0].outcomes().len(), 3, "and then no more");
}

#[test]
fn r4_what_was_dropped_is_forgotten_with_its_framework() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        holdfast_model::Call::Accept {
            offers,
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.leave(0);
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.folded.pending.len(), 1);
    bed.pass_ms(600_000);
    assert!(bed.folded.pending.is_empty() && bed.master.operations().is_empty());
}

#[test]
fn b77_an_outcome_that_only_the_agent_knows_is_still_told() {
    let mut bed = Bed::usual();
    let offers = vec![bed.offer(0).id];
    bed.call(
        0,
        holdfast_model::Call::Accept {
            offers,
            operations: vec![named("r", reserve(&[reserved(10)]))],
            filters: no_filter(),
        },
    );
    bed.obey_one(0);
    // The order went out, and the leader died before it was in the ledger.
    bed.folded.pending = Default::default();
    bed.fail_over();
    bed.reunite();
    assert_eq!(bed.schedulers[0].outcome("r").last(), Some(&OperationState::Finished));
    assert_eq!(
        bed.machines[0].operations.len(),
        1,
        "it is kept until the framework has acknowledged it"
    );
    bed.acknowledge_operations(0);
    assert!(
        bed.machines[0].operations.is_empty()
            && bed.master.operations().is_empty()
            && bed.folded.pending.is_empty()
    );
}

#[test]
fn d6_a_leader_whose_ledger_was_lost_goes_on_with_the_cluster_it_is_told() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            named("r", reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    bed.acknowledge_operations(0);
    bed.pass_ms(100);
    bed.run(0, 0, "t");
    let (cluster, agent, framework) =
        (bed.folded.cluster.as_ref().unwrap().id, bed.agent(0), bed.id(0));
    bed.folded = Default::default();
    let begun =
        Cluster::new(cluster, Instant(bed.now)).after_loss(Term(bed.term), Instant(bed.now));
    bed.folded.apply(&MasterChange::Cluster(begun));
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.folded.agents.keys().collect::<Vec<_>>(), [&agent], "it keeps its name");
    assert_eq!(bed.folded.claims.len(), 1, "claims are learnt from who has them");
    assert!(
        !bed.folded.frameworks[&framework].removed
            && bed.folded.frameworks[&framework].deadline.is_some()
    );
    assert_eq!(bed.master.tasks().len(), 1);
    bed.subscribe(0);
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
    bed.add_machine(plenty());
    bed.add_scheduler(info("new", &["db"]));
    bed.settle();
    assert!(bed.agent(1) != agent && bed.id(1) != framework, "names are never given twice");
}

#[test]
fn what_an_agent_may_still_tell_is_not_called_unknown_after_the_ledger_was_lost() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let (cluster, agent) = (bed.folded.cluster.as_ref().unwrap().id, bed.agent(0));
    bed.folded = Default::default();
    let begun =
        Cluster::new(cluster, Instant(bed.now)).after_loss(Term(bed.term), Instant(bed.now));
    bed.folded.apply(&MasterChange::Cluster(begun));
    bed.fail_over();
    bed.subscribe(0);
    let asked = [(TaskId::made("t".to_owned()), Some(agent.clone()))];
    let told = |bed: &mut Bed| {
        bed.schedulers[0].events.clear();
        bed.call(0, Call::Reconcile(asked.to_vec()));
        let updates = bed.schedulers[0].events.iter().filter_map(|it| match it {
            Event::Update(status) => Some(status.state),
            _ => None,
        });
        updates.collect::<Vec<_>>()
    };
    assert_eq!(told(&mut bed), []);
    bed.pass_ms(Config::default().reregister_timeout_ms);
    assert_eq!(told(&mut bed), [TaskState::Unreachable], "it is not known to be no more");
    bed.connect(0);
    bed.settle();
    assert_eq!(told(&mut bed), [TaskState::Running]);
}

#[test]
fn a_leader_of_an_older_term_leads_anew_above_what_agents_have_obeyed() {
    let mut bed = Bed::usual();
    let made = ClaimAction::Create(vec![volume("v", 100)]);
    bed.accept(0, vec![unnamed(reserve(&[reserved(100)])), unnamed(made)]);
    bed.add_machine(plenty());
    bed.settle();
    // An older copy of the ledger leads: it knows the agents, and no term but its own.
    (bed.machines[0].term, bed.machines[1].term) = (Term(7), Term(9));
    bed.fail_over();
    bed.subscribe(0);
    let before = bed.effects.len();
    bed.connect(0);
    bed.settle();
    let told = |it: &Effect| matches!(it, Effect::ToAgent(..));
    let raised = bed.effects[before..].iter().position(|it| *it == Effect::Outranked(Term(7)));
    assert!(!bed.effects[before..][..raised.unwrap()].iter().any(told), "nothing is told before");
    assert_eq!(bed.master.term(), Some(Term(8)));
    bed.connect(1);
    bed.settle();
    assert_eq!(bed.master.term(), Some(Term(10)));
    (0..2).for_each(|it| bed.connect(it));
    bed.settle();
    bed.subscribe(0);
    assert!(bed.machines.iter().all(|it| it.term == Term(10)), "both obey it");
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
}

#[test]
fn a_term_that_cannot_be_is_refused_and_led_above_by_nobody() {
    let mut bed = Bed::usual();
    let cluster = bed.folded.cluster.clone();
    for absurd in [1 << 33, u64::MAX] {
        bed.machines[0].term = Term(absurd);
        bed.fail_over();
        bed.connect(0);
        bed.settle();
        let why = bed.machines[0].refused.take().unwrap();
        assert!(why.contains("no cluster has had so many leaders"), "{why}");
        assert_eq!(bed.master.term(), Some(Term(bed.term)));
    }
    assert!(bed.term < 10 && bed.folded.cluster == cluster);
    // Terms of somebody who is refused anyway mean nothing.
    bed.machines[0].term = Term(40);
    bed.machines[0].cluster = Some(holdfast_model::ClusterId(Uuid::from_u128(0xbad)));
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    assert!(bed.machines[0].refused.is_some() && bed.master.term() == Some(Term(bed.term)));
}

#[test]
fn a_framework_known_only_from_an_agent_is_removed_when_it_does_not_come() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let framework = bed.id(0);
    bed.folded.frameworks = Default::default();
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    bed.pass_ms(600_000);
    assert!(bed.folded.frameworks[&framework].removed);
    bed.connect(0);
    bed.settle();
    assert!(bed.machines[0].tasks.is_empty(), "f23: tasks of removed frameworks end");
}

#[test]
fn an_agent_of_another_cluster_is_told_where_it_belongs() {
    let mut bed = Bed::with_agents(1);
    bed.machines[0].cluster = Some(ClusterId(Uuid::from_u128(4242)));
    bed.connect(0);
    bed.hear_one(0);
    assert!(bed.machines[0].refused.as_ref().unwrap().contains("belong to cluster"));
    assert!(bed.machines[0].link.is_none());
}

#[test]
fn statuses_for_a_framework_that_nobody_knows_are_kept_for_a_while() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let framework = bed.id(0);
    bed.folded.frameworks = Default::default();
    bed.machines[0].frameworks.clear(); // Even its agent does not know it any more.
    bed.fail_over();
    bed.connect(0);
    bed.task_is(0, "t", TaskState::Finished);
    assert_eq!(bed.machines[0].tasks.len(), 1, "it may still come");
    bed.pass_ms(600_000);
    bed.connect(0);
    bed.settle();
    assert!(
        bed.machines[0].tasks.is_empty() && !bed.folded.frameworks.contains_key(&framework),
        "b77: it did not"
    );
}

#[test]
fn what_is_promised_is_committed_before_it_is_said() {
    let mut bed = Bed::empty(Config::default());
    bed.effects.clear();
    bed.add_scheduler(info("keeper", &["db"]));
    bed.add_machine(plenty());
    bed.settle();
    let position = |which: fn(&Effect) -> bool| bed.effects.iter().position(which).unwrap();
    let framework = |it: &Effect| matches!(it, Effect::Commit(_, changes) if changes.iter().any(|it| matches!(it, holdfast_model::MasterChange::Framework(_))));
    let subscribed = |it: &Effect| matches!(it, Effect::ToFramework(_, Event::Subscribed(_), _));
    assert!(position(framework) < position(subscribed));
    let agent = |it: &Effect| matches!(it, Effect::Commit(_, changes) if changes.iter().any(|it| matches!(it, holdfast_model::MasterChange::Agent(_))));
    let registered = |it: &Effect| matches!(it, Effect::ToAgent(_, message) if matches!(message.order, holdfast_model::Order::Registered(..)));
    assert!(position(agent) < position(registered), "f6");
    assert_eq!(bed.folded.agents.values().next().unwrap().presence, Presence::Admitted);
    assert_ne!(bed.id(0), FrameworkId::made(String::new()));
}

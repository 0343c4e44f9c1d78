//! Agents that are deactivated, drained and reactivated: offers, kills, the state over failovers, and what is claimed, which stays.

use holdfast_model::{
    Action, Deactivation, Operation, OperatorCall, Order, Presence, Reason, TaskInfo, TaskState,
};

use super::bed::*;
use crate::Refusal;

fn drain(bed: &mut Bed, machine: usize, max_grace_ms: Option<u64>, mark_gone: bool) {
    let agent = bed.agent(machine);
    let request = bed.ask_as(
        Some("ops".to_owned()),
        OperatorCall::DrainAgent { agent, max_grace_ms, mark_gone },
    );
    assert_eq!(bed.answers[&request], Ok(()));
}

fn reactivate(bed: &mut Bed, machine: usize, cancel_drain: bool) -> Result<(), Refusal> {
    let agent = bed.agent(machine);
    let request = bed.ask(OperatorCall::ReactivateAgent { agent, cancel_drain });
    bed.answers[&request].clone()
}

fn wish(bed: &Bed, machine: usize) -> Option<Deactivation> {
    bed.folded.deactivations.get(&bed.agent(machine)).cloned()
}

fn is_drained(bed: &Bed, machine: usize) -> bool {
    wish(bed, machine).is_some_and(|it| it.drain.is_some_and(|it| it.is_drained))
}

fn kills(bed: &Bed, machine: usize) -> Vec<Option<u64>> {
    let grace = |it: &Order| match it {
        Order::Kill { grace_ms, .. } => Some(*grace_ms),
        _ => None,
    };
    bed.machines[machine].obeyed.iter().filter_map(grace).collect()
}

/// One agent with a volume, on which a task runs, offered anew since.
fn bed_with_a_volume() -> Bed {
    let mut bed = super::gone::bed_with_a_volume();
    bed.pass_ms(100);
    bed
}

#[test]
fn f38_a_drain_ends_tasks_keeps_claims_and_offers_nothing_until_it_is_reactivated() {
    let mut bed = bed_with_a_volume();
    let claims = bed.folded.claims.clone();
    assert!(!bed.offered(0).is_empty());
    drain(&mut bed, 0, None, false);
    assert!(bed.offered(0).is_empty(), "what was offered is rescinded");
    let refused = reactivate(&mut bed, 0, false);
    assert!(matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("--cancel")));
    bed.settle();
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!(
        (status.state, status.reason),
        (TaskState::Killed, Some(Reason::AgentDraining as i32))
    );
    assert!(!is_drained(&bed, 0), "its framework has yet to hear it");
    bed.acknowledge_last(0);
    assert!(is_drained(&bed, 0));
    bed.pass_ms(700_000);
    assert!(bed.offered(0).is_empty());
    assert_eq!(bed.folded.claims, claims);
    let explained = bed.master.view().explain(holdfast_model::Instant(bed.now), &bed.id(0), None);
    let why = explained.reasons[0].reason.to_string();
    assert!(why.contains("it was drained by ops") && why.contains("reactivate"), "{why}");
    assert_eq!(reactivate(&mut bed, 0, false), Ok(()));
    assert_eq!(
        (wish(&bed, 0), bed.offered(0).get(&volume("v", 10).identity).is_some()),
        (None, true)
    );
}

#[test]
fn a_new_leader_kills_what_was_not_killed_when_the_agent_is_back() {
    let mut bed = bed_with_a_volume();
    bed.lose(0);
    drain(&mut bed, 0, None, false);
    assert_eq!(kills(&bed, 0), [] as [Option<u64>; 0]);
    bed.fail_over();
    bed.subscribe(0);
    bed.connect(0);
    bed.settle();
    assert_eq!(kills(&bed, 0), [None], "its own policy holds");
    bed.acknowledge_last_named(0);
    assert!(is_drained(&bed, 0) && bed.offered(0).is_empty());
    bed.fail_over();
    bed.reunite();
    assert!(is_drained(&bed, 0) && bed.offered(0).is_empty(), "also under a new leader");
}

#[test]
fn no_task_gets_more_time_than_the_drain_allows_and_none_more_than_its_own() {
    let mut bed = Bed::usual();
    let agent = bed.offer(0).agent;
    let with = |id: &str, grace_ms: Option<u64>| -> TaskInfo {
        let it = task(id, &agent, &[amount("cpus", 1)]);
        let wire = holdfast_model::convert::task::to_proto(
            &TaskInfo { kill_grace_ms: grace_ms, ..it },
            holdfast_model::convert::Format::WHOLE,
        );
        holdfast_model::convert::task::from_proto(wire).unwrap()
    };
    let tasks = vec![with("long", Some(60_000)), with("none", None), with("short", Some(500))];
    bed.accept(0, vec![Operation { id: None, action: Action::Launch(tasks) }]);
    drain(&mut bed, 0, Some(10_000), false);
    bed.settle();
    assert_eq!(kills(&bed, 0), [Some(10_000), Some(3_000), Some(500)]);
}

#[test]
fn an_executor_that_stays_is_shut_down_before_the_agent_is_drained() {
    let mut bed = Bed::usual();
    let agent = bed.offer(0).agent;
    let it = task("t", &agent, &[amount("cpus", 1)]);
    let it = TaskInfo { executor: Some(executor("e")), command: None, ..it };
    bed.accept(0, vec![launch(&[it])]);
    bed.task_is(0, "t", TaskState::Finished);
    drain(&mut bed, 0, None, false);
    bed.settle();
    bed.acknowledge_last_named(0);
    let is_end = |it: &Order| matches!(it, Order::ShutdownExecutor(..));
    assert!(bed.machines[0].obeyed.iter().any(is_end));
    assert!(is_drained(&bed, 0), "{:?}", bed.state(0).executors());
}

#[test]
fn one_that_is_to_be_marked_gone_is_once_nothing_runs_there() {
    let mut bed = bed_with_a_volume();
    let agent = bed.agent(0);
    drain(&mut bed, 0, None, true);
    bed.settle();
    assert_eq!(bed.folded.agents[&agent].presence, Presence::Admitted);
    bed.acknowledge_last(0);
    let record = &bed.folded.agents[&agent];
    assert_eq!((record.presence, bed.folded.deactivations.len()), (Presence::Gone, 0));
    assert_eq!(bed.folded.deaths[&agent].by, "ops");
    assert!(bed.folded.claims.is_empty());
}

#[test]
fn f39_a_deactivated_agent_goes_on_with_its_tasks_and_a_drain_can_be_ended() {
    let mut bed = bed_with_a_volume();
    let agent = bed.agent(0);
    let off = OperatorCall::DeactivateAgent(agent.clone());
    for _ in 0..2 {
        let request = bed.ask(off.clone());
        assert_eq!(bed.answers[&request], Ok(()));
    }
    bed.settle();
    assert!(bed.offered(0).is_empty() && kills(&bed, 0).is_empty());
    bed.fail_over();
    bed.reunite();
    assert!(bed.offered(0).is_empty() && wish(&bed, 0).is_some());
    drain(&mut bed, 0, None, true);
    assert_eq!(reactivate(&mut bed, 0, true), Ok(()), "the drain is ended");
    bed.settle();
    bed.acknowledge_last_named(0);
    assert_eq!(bed.folded.agents[&agent].presence, Presence::Admitted, "it is not marked gone");
    assert!(bed.offered(0).get(&volume("v", 10).identity).is_some());
}

#[test]
fn one_that_is_gone_or_not_known_is_refused() {
    let mut bed = Bed::with_agents(1);
    let agent = bed.agent(0);
    bed.ask(OperatorCall::MarkAgentGone { agent: agent.clone(), reason: None });
    let call = OperatorCall::DrainAgent { agent, max_grace_ms: None, mark_gone: false };
    let request = bed.ask(call);
    assert!(matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("gone")));
    let other = holdfast_model::AgentId::made("S9".to_owned());
    let request = bed.ask(OperatorCall::DeactivateAgent(other));
    assert!(matches!(&bed.answers[&request], Err(Refusal::NotFound(_))));
}

//! Agents that are gone: what becomes of their claims, tasks and operations, and of a process that comes back.

use holdfast_model::{
    ClaimAction, Event, MasterChange, OperationState, OperatorCall, Presence, Reason, TaskState,
};

use super::bed::*;
use crate::{Config, Effect, Refusal, RequestId};

fn gone(bed: &mut Bed, machine: usize, reason: Option<&str>) -> RequestId {
    let (agent, reason) = (bed.agent(machine), reason.map(str::to_owned));
    bed.ask_as(Some("ops".to_owned()), OperatorCall::MarkAgentGone { agent, reason })
}

/// One agent with a volume, on which a task runs.
pub(super) fn bed_with_a_volume() -> Bed {
    let mut bed = Bed::usual();
    let create = ClaimAction::Create(vec![volume("v", 10)]);
    bed.accept(0, vec![unnamed(reserve(&[reserved(10)])), unnamed(create)]);
    bed.pass_ms(100);
    bed.launch_all(0, "t", &[amount("cpus", 1), volume("v", 10)]);
    bed.task_is(0, "t", TaskState::Running);
    bed.acknowledge_last(0);
    bed
}

#[test]
fn f29_what_was_there_is_given_up_and_it_is_durable_before_anybody_hears() {
    let mut bed = bed_with_a_volume();
    let (agent, id) = (bed.agent(0), bed.folded.claims.values().next().unwrap().id);
    bed.effects.clear();
    let request = gone(&mut bed, 0, Some("burnt down"));
    assert_eq!(bed.answers[&request], Ok(()));
    let is_written = |it: &Effect| {
        let is_it = |it: &MasterChange| matches!(it, MasterChange::Agent(it) if it.presence == Presence::Gone);
        matches!(it, Effect::Commit(_, changes) if changes.iter().any(is_it))
    };
    assert!(is_written(&bed.effects[0]), "nothing is said before: {:?}", bed.effects[0]);
    let record = &bed.folded.agents[&agent];
    let death = &bed.folded.deaths[&agent];
    assert_eq!((death.by.as_str(), death.reason.as_deref()), ("ops", Some("burnt down")));
    assert_eq!(record.since.0, bed.now);
    assert!(bed.folded.claims.is_empty() && bed.master.agents().is_empty());
    let ended = bed.folded.ended.last(&agent, id).unwrap();
    let end = ended.end().unwrap();
    assert_eq!((end.what.as_str(), end.by.as_str(), end.at.0), ("given up", "ops", bed.now));
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!(status.state, TaskState::GoneByOperator);
    assert_eq!(status.reason, Some(Reason::AgentRemovedByOperator as i32));
    let is_failure =
        |it: &&Event| matches!(it, Event::Failure { agent: Some(it), .. } if *it == agent);
    assert_eq!(bed.schedulers[0].events.iter().filter(is_failure).count(), 1);
    assert!(bed.machines[0].tasks.is_empty(), "what ran there was ended");
    assert_eq!(bed.machines[0].claims.len(), 1, "and what was claimed is on its disks");
}

#[test]
fn who_comes_back_is_told_why_and_ends_what_runs_also_after_a_failover() {
    let mut bed = bed_with_a_volume();
    bed.lose(0);
    gone(&mut bed, 0, Some("burnt down"));
    for _ in 0..2 {
        bed.connect(0);
        bed.hear_one(0);
        let why = bed.machines[0].refused.clone().unwrap();
        assert!(why.contains("was marked gone by ops: burnt down"), "{why}");
        assert!(bed.machines[0].link.is_none() && bed.machines[0].tasks.is_empty());
        assert!(bed.master.agents().is_empty() && bed.folded.agents.len() == 1);
        bed.fail_over();
        bed.pass_ms(700_000); // Whatever was due for it fires.
    }
    let again = gone(&mut bed, 0, Some("another reason"));
    assert_eq!(bed.answers[&again], Ok(()), "it is done once");
    let death = &bed.folded.deaths[&bed.agent(0)];
    assert_eq!(death.reason.as_deref(), Some("burnt down"), "the first certificate stands");
}

#[test]
fn a_framework_that_knows_of_no_partitions_hears_that_its_task_is_lost() {
    let mut bed = Bed::with_agents(1);
    let plain = holdfast_model::FrameworkInfo {
        capabilities: Default::default(),
        ..info("plain", &["db"])
    };
    bed.add_scheduler(plain);
    bed.settle();
    bed.run(0, 0, "t");
    gone(&mut bed, 0, None);
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Lost));
}

#[test]
fn an_operation_that_was_under_way_is_told_until_it_is_acknowledged() {
    let mut bed = Bed::usual();
    let offers = bed.schedulers[0].offers.keys().cloned().collect();
    let operations = vec![named("op", reserve(&[reserved(10)]))];
    bed.call(0, holdfast_model::Call::Accept { offers, operations, filters: no_filter() });
    gone(&mut bed, 0, None);
    assert_eq!(bed.schedulers[0].outcome("op"), [OperationState::GoneByOperator]);
    bed.fail_over();
    bed.subscribe(0);
    assert_eq!(bed.schedulers[0].outcome("op"), [OperationState::GoneByOperator; 2]);
    bed.acknowledge_operations(0);
    assert!(bed.master.operations().is_empty() && bed.folded.pending.is_empty());
}

#[test]
fn an_operator_who_waits_for_it_is_told() {
    let mut bed = Bed::usual();
    let call = OperatorCall::Claim { agent: bed.agent(0), action: reserve(&[reserved(10)]) };
    let request = bed.ask(call);
    gone(&mut bed, 0, None);
    assert!(matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("gone")));
    assert!(bed.folded.pending.is_empty() && bed.master.operations().is_empty());
}

#[test]
fn one_that_is_not_known_is_not_found() {
    let mut bed = Bed::empty(Config::default());
    let agent = holdfast_model::AgentId::made("S9".to_owned());
    let request = bed.ask(OperatorCall::MarkAgentGone { agent, reason: None });
    assert!(matches!(&bed.answers[&request], Err(Refusal::NotFound(_))));
}

#[test]
fn a_disk_of_one_that_is_gone_comes_to_another_agent_without_claims() {
    use holdfast_model::{DiskAdoption, DiskId, MoveState, ToMaster};
    let mut bed = bed_with_a_volume();
    let id = DiskId(uuid::Uuid::from_u128(0xd1));
    bed.machines[0].claims.values_mut().for_each(|it| it.disk = Some(id));
    bed.machines[0].introduce();
    bed.settle();
    let to = bed.add_machine(plenty());
    bed.settle();
    gone(&mut bed, 0, None);
    let adoption = DiskAdoption::parse(id, "/mnt/d1", None).unwrap();
    let from = bed.machines[0].agent.clone().unwrap();
    let call = OperatorCall::MoveDisk { from, to: bed.agent(to), adoption, reason: None };
    let request = bed.ask(call);
    bed.settle();
    let it = bed.folded.moves.values().next().unwrap().clone();
    assert_eq!((it.state, it.claims.len()), (MoveState::Taking, 0));
    bed.say(to, ToMaster::DiskAnswer { uuid: it.order, refusal: None });
    assert_eq!((&bed.answers[&request], bed.folded.moves.len()), (&Ok(()), 0));
}

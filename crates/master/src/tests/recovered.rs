//! Agents whose ledgers were lost, rolled back or replaced, and get their claims back.

use holdfast_model::{
    Claim, ClaimAction, DiskId, DiskKind, DiskRecord, DiskReport, NodeId, OperatorCall, Order,
    Presence, Resource,
};
use uuid::Uuid;

use super::bed::*;
use crate::{AgentHealth, Refusal, RequestId};

fn disk_report() -> DiskReport {
    let (id, root) = (DiskId(Uuid::nil()), "/d1".to_owned());
    DiskReport {
        disk: DiskRecord { id, kind: DiskKind::Path, root, size_mb: 1000 },
        fault: None,
        space: None,
        added: false,
        orphans: Vec::new(),
        more_orphans: 0,
    }
}

/// An agent with a reservation and a volume, and another agent.
fn bed() -> Bed {
    let mut bed = Bed::with_agents(2);
    bed.operate(0, ClaimAction::Reserve { resources: vec![reserved(30)], source: Vec::new() })
        .unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("a", 10)])).unwrap();
    bed.machines[0].disks = vec![disk_report()];
    bed.machines[0].introduce();
    bed.settle();
    bed
}

/// The name of the plan to recover the first agent.
fn planned(bed: &Bed) -> Result<String, Refusal> {
    let agent = first(bed);
    bed.master.view().plan_recovery(&agent, None).map(|it| it.name())
}

/// The first agent's name, whether it knows it or not.
fn first(bed: &Bed) -> holdfast_model::AgentId {
    bed.folded.agents.keys().next().unwrap().clone()
}

fn ask(bed: &mut Bed, plan: &str) -> RequestId {
    let call = OperatorCall::RecoverAgent { agent: first(bed), node: None, plan: plan.to_owned() };
    let request = bed.ask(call);
    bed.settle();
    request
}

fn claims(bed: &Bed) -> Vec<Claim> {
    let agent = first(bed);
    bed.folded.claims_of(&agent).cloned().collect()
}

fn reconnect(bed: &mut Bed) {
    bed.lose(0);
    bed.connect(0);
    bed.settle();
}

fn is_back(bed: &Bed, before: &[Claim]) {
    let now = claims(bed);
    assert_eq!(now.len(), before.len());
    for (now, before) in now.iter().zip(before) {
        assert_eq!((now.id, &now.resource, now.disk), (before.id, &before.resource, before.disk));
        assert!(now.history.last().unwrap().what.starts_with("recovered"));
    }
    assert!(bed.folded.recoveries.is_empty());
    assert_eq!(bed.folded.agents[&first(bed)].node, bed.machines[0].node);
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
    assert!(bed.folded.ended.is_empty(), "no claim has ended");
    assert_eq!(bed.folded.agents.len(), 2, "nobody was taken for a new agent");
}

fn refused(bed: &Bed, words: &str) {
    let why = bed.machines[0].refused.clone().expect("it is not welcome");
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_new_ledger_on_an_agents_disks_is_fenced_until_it_is_recovered_and_then_is_that_agent() {
    let mut bed = bed();
    let (agent, before) = (first(&bed), claims(&bed));
    bed.lose(0);
    let lost = bed.machines[0].lose_ledger(0x77);
    assert_eq!(lost.len(), before.len());
    bed.connect(0);
    bed.settle();
    refused(&bed, "holdfast agent recover");
    assert!(matches!(bed.master.agents()[&agent].health(), AgentHealth::Fenced(_)));
    assert_eq!(claims(&bed), before);
    let plan = planned(&bed).unwrap();
    let wrong = ask(&mut bed, "1234");
    assert!(matches!(&bed.answers[&wrong], Err(Refusal::Conflict(why)) if why.contains("changed")));
    let request = ask(&mut bed, &plan);
    assert!(!bed.answers.contains_key(&request), "the agent has not heard of it yet");
    reconnect(&mut bed); // It is told, has it, and hangs up.
    assert!(!bed.answers.contains_key(&request));
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    is_back(&bed, &before);
    bed.add_scheduler(info("keeper", &["db"]));
    let is_volume = |it: Resource| it.identity.persistence.is_some();
    let offered =
        |it: &holdfast_model::Offer| it.agent == agent && it.resources.iter().any(is_volume);
    assert!(bed.offers(0).iter().any(offered), "its volume is offered again");
}

#[test]
fn an_agent_that_is_believed_is_not_recovered_nor_one_of_which_nobody_has_reported() {
    let mut bed = bed();
    assert!(
        matches!(planned(&bed), Err(Refusal::Conflict(why)) if why.contains("nothing to recover"))
    );
    bed.lose(0);
    assert!(
        matches!(planned(&bed), Err(Refusal::Conflict(why)) if why.contains("nobody has reported"))
    );
    let request = ask(&mut bed, "1234");
    assert!(matches!(bed.answers[&request], Err(Refusal::Conflict(_))));
    assert!(bed.folded.recoveries.is_empty());
}

#[test]
fn a_ledger_that_is_rolled_back_gets_what_it_has_lost_and_loses_what_has_ended_since() {
    let mut bed = bed();
    let machine = &bed.machines[0];
    let (copy, version) = (machine.claims.clone(), machine.version);
    bed.operate(0, ClaimAction::Reserve { resources: vec![reserved(5)], source: Vec::new() })
        .unwrap();
    let one_more = bed.machines[0].claims.clone();
    let before = claims(&bed);
    bed.lose(0);
    (bed.machines[0].claims, bed.machines[0].version) = (copy, version);
    bed.connect(0);
    bed.settle();
    refused(&bed, "it has lost data");
    let plan = planned(&bed).unwrap();
    let request = ask(&mut bed, &plan);
    reconnect(&mut bed);
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    is_back(&bed, &before);
    let total: i64 =
        bed.machines[0].claims.values().map(|it| it.resource.value.quantity().as_whole()).sum();
    let expected: i64 = one_more.values().map(|it| it.resource.value.quantity().as_whole()).sum();
    assert_eq!(total, expected);
}

#[test]
fn a_master_that_falls_at_any_moment_leaves_it_to_the_next_one() {
    for fails_after in 0..4 {
        let mut bed = bed();
        let before = claims(&bed);
        bed.lose(0);
        bed.machines[0].lose_ledger(0x77);
        bed.connect(0);
        bed.settle();
        let plan = planned(&bed).unwrap();
        ask(&mut bed, &plan);
        for step in 0..4 {
            if step == fails_after {
                bed.fail_over();
            }
            if step % 2 == 0 {
                reconnect(&mut bed);
            }
            bed.connect(0);
            bed.settle();
        }
        bed.connect(1);
        bed.settle();
        is_back(&bed, &before);
    }
}

#[test]
fn two_at_once_are_one_and_the_ledger_that_was_lost_is_refused_for_ever() {
    let mut bed = bed();
    let before = claims(&bed);
    let old = (bed.machines[0].node, bed.machines[0].agent.clone(), bed.machines[0].claims.clone());
    bed.lose(0);
    bed.machines[0].lose_ledger(0x77);
    bed.connect(0);
    bed.settle();
    let plan = planned(&bed).unwrap();
    let (one, two) = (ask(&mut bed, &plan), ask(&mut bed, &plan));
    assert_eq!(bed.folded.recoveries.len(), 1);
    reconnect(&mut bed);
    bed.connect(0);
    bed.settle();
    assert_eq!((&bed.answers[&one], &bed.answers[&two]), (&Ok(()), &Ok(())));
    is_back(&bed, &before);
    // The old ledger turns up again, as new as it was.
    let (node, version) = (bed.machines[0].node, bed.machines[0].version);
    bed.lose(0);
    let now = std::mem::replace(&mut bed.machines[0].claims, old.2);
    (bed.machines[0].node, bed.machines[0].version) = (old.0, 10_000);
    bed.connect(0);
    bed.settle();
    refused(&bed, "its ledger was lost or copied");
    let after = claims(&bed);
    (bed.machines[0].node, bed.machines[0].version) = (node, version);
    bed.machines[0].claims = now;
    reconnect(&mut bed);
    assert_eq!(claims(&bed), after, "nothing has ended");
    is_back(&bed, &before);
}

#[test]
fn an_agent_that_comes_back_whole_is_not_recovered() {
    let mut bed = bed();
    let before = claims(&bed);
    let old = (bed.machines[0].node, bed.machines[0].agent.clone(), bed.machines[0].version);
    bed.lose(0);
    let claims_then = bed.machines[0].claims.clone();
    bed.machines[0].lose_ledger(0x77);
    bed.connect(0);
    bed.settle();
    let plan = planned(&bed).unwrap();
    let request = ask(&mut bed, &plan);
    bed.lose(0);
    (bed.machines[0].node, bed.machines[0].agent, bed.machines[0].version) = old;
    bed.machines[0].claims = claims_then;
    bed.connect(0);
    bed.settle();
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::Conflict(why)) if why.contains("came back"))
    );
    assert_eq!((claims(&bed), bed.folded.recoveries.len()), (before, 0));
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn masters_that_are_rolled_back_behind_a_recovery_believe_nobody_and_end_nothing() {
    let mut bed = bed();
    let rolled_back = bed.folded.clone();
    bed.lose(0);
    bed.machines[0].lose_ledger(0x77);
    bed.connect(0);
    bed.settle();
    let plan = planned(&bed).unwrap();
    ask(&mut bed, &plan);
    reconnect(&mut bed);
    bed.connect(0);
    bed.settle();
    // Since then one more was made.
    bed.operate(0, ClaimAction::Reserve { resources: vec![reserved(5)], source: Vec::new() })
        .unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("b", 5)])).unwrap();
    let at_agent = bed.machines[0].claims.clone();
    bed.folded = rolled_back;
    bed.fail_over();
    bed.reunite();
    refused(&bed, "its ledger was lost or copied");
    assert!(bed.folded.ended.is_empty());
    let plan = planned(&bed).unwrap();
    let request = ask(&mut bed, &plan);
    reconnect(&mut bed);
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    let ids =
        |claims: &std::collections::BTreeMap<_, Claim>| claims.keys().copied().collect::<Vec<_>>();
    assert_eq!(ids(&bed.machines[0].claims), ids(&at_agent), "what only the agent knew is kept");
    assert_eq!(claims(&bed).len(), at_agent.len());
}

#[test]
fn a_disk_of_an_agent_that_is_here_makes_no_lost_agent_of_a_new_one() {
    let mut bed = bed();
    let index = bed.add_machine(plenty());
    bed.settle();
    assert!(bed.machines[index].agent.is_some());
    let mut other = super::machine::Machine::new(9, plenty());
    other.cluster = bed.machines[0].cluster;
    other.disks = vec![disk_report()];
    bed.machines.push(other);
    let index = bed.machines.len() - 1;
    bed.connect(index);
    bed.settle();
    assert_eq!(bed.machines[index].refused, None);
    assert!(bed.machines[index].agent.is_some());
    let record = &bed.folded.agents[&first(&bed)];
    assert_eq!(
        (record.presence, record.node),
        (Presence::Admitted, NodeId(Uuid::from_u128(0xa0_0001)))
    );
    let recovers = |it: &Order| matches!(it, Order::Recover { .. });
    assert!(!bed.machines.iter().any(|it| it.obeyed.iter().any(recovers)));
}

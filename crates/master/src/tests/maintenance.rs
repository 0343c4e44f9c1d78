//! Planned downtime: the schedule, what is offered and asked meanwhile, and machines that go down and come back with all their claims.

use holdfast_model::{
    Call, Event, Filters, InverseOffer, Machine, MachineId, OperatorCall, Order, Presence, Reason,
    TaskState, Unavailability, Window,
};

use super::bed::*;
use crate::{InverseStatus, Refusal};

const WHEN: Unavailability = Unavailability { start_ns: 9, duration_ns: Some(5) };

fn host(name: &str) -> MachineId {
    MachineId { hostname: name.to_owned(), ip: String::new() }
}

fn window(hosts: &[&str]) -> Window {
    let machines = hosts.iter().map(|it| Machine { id: host(it), is_down: false });
    Window { machines: machines.collect(), unavailability: WHEN }
}

fn ask(bed: &mut Bed, call: OperatorCall) -> Result<(), String> {
    let request = bed.ask(call);
    match bed.answers[&request].clone() {
        Ok(()) => Ok(()),
        Err(Refusal::Invalid(why)) => Err(why.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

fn plan(bed: &mut Bed, hosts: &[&str]) -> Result<(), String> {
    let windows = if hosts.is_empty() { Vec::new() } else { vec![window(hosts)] };
    ask(bed, OperatorCall::Schedule(windows))
}

fn down(bed: &mut Bed, name: &str) -> Result<(), String> {
    ask(bed, OperatorCall::MachinesDown(vec![host(name)]))
}

fn up(bed: &mut Bed, name: &str) -> Result<(), String> {
    ask(bed, OperatorCall::MachinesUp(vec![host(name)]))
}

/// All inverse offers that a scheduler was sent.
fn asked(bed: &Bed) -> Vec<InverseOffer> {
    let of = |it: &Event| match it {
        Event::InverseOffers(all) => all.clone(),
        _ => Vec::new(),
    };
    bed.schedulers[0].events.iter().flat_map(of).collect()
}

fn rescinded_inverse(bed: &Bed) -> usize {
    let events = bed.schedulers[0].events.iter();
    events.filter(|it| matches!(it, Event::RescindInverse(_))).count()
}

fn answer(bed: &mut Bed, accepts: bool, refuse_ms: u64) {
    let offers = vec![asked(bed).pop().unwrap().id];
    bed.call(0, Call::AnswerInverse { offers, accepts, filters: Filters { refuse_ms } });
}

fn said(bed: &Bed) -> Vec<InverseStatus> {
    let (view, agent) = (bed.master.view(), bed.agent(0));
    view.said_of_downtime(&agent).map(|it| it.1).collect()
}

/// One agent, `host1`, with a volume on which a task runs.
fn bed_with_a_volume() -> Bed {
    let mut bed = super::gone::bed_with_a_volume();
    bed.pass_ms(100);
    bed
}

#[test]
fn i7_offers_say_when_and_are_made_anew_whenever_that_changes() {
    let mut bed = bed_with_a_volume();
    assert_eq!(bed.offer(0).unavailability, None);
    let before = bed.schedulers[0].rescinded();
    assert_eq!(plan(&mut bed, &["HOST1"]), Ok(()));
    assert_eq!(bed.schedulers[0].rescinded(), before + 1);
    assert_eq!(bed.offer(0).unavailability, Some(WHEN));
    assert_eq!(plan(&mut bed, &["host1"]), Ok(()), "its name is spelt otherwise, and nothing else");
    assert_eq!(bed.schedulers[0].rescinded(), before + 1);
    assert_eq!(plan(&mut bed, &[]), Ok(()));
    assert_eq!(bed.offer(0).unavailability, None);
    assert!(bed.folded.maintenance.is_empty());
}

#[test]
fn c25_who_has_something_there_is_asked_once_and_again_after_its_filter() {
    let mut bed = bed_with_a_volume();
    plan(&mut bed, &["host1"]).unwrap();
    let (agent, framework) = (bed.agent(0), bed.id(0));
    let [first] = asked(&bed).try_into().unwrap();
    assert_eq!((first.agent, first.framework, first.unavailability), (agent, framework, WHEN));
    assert_eq!(said(&bed), [InverseStatus::Unknown]);
    bed.pass_ms(10_000);
    assert_eq!(asked(&bed).len(), 1, "nobody is asked twice at once");
    answer(&mut bed, false, 5_000);
    answer(&mut bed, true, 0); // It was answered before.
    assert_eq!(said(&bed), [InverseStatus::Declined]);
    bed.pass_ms(4_999);
    assert_eq!(asked(&bed).len(), 1);
    bed.pass_ms(1);
    assert_eq!(asked(&bed).len(), 2);
    answer(&mut bed, true, 0);
    assert_eq!((said(&bed), asked(&bed).len()), (vec![InverseStatus::Accepted], 2));
    bed.pass_ms(100);
    assert_eq!(asked(&bed).len(), 3, "even no filter waits a moment");
    bed.pass_ms(300_000);
    assert_eq!((rescinded_inverse(&bed), asked(&bed).len()), (1, 4), "as any other offer");
    plan(&mut bed, &[]).unwrap();
    assert_eq!((rescinded_inverse(&bed), said(&bed).len()), (2, 0));
}

#[test]
fn c25_only_those_are_asked_who_have_something_there() {
    let mut bed = Bed::usual();
    plan(&mut bed, &["host1"]).unwrap();
    assert!(asked(&bed).is_empty(), "an offer says it itself");
    bed.run(0, 0, "t");
    assert_eq!(asked(&bed).len(), 1, "a task that begins is asked about");
}

#[test]
fn c26_who_is_away_is_asked_when_it_is_back() {
    let mut bed = bed_with_a_volume();
    bed.leave(0);
    plan(&mut bed, &["host1"]).unwrap();
    assert!(asked(&bed).is_empty());
    bed.subscribe(0);
    assert_eq!(asked(&bed).len(), 1);
    bed.lose(0);
    assert_eq!(rescinded_inverse(&bed), 1);
    bed.connect(0);
    bed.settle();
    assert_eq!(asked(&bed).len(), 2);
}

#[test]
fn i8_a_machine_goes_down_and_comes_back_with_all_its_claims() {
    let mut bed = bed_with_a_volume();
    let claims = bed.folded.claims.clone();
    assert!(!claims.is_empty());
    let why = down(&mut bed, "host1").unwrap_err();
    assert!(why.contains("Machine 'host1' is not part of a maintenance schedule"), "{why}");
    plan(&mut bed, &["host1"]).unwrap();
    let why = up(&mut bed, "host1").unwrap_err();
    assert!(why.contains("is not in DOWN mode and cannot be brought up"), "{why}");
    assert_eq!(down(&mut bed, "host1"), Ok(()));
    let status = bed.schedulers[0].statuses().pop().unwrap();
    assert_eq!((status.state, status.reason), (TaskState::Gone, Some(Reason::AgentRemoved as i32)));
    assert!(bed.offered(0).is_empty());
    assert_eq!(bed.folded.agents[&bed.agent(0)].presence, Presence::Unreachable);
    let why = down(&mut bed, "host1").unwrap_err();
    assert!(why.contains("is not in DRAINING mode and cannot be brought down"), "{why}");
    let why = plan(&mut bed, &[]).unwrap_err();
    assert!(why.contains("is deactivated and cannot be removed from the schedule"), "{why}");
    for _ in 0..2 {
        bed.connect(0);
        bed.settle();
        let refused = bed.machines[0].refused.clone().unwrap();
        assert!(refused.contains("down for maintenance"), "{refused}");
        bed.fail_over();
        bed.subscribe(0);
    }
    assert_eq!(bed.folded.claims, claims);
    assert_eq!(up(&mut bed, "host1"), Ok(()));
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.folded.agents[&bed.agent(0)].presence, Presence::Admitted);
    assert_eq!(bed.folded.claims, claims);
    assert!(bed.offered(0).get(&volume("v", 10).identity).is_some());
    assert_eq!(bed.offer(0).unavailability, None);
    assert!(bed.folded.maintenance.is_empty());
}

#[test]
fn what_may_still_run_on_an_agent_that_is_away_is_not_called_gone() {
    let mut bed = bed_with_a_volume();
    plan(&mut bed, &["host1"]).unwrap();
    bed.lose(0);
    down(&mut bed, "host1").unwrap();
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Unreachable));
    bed.machines[0].obeyed.clear();
    bed.connect(0);
    bed.settle();
    let is_end = |it: &Order| matches!(it, Order::ShutDown { .. });
    assert!(bed.machines[0].obeyed.iter().any(is_end), "what runs there is ended when it is back");
}

#[test]
fn f38_an_agent_is_either_drained_or_in_a_schedule() {
    let mut bed = bed_with_a_volume();
    let drain = |bed: &mut Bed| {
        let agent = bed.agent(0);
        let call = OperatorCall::DrainAgent { agent, max_grace_ms: None, mark_gone: false };
        let request = bed.ask(call);
        bed.answers[&request].clone()
    };
    plan(&mut bed, &["host1"]).unwrap();
    assert!(matches!(drain(&mut bed), Err(Refusal::Conflict(why)) if why.contains("maintenance")));
    assert!(bed.master.view().check_drain(&bed.agent(0)).is_err());
    plan(&mut bed, &[]).unwrap();
    assert_eq!(drain(&mut bed), Ok(()));
    let why = plan(&mut bed, &["host1"]).unwrap_err();
    assert!(why.contains("which is drained"), "{why}");
    assert_eq!(bed.master.view().said_of_downtime(&bed.agent(0)).count(), 0);
}

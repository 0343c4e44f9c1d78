//! A message that breaks an assertion: it fells two leaders at most, and its sender is kept out of the third.

use std::panic::{catch_unwind, AssertUnwindSafe};

use holdfast_model::{Instant, LinkId, Peer, Report, StepContext, Suspect, ToMaster};

use super::bed::{info, plenty, Bed};
use crate::{AgentHealth, Config, Input};

const HOUR_MS: u64 = 3_600_000;

/// Two agents, one of which says what its leaders cannot bear.
fn bed() -> Bed {
    let config = Config { planted: Some("master-breaks-on-a-report"), ..Config::default() };
    let mut bed = Bed::empty(config);
    bed.add_machine(plenty());
    bed.add_machine(plenty());
    bed.settle();
    bed.add_scheduler(info("keeper", &["db"]));
    bed
}

fn poison(bed: &Bed) -> Report {
    Report { version: "poison".to_owned(), ..bed.machines[0].report() }
}

/// Hands an input over as a shell does; says whether the leader fell. Then the next one leads.
fn fells(bed: &mut Bed, input: Input) -> bool {
    let speaker = bed.master.speaker(&input);
    let now = Instant(bed.now);
    let mut ctx = StepContext { now, ids: &mut bed.ids };
    let handled = catch_unwind(AssertUnwindSafe(|| bed.master.handle(&mut ctx, input.clone())));
    let Err(panic) = handled else { return false };
    let broken = panic.downcast_ref::<String>().expect("an assertion says what is broken");
    let change = bed.master.suspicion(speaker.expect("a peer said it"), broken, now);
    bed.folded.apply(&change);
    bed.fail_over();
    true
}

fn report(bed: &mut Bed) -> Input {
    let (link, report) = (bed.link(), poison(bed));
    bed.machines[0].connect(link);
    bed.machines[0].outbox.clear();
    Input::FromAgent(link, ToMaster::Report(Box::new(report)))
}

#[test]
fn an_agent_that_fells_two_leaders_is_kept_out_by_the_third() {
    let mut bed = bed();
    for _ in 0..2 {
        let input = report(&mut bed);
        assert!(fells(&mut bed, input));
    }
    let input = report(&mut bed);
    bed.input(input);
    let AgentHealth::Fenced(why) = bed.state(0).health().clone() else {
        panic!("it is fenced: {:?}", bed.state(0).health())
    };
    for word in [
        "2 leaders",
        "a report",
        "nobody is named in the belief",
        "in 60 minutes",
        "report the bug",
    ] {
        assert!(why.contains(word), "{why}");
    }
    bed.connect(1);
    bed.settle();
    bed.subscribe(0);
    bed.settle();
    assert_eq!(*bed.state(1).health(), AgentHealth::Well);
    assert_eq!(bed.offer(0).agent, bed.agent(1), "the others are led as ever");
}

#[test]
fn it_is_tried_again_and_kept_out_at_once_when_that_fails() {
    let mut bed = bed();
    for _ in 0..2 {
        let input = report(&mut bed);
        assert!(fells(&mut bed, input));
    }
    bed.now += HOUR_MS;
    let input = report(&mut bed);
    assert!(fells(&mut bed, input), "it is tried again");
    let input = report(&mut bed);
    assert!(!fells(&mut bed, input), "and kept out at once");
    bed.now += 2 * HOUR_MS;
    bed.fail_over();
    assert!(bed.folded.suspects.is_empty(), "what is long ago is forgotten");
}

#[test]
fn what_fells_one_leader_and_not_the_next_is_let_in() {
    let mut bed = bed();
    let input = report(&mut bed);
    assert!(fells(&mut bed, input));
    bed.reunite();
    assert_eq!(*bed.state(0).health(), AgentHealth::Well);
}

#[test]
fn a_framework_that_was_named_twice_is_told_why_it_cannot_subscribe() {
    let mut bed = bed();
    let peer = Peer::Framework(bed.id(0));
    let what = "ACCEPT (an offer is in the index only)".to_owned();
    let suspect = Suspect { peer, what, at: Instant(bed.now), times: 2 };
    bed.folded.apply(&holdfast_model::MasterChange::Suspect(suspect));
    bed.fail_over();
    bed.subscribe(0);
    assert_eq!(bed.schedulers[0].link, None, "it is hung up on");
    let why = bed.schedulers[0].errors().pop().unwrap();
    assert!(why.contains("2 leaders") && why.contains("ACCEPT (an offer"), "{why}");
    bed.pass_ms(HOUR_MS);
    bed.subscribe(0);
    assert!(bed.schedulers[0].link.is_some(), "it is tried again");
}

#[test]
fn only_peers_are_named() {
    let bed = bed();
    assert_eq!(bed.master.speaker(&Input::Tick), None);
    assert_eq!(bed.master.speaker(&Input::AgentLost(LinkId(1))), None);
    let unknown = Input::FromAgent(LinkId(99), ToMaster::Pong(1));
    assert_eq!(bed.master.speaker(&unknown), None, "nobody has introduced itself there");
}

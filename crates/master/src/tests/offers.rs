//! Offers: made, declined, rescinded, timed out, filtered.

use std::collections::BTreeSet;

use holdfast_allocator::Reason;
use holdfast_model::{Call, ClaimAction, Filters, OfferId, OperatorCall, Scalar, TaskState};

use super::bed::*;
use crate::Config;

fn decline(bed: &mut Bed, scheduler: usize, refuse_ms: u64) {
    let offers = bed.schedulers[scheduler].offers.keys().cloned().collect();
    bed.call(scheduler, Call::Decline { offers, filters: Filters { refuse_ms } });
}

#[test]
fn c1_an_offer_carries_what_a_framework_has_to_know() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![unnamed(reserve(&[reserved(100)]))]);
    bed.pass_ms(100);
    let offer = bed.offer(0);
    assert_eq!(
        (offer.framework.clone(), offer.role.clone(), offer.hostname.as_str()),
        (bed.id(0), role("db"), "host1")
    );
    assert_eq!(offer.claims, bed.machines[0].claims.keys().copied().collect::<Vec<_>>());
    assert!(offer.resources.entries().all(|(it, _)| it.allocation == Some(role("db"))));
    let lead = holdfast_model::TaskInfo {
        executor: Some(executor("e")),
        command: None,
        ..task("t", &offer.agent, &[amount("cpus", 1)])
    };
    bed.accept(0, vec![launch(&[lead])]);
    bed.pass_ms(100);
    assert_eq!(bed.offer(0).executors.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["e"]);
}

#[test]
fn c3_an_unanswered_offer_is_rescinded_and_made_again() {
    let mut bed = Bed::usual();
    let first = bed.offer(0).id;
    bed.pass_ms(299_999);
    assert_eq!(bed.offer(0).id, first);
    bed.pass_ms(1);
    assert_eq!(bed.schedulers[0].rescinded(), 1);
    assert_ne!(bed.offer(0).id, first, "without a filter");
}

#[test]
fn c3_without_a_timeout_offers_stand_for_ever() {
    let mut bed = Bed::empty(Config { offer_timeout_ms: None, ..Config::default() });
    bed.add_machine(plenty());
    bed.add_scheduler(info("keeper", &["db"]));
    bed.settle();
    let first = bed.offer(0).id;
    for _ in 0..100 {
        bed.pass_ms(14_000);
        bed.settle();
    }
    assert_eq!(bed.offer(0).id, first);
}

#[test]
fn c5_declined_resources_stay_away_as_long_as_was_said() {
    let mut bed = Bed::usual();
    decline(&mut bed, 0, 5_000);
    bed.pass_ms(4_999);
    assert!(bed.schedulers[0].offers.is_empty());
    assert_eq!(bed.master.next_deadline().map(|it| it.0), Some(bed.now + 1));
    bed.pass_ms(1);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c7_no_filter_is_still_a_moment() {
    let mut bed = Bed::usual();
    decline(&mut bed, 0, 0);
    assert!(bed.schedulers[0].offers.is_empty());
    bed.pass_ms(100);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c5_the_longest_refusal_is_a_year() {
    let mut bed = Bed::usual();
    decline(&mut bed, 0, u64::MAX);
    bed.pass_ms(365 * 24 * 3600 * 1000 - 1);
    bed.connect(0);
    bed.settle();
    assert!(bed.schedulers[0].offers.is_empty());
    bed.pass_ms(1);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c6_what_one_declines_the_next_is_offered_at_once() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("other", &["web"]));
    decline(&mut bed, 0, 600_000);
    assert_eq!(bed.offered(1), plenty());
    decline(&mut bed, 1, 600_000);
    assert!(bed.master.offers().is_empty());
}

#[test]
fn c6_more_than_was_declined_passes_the_filter() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    decline(&mut bed, 0, 600_000);
    bed.task_is(0, "t", TaskState::Finished);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c10_suppress_and_revive() {
    let mut bed = Bed::usual();
    bed.call(0, Call::Suppress(BTreeSet::new()));
    assert_eq!(bed.offers(0).len(), 1, "what is offered stays so");
    decline(&mut bed, 0, 600_000);
    bed.pass_ms(600_000);
    assert!(bed.schedulers[0].offers.is_empty());
    bed.call(0, Call::Revive(BTreeSet::from([role("db"), role("none")])));
    assert!(
        bed.schedulers[0].offers.is_empty(),
        "a call that names a strange role is ignored whole"
    );
    bed.call(0, Call::Revive(BTreeSet::from([role("db")])));
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c8_revive_forgets_filters() {
    let mut bed = Bed::usual();
    decline(&mut bed, 0, 600_000);
    bed.call(0, Call::Revive(BTreeSet::new()));
    assert_eq!(bed.offered(0), plenty());
    assert_eq!(bed.master.filters_len(), 0);
}

#[test]
fn c8_filters_end_with_the_link() {
    let mut bed = Bed::usual();
    decline(&mut bed, 0, 600_000);
    bed.leave(0);
    assert_eq!(bed.master.filters_len(), 0);
    bed.subscribe(0);
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn c27_declining_what_is_not_yours_or_not_there_does_nothing() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("other", &["db"]));
    let offers = vec![bed.offer(0).id, OfferId::made("none".to_owned())];
    bed.call(1, Call::Decline { offers, filters: Filters::default() });
    assert_eq!((bed.master.offers().len(), bed.master.filters_len()), (1, 0));
}

#[test]
fn c18_a_remnant_of_disk_is_offered_to_whom_it_is_reserved_for() {
    let mut bed = Bed::usual();
    let agent = bed.agent(0);
    let all = [amount("cpus", 8), amount("mem", 4096), disk(900)];
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
            launch(&[task("t", &agent, &all)]),
        ],
    );
    bed.pass_ms(100);
    assert_eq!(
        bed.offered(0).iter().collect::<Vec<_>>(),
        [volume("v", 100)],
        "its owner can at least destroy it"
    );
}

#[test]
fn c28_what_is_offered_counts_as_held() {
    let bed = Bed::usual();
    assert_eq!(bed.roles(0)[0].allocated["cpus"], Scalar::whole(8));
    assert!(bed.state(0).free().is_empty());
}

#[test]
fn c13_offers_are_divided_anew_when_weights_change() {
    let mut bed = Bed::usual();
    let weigh = |bed: &mut Bed, name: &str, weight| {
        bed.ask(OperatorCall::Weight(role(name), Scalar::whole(weight)))
    };
    weigh(&mut bed, "nobodys", 5);
    weigh(&mut bed, "db", 1);
    assert_eq!(bed.schedulers[0].rescinded(), 0);
    let request = weigh(&mut bed, "db", 3);
    assert_eq!((bed.answers[&request].clone(), bed.schedulers[0].rescinded()), (Ok(()), 1));
    assert_eq!(bed.offered(0), plenty());
    assert_eq!(bed.folded.weights[&role("db")], Scalar::whole(3));
    let request = weigh(&mut bed, "db", 0);
    assert!(bed.answers[&request].is_err());
}

#[test]
fn explanations_name_what_is_held_and_what_stands_against_the_rest() {
    let mut bed = Bed::usual();
    let now = holdfast_model::Instant(bed.now);
    assert_eq!(bed.master.view().explain(now, &bed.id(0), None).offers.len(), 1);
    decline(&mut bed, 0, 5_000);
    let explanation = bed.master.view().explain(now, &bed.id(0), None);
    assert!(explanation.offers.is_empty() && !explanation.reasons.is_empty());
    let stranger = holdfast_model::FrameworkId::made("none".to_owned());
    assert!(bed.master.view().explain(now, &stranger, None).offers.is_empty());
}

#[test]
fn explanations_tell_what_ones_own_offer_lacks_and_who_was_offered_the_rest() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("late", &["web"]));
    let now = holdfast_model::Instant(bed.now);
    let why = |bed: &Bed, scheduler: usize, cpus: i64| {
        let wanted = [amount("cpus", cpus)].iter().collect();
        bed.master
            .view()
            .explain(now, &bed.id(scheduler), Some(&wanted))
            .reasons
            .into_iter()
            .map(|it| it.reason)
            .collect::<Vec<_>>()
    };
    let lacks = Reason::OfferLacks {
        name: "cpus".to_owned(),
        wanted: Scalar::whole(9),
        offered: Scalar::whole(8),
    };
    assert_eq!((why(&bed, 0, 9), why(&bed, 0, 8)), (vec![lacks], vec![]));
    assert_eq!(
        why(&bed, 1, 8),
        [Reason::OthersFirst([bed.id(0)].into())],
        "it would be enough, were it not offered to another"
    );
    assert!(
        matches!(why(&bed, 1, 9)[..], [Reason::NotEnough { .. }]),
        "nor would it be enough then"
    );
    bed.run(0, 0, "t");
    decline(&mut bed, 0, 60_000);
    decline(&mut bed, 1, 60_000);
    assert!(matches!(why(&bed, 1, 8)[..], [Reason::NotEnough { .. }]));
}

#[test]
fn a26_what_several_reserved_alike_is_kept_for_none_of_them_and_volumes_for_their_own() {
    let cpus = |count| amount("cpus", count).reserved(reservation("db"));
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100), cpus(2)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    bed.add_scheduler(info("mate", &["db"]));
    bed.leave(0);
    assert!(!bed.offered(1).contains_one(&cpus(1)), "one framework's reservation is kept for it");
    bed.accept(1, vec![unnamed(reserve(&[cpus(1)]))]);
    bed.pass_ms(100);
    let both = bed.offered(1);
    assert!(both.contains_one(&cpus(3)) && both.quantity("cpus") == Scalar::whole(8), "{both}");
    assert!(!both.contains_one(&volume("v", 100)), "the volume waits for its own framework");
    bed.fail_over();
    (0..bed.machines.len()).for_each(|it| bed.connect(it));
    bed.settle();
    bed.subscribe(1);
    let both = bed.offered(1);
    assert!(
        both.contains_one(&cpus(3)) && !both.contains_one(&volume("v", 100)),
        "another leader knows it, too: {both}"
    );
    bed.subscribe(0);
    bed.settle();
    assert!(bed.offered(0).contains_one(&volume("v", 100)));
}

#[test]
fn a26_what_an_operator_reserved_is_kept_for_nobody_who_joins_in() {
    let cpus = |count| amount("cpus", count).reserved(reservation("db"));
    let mut bed = Bed::usual();
    bed.operate(0, reserve(&[cpus(2)])).unwrap();
    bed.accept(0, vec![unnamed(reserve(&[cpus(1)]))]);
    bed.add_scheduler(info("mate", &["db"]));
    bed.leave(0);
    bed.pass_ms(100);
    assert!(bed.offered(1).contains_one(&cpus(3)));
}

#[test]
fn many_agents_are_offered_over_several_steps_without_a_wait() {
    const AGENTS: usize = 50;
    let mut bed = Bed::with_agents(AGENTS);
    bed.check_every = 10;
    bed.add_scheduler(info("keeper", &["db"]));
    let mut steps = vec![bed.offers(0).len()];
    while bed.offers(0).len() < AGENTS {
        let due = bed.master.next_deadline().map(|it| it.0);
        assert_eq!(due, Some(bed.now), "what is left is done at once");
        bed.pass_ms(0);
        steps.push(bed.offers(0).len());
    }
    assert!(steps[0] < AGENTS && steps.is_sorted(), "{steps:?}");
    assert!(bed.master.next_deadline().is_some_and(|it| bed.now < it.0), "nothing is left");
    decline(&mut bed, 0, 5_000);
    bed.pass_ms(5_000);
    while bed.master.next_deadline().is_some_and(|it| it.0 <= bed.now) {
        bed.pass_ms(0);
    }
    assert_eq!((bed.offers(0).len(), bed.master.filters_len()), (AGENTS, 0));
}

/// Whoever is offered so many agents declines them all at once.
fn many_declined(agents: usize, refuse_ms: u64) -> Bed {
    let mut bed = Bed::with_agents(agents);
    bed.check_every = 50;
    bed.add_scheduler(info("keeper", &["db"]));
    while bed.offers(0).len() < agents {
        bed.pass_ms(0);
    }
    decline(&mut bed, 0, refuse_ms);
    bed
}

#[test]
fn many_offers_that_are_declined_at_once_are_given_back_over_several_steps() {
    let mut bed = many_declined(130, 5_000);
    let left = bed.master.offers().len();
    assert!(0 < left && left < 130, "one step is not long: {left}");
    let (offers, filters) =
        (bed.master.offers().keys().cloned().collect(), Filters { refuse_ms: 0 });
    bed.call(0, Call::Accept { offers, operations: vec![launch(&[])], filters });
    while !bed.master.offers().is_empty() {
        assert_eq!(bed.master.next_deadline().map(|it| it.0), Some(bed.now), "it goes on at once");
        bed.pass_ms(0);
    }
    assert_eq!(bed.master.filters_len(), 130, "an answer that came too late has changed nothing");
}

#[test]
fn whoever_revives_is_offered_again_what_it_declined_just_before() {
    let mut bed = many_declined(130, 500_000);
    bed.call(0, Call::Revive(BTreeSet::new()));
    while bed.master.next_deadline().is_some_and(|it| it.0 <= bed.now) {
        bed.pass_ms(0);
    }
    assert_eq!((bed.master.offers().len(), bed.master.filters_len()), (130, 0));
}

#[test]
fn what_is_declined_in_a_later_step_is_declined_from_the_call_on() {
    let mut bed = many_declined(130, 5_000);
    bed.pass_ms(4_999);
    while !bed.master.offers().is_empty() {
        bed.pass_ms(0);
    }
    bed.pass_ms(1);
    while bed.master.next_deadline().is_some_and(|it| it.0 <= bed.now) {
        bed.pass_ms(0);
    }
    assert_eq!((bed.master.offers().len(), bed.master.filters_len()), (130, 0));
}

#[test]
fn the_many_offers_of_one_who_leaves_are_given_back_over_several_steps() {
    let mut bed = many_declined(130, 0);
    bed.pass_ms(200);
    while bed.master.offers().len() < 130 {
        bed.pass_ms(0);
    }
    bed.leave(0);
    assert!(!bed.master.offers().is_empty(), "one step is not long");
    while bed.master.next_deadline().is_some_and(|it| it.0 <= bed.now) {
        bed.pass_ms(0);
    }
    assert!(bed.master.offers().is_empty());
    bed.subscribe(0);
    while bed.master.offers().len() < 130 {
        bed.pass_ms(0);
    }
}

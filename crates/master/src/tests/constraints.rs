//! C21-C24: which agents a framework wants offers of, by its constraints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::offer_constraints::{AttributeConstraint, Predicate, Selector};
use holdfast_model::{Call, FrameworkInfo, OfferConstraints, RoleConstraints};

use super::bed::*;

/// A framework of role `db` that wants the machine of this name.
fn wanting(host: &str) -> FrameworkInfo {
    let constraint = AttributeConstraint {
        selector: Selector::Hostname,
        predicate: Predicate::Equals(host.to_owned()),
    };
    let constraints = Arc::new(RoleConstraints::new(vec![vec![constraint]]));
    let constraints = OfferConstraints::new(BTreeMap::from([(role("db"), constraints)]));
    FrameworkInfo { constraints, ..info("keeper", &["db"]) }
}

fn update(bed: &mut Bed, info: FrameworkInfo) {
    bed.call(0, Call::UpdateFramework { info: Box::new(info), suppressed: BTreeSet::new() });
    bed.settle();
    bed.pass_ms(200);
}

fn decline_all(bed: &mut Bed) {
    for offer in bed.offers(0) {
        bed.call(0, Call::Decline { offers: vec![offer.id], filters: no_filter() });
    }
    bed.settle();
    bed.pass_ms(200);
}

#[test]
fn c21_agents_that_do_not_meet_them_are_not_offered_until_they_are_loosened() {
    let mut bed = Bed::with_agents(2);
    let wanted = bed.machines[1].hostname.clone();
    bed.add_scheduler(wanting(&wanted));
    bed.settle();
    assert_eq!(bed.offer(0).agent, bed.agent(1));
    update(&mut bed, info("keeper", &["db"]));
    assert_eq!(bed.offers(0).len(), 2);
}

#[test]
fn c24_what_is_held_on_an_agent_that_is_left_out_stays_held_under_the_next_leader_too() {
    let mut bed = Bed::with_agents(1);
    let host = bed.machines[0].hostname.clone();
    bed.add_scheduler(wanting(&host));
    bed.settle();
    bed.accept(0, vec![unnamed(reserve(&[reserved(100)]))]);
    bed.pass_ms(200);
    update(&mut bed, wanting("elsewhere"));
    decline_all(&mut bed);
    assert_eq!(bed.offers(0), [], "new offers are limited");
    bed.add_scheduler(info("mate", &["db"]));
    bed.settle();
    assert!(bed.offered(1).contains_one(&amount("cpus", 8)));
    assert!(!bed.offered(1).contains_one(&reserved(100)), "its own is kept for it");

    bed.fail_over();
    let known = bed.folded.frameworks[&bed.id(0)].info.constraints.clone();
    assert_eq!(known, wanting("elsewhere").constraints);
    assert!(bed.roles(0)[0].constraints.is_some(), "the new leader knows before it is back");
    bed.reunite();
    assert!(bed.offered(0).contains_one(&reserved(100)), "it said anew what it wants");
}

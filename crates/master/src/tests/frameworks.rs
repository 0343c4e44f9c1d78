//! Frameworks: subscribe, subscribe again, change, leave, are removed. Their claims outlive them.

use std::collections::BTreeSet;

use holdfast_model::{
    Call, CallerIdentity, Capability, ClaimAction, Event, FrameworkCall, FrameworkId,
    FrameworkInfo, LinkId, OperationState, OperatorCall, Order, Reason, Scalar, TaskId, TaskState,
};

use super::bed::*;
use crate::{Config, Input, Refusal};

fn say(bed: &mut Bed, link: LinkId, framework: Option<FrameworkId>, call: Call) {
    bed.input(Input::FromFramework(
        link,
        CallerIdentity::Anonymous,
        FrameworkCall { framework, call },
    ));
}

#[test]
fn d1_subscribed_is_the_first_word_on_a_link_and_brings_a_new_id() {
    let mut bed = Bed::usual();
    assert!(matches!(&bed.schedulers[0].events[0], Event::Subscribed(_)));
    bed.add_scheduler(info("other", &["db"]));
    assert!(matches!(&bed.schedulers[1].events[0], Event::Subscribed(_)));
    let cluster = bed.folded.cluster.as_ref().unwrap().id;
    assert_eq!(bed.id(1).as_str(), format!("{cluster}-0001"), "c2");
}

#[test]
fn d4_a_newer_subscription_takes_over_and_keeps_the_tasks() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    let old = bed.schedulers[0].link.unwrap();
    let before = bed.offer(0).id;
    bed.subscribe(0);
    let told: Vec<_> = bed
        .effects
        .iter()
        .filter(
            |it| matches!(it, crate::Effect::ToFramework(link, Event::Error(_), _) if *link == old),
        )
        .collect();
    assert_eq!(told.len(), 1);
    assert!(bed.closed.contains(&old));
    assert_eq!(
        (bed.master.tasks().len(), bed.schedulers[0].rescinded()),
        (1, 0),
        "c14: offers are discarded without a word"
    );
    assert_ne!(bed.offer(0).id, before);
    bed.input(Input::FrameworkLost(old));
    assert!(
        bed.master.frameworks()[&bed.id(0)].link().is_some(),
        "the end of an older link means nothing"
    );
    say(&mut bed, old, None, Call::Teardown);
    assert!(!bed.folded.frameworks[&bed.id(0)].removed, "only the newest link speaks for it");
}

#[test]
fn d6_an_id_that_nobody_knows_is_taken_as_it_is_and_never_given_again() {
    let mut bed = Bed::with_agents(1);
    let cluster = bed.folded.cluster.as_ref().unwrap().id;
    let own = FrameworkId::made(format!("{cluster}-0000"));
    bed.add_scheduler(FrameworkInfo { id: Some(own.clone()), ..info("returned", &["db"]) });
    assert_eq!(bed.id(0), own);
    bed.add_scheduler(info("new", &["db"]));
    assert_eq!(bed.id(1).as_str(), format!("{cluster}-0001"));
}

#[test]
fn d12_user_and_checkpoint_stay_and_another_principal_is_refused() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(FrameworkInfo { principal: Some("p".to_owned()), ..info("keeper", &["db"]) });
    bed.schedulers[0].info.user = "root".to_owned();
    bed.schedulers[0].info.checkpoint = false;
    bed.schedulers[0].info.name = "renamed".to_owned();
    bed.subscribe(0);
    let kept = &bed.folded.frameworks[&bed.id(0)].info;
    assert_eq!(
        (kept.user.as_str(), kept.checkpoint, kept.name.as_str()),
        ("nobody", true, "renamed")
    );
    bed.schedulers[0].info.principal = Some("q".to_owned());
    bed.subscribe(0);
    assert!(
        bed.schedulers[0].errors()[0].contains("keeps its principal, which is p"),
        "d8: an ERROR event, then the end"
    );
    assert!(bed.schedulers[0].link.is_none());
}

#[test]
fn c12_suppressed_roles_must_be_roles_of_the_framework() {
    let mut bed = Bed::with_agents(1);
    bed.schedulers.clear();
    bed.add_scheduler(info("keeper", &["db"]));
    bed.subscribe_suppressed(0, &["web"]);
    assert!(bed.schedulers[0].errors()[0].contains("suppressed_roles"));
    bed.subscribe_suppressed(0, &["db"]);
    assert!(bed.schedulers[0].offers.is_empty(), "c11");
    bed.call(0, Call::Revive(BTreeSet::new()));
    assert_eq!(bed.offered(0), plenty());
}

#[test]
fn a_connection_is_one_frameworks() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("other", &["db"]));
    let link = bed.schedulers[0].link.unwrap();
    let other = Box::new(bed.schedulers[1].info.clone());
    say(&mut bed, link, None, Call::Subscribe { info: other, suppressed: BTreeSet::new() });
    assert!(bed.closed.contains(&link));
    assert!(
        bed.master.frameworks()[&bed.id(0)].link().is_none()
            && bed.master.frameworks()[&bed.id(1)].link().is_some()
    );
    assert!(bed.folded.frameworks[&bed.id(0)].deadline.is_some());
}

#[test]
fn calls_in_anothers_name_and_before_subscribing_are_ignored() {
    let mut bed = Bed::usual();
    bed.add_scheduler(info("other", &["db"]));
    let (link, victim) = (bed.schedulers[1].link.unwrap(), bed.id(0));
    say(&mut bed, link, Some(victim.clone()), Call::Teardown);
    assert!(!bed.folded.frameworks[&victim].removed && !bed.folded.frameworks[&bed.id(1)].removed);
    say(&mut bed, LinkId(900), Some(victim.clone()), Call::Teardown);
    assert!(bed.closed.contains(&LinkId(900)) && !bed.folded.frameworks[&victim].removed);
}

#[test]
fn d14_a_role_that_is_given_up_loses_its_offers_and_keeps_its_tasks() {
    let mut bed = Bed::with_agents(2);
    bed.add_scheduler(info("keeper", &["db", "web"]));
    let offer = bed.offers(0).into_iter().find(|it| it.role == role("db")).unwrap();
    let operations = vec![launch(&[task("t", &offer.agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers: vec![offer.id], operations, filters: no_filter() });
    bed.settle();
    bed.pass_ms(100);
    let changed = info("keeper", &["web"]);
    bed.call(0, Call::UpdateFramework { info: Box::new(changed), suppressed: BTreeSet::new() });
    assert!(bed.offers(0).iter().all(|it| it.role == role("web")));
    let views = bed.roles(0);
    let db = views.iter().find(|it| it.role == role("db")).unwrap();
    assert_eq!((db.allocated["cpus"], db.suppressed), (Scalar::whole(1), true));
    let machine = bed.machines.iter().position(|it| !it.tasks.is_empty()).unwrap();
    bed.task_is(machine, "t", TaskState::Finished);
    let names: Vec<_> = bed.roles(0).iter().map(|it| it.role.clone()).collect();
    assert_eq!(names, [role("web")], "r4: what is neither named nor used is forgotten");
}

#[test]
fn d13_what_cannot_change_is_not_changed() {
    let mut bed = Bed::usual();
    let before = bed.folded.frameworks.clone();
    for changed in [
        FrameworkInfo { principal: Some("p".to_owned()), ..info("keeper", &["db"]) },
        FrameworkInfo { user: "root".to_owned(), ..info("keeper", &["db"]) },
        FrameworkInfo { checkpoint: false, ..info("keeper", &["db"]) },
    ] {
        bed.call(0, Call::UpdateFramework { info: Box::new(changed), suppressed: BTreeSet::new() });
    }
    let stranger = BTreeSet::from([role("web")]);
    bed.call(0, Call::UpdateFramework { info: Box::new(info("x", &["db"])), suppressed: stranger });
    assert_eq!(bed.folded.frameworks, before);
}

#[test]
fn d17_a_framework_without_patience_is_removed_when_its_link_breaks() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(FrameworkInfo { failover_timeout_ms: 0, ..info("hasty", &["db"]) });
    bed.run(0, 0, "t");
    bed.leave(0);
    assert!(bed.folded.frameworks[&bed.id(0)].removed);
    bed.settle();
    assert!(bed.machines[0].tasks.is_empty());
}

#[test]
fn d18_one_that_comes_back_in_time_loses_nothing() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.leave(0);
    assert!(bed.master.offers().is_empty());
    bed.pass_ms(599_999);
    bed.subscribe(0);
    bed.pass_ms(600_000);
    assert!(!bed.folded.frameworks[&bed.id(0)].removed);
    assert_eq!((bed.master.tasks().len(), bed.machines[0].tasks.len()), (1, 1));
}

#[test]
fn timers_of_a_framework_that_comes_and_goes_do_not_pile_up() {
    let mut bed = Bed::usual();
    bed.schedulers[0].info.failover_timeout_ms = u64::MAX;
    for _ in 0..50 {
        bed.pass_ms(1);
        bed.subscribe(0);
        bed.pass_ms(1);
        bed.leave(0);
    }
    let timers = bed.master.belief.timers.all().filter(|it| {
        matches!(
            it,
            crate::parts::timers::Timer::Framework(_) | crate::parts::timers::Timer::Offer(_)
        )
    });
    assert_eq!(timers.count(), 1);
}

#[test]
fn d22_teardown_ends_the_tasks_and_what_they_use_is_free_when_they_have_ended() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.add_scheduler(info("other", &["db"]));
    bed.call(0, Call::Teardown);
    assert!(bed.schedulers[0].link.is_none());
    assert_eq!(bed.offered(1).quantity("cpus"), Scalar::whole(7), "v6: the task still runs");
    bed.obey_one(0);
    bed.settle();
    assert_eq!(bed.offered(1).quantity("cpus"), Scalar::whole(8));
    assert!(bed.machines[0].obeyed.iter().any(|it| matches!(it, Order::ShutdownFramework(_))));
    assert_eq!(
        bed.master.belief.tasks.completed().map(|it| it.state).collect::<Vec<_>>(),
        [TaskState::Killed]
    );
    assert_eq!(bed.schedulers[0].states("t"), [TaskState::Running], "no updates are sent");
}

#[test]
fn d23_claims_outlive_their_framework_and_are_offered_to_its_role() {
    let mut bed = Bed::usual();
    bed.accept(
        0,
        vec![
            unnamed(reserve(&[reserved(100)])),
            unnamed(ClaimAction::Create(vec![volume("v", 100)])),
        ],
    );
    let claims = bed.folded.claims.clone();
    bed.add_scheduler(info("stranger", &["web"]));
    bed.call(0, Call::Teardown);
    bed.settle();
    assert_eq!((&bed.folded.claims, bed.machines[0].claims.len()), (&claims, 1));
    assert!(!bed.offered(1).contains_one(&volume("v", 100)), "v6");
    bed.add_scheduler(info("heir", &["db"]));
    assert!(bed.offered(2).contains_one(&volume("v", 100)), "m4");
}

#[test]
fn d25_operators_can_remove_frameworks_that_are_away() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    let request = bed.ask(OperatorCall::Teardown(bed.id(0)));
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    assert!(bed.machines[0].tasks.is_empty() && bed.master.tasks().is_empty());
    let request = bed.ask(OperatorCall::Teardown(bed.id(0)));
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::NotFound(why)) if why.contains("before"))
    );
    let request = bed.ask(OperatorCall::Teardown(FrameworkId::made("none".to_owned())));
    assert!(matches!(bed.answers[&request], Err(Refusal::NotFound(_))));
}

#[test]
fn an_operators_teardown_says_why_the_stream_ends() {
    let mut bed = Bed::usual();
    bed.ask(OperatorCall::Teardown(bed.id(0)));
    assert!(bed.schedulers[0].errors()[0].contains("removed"));
}

#[test]
fn tasks_of_a_framework_removed_while_their_agent_was_away_end_when_it_returns() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.lose(0);
    bed.call(0, Call::Teardown);
    assert!(bed.master.tasks().is_empty());
    bed.connect(0);
    bed.hear_one(0);
    assert_eq!(bed.state(0).held().quantity("cpus"), Scalar::whole(1), "it still runs");
    bed.settle();
    assert!(bed.machines[0].tasks.is_empty() && bed.state(0).held().is_empty());
}

#[test]
fn a_launch_that_was_never_begun_does_not_hold_its_resources_after_a_teardown() {
    let mut bed = Bed::usual();
    let offer = bed.offer(0);
    let operations = vec![launch(&[task("t", &offer.agent, &[amount("cpus", 1)])])];
    bed.call(0, Call::Accept { offers: vec![offer.id], operations, filters: no_filter() });
    bed.obey_one(0);
    bed.machines[0].tasks.clear(); // It waits for something at its agent, which drops it without a word.
    bed.machines[0].executors.clear();
    bed.call(0, Call::Teardown);
    bed.settle();
    assert!(bed.state(0).held().is_empty() && bed.master.tasks().is_empty());
}

#[test]
fn the_oldest_removals_are_forgotten_first() {
    let mut bed = Bed::empty(Config { removed_frameworks_max: 2, ..Config::default() });
    for name in ["first", "second", "third"] {
        bed.pass_ms(10);
        bed.add_scheduler(info(name, &["db"]));
    }
    for scheduler in [2, 1, 0] {
        bed.pass_ms(10);
        bed.call(scheduler, Call::Teardown);
    }
    let left: Vec<_> = bed.folded.frameworks.keys().cloned().collect();
    assert_eq!(left, [bed.id(0), bed.id(1)], "the third was removed first");
}

#[test]
fn outcomes_that_were_not_acknowledged_are_told_to_one_that_comes_back() {
    let mut bed = Bed::usual();
    bed.accept(0, vec![named("r", reserve(&[reserved(10)]))]);
    bed.leave(0);
    bed.schedulers[0].events.clear();
    bed.subscribe(0);
    assert_eq!(bed.schedulers[0].outcome("r"), [OperationState::Finished]);
    assert!(matches!(bed.schedulers[0].events[0], Event::Subscribed(_)));
    bed.acknowledge_operations(0);
    assert!(bed.machines[0].operations.is_empty());
}

#[test]
fn statuses_for_a_framework_that_is_away_wait_for_it() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.leave(0);
    bed.task_is(0, "t", TaskState::Finished);
    assert_eq!(bed.machines[0].tasks.len(), 1, "nobody acknowledges in its name");
    bed.call(0, Call::Teardown); // Not connected: ignored.
    bed.fail_over();
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.machines[0].tasks.len(), 1, "neither does the next leader");
    bed.subscribe(0);
    bed.connect(0);
    bed.settle();
    bed.acknowledge_last(0);
    assert!(bed.machines[0].tasks.is_empty());
}

#[test]
fn statuses_for_a_removed_framework_are_acknowledged_by_the_master() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.task_will_be(0, "t", TaskState::Finished);
    bed.call(0, Call::Teardown);
    bed.machines[0].inbox.retain(|it| !matches!(it.order, Order::ShutdownFramework(_)));
    bed.machines[0].orders_seen += 1;
    bed.settle();
    assert!(bed.machines[0].tasks.is_empty() && bed.master.tasks().is_empty());
}

#[test]
fn f32_those_that_do_not_know_the_finer_words_hear_lost() {
    let mut bed = Bed::with_agents(1);
    bed.add_scheduler(FrameworkInfo {
        capabilities: BTreeSet::from([Capability::MultiRole]),
        ..info("plain", &["db"])
    });
    bed.run(0, 0, "t");
    bed.lose(0);
    bed.pass_ms(75_000);
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Lost));
    bed.connect(0);
    bed.settle();
    assert_eq!(bed.schedulers[0].states("t").last(), Some(&TaskState::Running), "n6: it lives on");
}

#[test]
fn b1_a_framework_cannot_kill_or_read_anothers_task() {
    let mut bed = Bed::usual();
    bed.run(0, 0, "t");
    bed.add_scheduler(info("other", &["db"]));
    bed.call(1, Call::Kill { task: TaskId::made("t".to_owned()), agent: None, grace_ms: None });
    bed.settle();
    let answer = bed.schedulers[1].statuses().pop().unwrap();
    assert_eq!(
        (answer.state, answer.reason),
        (TaskState::Unknown, Some(Reason::Reconciliation as i32)),
        "d31"
    );
    assert_eq!(bed.machines[0].tasks.len(), 1);
}

//! A view shows what was, for as long as somebody holds it.

use holdfast_model::Term;

use super::bed::{amount, info, launch, plenty, task, Bed};
use crate::{Input, MasterView};

#[test]
fn a_view_keeps_what_it_showed() {
    let mut bed = Bed::usual();
    let (agent, framework) = (bed.agent(0), bed.id(0));
    let before = bed.master.view();
    assert_eq!((before.offers().len(), before.offers_of_agent(&agent).count()), (1, 1));
    assert_eq!(before.explain(holdfast_model::Instant(bed.now), &framework, None).offers.len(), 1);

    bed.accept(0, vec![launch(&[task("t", &agent, &[amount("cpus", 3)])])]);
    bed.add_machine(plenty());
    bed.add_scheduler(info("other", &["web"]));
    bed.settle();
    let after = bed.master.view();
    let count = |it: &MasterView| {
        (it.agents().len(), it.frameworks().len(), it.tasks().len(), it.ledger().agents.len())
    };
    assert_eq!((count(&before), count(&after)), ((1, 1, 0, 1), (2, 2, 1, 2)));
    assert_eq!(before.totals()["cpus"].as_whole(), 8);
    assert_eq!(after.totals()["cpus"].as_whole(), 16);
    assert!(before.tasks_of_agent(&agent).next().is_none());
    assert_eq!(after.tasks_of_framework(&framework).count(), 1);
    assert_eq!(after.agents()[&agent].held().quantity("cpus").as_whole(), 8, "used and offered");

    bed.input(Input::Deposed(Term(1)));
    assert_eq!((after.term(), bed.master.view().term()), (Some(Term(1)), None));
    assert_eq!((count(&after), count(&bed.master.view())), ((2, 2, 1, 2), (0, 0, 0, 2)));
}

#[test]
fn a_view_is_read_on_any_thread() {
    let view = Bed::usual().master.view();
    let seen = std::thread::spawn(move || view.agents().len()).join();
    assert_eq!(seen.unwrap(), 1);
}

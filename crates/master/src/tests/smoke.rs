//! x
use super::bed::*;
use holdfast_model::*;
#[test]
fn it_lives() {
    let mut bed = Bed::usual();
    assert_eq!(bed.offered(0), plenty());
    bed.accept(0, vec![named("r", reserve(&[reserved(100)])), named("c", ClaimAction::Create(vec![volume("v", 100)])), launch(&[task("t", &bed.agent(0), &[amount("cpus", 1), volume("v", 100)])])]);
    assert_eq!(bed.schedulers[0].outcome("c"), [OperationState::Finished]);
    bed.acknowledge_operations(0);
    bed.task_is(0, "t", TaskState::Running);
    bed.acknowledge_last(0);
    bed.fail_over();
    bed.reunite();
}

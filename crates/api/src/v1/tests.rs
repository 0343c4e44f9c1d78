//! Every answer of the v1 operator API, written out for a small cluster.

use holdfast_master::{Input, RequestId};
use holdfast_model::{CallerIdentity, OperatorCall};
use holdfast_model::{ClaimAction, TaskState};

use super::*;
use crate::testbed::{agent_id as agent, amount, facts, reservation, Bed, OFFER};

/// The names and amounts of scalars, with `db` where they are reserved.
fn amounts(resources: &[v1::Resource]) -> Vec<(String, f64)> {
    let amount = |it: &v1::Resource| {
        let reserved = if it.reservations.is_empty() { "" } else { "(db)" };
        (format!("{}{reserved}", it.name), it.scalar.map_or(0.0, |it| it.value))
    };
    resources.iter().map(amount).collect()
}

fn are(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

const USED: &[(&str, f64)] = &[("cpus", 1.5), ("disk(db)", 200.0), ("mem", 128.0)];
const OFFERED: &[(&str, f64)] =
    &[("cpus", 6.5), ("disk", 700.0), ("disk(db)", 100.0), ("mem", 3968.0), ("ports", 0.0)];

#[test]
fn agents_with_what_they_have() {
    let answer = agents(&Bed::usual().view());
    let [here] = answer.agents.as_slice() else { panic!("{:?}", answer.agents) };
    assert_eq!(here.pid.as_deref(), Some("slave(1)@host0:5051"));
    assert_eq!((here.active, here.version.as_str()), (true, "0.1.0"));
    assert_eq!(here.agent_info.id.as_ref().map(|it| it.value.as_str()), Some("S0"));
    assert_eq!(here.reregistered_time.map(|it| it.nanoseconds), Some(1_000_000_000_000));
    let total = [
        ("cpus", 8.0),
        ("disk", 700.0),
        ("disk(db)", 100.0),
        ("disk(db)", 200.0),
        ("mem", 4096.0),
        ("ports", 0.0),
    ];
    assert_eq!(amounts(&here.total_resources), are(&total));
    assert_eq!(amounts(&here.allocated_resources), are(USED));
    assert_eq!(amounts(&here.offered_resources), are(OFFERED));
    let [expected] = answer.recovered_agents.as_slice() else { panic!("{answer:?}") };
    assert_eq!(
        (expected.hostname.as_str(), expected.id.as_ref().map(|it| it.value.as_str())),
        ("host1", Some("S1"))
    );
}

#[test]
fn frameworks_with_what_they_use_and_are_offered() {
    let answer = frameworks(&Bed::usual().view());
    let [here] = answer.frameworks.as_slice() else { panic!("{:?}", answer.frameworks) };
    assert_eq!((here.active, here.connected, here.recovered), (true, true, false));
    assert_eq!(here.registered_time.map(|it| it.nanoseconds), Some(100_000_000));
    let own = [("cpus", 1.0), ("disk(db)", 200.0), ("mem", 128.0)];
    assert_eq!(amounts(&here.allocated_resources), are(&own), "executors are not counted here");
    assert_eq!(amounts(&here.offered_resources), are(OFFERED));
    assert_eq!(here.offers.iter().map(|it| it.id.value.as_str()).collect::<Vec<_>>(), [OFFER]);
    let [removed] = answer.completed_frameworks.as_slice() else { panic!("{answer:?}") };
    assert_eq!((removed.framework_info.name.as_str(), removed.active), ("old", false));
}

#[test]
fn a_framework_that_has_yet_to_come_back_is_recovered() {
    let answer = frameworks(&Bed::elected().view());
    let here = &answer.frameworks[0];
    assert_eq!((here.active, here.recovered), (false, true));
    assert!(here.offers.is_empty() && here.allocated_resources.is_empty());
}

#[test]
fn tasks_by_how_they_are() {
    let mut bed = Bed::usual();
    let names = |tasks: &[v1::Task]| -> Vec<String> {
        tasks.iter().map(|it| it.task_id.value.clone()).collect()
    };
    let answer = tasks(&bed.view());
    assert_eq!(
        (names(&answer.tasks), names(&answer.completed_tasks)),
        (vec!["db-0".to_owned()], vec!["db-1".to_owned()])
    );
    let running = &answer.tasks[0];
    assert_eq!((running.name.as_str(), running.agent_id.value.as_str()), ("name of db-0", "S0"));
    assert_eq!(running.state, TaskState::Running as i32);
    assert_eq!(
        amounts(&running.resources),
        are(&[("cpus", 1.0), ("disk(db)", 200.0), ("mem", 128.0)])
    );
    let failed = &answer.completed_tasks[0];
    assert_eq!(failed.status_update_state, Some(TaskState::Failed as i32));
    assert_eq!(failed.status_update_uuid.as_ref().map(Vec::len), Some(16));
    assert_eq!(failed.statuses[0].message.as_deref(), Some("exited with 3"));
    bed.acknowledge_failure();
    assert_eq!(names(&tasks(&bed.view()).completed_tasks), ["db-1"], "it is remembered");
}

#[test]
fn executors_agent_by_agent() {
    let answer = executors(&Bed::usual().view());
    let [keeper] = answer.executors.as_slice() else { panic!("{answer:?}") };
    assert_eq!(keeper.agent_id.value, "S0");
    assert_eq!(keeper.executor_info.executor_id.value, "keeper");
    assert_eq!(keeper.executor_info.framework_id.as_ref().map(|it| it.value.as_str()), Some("f-0"));
    assert_eq!(amounts(&keeper.executor_info.resources), are(&[("cpus", 0.5)]));
}

#[test]
fn roles_with_their_frameworks_and_weights() {
    let bed = Bed::usual();
    let answer = roles(&bed.view());
    let [db] = answer.roles.as_slice() else { panic!("{answer:?}") };
    assert_eq!((db.name.as_str(), db.weight), ("db", 2.0));
    assert_eq!(db.frameworks.iter().map(|it| it.value.as_str()).collect::<Vec<_>>(), ["f-0"]);
    assert_eq!(amounts(&db.resources), are(&[("cpus", 1.0), ("disk(db)", 200.0), ("mem", 128.0)]));
    let infos = weights(&bed.view()).weight_infos;
    assert_eq!((infos.len(), infos[0].role.as_deref(), infos[0].weight), (1, Some("db"), 2.0));
}

#[test]
fn an_operation_under_way_is_pending() {
    let mut bed = Bed::usual();
    let action = ClaimAction::Reserve {
        resources: vec![amount("cpus", 1000).reserved(reservation())],
        source: Vec::new(),
    };
    let call = OperatorCall::Claim { agent: agent("S0"), action };
    bed.input(Input::FromOperator(RequestId(1), CallerIdentity::Anonymous, call));
    let answer = operations(&bed.view());
    let [reserve] = answer.operations.as_slice() else { panic!("{answer:?}") };
    assert_eq!(
        (reserve.framework_id.as_ref(), reserve.agent_id.as_ref().map(|it| it.value.as_str())),
        (None, Some("S0"))
    );
    assert_eq!(reserve.info.r#type(), v1::offer::operation::Type::Reserve);
    assert_eq!(reserve.latest_status.state(), v1::OperationState::OperationPending);
    assert_eq!(reserve.statuses, std::slice::from_ref(&reserve.latest_status));
    assert_eq!(reserve.uuid.value.len(), 16);
}

#[test]
fn the_state_is_all_of_it() {
    let bed = Bed::usual();
    let answer = state(&bed.view());
    assert_eq!(answer.get_agents, Some(agents(&bed.view())));
    assert_eq!(answer.get_frameworks, Some(frameworks(&bed.view())));
    assert_eq!(answer.get_tasks, Some(tasks(&bed.view())));
    assert_eq!(answer.get_executors, Some(executors(&bed.view())));
}

#[test]
fn the_master_knows_itself() {
    let answer = master(&facts());
    assert_eq!((answer.start_time, answer.elected_time), (Some(12.5), Some(12.5)));
    assert_eq!(answer.master_info.map(|it| it.id), Some("m-1".to_owned()));
}

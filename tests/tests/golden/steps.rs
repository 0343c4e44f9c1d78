//! Steps of a framework, each of which waits for its outcome: an offer is there, a task runs, all is declined.
//!
//! Relies on the lists of the native API for what is open now, as events may be out of date. Never accepts or acknowledges what it was not
//! asked to.

use std::collections::BTreeSet;

use holdfast_tests::{calls, until, Cluster, Scheduler};
use serde_json::{json, Value};

/// A refusal that outlasts every test.
const FOR_EVER_S: f64 = 1e6;

/// A framework with one role.
pub fn info(name: &str, role: &str) -> Value {
    let mut info = calls::framework_info(name, FOR_EVER_S);
    info["roles"] = json!([role]);
    info
}

/// The id of the agent with this name.
pub fn agent_id(cluster: &Cluster, host: &str) -> String {
    let rows = cluster.list("agents");
    let row = rows
        .iter()
        .find(|row| row["hostname"] == host)
        .unwrap_or_else(|| panic!("no agent {host} in {rows:#?}"));
    row["id"].as_str().unwrap().to_owned()
}

/// Waits until a list of the native API is as it must be.
pub fn wait_for_rows(cluster: &Cluster, list: &str, is_it: impl Fn(&[Value]) -> bool) {
    until(&format!("the {list} are as they must be"), || match cluster.list(list) {
        rows if is_it(&rows) => Ok(()),
        rows => Err(format!("{rows:#?}")),
    });
}

/// Accepts all that the framework is offered of an agent, once the offer has what is needed.
pub fn launch(
    cluster: &Cluster,
    scheduler: &Scheduler,
    agent: &str,
    needed: &str,
    operations: Value,
) {
    let ids = wait_for_offers(cluster, scheduler, agent, needed);
    let accept =
        json!({ "offer_ids": ids, "operations": operations, "filters": { "refuse_seconds": 0 } });
    scheduler.call(json!({ "type": "ACCEPT", "accept": accept })).expect(202, "ACCEPT");
}

/// The ids of all that the framework is offered of an agent, once it has what is needed.
pub fn wait_for_offers(
    cluster: &Cluster,
    scheduler: &Scheduler,
    agent: &str,
    needed: &str,
) -> Vec<Value> {
    let offers = until(&format!("an offer of {agent} with {needed}"), || {
        let mut rows = cluster.list("offers");
        rows.retain(|it| it["framework"] == scheduler.framework_id && it["agent"] == agent);
        match rows.iter().any(|it| it["resources"].as_str().unwrap().contains(needed)) {
            true => Ok(rows),
            false => Err(format!("{rows:#?}")),
        }
    });
    offers.iter().map(|it| json!({ "value": it["id"] })).collect()
}

/// Acknowledges each status of a task but the one that is waited for and told, unless that is no end.
pub fn acknowledge_until(scheduler: &mut Scheduler, task: &str, state: &str) -> Value {
    loop {
        let status = scheduler.status(task);
        if status["state"] != state || state == "TASK_RUNNING" {
            acknowledge(scheduler, &status);
        }
        if status["state"] == state {
            return status;
        }
    }
}

/// Acknowledges the statuses of tasks that are started at once, until all run.
pub fn acknowledge_until_all_run(scheduler: &mut Scheduler, tasks: &[&str]) {
    let mut left = tasks.to_vec();
    while !left.is_empty() {
        let event = scheduler.event("UPDATE");
        let status = &event["update"]["status"];
        // Statuses of other tasks that are told again stay unacknowledged.
        if tasks.iter().any(|it| status["task_id"]["value"] == *it) {
            acknowledge(scheduler, status);
        }
        left.retain(|it| !(status["task_id"]["value"] == *it && status["state"] == "TASK_RUNNING"));
    }
}

/// Acknowledges a status.
pub fn acknowledge(scheduler: &Scheduler, status: &Value) {
    assert!(status["uuid"].is_string(), "a status that cannot be acknowledged: {status:#}");
    let acknowledge = json!({ "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"] });
    scheduler
        .call(json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge }))
        .expect(202, "ACKNOWLEDGE");
}

/// Declines every offer that the framework holds.
pub fn give_back(cluster: &Cluster, scheduler: &Scheduler) {
    until("the framework has no offer", || {
        let rows = cluster.list("offers");
        let own: Vec<Value> = rows
            .iter()
            .filter(|it| it["framework"] == scheduler.framework_id)
            .map(|it| json!({ "value": it["id"] }))
            .collect();
        if own.is_empty() {
            return Ok(());
        }
        let decline = json!({ "offer_ids": own, "filters": { "refuse_seconds": 0 } });
        scheduler.call(json!({ "type": "DECLINE", "decline": decline })).expect(202, "DECLINE");
        Err(format!("{rows:#?}"))
    });
}

/// Declines the offers of all agents for ever.
pub fn decline_all(scheduler: &mut Scheduler, agents: &[String]) {
    let mut left: BTreeSet<&str> = agents.iter().map(String::as_str).collect();
    while !left.is_empty() {
        let event = scheduler.event("OFFERS");
        let offers = event["offers"]["offers"].as_array().unwrap();
        let ids: Vec<&Value> = offers.iter().map(|it| &it["id"]).collect();
        let decline = json!({ "offer_ids": ids, "filters": { "refuse_seconds": FOR_EVER_S } });
        scheduler.call(json!({ "type": "DECLINE", "decline": decline })).expect(202, "DECLINE");
        left.retain(|agent| offers.iter().all(|it| it["agent_id"]["value"] != *agent));
    }
}

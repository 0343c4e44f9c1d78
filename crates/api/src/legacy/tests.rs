//! Every legacy page, written out for a small cluster, to the byte.

use serde_json::{json, Value};

use super::*;
use crate::requests::{Page, PageRequest};
use crate::testbed::{facts, Bed, CLUSTER, OFFER};
use crate::{MasterView, Parameters, Refusal};
use holdfast_model::CallerIdentity;

const RUNNING: &str = r#"{"executor_id":"db-0","framework_id":"f-0","id":"db-0","name":"name of db-0","resources":{"cpus":1.0,"disk":200.0,"gpus":0.0,"mem":128.0},"slave_id":"S0","state":"TASK_RUNNING","statuses":[{"state":"TASK_RUNNING","timestamp":5.0}]}"#;
const FAILED: &str = r#"{"executor_id":"db-1","framework_id":"f-0","id":"db-1","name":"name of db-1","resources":{"cpus":2.0,"disk":0.0,"gpus":0.0,"mem":0.0},"slave_id":"S0","state":"TASK_FAILED","statuses":[{"state":"TASK_FAILED","timestamp":6.0}]}"#;

fn page(view: &MasterView, page: Page, pairs: &[(&str, &str)]) -> Result<String, Refusal> {
    let get = |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1);
    let request = PageRequest::parse(&CallerIdentity::Anonymous, page, Parameters(&get))?;
    Ok(serde_json::to_string(&request.answer(view, &facts())).unwrap())
}

#[test]
fn tasks_newest_first() {
    let bed = Bed::usual();
    let tasks = |pairs: &[(&str, &str)]| page(&bed.view(), Page::Tasks, pairs);
    assert_eq!(tasks(&[]), Ok(format!(r#"{{"tasks":[{FAILED},{RUNNING}]}}"#)));
    assert_eq!(tasks(&[("order", "asc")]), Ok(format!(r#"{{"tasks":[{RUNNING},{FAILED}]}}"#)));
    assert_eq!(tasks(&[("limit", "1")]), Ok(format!(r#"{{"tasks":[{FAILED}]}}"#)));
    assert_eq!(tasks(&[("offset", "1")]), Ok(format!(r#"{{"tasks":[{RUNNING}]}}"#)));
    assert_eq!(tasks(&[("task_id", "db-0")]), Ok(format!(r#"{{"tasks":[{RUNNING}]}}"#)));
    assert_eq!(tasks(&[("framework_id", "f-1")]), Ok(r#"{"tasks":[]}"#.to_owned()));
}

#[test]
fn wrong_parameters_and_pages_are_refused() {
    let bed = Bed::usual();
    let refused = |page_: Page, pair| page(&bed.view(), page_, &[pair]).unwrap_err();
    assert_eq!(
        refused(Page::Tasks, ("order", "up")),
        Refusal::Invalid("order: `up` is unknown; give `asc` or `des`".to_owned())
    );
    assert_eq!(
        refused(Page::Tasks, ("limit", "x")),
        Refusal::Invalid("limit: `x` is no number; give 0 or more".to_owned())
    );
    assert_eq!(
        refused(Page::Flags, ("", "")),
        Refusal::NotServed("flags are not served yet".to_owned())
    );
}

fn framework() -> String {
    format!(
        r#"{{"active":true,"checkpoint":true,"completed_tasks":[],"connected":true,"executors":[],"failover_timeout":600.0,"hostname":"scheduler-host","id":"f-0","name":"db","offers":["{OFFER}"],"principal":"db-team","recovered":false,"role":"db","roles":["db"],"tasks":[{RUNNING}],"unreachable_tasks":[],"used_resources":{{"cpus":1.0,"disk":200.0,"gpus":0.0,"mem":128.0}},"user":"nobody"}}"#
    )
}

#[test]
fn frameworks_with_their_tasks() {
    let mut bed = Bed::usual();
    let all = page(&bed.view(), Page::Frameworks, &[]);
    assert_eq!(all, Ok(format!(r#"{{"frameworks":[{}]}}"#, framework())));
    let other = page(&bed.view(), Page::Frameworks, &[("framework_id", "f-9")]);
    assert_eq!(other, Ok(r#"{"frameworks":[]}"#.to_owned()));
    bed.acknowledge_failure();
    let entry = frameworks(&bed.view(), Some("f-0")).remove(0);
    let completed = serde_json::to_value(entry).unwrap()["completed_tasks"].take();
    assert_eq!(completed, json!([serde_json::from_str::<Value>(FAILED).unwrap()]));
}

const HERE: &str = r#"{"active":true,"capabilities":[],"deactivated":false,"hostname":"host0","id":"S0","offered_resources":{"cpus":6.5,"disk":800.0,"gpus":0.0,"mem":3968.0,"ports":"[31000-31009]"},"pid":"slave(1)@host0:5051","port":5051,"registered_time":1000.0,"reregistered_time":1000.0,"reserved_resources":{"db":{"cpus":0.0,"disk":300.0,"gpus":0.0,"mem":0.0}},"resources":{"cpus":8.0,"disk":1000.0,"gpus":0.0,"mem":4096.0,"ports":"[31000-31009]"},"unreserved_resources":{"cpus":8.0,"disk":700.0,"gpus":0.0,"mem":4096.0,"ports":"[31000-31009]"},"used_resources":{"cpus":1.5,"disk":200.0,"gpus":0.0,"mem":128.0},"version":"0.1.0"}"#;
const EXPECTED: &str = r#"{"active":false,"capabilities":[],"deactivated":false,"hostname":"host1","id":"S1","offered_resources":{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0},"pid":"slave(1)@host1:0","port":0,"registered_time":1000.0,"reregistered_time":1000.0,"reserved_resources":{},"resources":{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0},"unreserved_resources":{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0},"used_resources":{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0},"version":""}"#;

#[test]
fn agents_in_flat_amounts() {
    let bed = Bed::usual();
    let all = page(&bed.view(), Page::Slaves, &[]);
    assert_eq!(all, Ok(format!(r#"{{"slaves":[{HERE},{EXPECTED}]}}"#)));
    let one = page(&bed.view(), Page::Slaves, &[("slave_id", "S1")]);
    assert_eq!(one, Ok(format!(r#"{{"slaves":[{EXPECTED}]}}"#)));
}

#[test]
fn roles_with_their_frameworks() {
    let roles = page(&Bed::usual().view(), Page::Roles, &[]);
    let expected = r#"{"roles":[{"frameworks":["f-0"],"name":"db","weight":2.0}]}"#;
    assert_eq!(roles, Ok(expected.to_owned()));
}

#[test]
fn the_state_and_its_summary() {
    let bed = Bed::usual();
    let framework = framework();
    let state = format!(
        r#"{{"activated_slaves":1,"build_user":"holdfast 0.1.0","capabilities":[],"cluster":"{CLUSTER}","completed_frameworks":[{{"id":"f-1","name":"old"}}],"deactivated_slaves":1,"elected_time":12.5,"flags":{{}},"frameworks":[{framework}],"hostname":"m1","id":"m-1","leader":"master@10.0.0.1:5050","leader_info":{{"hostname":"m1","id":"m-1","pid":"master@10.0.0.1:5050","port":5050}},"orphan_tasks":[],"pid":"master@10.0.0.1:5050","recovered_slaves":[],"slaves":[{HERE},{EXPECTED}],"start_time":12.5,"unreachable_slaves":0,"unregistered_frameworks":[],"version":"1.11.0"}}"#
    );
    assert_eq!(page(&bed.view(), Page::State, &[]), Ok(state));
    let summary = format!(
        r#"{{"cluster":"{CLUSTER}","frameworks":[{framework}],"hostname":"m1","slaves":[{HERE},{EXPECTED}]}}"#
    );
    assert_eq!(page(&bed.view(), Page::StateSummary, &[]), Ok(summary));
}

//! Every legacy page, written out for a small cluster, to the byte.

use serde_json::{json, Value};

use super::*;
use crate::requests::{Page, PageRequest};
use crate::testbed::{facts, Bed, CLUSTER, OFFER};
use crate::{MasterView, Parameters, Refusal};
use holdfast_model::CallerIdentity;

const RUNNING: &str = r#"{"executor_id":"","framework_id":"f-0","id":"db-0","name":"name of db-0","resources":{"cpus":1.0,"disk":200.0,"gpus":0.0,"mem":128.0},"role":"db","slave_id":"S0","state":"TASK_RUNNING","statuses":[{"state":"TASK_RUNNING","timestamp":5.0}]}"#;
const FAILED: &str = r#"{"executor_id":"","framework_id":"f-0","id":"db-1","name":"name of db-1","resources":{"cpus":2.0,"disk":0.0,"gpus":0.0,"mem":0.0},"role":"db","slave_id":"S0","state":"TASK_FAILED","statuses":[{"state":"TASK_FAILED","timestamp":6.0}]}"#;

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
    assert_eq!(tasks(&[("limit", "-1")]), tasks(&[]));
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
    assert_eq!(page(&bed.view(), Page::Flags, &[]), Ok(r#"{"flags":{"port":"5050"}}"#.to_owned()));
}

const NOTHING: &str = r#"{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0}"#;
const OFFERED: &str =
    r#"{"cpus":6.5,"disk":800.0,"gpus":0.0,"mem":3968.0,"ports":"[31000-31009]"}"#;
const ALL: &str = r#"{"cpus":8.0,"disk":1000.0,"gpus":0.0,"mem":4096.0,"ports":"[31000-31009]"}"#;
const USED: &str = r#"{"cpus":1.5,"disk":200.0,"gpus":0.0,"mem":128.0}"#;

/// What both the whole framework and its summary say.
fn in_short() -> String {
    format!(
        r#""active":true,"capabilities":["MULTI_ROLE","RESERVATION_REFINEMENT"],"connected":true,"hostname":"scheduler-host","id":"f-0","name":"db","offered_resources":{OFFERED},"recovered":false,"used_resources":{USED},"webui_url":"""#
    )
}

fn framework() -> String {
    let executor = r#"{"executor_id":"keeper","framework_id":"f-0","name":"","resources":{"cpus":0.5,"disk":0.0,"gpus":0.0,"mem":0.0},"role":"db","slave_id":"S0","source":""}"#;
    let offer = format!(
        r#"{{"allocation_info":{{"role":"db"}},"framework_id":"f-0","id":"{OFFER}","resources":{OFFERED},"slave_id":"S0"}}"#
    );
    format!(
        r#"{{"checkpoint":true,"completed_tasks":[],"executors":[{executor}],"failover_timeout":600.0,"offers":[{offer}],"principal":"db-team","registered_time":0.1,"reregistered_time":1000.0,"resources":{ALL},"roles":["db"],{},"tasks":[{RUNNING}],"unreachable_tasks":[],"unregistered_time":0.0,"user":"nobody"}}"#,
        in_short()
    )
}

fn removed() -> String {
    format!(
        r#"{{"checkpoint":true,"completed_tasks":[],"executors":[],"failover_timeout":600.0,"offers":[],"principal":"db-team","registered_time":0.1,"resources":{NOTHING},"roles":["db"],"active":false,"capabilities":["MULTI_ROLE","RESERVATION_REFINEMENT"],"connected":false,"hostname":"scheduler-host","id":"f-1","name":"old","offered_resources":{NOTHING},"recovered":false,"used_resources":{NOTHING},"webui_url":"","tasks":[],"unreachable_tasks":[],"unregistered_time":0.0,"user":"nobody"}}"#
    )
}

#[test]
fn h41_frameworks_with_their_tasks_executors_and_offers() {
    let mut bed = Bed::usual();
    let all = page(&bed.view(), Page::Frameworks, &[]);
    let lists = |completed: &str, frameworks: &str| {
        Ok(format!(
            r#"{{"completed_frameworks":[{completed}],"frameworks":[{frameworks}],"unregistered_frameworks":[]}}"#
        ))
    };
    assert_eq!(all, lists(&removed(), &framework()));
    let other = page(&bed.view(), Page::Frameworks, &[("framework_id", "f-9")]);
    assert_eq!(other, lists("", ""));
    bed.acknowledge_failure();
    let entry = frameworks(&bed.view(), Some("f-0")).remove(0);
    let completed = serde_json::to_value(entry).unwrap()["completed_tasks"].take();
    assert_eq!(completed, json!([serde_json::from_str::<Value>(FAILED).unwrap()]));
}

const EXPECTED: &str = r#"{"attributes":{},"hostname":"host1","id":"S1","port":5051}"#;

/// What all pages say of the agent that is here.
fn here() -> String {
    format!(
        r#""active":true,"attributes":{{}},"capabilities":["MULTI_ROLE","HIERARCHICAL_ROLE","RESERVATION_REFINEMENT","RESIZE_VOLUME","AGENT_OPERATION_FEEDBACK"],"deactivated":false,"hostname":"host0","id":"S0","offered_resources":{OFFERED},"pid":"slave(1)@host0:5051","port":5051,"registered_time":1000.0,"reserved_resources":{{"db":{{"cpus":0.0,"disk":300.0,"gpus":0.0,"mem":0.0}}}},"resources":{ALL},"unreserved_resources":{{"cpus":8.0,"disk":700.0,"gpus":0.0,"mem":4096.0,"ports":"[31000-31009]"}},"used_resources":{USED},"version":"0.1.0""#
    )
}

#[test]
fn h40_agents_in_flat_amounts_and_in_all_words() {
    let bed = Bed::usual();
    let text = page(&bed.view(), Page::Slaves, &[]).unwrap();
    let begin = format!(r#"{{"recovered_slaves":[{EXPECTED}],"slaves":[{{{},"#, here());
    assert!(text.starts_with(&begin), "{text}");
    let all: Value = serde_json::from_str(&text).unwrap();
    let agent = &all["slaves"][0];
    let cpus = |list: &Value, value: f64| {
        let all = list.as_array().unwrap();
        all.iter().any(|it| it["name"] == "cpus" && it["scalar"]["value"] == value)
    };
    assert!(cpus(&agent["unreserved_resources_full"], 8.0), "{agent}");
    assert!(cpus(&agent["used_resources_full"], 1.5), "{agent}");
    assert!(cpus(&agent["offered_resources_full"], 6.5), "{agent}");
    let reserved = agent["reserved_resources_full"]["db"].as_array().unwrap();
    let volume = reserved.iter().find(|it| it["disk"]["persistence"]["id"] == "data-0").unwrap();
    assert_eq!(
        volume["reservations"],
        json!([{"type":"DYNAMIC","role":"db","principal":"db-team"}])
    );
    let one = page(&bed.view(), Page::Slaves, &[("slave_id", "S1")]);
    assert_eq!(one, Ok(format!(r#"{{"recovered_slaves":[{EXPECTED}],"slaves":[]}}"#)));
}

#[test]
fn h43_roles_with_all_that_they_hold() {
    let roles = page(&Bed::usual().view(), Page::Roles, &[]);
    let expected = format!(
        r#"{{"roles":[{{"allocated":{{"cpus":1.5,"disk":200.0,"mem":128.0}},"frameworks":["f-0"],"name":"db","offered":{{"cpus":6.5,"disk":800.0,"mem":3968.0,"ports":10.0}},"quota":{{"consumed":{{"cpus":8.0,"disk":1000.0,"mem":4096.0}},"guarantee":{{}},"limit":{{}},"role":"db"}},"reserved":{{"disk":300.0}},"resources":{ALL},"weight":2.0}}]}}"#
    );
    assert_eq!(roles, Ok(expected));
}

#[test]
fn h39_the_state() {
    let bed = Bed::usual();
    let state = format!(
        r#"{{"activated_slaves":1,"build_date":"","build_time":0.0,"build_user":"holdfast 0.1.0","capabilities":[],"cluster":"{CLUSTER}","completed_frameworks":[{}],"deactivated_slaves":0,"elected_time":12.5,"flags":{{"port":"5050"}},"frameworks":[{}],"hostname":"m1","id":"m-1","leader":"master@10.0.0.1:5050","leader_info":{{"id":"m-1","ip":0,"port":5050,"pid":"master@10.0.0.1:5050","hostname":"m1"}},"orphan_tasks":[],"pid":"master@10.0.0.1:5050","recovered_slaves":[{EXPECTED}],"slaves":[{{{}}}],"start_time":12.5,"unreachable_slaves":0,"unregistered_frameworks":[],"version":"1.11.0"}}"#,
        removed(),
        framework(),
        here()
    );
    assert_eq!(page(&bed.view(), Page::State, &[]), Ok(state));
}

#[test]
fn the_summary_counts_tasks() {
    let text = page(&Bed::usual().view(), Page::StateSummary, &[]).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    let (agent, framework) = (&summary["slaves"][0], &summary["frameworks"][0]);
    for it in [agent, framework] {
        assert_eq!((&it["TASK_RUNNING"], &it["TASK_FAILED"]), (&json!(1), &json!(1)), "{it}");
        assert_eq!(it["TASK_LOST"], 0);
    }
    assert_eq!(agent["framework_ids"], json!(["f-0"]));
    assert_eq!(framework["slave_ids"], json!(["S0"]));
    assert!(text.contains(&here()) && text.contains(&in_short()), "{text}");
    assert_eq!((&summary["hostname"], &summary["cluster"]), (&json!("m1"), &json!(CLUSTER)));
}

#[test]
fn small_pages() {
    let view = Bed::usual().view();
    let of = |it: Page| page(&view, it, &[]).unwrap();
    assert_eq!(of(Page::Weights), r#"[{"weight":2.0,"role":"db"}]"#);
    for nothing in
        [Page::Quota, Page::MaintenanceSchedule, Page::MaintenanceStatus, Page::FilesDebug]
    {
        assert_eq!(of(nothing), "{}", "{nothing:?}");
    }
    let registry: Value = serde_json::from_str(&of(Page::Registry)).unwrap();
    let ids: Vec<&Value> = registry["slaves"]["slaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["info"]["id"]["value"])
        .collect();
    assert_eq!(ids, ["S0", "S1"]);
    assert_eq!(registry["unreachable"], json!({"slaves": []}));
    assert_eq!(registry["master"]["info"]["hostname"], "m1");
}

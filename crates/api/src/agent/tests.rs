//! Every answer of an agent, written out.

use holdfast_agent::Input;
use holdfast_model::{Instant, StepContext, TaskState};

use super::*;
use crate::testbed::{self, CLUSTER, DISK, RESERVATION, VOLUME};

fn facts() -> AgentFacts {
    AgentFacts {
        version: v1::VersionInfo { version: "1.11.0".to_owned(), ..Default::default() },
        started_s: 3.5,
        flags: [("port".to_owned(), "5051".to_owned())].into(),
        hostname: "host0".to_owned(),
        ip: "10.0.0.1".to_owned(),
        port: 5051,
        master_hostname: Some("m1".to_owned()),
        sandboxes: "/var/lib/holdfast/agent/slaves".to_owned(),
    }
}

fn ended(framework: &str, executor: &str) -> EndedRun {
    EndedRun {
        framework: framework.to_owned(),
        executor: executor.to_owned(),
        container: "c".to_owned(),
        directory: format!("/s/{framework}/{executor}/c"),
    }
}

#[test]
fn the_page_has_our_own_fields() {
    let page = page(&testbed::agent().view(), &facts(), &[]);
    let page = serde_json::to_value(page).unwrap();
    let of = |name: &str| page[name].to_string();
    assert_eq!(
        of("claims"),
        format!(
            r#"[{{"generation":2,"id":"{VOLUME}","resource":"disk(db, db-team)[Path:/d1,data-0]:200","state":"ready","used_bytes":null,"used_measured_ms":null}},{{"generation":2,"id":"{RESERVATION}","resource":"disk(db, db-team)[Path:/d1]:100","state":"ready","used_bytes":null,"used_measured_ms":null}}]"#
        )
    );
    assert_eq!(of("disks"), format!(r#"[{{"id":"{DISK}","root":"/d1","size_mb":1000}}]"#));
    assert_eq!(
        of("executors"),
        r#"[{"container":"00000000-0000-0000-0000-0000000000c0","framework_id":"f-0","id":"keeper","tasks":["db-0","db-1"]}]"#
    );
    assert_eq!(of("cluster"), format!("{CLUSTER:?}"));
    assert_eq!(of("node"), r#""00000000-0000-0000-0000-0000000000a0""#);
    assert_eq!(
        (of("id"), of("ledger_version"), of("term")),
        ("\"S0\"".to_owned(), "7".to_owned(), "1".to_owned())
    );
}

#[test]
fn h44_tools_find_sandboxes_on_the_page() {
    let ended = [ended("f-0", "older"), ended("f-7", "x")];
    let page = page(&testbed::agent().view(), &facts(), &ended);
    let page = serde_json::to_value(page).unwrap();
    let framework = &page["frameworks"][0];
    assert_eq!((&framework["id"], &framework["name"]), (&"f-0".into(), &"db".into()));
    let executor = &framework["executors"][0];
    assert_eq!(
        executor["directory"],
        "/var/lib/holdfast/agent/slaves/S0/frameworks/f-0/executors/keeper/runs/00000000-0000-0000-0000-0000000000c0"
    );
    let ids = |it: &serde_json::Value| -> Vec<String> {
        it.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&executor["tasks"]), ["db-0"]);
    assert_eq!(ids(&executor["completed_tasks"]), ["db-1"]);
    assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(ids(&framework["completed_executors"]), ["older"]);
    let of = |name: &str| page[name].to_string();
    let volume = r#"{"db":{"cpus":0.0,"disk":200.0,"gpus":0.0,"mem":0.0}}"#;
    assert_eq!(of("reserved_resources_allocated"), volume);
    let others = r#"{"cpus":1.5,"disk":0.0,"gpus":0.0,"mem":128.0}"#;
    assert_eq!(of("unreserved_resources_allocated"), others);
    let gone = &page["completed_frameworks"][0];
    assert_eq!(gone["id"], "f-7");
    assert_eq!(gone["completed_executors"][0]["directory"], "/s/f-7/x/c");
}

#[test]
fn h44_the_page_says_what_the_agent_has() {
    let page = page(&testbed::agent_with_used(0).view(), &facts(), &[]);
    let page = serde_json::to_value(page).unwrap();
    for (name, expected) in [
        ("pid", r#""slave(1)@10.0.0.1:5051""#),
        ("hostname", r#""host0""#),
        ("master_hostname", r#""m1""#),
        ("flags", r#"{"port":"5051"}"#),
        ("start_time", "3.5"),
        (
            "resources",
            r#"{"cpus":8.0,"disk":1000.0,"gpus":0.0,"mem":4096.0,"ports":"[31000-31009]"}"#,
        ),
        ("reserved_resources", r#"{"db":{"cpus":0.0,"disk":300.0,"gpus":0.0,"mem":0.0}}"#),
    ] {
        assert_eq!(page[name].to_string(), expected, "{name}");
    }
    let full = page["reserved_resources_full"]["db"].as_array().unwrap();
    assert!(full.iter().any(|it| it["disk"]["persistence"]["id"] == "data-0"), "{full:?}");
}

#[test]
fn h45_statistics_say_what_is_granted_and_what_was_found() {
    let view = testbed::agent().view();
    let container = view.ledger().executors.values().next().unwrap().container;
    let found =
        v1::ResourceStatistics { timestamp: 9.0, mem_rss_bytes: Some(5), ..Default::default() };
    let measured = std::collections::BTreeMap::from([(container, found)]);
    let entry = serde_json::to_value(&containers(&view, &measured, 10.0)[0]).unwrap();
    assert_eq!((&entry["executor_id"], &entry["framework_id"]), (&"keeper".into(), &"f-0".into()));
    assert_eq!(entry["container_id"], container.to_string());
    assert_eq!(entry["status"]["container_id"]["value"], container.to_string());
    let of = |name: &str| entry["statistics"][name].as_f64().unwrap();
    assert_eq!((of("timestamp"), of("mem_rss_bytes")), (9.0, 5.0));
    assert_eq!((of("cpus_limit"), of("mem_limit_bytes")), (1.5, f64::from(128 << 20)));
    let entry = serde_json::to_value(&statistics(&view, &Default::default(), 10.0)[0]).unwrap();
    assert_eq!(entry["statistics"]["timestamp"], 10.0);
    assert!(entry.get("container_id").is_none() && entry.get("status").is_none());
}

#[test]
fn the_page_says_what_a_volume_was_found_to_use() {
    let page = serde_json::to_value(page(&testbed::agent_with_used(7 << 20).view(), &facts(), &[]))
        .unwrap();
    let claims = page["claims"].as_array().unwrap();
    assert_eq!(claims[0]["used_bytes"], 7 << 20);
    assert_eq!(claims[0]["used_measured_ms"], 900);
    assert!(claims[1]["used_bytes"].is_null(), "a reservation uses nothing");
}

#[test]
fn tasks_that_live_and_that_have_ended() {
    let answer = tasks(&testbed::agent().view());
    let of = |tasks: &[v1::Task]| -> Vec<(String, i32)> {
        tasks.iter().map(|it| (it.task_id.value.clone(), it.state)).collect()
    };
    assert_eq!(of(&answer.launched_tasks), [("db-0".to_owned(), TaskState::Running as i32)]);
    assert_eq!(of(&answer.terminated_tasks), [("db-1".to_owned(), TaskState::Failed as i32)]);
    let running = &answer.launched_tasks[0];
    assert_eq!((running.name.as_str(), running.agent_id.value.as_str()), ("name of db-0", "S0"));
    assert_eq!(running.executor_id.as_ref().map(|it| it.value.as_str()), Some("keeper"));
    assert_eq!(running.resources.len(), 3);
}

#[test]
fn the_machine_is_known_once_its_disks_are_open() {
    let mut agent = testbed::agent();
    assert_eq!(machine(&agent.view()).agent_info, None);
    struct NoIds;
    impl holdfast_model::IdSource for NoIds {
        fn fresh(&mut self) -> uuid::Uuid {
            uuid::Uuid::nil()
        }
    }
    let disks = vec![holdfast_agent::DiskFound {
        disk: testbed::disk_record(),
        fault: None,
        space: None,
        added: None,
    }];
    let opened = Input::Opened(holdfast_agent::Machine { info: testbed::machine(), disks });
    for input in [Input::Started(Vec::new()), opened] {
        agent.handle(&mut StepContext { now: Instant(1), ids: &mut NoIds }, input);
    }
    let info = machine(&agent.view()).agent_info.unwrap();
    assert_eq!((info.hostname.as_str(), info.port), ("host0", Some(5051)));
}

#[test]
fn h36_the_operator_api_says_what_runs_and_what_ran() {
    let (view, facts) = (testbed::agent().view(), facts());
    let flag = &flags(&facts).flags[0];
    assert_eq!((flag.name.as_str(), flag.value.as_deref()), ("port", Some("5051")));
    let found = Surroundings {
        ended: vec![ended("f-0", "older"), ended("f-7", "x"), ended("f-7", "y")],
        ..Surroundings::default()
    };
    let all = state(&view, &found);
    let frameworks = all.get_frameworks.unwrap();
    let ids = |list: &[holdfast_proto::mesos::v1::agent::response::get_frameworks::Framework]| -> Vec<String> {
        list.iter().map(|it| it.framework_info.id.clone().unwrap().value).collect()
    };
    assert_eq!(ids(&frameworks.frameworks), ["f-0"]);
    assert_eq!(ids(&frameworks.completed_frameworks), ["f-7"], "each once, and f-0 still lives");
    let executors = all.get_executors.unwrap();
    assert_eq!(executors.executors[0].executor_info.executor_id.value, "keeper");
    assert_eq!(executors.completed_executors.len(), 3);
    assert_eq!(all.get_tasks, Some(tasks(&view)));
}

#[test]
fn h36_containers_inside_others_are_shown_to_those_who_ask() {
    let (view, facts) = (testbed::agent().view(), facts());
    let root = view.ledger().executors.values().next().unwrap().container;
    let parent = v1::ContainerId { value: root.to_string(), parent: None };
    let id = v1::ContainerId { value: "inner".to_owned(), parent: Some(Box::new(parent)) };
    let stray = NestedRun { root: ContainerId(Default::default()), id: id.clone(), pid: None };
    let found = Surroundings {
        pids: [(root, 41)].into(),
        nested: vec![NestedRun { root, id: id.clone(), pid: Some(42) }, stray],
        now_s: 9.0,
        ..Surroundings::default()
    };
    let shown = |nested| all_containers(&view, &facts, &found, nested).containers;
    assert_eq!(shown(false).len(), 1);
    let all = shown(true);
    assert_eq!(all.len(), 2, "one of an executor that is no more is not shown");
    let status = all[0].container_status.clone().unwrap();
    assert_eq!(status.executor_pid, Some(41));
    let address = status.network_infos[0].ip_addresses[0].ip_address.clone();
    assert_eq!(address.as_deref(), Some("10.0.0.1"));
    assert_eq!(all[0].resource_statistics.as_ref().unwrap().timestamp, 9.0);
    assert_eq!(
        (&all[1].container_id, all[1].executor_id.as_ref().unwrap().value.as_str()),
        (&id, "keeper")
    );
    assert!(all[1].resource_statistics.is_none(), "its limits are those of the one around it");
}

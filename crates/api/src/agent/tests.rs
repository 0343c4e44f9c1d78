//! Every answer of an agent, written out.

use holdfast_agent::Input;
use holdfast_model::{Instant, StepContext, TaskState};

use super::*;
use crate::testbed::{self, CLUSTER, DISK, RESERVATION, VOLUME};

#[test]
fn the_page() {
    let text = serde_json::to_string(&page(&testbed::agent().view(), "1.11.0")).unwrap();
    let expected = format!(
        r#"{{"claims":[{{"generation":2,"id":"{VOLUME}","resource":"disk(db, db-team)[Path:/d1,data-0]:200","state":"ready","used_bytes":null,"used_measured_ms":null}},{{"generation":2,"id":"{RESERVATION}","resource":"disk(db, db-team)[Path:/d1]:100","state":"ready","used_bytes":null,"used_measured_ms":null}}],"cluster":"{CLUSTER}","disks":[{{"id":"{DISK}","root":"/d1","size_mb":1000}}],"executors":[{{"container":"00000000-0000-0000-0000-0000000000c0","framework_id":"f-0","id":"keeper","tasks":["db-0","db-1"]}}],"id":"S0","ledger_version":7,"node":"00000000-0000-0000-0000-0000000000a0","term":1,"version":"1.11.0"}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn the_page_says_what_a_volume_was_found_to_use() {
    let page = serde_json::to_value(page(&testbed::agent_with_used(7 << 20).view(), "1")).unwrap();
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

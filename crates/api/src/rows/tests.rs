//! Rows are read as they were written, and what does not fit is named.

use holdfast_model::TaskState;
use serde_json::{json, Value};

use super::*;

fn disk() -> Value {
    json!({
        "id": "d-1", "agent": "a-1", "hostname": "h", "kind": "path", "root": "/d", "size_mb": 100,
        "volumes_mb": 10, "volumes": 1, "unclaimed_mb": 90, "used_mb": null, "limit": "none", "trash_mb": 0,
        "overcommitted_mb": 0, "file_system": "8:1", "file_system_mb": 200, "file_system_free_mb": 150, "added": false, "orphans": [], "more_orphans": 0, "fault": null,
    })
}

#[test]
fn a_row_is_written_as_it_was_read() {
    let row: DiskRow = serde_json::from_value(disk()).unwrap();
    assert_eq!((row.kind, row.fault.as_deref()), (DiskPlace::Path, None));
    let text = r#"{"id":"d-1","agent":"a-1","hostname":"h","kind":"path","root":"/d","size_mb":100,"volumes_mb":10,"volumes":1,"unclaimed_mb":90,"used_mb":null,"limit":"none","trash_mb":0,"overcommitted_mb":0,"file_system":"8:1","file_system_mb":200,"file_system_free_mb":150,"added":false,"orphans":[],"more_orphans":0,"fault":null}"#;
    assert_eq!(serde_json::to_string(&row).unwrap(), text, "fields keep their order");
}

#[test]
fn what_is_missing_is_named_even_if_it_could_be_nothing() {
    for field in ["id", "kind", "size_mb", "fault"] {
        let mut value = disk();
        value.as_object_mut().unwrap().remove(field);
        let error = serde_json::from_value::<DiskRow>(value).unwrap_err().to_string();
        assert_eq!(error, format!("missing field `{field}`"));
    }
}

#[test]
fn what_is_new_is_passed_over_and_a_new_word_is_not() {
    let mut value = disk();
    value["colour"] = json!("red");
    assert!(serde_json::from_value::<DiskRow>(value.clone()).is_ok());
    value["kind"] = json!("block");
    let error = serde_json::from_value::<DiskRow>(value).unwrap_err().to_string();
    assert!(
        error.contains("unknown variant `block`, expected one of `root`, `path`, `mount`"),
        "{error}"
    );
}

#[test]
fn a_task_has_the_states_of_the_wire() {
    let mut value = json!({
        "id": "t", "name": "t", "framework": "f", "executor": "t", "agent": "a", "agent_address": null,
        "state": "TASK_RUNNING", "reason": null, "message": null, "resources": "cpus:1", "volumes": [],
        "ended": false, "updated_ms": 0,
    });
    let row: TaskRow = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(row.state, TaskState::Running);
    assert_eq!(serde_json::to_value(&row).unwrap(), value);
    value["state"] = json!("TASK_SLEEPING");
    let error = serde_json::from_value::<TaskRow>(value).unwrap_err().to_string();
    assert_eq!(error, "unknown state of a task `TASK_SLEEPING`");
}

#[test]
fn a_plan_tells_itself_by_its_fields() {
    let apply = json!({ "agent": "a", "if_generation": 3, "operations": [] });
    let claim = json!({ "action": "RESERVE", "agent": "a", "apply": apply, "gives": "cpus(db):1", "taken_from": [], "takes": "cpus:1" });
    let teardown = json!({ "action": "TEARDOWN", "ends_tasks": ["t"], "framework": "f", "leaves_unclaimed": [] });
    for (value, is_claim) in [(claim, true), (teardown, false)] {
        let plan: Plan = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(matches!(plan, Plan::Claim(_)), is_claim);
        assert_eq!(serde_json::to_value(plan).unwrap(), value);
    }
}

#[test]
fn words_are_what_they_were() {
    assert_eq!(AgentStanding::Resyncing.word(), "resyncing");
    assert_eq!(format!("{:>10}", ClaimStanding::Missing), "   missing");
    assert_eq!(serde_json::to_value(FrameworkStanding::Away).unwrap(), json!("away"));
    assert_eq!(serde_json::to_value(ClaimKind::Reservation).unwrap(), json!("reservation"));
}

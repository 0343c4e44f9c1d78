//! Contexts that keep what they are told, and rows as a master sends them, for the tests of verbs.

use serde_json::{json, Value};
use tokio_util::sync::CancellationToken;

use super::rows::{Listed, Received};
use super::Context;
use crate::globals::Globals;
use crate::output::console::tests::{kept, Kept};
use crate::output::Format;

/// A context that asks the master at `address`; its data and its remarks. `answers` is what a person would type.
pub(crate) fn context(address: &str, answers: Option<&'static str>) -> (Context, Kept, Kept) {
    let (console, data, remarks) = kept(answers);
    let globals = Globals {
        master: address.split(',').map(str::to_owned).collect(),
        output: Format::Table,
        timeout: None,
        quiet: false,
        log_json: false,
    };
    (Context::new(&globals, console, CancellationToken::new()), data, remarks)
}

/// A row as a master sends it, with these fields.
pub(crate) fn received<T: Listed>(fields: Value) -> Received<T> {
    let mut raw = whole(T::PAGE);
    for (name, value) in fields.as_object().expect("fields are an object") {
        raw[name] = value.clone();
    }
    Received::read(T::PAGE, raw).expect("it is whole")
}

/// What a row says that has these fields.
pub(crate) fn row<T: Listed>(fields: Value) -> T {
    received::<T>(fields).row
}

/// A row with all its fields.
fn whole(page: &str) -> Value {
    match page {
        "agents" => json!({
            "id": "a", "hostname": "h", "address": "h:5051", "state": "well", "why": null, "deactivated": null, "total": "", "free": "",
            "used": "", "tasks": 0, "volumes": 0, "generation": 0, "ledger_version": 0, "reregistered_ms": 0,
        }),
        "claims" => json!({
            "id": "c", "kind": "reservation", "state": "ready", "fault": null, "volume": null, "role": "db",
            "principal": null, "resource": "disk", "amount": 0.0, "agent": "a", "hostname": "h",
            "labels": [], "disk_root": null, "used_bytes": null, "used_measured_ms": null,
            "agent_state": "well", "disk": null, "framework": null, "unclaimed": true, "task": null,
            "generation": 1, "created_ms": 0, "history": [],
        }),
        "ended-claims" => json!({
            "number": 1, "id": "c", "kind": "reservation", "volume": null, "role": "db", "principal": null, "labels": [],
            "resource": "disk", "amount": 0.0, "agent": "a", "hostname": "h", "disk": null, "disk_root": null,
            "framework": null, "generation": 1, "created_ms": 0, "ended_ms": 0, "how": null, "by": null, "reason": null,
            "data": null, "history": [],
        }),
        "disks" => json!({
            "id": "d", "agent": "a", "hostname": "h", "kind": "path", "root": "/d", "size_mb": 0, "volumes_mb": 0,
            "volumes": 0, "unclaimed_mb": 0, "used_mb": null, "limit": null, "trash_mb": 0, "overcommitted_mb": 0, "file_system": null,
            "file_system_mb": null, "file_system_free_mb": null, "fault": null,
        }),
        "frameworks" => json!({
            "id": "f", "name": "n", "state": "connected", "roles": [], "principal": null, "tasks": 0, "offers": 0,
            "volumes": 0, "failover_timeout_ms": 0, "deadline_ms": null, "registered_ms": 0,
            "webui_url": null,
        }),
        "offers" => json!({
            "id": "o", "framework": "f", "role": "*", "agent": "a", "resources": "", "made_ms": 0,
        }),
        "machines" => json!({
            "agents": [], "answers": [], "claims": 0, "duration_ns": null, "hostname": "h", "ip": "",
            "machine": "h", "mode": "draining", "start_ns": 0, "tasks": 0,
        }),
        "quotas" => json!({ "role": "r", "guarantees": "", "limits": "", "has": "" }),
        "roles" => {
            json!({ "role": "*", "weight": 1.0, "share": 0.0, "reserved": "", "frameworks": 0 })
        }
        "tasks" => json!({
            "id": "t", "name": "n", "framework": "f", "executor": "e", "agent": "a", "agent_address": null,
            "state": "TASK_RUNNING", "reason": null, "message": null, "resources": "", "volumes": [],
            "ended": false, "updated_ms": 0,
        }),
        "trash" => json!({
            "id": "c", "volume": "v", "role": "db", "size_mb": 0, "agent": "a", "hostname": "h", "disk": null,
            "root": null, "framework": null, "destroyed_ms": 0, "destroyed_by": "ops", "kept_until_ms": 0,
            "purging": false,
        }),
        other => panic!("there is no list of {other}"),
    }
}

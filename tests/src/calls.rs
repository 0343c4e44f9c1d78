//! What is said to a master and about resources, as JSON written by hand.
//!
//! Relies on the published names of the Mesos v1 API. Never uses our own types: a stranger has none.

use serde_json::{json, Value};

/// The role that tests claim for.
pub const ROLE: &str = "db";
/// The principal that tests claim as.
pub const PRINCIPAL: &str = "ops";

/// Some of a disk: ROOT, or the PATH or MOUNT disk that `source` names.
pub fn disk(size_mb: f64, source: Option<&Value>) -> Value {
    let mut resource = json!({ "name": "disk", "type": "SCALAR", "scalar": { "value": size_mb } });
    if let Some(source) = source {
        resource["disk"]["source"] = source.clone();
    }
    resource
}

/// A PATH disk.
pub fn path_source(root: &str) -> Value {
    json!({ "type": "PATH", "path": { "root": root } })
}

/// A MOUNT disk.
pub fn mount_source(root: &str) -> Value {
    json!({ "type": "MOUNT", "mount": { "root": root } })
}

/// The same, reserved for [`ROLE`].
pub fn reserved(resource: &Value) -> Value {
    let mut resource = resource.clone();
    resource["reservations"] = json!([{ "type": "DYNAMIC", "role": ROLE, "principal": PRINCIPAL }]);
    resource
}

/// The same, reserved and made a volume.
pub fn volume(resource: &Value, id: &str) -> Value {
    let mut resource = reserved(resource);
    resource["disk"]["persistence"] = json!({ "id": id, "principal": PRINCIPAL });
    resource["disk"]["volume"] = json!({ "container_path": "data", "mode": "RW" });
    resource
}

/// The operator's RESERVE_RESOURCES.
pub fn reserve(agent: &str, resources: &[Value]) -> Value {
    json!({ "type": "RESERVE_RESOURCES", "reserve_resources": { "agent_id": { "value": agent }, "resources": resources } })
}

/// The operator's UNRESERVE_RESOURCES.
pub fn unreserve(agent: &str, resources: &[Value]) -> Value {
    json!({ "type": "UNRESERVE_RESOURCES", "unreserve_resources": { "agent_id": { "value": agent }, "resources": resources } })
}

/// The operator's CREATE_VOLUMES.
pub fn create(agent: &str, volumes: &[Value]) -> Value {
    json!({ "type": "CREATE_VOLUMES", "create_volumes": { "agent_id": { "value": agent }, "volumes": volumes } })
}

/// The operator's DESTROY_VOLUMES.
pub fn destroy(agent: &str, volumes: &[Value]) -> Value {
    json!({ "type": "DESTROY_VOLUMES", "destroy_volumes": { "agent_id": { "value": agent }, "volumes": volumes } })
}

/// A framework of [`ROLE`] that wants no offers yet.
pub fn framework_info(name: &str, failover_s: f64) -> Value {
    json!({
        "user": "root", "name": name, "roles": [ROLE], "principal": PRINCIPAL, "failover_timeout": failover_s,
        "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "RESERVATION_REFINEMENT" }, { "type": "PARTITION_AWARE" }],
    })
}

/// A task that runs a shell command.
pub fn command_task(id: &str, agent: &str, command: &str, resources: &[Value]) -> Value {
    json!({
        "name": id, "task_id": { "value": id }, "agent_id": { "value": agent }, "resources": resources,
        "command": { "shell": true, "value": command },
    })
}

/// Processors of a task.
pub fn cpus(count: f64) -> Value {
    json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": count } })
}

/// Memory of a task.
pub fn mem(size_mb: f64) -> Value {
    json!({ "name": "mem", "type": "SCALAR", "scalar": { "value": size_mb } })
}

//! Records in words: which message a tree of a ledger holds.
//!
//! Never hides a record that it cannot read: it says so in its place. The SDK reads what a framework wrote.

use holdfast_model::convert::ledger::Record;
use holdfast_model::{AgentId, PersistenceId};
use holdfast_proto::holdfast::ledger::v1 as ledger;
use holdfast_proto::{binary, json};
use holdfast_sdk::net::{read_record, LedgerRecord, LEDGER_KIND};
use holdfast_sdk::pods::ServiceChange;
use holdfast_sdk::spec::{PodSpec, ServiceSpec};
use holdfast_sdk::{KeeperChange, Member, Stage};
use holdfast_wire::Wired;
use serde_json::{json, Value};

/// The key of a record as people read it; the members of a framework are numbered.
pub(super) fn key(kind: &str, tree: &str, key: &[u8]) -> String {
    match <[u8; 4]>::try_from(key) {
        Ok(number) if (kind, tree) == (LEDGER_KIND, "member") => {
            u32::from_be_bytes(number).to_string()
        }
        _ => String::from_utf8_lossy(key).into_owned(),
    }
}

/// A record of a ledger of this kind as JSON.
pub(super) fn record(kind: &str, tree: &str, key: &[u8], value: &[u8]) -> Value {
    match (kind, tree) {
        (LEDGER_KIND, _) => match read_record(tree, key, value) {
            Ok(LedgerRecord::Service(name)) => json!({ "service": name }),
            Ok(LedgerRecord::Change(KeeperChange::Framework(id))) => {
                json!({ "framework_id": id.as_str() })
            }
            Ok(LedgerRecord::Change(KeeperChange::Member(it))) => member(&it),
            Ok(LedgerRecord::Change(KeeperChange::Service(it))) => of_pods(&it),
            Err(error) => opaque(value, &error.to_string()),
        },
        ("agent", "identity") => read::<ledger::AgentIdentity>(value),
        ("agent", "disks") => read::<ledger::Disk>(value),
        ("agent", "claims") => read::<ledger::Claim>(value),
        ("agent", "frameworks") => read::<ledger::AgentFramework>(value),
        ("agent", "executors") => read::<ledger::Executor>(value),
        ("agent", "tasks") => read::<ledger::Task>(value),
        ("agent", "operations") => read::<ledger::Operation>(value),
        ("agent", "trash") => read::<ledger::TrashedVolume>(value),
        ("agent", "added_disks") => read::<ledger::AddedDisk>(value),
        ("agent", "left_places") => read::<ledger::LeftPlace>(value),
        ("agent", "points") => read::<ledger::LedgerPoint>(value),
        ("master", "cluster") => read::<ledger::Cluster>(value),
        ("master", "agents") => read::<ledger::AgentRecord>(value),
        ("master", "frameworks") => read::<ledger::FrameworkRecord>(value),
        ("master", "claims") => read::<ledger::IndexedClaim>(value),
        ("master", "pending") => read::<ledger::PendingOperation>(value),
        ("master", "weights") => read::<ledger::RoleWeight>(value),
        ("master", "suspects") => read::<ledger::Suspect>(value),
        ("master", "ended") => read::<ledger::EndedClaim>(value),
        ("master", "history") => read::<ledger::ClaimHistory>(value),
        ("master", "quotas") => read::<ledger::RoleQuota>(value),
        ("master", "moves") => read::<ledger::DiskMove>(value),
        ("master", "recoveries") => read::<ledger::Recovery>(value),
        ("master", "deaths") => read::<ledger::DeathCertificate>(value),
        ("master", "deactivations") => read::<ledger::Deactivation>(value),
        ("master", "maintenance") => read::<ledger::MaintenanceSchedule>(value),
        _ => opaque(value, "this program does not know what it means"),
    }
}

/// What a service of pods has.
fn of_pods(change: &ServiceChange) -> Value {
    match change {
        ServiceChange::Spec(generation, it) => {
            json!({ "generation": generation, "spec": spec(it) })
        }
        ServiceChange::Given(it) => json!({ "started_with": spec(it) }),
        ServiceChange::SpecDropped(generation) => json!({ "generation": generation }),
        ServiceChange::Member(it) => {
            let volumes: Vec<&str> = it.volumes.iter().map(PersistenceId::as_str).collect();
            json!({
                "member": it.id.to_string(),
                "agent": it.agent.as_ref().map(AgentId::as_str),
                "volumes": volumes,
                "ports": it.ports,
                "generation": it.generation,
                "launches": it.launches,
                "task": it.run.as_ref().map(|it| it.task.as_str()),
                "claims_kept": it.kept.len(),
            })
        }
        ServiceChange::Plan(it) => {
            let phases: Vec<&str> = it.phases.iter().map(|it| it.name.as_str()).collect();
            json!({
                "plan": it.kind.name(),
                "serial": it.serial,
                "asked_by": it.asked.by,
                "paused_by": it.paused.as_ref().map(|it| it.by.as_str()),
                "phases": phases,
            })
        }
        ServiceChange::Step(key, it) => json!({
            "plan": key.plan.name(),
            "serial": key.serial,
            "step": it.name(),
            "status": it.status().name(),
        }),
    }
}

/// A spec in short.
fn spec(spec: &ServiceSpec) -> Value {
    let pod = |it: &PodSpec| json!({ "name": it.name, "count": it.count });
    let pods: Vec<Value> = spec.pods.iter().map(pod).collect();
    json!({ "name": spec.name, "role": spec.role.as_str(), "pods": pods })
}

/// A member of a service; what there is not is left out.
fn member(it: &Member) -> Value {
    let stage = match it.stage {
        Stage::Wanted => "wanted",
        Stage::Claiming => "claiming",
        Stage::Placed => "placed",
    };
    let mut fields = json!({ "index": it.index, "stage": stage, "attempts": it.attempts, "launches": it.launches });
    let run = it.run.as_ref();
    let optional = [
        ("agent", it.agent.as_ref().map(|it| json!(it.as_str()))),
        ("volume", it.volume.as_ref().map(|it| json!(it.as_str()))),
        ("task", run.map(|it| json!(it.task.as_str()))),
        ("running", run.map(|it| json!(it.running))),
        ("note", Some(note(&it.note)).filter(|_| !it.note.is_empty())),
    ];
    for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        fields[name] = value;
    }
    fields
}

/// What the framework's author chose to remember: text where it is text, else its bytes.
fn note(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => json!(text),
        _ => json!({ "hex": hex(bytes) }),
    }
}

fn read<M: Wired + Record>(value: &[u8]) -> Value {
    let message = match value.split_first() {
        Some((version, message)) if (1..=M::VERSION).contains(version) => message,
        Some((version, _)) => {
            return opaque(
                value,
                &format!("it has version {version}, this program reads {}", M::VERSION),
            )
        }
        None => return opaque(value, "it is empty"),
    };
    match binary::decode::<M>(message) {
        Ok(message) => serde_json::from_str(&json::to_string(&message))
            .unwrap_or_else(|error| opaque(value, &error.to_string())),
        Err(error) => opaque(value, &error.to_string()),
    }
}

fn opaque(value: &[u8], why: &str) -> Value {
    json!({ "unread": why, "first_bytes": hex(&value[..value.len().min(64)]) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::convert::ledger::{agent, master};

    #[test]
    fn every_tree_has_its_message() {
        for (kind, trees) in
            [("agent", agent::TREES.as_slice()), ("master", master::TREES.as_slice())]
        {
            for tree in trees {
                let shown = record(kind, tree, b"", &[1]);
                let known =
                    shown["unread"].as_str().is_none_or(|why| !why.contains("does not know"));
                assert!(known, "{kind}/{tree}: {shown}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(record("agent", "disks", b"", &[])["unread"], "it is empty");
        assert_eq!(
            record("agent", "disks", b"", &[9, 1])["unread"],
            "it has version 9, this program reads 1"
        );
        assert!(record("agent", "disks", b"", &[1, 255]).get("unread").is_some());
        assert_eq!(record("framework", "member", &[0, 0, 0, 1], &[1, 0xab])["first_bytes"], "01ab");
        assert!(record("framework", "newer", b"k", &[1])["unread"]
            .as_str()
            .unwrap()
            .contains("newer version"));
        assert!(record("cellar", "wine", b"k", &[1])["unread"]
            .as_str()
            .unwrap()
            .contains("does not know"));
    }

    #[test]
    fn notes_are_text_or_bytes() {
        assert_eq!(
            (note(b"41:0badcafe"), note(&[0, 0xff])),
            (json!("41:0badcafe"), json!({ "hex": "00ff" }))
        );
        assert_eq!(
            (key("framework", "member", &[0, 0, 1, 2]), key("agent", "claims", b"abcd")),
            ("258".to_owned(), "abcd".to_owned())
        );
    }
}

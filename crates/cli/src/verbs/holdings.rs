//! What an agent has, with all that makes its resources what they are: reservations with their labels, disks, volumes.
//!
//! Relies on the operator API, whose resources are whole; rows for people leave things out. Never builds the identity of something
//! that is there from what a person typed: it is found.

use holdfast_api::rows::{DiskPlace, DiskRow};
use holdfast_model::convert::{resource, text};
use holdfast_model::{
    Identity, Reservation, ReservationKind, Resource, Resources, Role, Source, Value,
};
use holdfast_proto::mesos::v1::master::call::Type;
use holdfast_proto::mesos::v1::master::Call;

use super::master_api::MasterApi;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};

/// All that an agent has, less who uses it.
///
/// # Errors
/// When no master answers, or the agent is not connected.
pub async fn total(master: &MasterApi, agent: &str) -> Result<Resources, Failure> {
    let call = Call { r#type: Some(Type::GetAgents.into()), ..Call::default() };
    let agents =
        master.operator(&call).await?.and_then(|it| it.get_agents).unwrap_or_default().agents;
    let found =
        agents.into_iter().find(|it| it.agent_info.id.as_ref().is_some_and(|id| id.value == agent));
    let found = found.ok_or_else(|| {
        Failure::new(
            EXIT_CONFLICT,
            format!("agent {agent} is not connected"),
            "try again when it is back: `holdfast agent list --watch`",
        )
    })?;
    let total = resource::sum_from_proto("total_resources", found.total_resources);
    let total = total.map_err(|it| {
        Failure::new(
            EXIT_ERROR,
            format!("the master's answer: {it}"),
            "is it the same version as this program?",
        )
    })?;
    Ok(total.unallocated())
}

/// Resources as a person writes them: text such as `cpus:1;disk:1024`, or a JSON array of Mesos resources.
///
/// # Errors
/// What is wrong with them, and where.
pub fn typed(given: &str) -> Result<Vec<Resource>, Failure> {
    let read = match given.trim_start().starts_with('[') {
        true => text::json(given),
        false => text::resources(given, &Role::any()),
    };
    let wrong = |why: String| {
        Failure::usage(
            why,
            "write for instance 'cpus:1;mem:512;disk:10240', amounts of mem and disk in MB",
        )
    };
    let resources = read.map_err(|it| wrong(it.to_string()))?;
    match resources.iter().find(|it| it.value.is_empty()) {
        Some(empty) => Err(wrong(format!("there is nothing to do for `{empty}`"))),
        None if resources.is_empty() => Err(wrong("no resources were named".to_owned())),
        None => Ok(resources),
    }
}

/// A role as it was typed; one that something can be reserved for.
///
/// # Errors
/// When it is none.
pub fn role(given: &str) -> Result<Role, Failure> {
    let hint = "name a role such as db or eng/storage";
    let role = Role::parse(given).map_err(|it| Failure::usage(it.to_string(), hint))?;
    match role.is_any() {
        true => Err(Failure::usage("nothing can be reserved for `*`", hint)),
        false => Ok(role),
    }
}

/// The same resources, disks moved to the disk in `row` of the masters' list of disks.
pub fn on_disk(resources: Vec<Resource>, row: &DiskRow) -> Vec<Resource> {
    let source = source(row);
    let moved = |mut it: Resource| {
        if it.identity.name == "disk" {
            it.identity.source = source.clone();
        }
        it
    };
    resources.into_iter().map(moved).collect()
}

/// What resources of this disk say of it: nothing for ROOT.
pub fn source(row: &DiskRow) -> Option<Source> {
    match row.kind {
        DiskPlace::Root => None,
        DiskPlace::Path => Some(Source::path(&row.root)),
        DiskPlace::Mount => Some(Source::mount(&row.root)),
    }
}

/// `name=value` or `name`, as a label.
pub fn label(given: &str) -> (String, Option<String>) {
    match given.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (given.to_owned(), None),
    }
}

/// A reservation made at run time.
pub fn reservation(role: Role, principal: Option<&str>, labels: &[String]) -> Reservation {
    let labels = labels.iter().map(|it| label(it)).collect();
    Reservation {
        kind: ReservationKind::Dynamic,
        role,
        principal: principal.map(str::to_owned),
        labels,
    }
}

/// The part of a reservation that `wanted` names: the only identity of that name for the role from which it can be taken.
///
/// # Errors
/// When it is not there, or there are several from which it could be taken.
pub fn reserved_part(
    total: &Resources,
    role: &Role,
    wanted: &Resource,
) -> Result<Resource, Failure> {
    let could = |identity: &Identity| {
        identity.name == wanted.identity.name
            && identity.is_dynamic()
            && identity.role() == *role
            && identity.persistence.is_none()
            && (wanted.identity.source.is_none() || wanted.identity.source == identity.source)
    };
    let part = |(identity, _): (&Identity, _)| Resource {
        identity: identity.clone(),
        value: wanted.value.clone(),
        mount: None,
        creator: None,
    };
    let parts: Vec<Resource> = total
        .entries()
        .filter(|(identity, _)| could(identity))
        .map(part)
        .filter(|it| total.contains_one(it))
        .collect();
    match parts.as_slice() {
        [] => Err(Failure::new(
            EXIT_CONFLICT,
            format!("`{wanted}` is not reserved there for {role}"),
            "see `holdfast claim list -o wide`",
        )),
        [one] => Ok(one.clone()),
        several => Err(several_reservations(several)),
    }
}

fn several_reservations(several: &[Resource]) -> Failure {
    let listed: Vec<String> = several.iter().map(ToString::to_string).collect();
    let cause = format!(
        "several reservations look like that, and only one may be meant:\n    {}",
        listed.join("\n    ")
    );
    let hint = "say which with --agent AGENT and the resource as JSON, as GET_AGENTS of the operator API shows it: '[{...}]'";
    Failure::new(EXIT_CONFLICT, cause, hint)
}

/// Whether a disk reservation can carry a volume of this size; MOUNT disks only as a whole.
pub fn can_carry(total: &Resources, identity: &Identity, size: &Value) -> bool {
    let part =
        Resource { identity: identity.clone(), value: size.clone(), mount: None, creator: None };
    identity.name == "disk"
        && identity.is_reserved()
        && identity.persistence.is_none()
        && total.contains_one(&part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use holdfast_model::Scalar;
    use serde_json::json;

    fn disk(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb))
    }

    fn db(labels: &[&str]) -> Reservation {
        let labels: Vec<String> = labels.iter().map(|it| (*it).to_owned()).collect();
        reservation(Role::parse("db").unwrap(), Some("p"), &labels)
    }

    #[test]
    fn resources_are_typed_as_text_or_json() {
        assert_eq!(typed("cpus:0.5; mem:64").unwrap().len(), 2);
        let whole = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":5},"reservations":[{"type":"DYNAMIC","role":"db"}]}]"#;
        assert!(typed(whole).unwrap()[0].identity.is_dynamic());
        for wrong in ["", "cpus", "cpus:x", "cpus:-1", "cpus:0", "[{]", "ports:[5-1]"] {
            assert_eq!(typed(wrong).unwrap_err().code, 64, "{wrong:?}");
        }
        assert_eq!((role("*").unwrap_err().code, role("a b").unwrap_err().code), (64, 64));
        assert_eq!(
            (label("a=b=c"), label("a")),
            (("a".to_owned(), Some("b=c".to_owned())), ("a".to_owned(), None))
        );
    }

    #[test]
    fn disks_move_and_nothing_else() {
        let row = testbed::row(json!({ "kind": "mount", "root": "/mnt/d" }));
        let moved = on_disk(typed("cpus:1;disk:5").unwrap(), &row);
        assert_eq!(
            (moved[0].identity.source.clone(), moved[1].identity.source.clone()),
            (None, Some(Source::mount("/mnt/d")))
        );
        assert_eq!(source(&testbed::row(json!({ "kind": "root", "root": "/x" }))), None);
    }

    #[test]
    fn several_that_could_be_meant_are_told_apart_by_their_labels() {
        let role = Role::parse("db").unwrap();
        let total: Resources =
            [disk(10).reserved(db(&["a"])), disk(10).reserved(db(&["c=d"]))].iter().collect();
        let failure = reserved_part(&total, &role, &disk(5)).unwrap_err();
        let listed = failure.cause.contains("disk(db, p, {c=d}):5");
        assert!(failure.code == EXIT_CONFLICT && listed, "{failure}");
    }

    #[test]
    fn a_part_is_taken_where_only_one_can_give_it() {
        let role = Role::parse("db").unwrap();
        let on_path = disk(30).on(Source::path("/d")).reserved(db(&[]));
        let total: Resources = [disk(20).reserved(db(&[])), on_path].iter().collect();
        assert_eq!(
            reserved_part(&total, &role, &disk(25)).unwrap().identity.source,
            Some(Source::path("/d"))
        );
        assert_eq!(
            reserved_part(&total, &role, &disk(5)).unwrap_err().code,
            EXIT_CONFLICT,
            "it could come from either"
        );
        assert!(reserved_part(&total, &role, &disk(5).on(Source::path("/d"))).is_ok());
        assert_eq!(reserved_part(&total, &role, &disk(31)).unwrap_err().code, EXIT_CONFLICT);
    }
}

//! Disks that are at another place than their claims said, and that their claims follow.

use holdfast_model::{
    Claim, ClaimAction, DiskAdoption, DiskId, DiskKind, DiskRecord, DiskReport, OperatorCall,
    Order, Resource, Source, ToMaster,
};
use uuid::Uuid;

use super::bed::*;
use crate::Refusal;

const NEW: &str = "/d1 moved";

fn record(root: &str) -> DiskRecord {
    let (id, root) = (DiskId(Uuid::nil()), root.to_owned());
    DiskRecord { id, kind: DiskKind::Path, root, size_mb: 1000 }
}

fn found(root: &str, fault: Option<&str>) -> DiskReport {
    let fault = fault.map(str::to_owned);
    DiskReport {
        disk: record(root),
        fault,
        space: None,
        added: false,
        orphans: Vec::new(),
        more_orphans: 0,
    }
}

/// An agent with a volume of 10 MB on its disk, and what is left of the reservation.
fn bed() -> Bed {
    let mut bed = Bed::with_agents(1);
    bed.machines[0].disks = vec![found("/d1", None)];
    bed.machines[0].introduce();
    bed.settle();
    bed.operate(0, ClaimAction::Reserve { resources: vec![reserved(30)], source: Vec::new() })
        .unwrap();
    bed.operate(0, ClaimAction::Create(vec![volume("a", 10)])).unwrap();
    bed
}

fn adoption() -> DiskAdoption {
    DiskAdoption { disk: record(NEW).id, root: NEW.to_owned(), size_mb: None }
}

fn is_at(resource: &Resource, root: &str) -> bool {
    resource.identity.source == Some(Source::path(root))
}

#[test]
fn the_claims_of_a_disk_follow_it_under_their_own_ids_and_are_offered_under_the_new_path() {
    let mut bed = bed();
    bed.add_scheduler(info("keeper", &["db"]));
    bed.settle();
    assert_eq!(bed.offers(0).len(), 1);
    let before: Vec<Claim> = bed.folded.claims.values().cloned().collect();
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::AdoptDisk { agent, adoption: adoption() });
    bed.settle();
    assert_eq!(bed.answers.get(&request), None, "it is answered when the agent has done it");
    let order = bed.machines[0].obeyed.iter().find_map(|it| match it {
        Order::AdoptDisk { uuid, adoption, .. } => Some((*uuid, adoption.clone())),
        _ => None,
    });
    let (uuid, ordered) = order.expect("the agent is asked for it");
    assert_eq!(ordered, adoption());
    // What the agent then says.
    let machine = &mut bed.machines[0];
    let move_to = |it: &Claim| it.moved(&record("/d1"), NEW, holdfast_model::Instant(9), "ops");
    machine.claims.values_mut().for_each(|it| *it = move_to(it));
    let rename = |it: Resource| match is_at(&it, "/d1") {
        true => it.on(Source::path(NEW)),
        false => it,
    };
    machine.configured = machine.configured.iter().map(rename).collect();
    machine.disks = vec![found(NEW, None)];
    machine.version += 1;
    machine.introduce();
    machine.outbox.push_back(ToMaster::DiskAnswer { uuid, refusal: None });
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    let after: Vec<Claim> = bed.folded.claims.values().cloned().collect();
    assert_eq!(before.iter().map(move_to).collect::<Vec<_>>(), after);
    assert!(bed.folded.ended.is_empty(), "none of them has ended");
    assert_eq!(bed.schedulers[0].rescinded(), 1, "what was offered is not there any more");
    let offered = bed.offers(0);
    assert_eq!(offered.len(), 1);
    let disks = offered[0].resources.iter().filter(|it| it.identity.name == "disk");
    let disks: Vec<Resource> = disks.collect();
    assert!(2 <= disks.len() && disks.iter().all(|it| is_at(it, NEW)), "{disks:?}");
    assert!(disks.iter().any(|it| it.identity.persistence.is_some()));
}

#[test]
fn what_no_agent_has_and_what_its_agent_refuses_is_not_adopted() {
    let mut bed = bed();
    let other = DiskAdoption { disk: DiskId(Uuid::from_u128(77)), ..adoption() };
    let request = bed.ask(OperatorCall::AdoptDisk { agent: bed.agent(0), adoption: other });
    bed.settle();
    assert!(
        matches!(&bed.answers[&request], Err(Refusal::NotFound(why)) if why.contains("has no disk"))
    );
    let request = bed.ask(OperatorCall::AdoptDisk { agent: bed.agent(0), adoption: adoption() });
    bed.settle();
    let asked = bed.machines[0].obeyed.iter().find_map(|it| match it {
        Order::AdoptDisk { uuid, .. } => Some(*uuid),
        _ => None,
    });
    let (uuid, claims) = (asked.unwrap(), bed.folded.claims.clone());
    let refusal = Some("it is not mounted".to_owned());
    bed.machines[0].outbox.push_back(ToMaster::DiskAnswer { uuid, refusal });
    bed.settle();
    assert_eq!(bed.answers[&request], Err(Refusal::Conflict("it is not mounted".to_owned())));
    assert_eq!(bed.folded.claims, claims);
}

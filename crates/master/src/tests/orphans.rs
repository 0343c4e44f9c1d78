//! Volumes that no claim stands for: adopted, and removed.

use holdfast_model::{
    Action, AdoptedFrom, ClaimAction, ClaimId, DiskId, DiskKind, DiskRecord, DiskReport, Filling,
    LabelledVolume, OperationUuid, OperatorCall, Order, PersistenceId, Resource, Role, Source,
    ToMaster, VolumeAdoption,
};
use uuid::Uuid;

use super::bed::*;
use crate::{Refusal, RequestId};

const ORPHAN: ClaimId = ClaimId(Uuid::from_u128(0x0f));
const DISK: DiskId = DiskId(Uuid::from_u128(0xd1));

fn orphan() -> LabelledVolume {
    LabelledVolume {
        id: ORPHAN,
        persistence: "lost".to_owned(),
        role: "db".to_owned(),
        size_mb: 100,
        principal: Some("keeper".to_owned()),
        generation: 3,
        shared: false,
    }
}

fn disk() -> DiskReport {
    DiskReport {
        disk: DiskRecord { id: DISK, kind: DiskKind::Path, root: "/d1".to_owned(), size_mb: 1000 },
        fault: None,
        space: None,
        added: false,
        orphans: vec![orphan()],
        more_orphans: 0,
    }
}

/// Two agents, the first with a disk that has an orphan.
fn bed() -> Bed {
    bed_with(disk())
}

fn bed_with(disk: DiskReport) -> Bed {
    let mut bed = Bed::with_agents(2);
    let machine = &mut bed.machines[0];
    machine.disks = vec![disk];
    machine.introduce();
    bed.settle();
    bed
}

fn adoption() -> VolumeAdoption {
    VolumeAdoption {
        disk: DISK,
        from: AdoptedFrom::Orphan(ORPHAN),
        role: None,
        name: None,
        size_mb: None,
        container_path: "data".to_owned(),
    }
}

fn adopt(bed: &mut Bed, adoption: VolumeAdoption) -> RequestId {
    let agent = bed.agent(0);
    bed.ask(OperatorCall::AdoptVolume { agent, adoption })
}

fn refused(bed: &mut Bed, adoption: VolumeAdoption, words: &str) {
    let obeyed = bed.machines[0].obeyed.len();
    let request = adopt(bed, adoption);
    let Some(Err(refusal)) = bed.answers.get(&request) else { panic!("{words}: not refused") };
    assert!(format!("{refusal:?}").contains(words), "{refusal:?}");
    bed.settle();
    assert_eq!(bed.machines[0].obeyed.len(), obeyed, "the agent is not asked");
}

fn claims_of_it(bed: &Bed) -> Vec<Resource> {
    bed.master.view().ledger().volume_claims(ORPHAN).map(|(_, it)| it.resource.clone()).collect()
}

#[test]
fn an_orphan_is_adopted_as_its_label_says_and_known_under_its_own_id() {
    let mut bed = bed();
    let request = adopt(&mut bed, adoption());
    assert!(!bed.answers.contains_key(&request), "answered once it is durable at the agent");
    assert!(claims_of_it(&bed).is_empty(), "nothing is believed before that");
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    let [volume] = claims_of_it(&bed).try_into().unwrap();
    assert_eq!(volume.to_string(), "disk(db)[Path:/d1,lost]:100");
    assert_eq!(volume.creator.as_deref(), Some("keeper"), "the principal of the label");
    assert!(bed.state(0).total().contains_one(&volume), "it can be offered");
    let [Order::AdoptVolume { together, .. }] = bed.machines[0]
        .obeyed
        .iter()
        .filter(|it| matches!(it, Order::AdoptVolume { .. }))
        .collect::<Vec<_>>()[..]
    else {
        panic!("it is ordered once")
    };
    let filling = Filling::Orphan { volume: ORPHAN, generation: 3 };
    assert_eq!(together.filling, Some(Box::new(filling)));
    refused(&mut bed, adoption(), "is claimed already");
}

#[test]
fn one_that_several_tasks_may_use_stays_such() {
    let orphan = LabelledVolume { shared: true, ..orphan() };
    let mut bed = bed_with(DiskReport { orphans: vec![orphan], ..disk() });
    adopt(&mut bed, adoption());
    bed.settle();
    let [volume] = claims_of_it(&bed).try_into().unwrap();
    assert!(volume.identity.shared, "{volume}");
    assert!(bed.state(0).total().contains_one(&volume), "it can be offered");
}

#[test]
fn what_the_role_has_reserved_there_pays_for_it() {
    let mut bed = bed();
    let space = amount("disk", 300).on(Source::path("/d1")).reserved(reservation("other"));
    bed.operate(0, reserve(&[space])).unwrap();
    let role = Some(Role::parse("other").unwrap());
    let name = Some(PersistenceId::parse("found").unwrap());
    let wanted = VolumeAdoption { role, name, size_mb: Some(200), ..adoption() };
    let request = adopt(&mut bed, wanted);
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
    assert_eq!(claims_of_it(&bed)[0].to_string(), "disk(other)[Path:/d1,found]:200");
    let steps = bed.machines[0].obeyed.iter().find_map(|it| match it {
        Order::AdoptVolume { together, .. } => Some(together.steps.len()),
        _ => None,
    });
    assert_eq!(steps, Some(1), "nothing more is reserved");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let mut bed = bed();
    let other = ClaimId(Uuid::from_u128(0xabc));
    refused(
        &mut bed,
        VolumeAdoption { from: AdoptedFrom::Orphan(other), ..adoption() },
        "there is no whole volume",
    );
    let elsewhere = DiskId(Uuid::from_u128(0xd2));
    refused(&mut bed, VolumeAdoption { disk: elsewhere, ..adoption() }, "has no disk");
    let large = VolumeAdoption { size_mb: Some(990), ..adoption() };
    let space = amount("disk", 300).on(Source::path("/d1")).reserved(reservation("other"));
    bed.operate(0, reserve(std::slice::from_ref(&space))).unwrap();
    refused(&mut bed, large, "300 MB are claimed by disk(other)");
    let lost = space.volume(PersistenceId::parse("lost").unwrap(), "data", None);
    bed.operate(0, ClaimAction::Create(vec![lost])).unwrap();
    let role = Some(Role::parse("other").unwrap());
    refused(&mut bed, VolumeAdoption { role, ..adoption() }, "already has a volume `lost`");
    bed.machines[0].disks[0].fault = Some("it is read-only".to_owned());
    bed.machines[0].introduce();
    bed.settle();
    refused(&mut bed, adoption(), "it is read-only");
    bed.lose(0);
    refused(&mut bed, adoption(), "is not connected");
}

/// Its disk was moved, or copied block by block: the bytes are another agent's claim.
#[test]
fn a_volume_that_another_agent_has_a_claim_of_is_not_adopted() {
    let mut bed = bed();
    bed.operate(1, reserve(&[reserved(30)])).unwrap();
    bed.operate(1, ClaimAction::Create(vec![volume("a", 10)])).unwrap();
    let its = bed.machines[1].claims.values().find(|it| it.is_volume()).unwrap().id;
    bed.machines[0].disks[0].orphans[0].id = its;
    bed.machines[0].introduce();
    bed.settle();
    let words = format!("on agent {}, where its disk was or is", bed.agent(1));
    refused(&mut bed, VolumeAdoption { from: AdoptedFrom::Orphan(its), ..adoption() }, &words);
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::RemoveOrphan { agent, orphan: its });
    assert!(matches!(&bed.answers[&request], Err(Refusal::Conflict(_))));
}

#[test]
fn what_the_agent_refuses_is_told_and_nothing_is_believed() {
    let mut bed = bed();
    bed.machines[0].fails = true;
    let total = bed.state(0).total().clone();
    let request = adopt(&mut bed, adoption());
    bed.settle();
    assert!(matches!(&bed.answers[&request], Err(Refusal::Conflict(_))), "{:?}", bed.answers);
    assert_eq!((bed.state(0).total(), claims_of_it(&bed)), (&total, Vec::new()));
}

#[test]
fn a_new_leader_learns_of_an_adoption_that_was_under_way() {
    let mut bed = bed();
    adopt(&mut bed, adoption());
    assert!(bed.obey_one(0), "the agent has done it, and its word is lost with the leader");
    bed.fail_over();
    bed.reunite();
    bed.settle();
    assert_eq!(claims_of_it(&bed).len(), 1);
    let is_pending = bed
        .master
        .view()
        .ledger()
        .pending
        .values()
        .any(|it| matches!(&it.operation.action, Action::Claim(ClaimAction::Together(_))));
    assert!(!is_pending);
}

#[test]
fn an_orphan_is_removed_once_its_agent_has_written_that_down() {
    let mut bed = bed();
    let agent = bed.agent(0);
    let request = bed.ask(OperatorCall::RemoveOrphan { agent, orphan: ORPHAN });
    bed.settle();
    let order: (OperationUuid, Resource) = bed.machines[0]
        .obeyed
        .iter()
        .find_map(|it| match it {
            Order::RemoveOrphan { uuid, volume: ORPHAN, disk: DISK, resource, .. } => {
                Some((*uuid, (**resource).clone()))
            }
            _ => None,
        })
        .unwrap();
    assert_eq!(order.1.to_string(), "disk(db)[Path:/d1,lost]:100");
    assert!(!bed.answers.contains_key(&request));
    bed.machines[0].outbox.push_back(ToMaster::DiskAnswer { uuid: order.0, refusal: None });
    bed.settle();
    assert_eq!(bed.answers[&request], Ok(()));
}

#[test]
fn a_directory_is_adopted_with_what_is_said_of_it_and_the_agent_decides() {
    let mut bed = bed();
    let from = AdoptedFrom::Directory("/data/old".to_owned());
    let bare = VolumeAdoption { from, ..adoption() };
    refused(&mut bed, bare.clone(), "is needed for a directory");
    let role = Some(Role::parse("db").unwrap());
    let name = Some(PersistenceId::parse("data").unwrap());
    let request = adopt(&mut bed, VolumeAdoption { role, name, size_mb: Some(200), ..bare });
    bed.settle();
    assert_eq!(bed.answers.get(&request), None, "a machine of this bed knows no directories");
    let order = bed.machines[0].obeyed.iter().find_map(|it| match it {
        Order::AdoptDirectory { together, .. } => Some(together.clone()),
        _ => None,
    });
    let order = order.unwrap();
    let filling = Filling::Directory("/data/old".to_owned());
    assert_eq!((order.filling, order.steps.len()), (Some(Box::new(filling)), 2));
}

//! Agents of older versions, which pass over orders that they do not know: nobody waits for those, and nothing is believed done.

use holdfast_model::{
    AddedDisk, AdoptedFrom, ClaimAction, ClaimId, DiskAdoption, DiskId, DiskKind, DiskRecord,
    DiskReport, Expected, LabelledVolume, MoveState, OperatorCall, Order, PersistenceId,
    VolumeAdoption,
};
use uuid::Uuid;

use super::bed::*;
use crate::{AgentHealth, Refusal, RequestId};

const ORPHAN: ClaimId = ClaimId(Uuid::from_u128(0x0f));
const DISK: DiskId = DiskId(Uuid::nil());

fn disk() -> DiskReport {
    let orphan = LabelledVolume {
        id: ORPHAN,
        persistence: "lost".to_owned(),
        role: "db".to_owned(),
        size_mb: 100,
        principal: None,
        generation: 3,
        shared: false,
    };
    DiskReport {
        disk: DiskRecord { id: DISK, kind: DiskKind::Path, root: "/d1".to_owned(), size_mb: 1000 },
        fault: None,
        space: None,
        added: true,
        orphans: vec![orphan],
        more_orphans: 0,
    }
}

/// Two agents. The first one has a disk with an orphan, a volume in the trash, a volume that is there and one that is not.
fn bed() -> (Bed, ClaimId, ClaimId) {
    let mut bed = Bed::with_agents(2);
    bed.machines[0].disks = vec![disk()];
    bed.machines[0].introduce();
    bed.settle();
    bed.operate(0, reserve(&[reserved(70)])).unwrap();
    for (name, mb) in [("gone", 10), ("faulty", 20), ("whole", 30)] {
        bed.operate(0, ClaimAction::Create(vec![volume(name, mb)])).unwrap();
    }
    let of_size = |bed: &Bed, mb: i64| {
        let mut claims = bed.folded.claims.values();
        claims.find(|it| it.resource == volume(name_of(mb), mb)).unwrap().id
    };
    let (gone, faulty) = (of_size(&bed, 10), of_size(&bed, 20));
    let action = ClaimAction::Destroy(vec![volume("gone", 10)]);
    bed.ask(OperatorCall::Claim { agent: bed.agent(0), action });
    bed.settle();
    bed.machines[0].empty_trash();
    let machine = &mut bed.machines[0];
    machine.faults.insert(faulty, "it is missing".to_owned());
    machine.introduce();
    bed.settle();
    (bed, gone, faulty)
}

fn name_of(mb: i64) -> &'static str {
    match mb {
        10 => "gone",
        _ => "faulty",
    }
}

fn is_refused(bed: &Bed, request: RequestId) {
    let answer = bed.answers.get(&request);
    assert!(
        matches!(answer, Some(Err(Refusal::Conflict(why))) if why.contains("is of an older version and does not know")),
        "{answer:?}"
    );
}

/// Each thing that an operator can want of an agent that came to be after the first version, and the kind of its order.
fn calls(bed: &Bed, gone: ClaimId, faulty: ClaimId) -> Vec<(u32, OperatorCall)> {
    let agent = bed.agent(0);
    let adoption = |root: &str| DiskAdoption { disk: DISK, root: root.to_owned(), size_mb: None };
    let orphan = VolumeAdoption {
        disk: DISK,
        from: AdoptedFrom::Orphan(ORPHAN),
        role: None,
        name: None,
        size_mb: None,
        container_path: "data".to_owned(),
    };
    let directory = VolumeAdoption {
        from: AdoptedFrom::Directory("/d1/old".to_owned()),
        role: Some(role("db")),
        name: Some(PersistenceId::parse("old").unwrap()),
        size_mb: Some(7),
        ..orphan.clone()
    };
    let disk = AddedDisk::parse("path", "/d7", None).unwrap();
    let steps = vec![reserve(&[reserved(7)]), ClaimAction::Create(vec![volume("new", 7)])];
    let agent_of = || agent.clone();
    vec![
        (14, OperatorCall::Undelete { agent: agent_of(), claim: gone }),
        (15, OperatorCall::PurgeTrash { agent: agent_of(), claim: gone }),
        (16, OperatorCall::GiveUp { agent: agent_of(), claim: faulty }),
        (17, OperatorCall::AddDisk { agent: agent_of(), disk }),
        (18, OperatorCall::RemoveDisk { agent: agent_of(), root: "/d1".to_owned() }),
        (19, OperatorCall::AdoptDisk { agent: agent_of(), adoption: adoption("/d8") }),
        (
            20,
            OperatorCall::MoveDisk {
                from: agent_of(),
                to: bed.agent(1),
                adoption: adoption("/d9"),
                reason: None,
            },
        ),
        (
            23,
            OperatorCall::Apply {
                agent: agent_of(),
                steps,
                expected: Expected::default(),
                force: false,
                claim: None,
            },
        ),
        (40, OperatorCall::AdoptVolume { agent: agent_of(), adoption: orphan }),
        (41, OperatorCall::RemoveOrphan { agent: agent_of(), orphan: ORPHAN }),
        (42, OperatorCall::AdoptVolume { agent: agent_of(), adoption: directory }),
    ]
}

#[test]
fn whoever_asks_for_what_an_agent_does_not_know_is_refused_and_nothing_is_believed_done() {
    let (first, gone, faulty) = bed();
    for (kind, call) in calls(&first, gone, faulty) {
        let (mut bed, ..) = bed();
        let (before, total) = (bed.folded.claims.clone(), bed.state(0).total().clone());
        bed.machines[0].newest = kind - 1;
        let request = bed.ask(call.clone());
        bed.settle();
        is_refused(&bed, request);
        assert_eq!(bed.folded.claims, before, "{call:?}");
        assert!(bed.folded.pending.is_empty() && bed.folded.moves.is_empty(), "{call:?}");
        assert_eq!(*bed.state(0).health(), AgentHealth::Well, "{call:?}");
        assert_eq!(*bed.state(0).total(), total, "{call:?}");
        // Once it is upgraded, it is asked again, and does it.
        bed.machines[0].newest = u32::MAX;
        bed.connect(0);
        bed.settle();
        let request = bed.ask(call.clone());
        bed.settle();
        let knows = bed.machines[0].obeyed.iter().any(|it| it.kind() == kind);
        assert!(knows, "{call:?}");
        assert_ne!(refusal(&bed, request), Some(true), "{call:?}");
    }
}

/// Whether it was refused because of the version.
fn refusal(bed: &Bed, request: RequestId) -> Option<bool> {
    match bed.answers.get(&request)? {
        Err(Refusal::Conflict(why)) => Some(why.contains("older version")),
        _ => None,
    }
}

#[test]
fn an_order_that_the_agent_knows_is_waited_for_when_it_passes_another_over() {
    let (mut bed, ..) = bed();
    let disk = AddedDisk::parse("path", "/d7", None).unwrap();
    let known = bed.ask(OperatorCall::AddDisk { agent: bed.agent(0), disk });
    bed.settle();
    bed.machines[0].newest = 40;
    let request = bed.ask(OperatorCall::RemoveOrphan { agent: bed.agent(0), orphan: ORPHAN });
    bed.settle();
    is_refused(&bed, request);
    assert_eq!(bed.answers.get(&known), None);
    let uuid = bed.machines[0].obeyed.iter().find_map(|it| match it {
        Order::AddDisk { uuid, .. } => Some(*uuid),
        _ => None,
    });
    let uuid = uuid.unwrap();
    bed.say(0, holdfast_model::ToMaster::DiskAnswer { uuid, refusal: None });
    assert_eq!(bed.answers[&known], Ok(()));
}

#[test]
fn a_disk_that_the_new_agent_cannot_be_asked_to_take_is_the_former_agents_again() {
    let (mut bed, ..) = bed();
    bed.machines[1].newest = 20;
    let adoption = DiskAdoption { disk: DISK, root: "/d9".to_owned(), size_mb: None };
    let (from, to) = (bed.agent(0), bed.agent(1));
    let request = bed.ask(OperatorCall::MoveDisk { from, to, adoption, reason: None });
    bed.settle();
    let before = bed.folded.claims.clone();
    let fence = bed.folded.moves.values().next().unwrap().order;
    bed.say(0, holdfast_model::ToMaster::DiskAnswer { uuid: fence, refusal: None });
    bed.settle();
    is_refused(&bed, request);
    let it = bed.folded.moves.values().next().unwrap().clone();
    assert_eq!((it.state, &bed.folded.claims), (MoveState::Lifting, &before));
    bed.say(0, holdfast_model::ToMaster::DiskAnswer { uuid: it.order, refusal: None });
    assert!(bed.folded.moves.is_empty());
}

#[test]
fn an_agent_that_cannot_be_recovered_stays_fenced_and_the_operator_is_told() {
    let (mut bed, ..) = bed();
    let agent = bed.agent(0);
    let before = bed.folded.claims.clone();
    bed.lose(0);
    bed.machines[0].lose_ledger(0x77);
    bed.machines[0].newest = 29;
    bed.connect(0);
    bed.settle();
    let plan = bed.master.view().plan_recovery(&agent, None).map(|it| it.name()).unwrap();
    let call = OperatorCall::RecoverAgent { agent: agent.clone(), node: None, plan };
    let request = bed.ask(call.clone());
    bed.settle();
    assert_eq!(bed.answers.get(&request), None, "it has not heard of it yet");
    bed.lose(0);
    bed.connect(0);
    bed.settle();
    is_refused(&bed, request);
    assert!(bed.folded.recoveries.is_empty());
    assert_eq!(bed.folded.claims, before);
    assert!(matches!(bed.master.agents()[&agent].health(), AgentHealth::Fenced(_)));
    // Upgraded, it is recovered.
    bed.machines[0].newest = u32::MAX;
    bed.lose(0);
    bed.connect(0);
    bed.settle();
    let request = bed.ask(call);
    for _ in 0..2 {
        bed.lose(0);
        bed.connect(0);
        bed.settle();
    }
    assert_eq!(bed.answers[&request], Ok(()));
}

//! Messages between agent and master: round trips, damage, and errors by their path.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::agent_ledger::LedgerPoint;
use crate::convert::{golden, samples};
use crate::id::{ClaimId, ClusterId, DiskId, Instant, NodeId, OperationUuid, StatusUuid, Term};
use crate::labelled_volume::LabelledVolume;
use crate::message::{
    DiskReport, DiskSpace, NamedOperation, OperationUpdate, Order, Report, SpaceNews, ToAgent,
    ToMaster,
};
use crate::moved_disk::LeaveStage;
use crate::trash::TrashNews;
use crate::used::{UsedNews, VolumeUsed};
use crate::Invalid;
use holdfast_proto::holdfast::v1 as wire;
use samples::{agent, bytes, claim, executor_id, framework_id, task_id, text, uuid, word};

const STAGES: [LeaveStage; 3] = [LeaveStage::Fence, LeaveStage::Lift, LeaveStage::End];

fn disk_space() -> impl Strategy<Value = DiskSpace> {
    let numbers = (any::<[u64; 4]>(), of(any::<u64>()));
    (text(), numbers, text()).prop_map(|(file_system, (numbers, used_mb), limit)| DiskSpace {
        file_system,
        total_mb: numbers[0],
        free_mb: numbers[1],
        used_mb,
        overcommitted_mb: numbers[2],
        trash_mb: numbers[3],
        limit,
    })
}

fn disk_report() -> impl Strategy<Value = DiskReport> {
    let rest = (any::<u64>(), any::<bool>());
    let orphan = (uuid(), text(), text(), any::<u64>(), of(text()), rest).prop_map(
        |(id, persistence, role, size_mb, principal, (generation, shared))| LabelledVolume {
            id: ClaimId(id),
            persistence,
            role,
            size_mb,
            principal,
            generation,
            shared,
        },
    );
    let orphans = (prop::collection::vec(orphan, 0..3), any::<u64>());
    let disk = (samples::disk(), of(text()), of(disk_space()), any::<bool>(), orphans);
    disk.prop_map(|(disk, fault, space, added, (orphans, more_orphans))| DiskReport {
        disk,
        fault,
        space,
        added,
        orphans,
        more_orphans,
    })
}

fn report() -> impl Strategy<Value = Report> {
    let few = 0..2usize;
    let owned = (
        prop::collection::vec(disk_report(), few.clone()),
        prop::collection::vec(claim(), few.clone()),
        prop::collection::vec((uuid().prop_map(ClaimId), text()), few.clone()),
    )
        .boxed(); // What a strategy grows lies on the stack otherwise, of which a test has little.
    let running = (
        prop::collection::vec(samples::named_framework(), few.clone()),
        prop::collection::vec(samples::executor_record(), few.clone()),
        prop::collection::vec(samples::task_record(), few.clone()),
        prop::collection::vec(samples::operation_record(), few),
    )
        .boxed();
    let names = (uuid(), of(agent()), of(uuid()), any::<u64>(), any::<u64>());
    let point = (any::<u64>(), any::<u64>())
        .prop_map(|(version, checksum)| LedgerPoint { version, checksum });
    let history = prop::collection::vec(point, 0..3);
    let more = (text(), of(text()), any::<u64>(), history, any::<u64>());
    let names = (names, more);
    (names, samples::machine(), owned, running).prop_map(
        |(
            ((node, agent, cluster, ledger_version, orders_seen), more),
            machine,
            (disks, claims, faults),
            running,
        )| {
            let (frameworks, executors, tasks, operations) = running;
            let (version, full, claims_generation, history, term) = more;
            Report {
                node: NodeId(node),
                agent,
                cluster: cluster.map(ClusterId),
                ledger_version,
                orders_seen,
                machine,
                disks,
                claims,
                faults,
                frameworks,
                executors,
                tasks,
                operations,
                version,
                full,
                claims_generation,
                history,
                term: Term(term),
            }
        },
    )
}

fn trash_news() -> impl Strategy<Value = TrashNews> {
    let volumes = prop::collection::vec(samples::trashed_volume(), 0..2);
    let gone = prop::collection::vec(uuid().prop_map(ClaimId), 0..2);
    (any::<bool>(), any::<u64>(), volumes, gone).prop_map(|(whole, retention_ms, volumes, gone)| {
        TrashNews { whole, retention_ms, volumes, gone }
    })
}

fn used_news() -> impl Strategy<Value = UsedNews> {
    let used = (uuid(), any::<u64>(), any::<u64>()).prop_map(|(id, bytes, measured)| {
        (ClaimId(id), VolumeUsed { bytes, measured: Instant(measured) })
    });
    let gone = prop::collection::vec(uuid().prop_map(ClaimId), 0..2);
    (any::<bool>(), prop::collection::vec(used, 0..2), gone)
        .prop_map(|(whole, volumes, gone)| UsedNews { whole, volumes, gone })
}

fn to_master() -> impl Strategy<Value = ToMaster> {
    let settled = (
        uuid(),
        of(word()),
        of(framework_id()),
        samples::operation_state(),
        of(text()),
        uuid(),
        (any::<u64>(), of(any::<u64>())),
        any::<u64>(),
    );
    let claims = (
        prop::collection::vec(claim(), 0..2),
        prop::collection::vec(uuid().prop_map(ClaimId), 0..2),
        prop::collection::vec(claim(), 0..2),
    );
    let update = (settled, claims).prop_map(
        |(
            (uuid, id, framework, state, message, status, ledger, claims_generation),
            (claims, ended, endings),
        )| {
            let (uuid, status) = (OperationUuid(uuid), StatusUuid(status));
            ToMaster::OperationUpdate(OperationUpdate {
                uuid,
                id,
                framework,
                state,
                message,
                status,
                ledger_version: ledger.0,
                ledger_checksum: ledger.1,
                claims,
                ended,
                endings,
                claims_generation,
            })
        },
    );
    prop_oneof![
        report().prop_map(|it| ToMaster::Report(Box::new(it))).boxed(),
        (framework_id(), samples::task_status(), samples::task_state()).prop_map(
            |(framework, status, latest)| ToMaster::TaskUpdate { framework, status, latest }
        ),
        update.boxed(),
        (framework_id(), executor_id(), bytes()).prop_map(|(framework, executor, data)| {
            ToMaster::ExecutorMessage(framework, executor, data)
        }),
        (framework_id(), executor_id(), any::<i32>()).prop_map(|(framework, executor, status)| {
            ToMaster::ExecutorExited { framework, executor, status }
        }),
        any::<u64>().prop_map(ToMaster::Pong),
        trash_news().prop_map(ToMaster::TrashNews).boxed(),
        used_news().prop_map(ToMaster::UsedNews),
        report()
            .prop_map(|it| {
                let resources = it.machine.resources.iter().collect();
                ToMaster::SpaceNews(SpaceNews { resources, disks: it.disks, full: it.full })
            })
            .boxed(),
        (uuid(), of(text())).prop_map(|(uuid, refusal)| ToMaster::DiskAnswer {
            uuid: OperationUuid(uuid),
            refusal
        }),
    ]
}

fn disk_order() -> impl Strategy<Value = Order> {
    prop_oneof![
        (uuid(), samples::added_disk(), text()).prop_map(|(uuid, disk, by)| Order::AddDisk {
            uuid: OperationUuid(uuid),
            disk,
            by
        }),
        (uuid(), samples::disk_adoption(), text()).prop_map(|(uuid, adoption, by)| {
            Order::AdoptDisk { uuid: OperationUuid(uuid), adoption, by }
        }),
        (uuid(), uuid(), agent(), select(STAGES.to_vec()), text(), of(word())).prop_map(
            |(uuid, disk, to, stage, by, reason)| Order::LeaveDisk {
                uuid: OperationUuid(uuid),
                disk: DiskId(disk),
                to,
                stage,
                by,
                reason
            }
        ),
        (uuid(), uuid(), proptest::collection::vec(uuid(), 0..3), text()).prop_map(
            |(uuid, disk, claims, by)| Order::CancelTake {
                uuid: OperationUuid(uuid),
                disk: DiskId(disk),
                claims: claims.into_iter().map(ClaimId).collect(),
                by
            }
        ),
        (uuid(), samples::disk_taking(), text()).prop_map(|(uuid, taking, by)| Order::TakeDisk {
            uuid: OperationUuid(uuid),
            taking: Box::new(taking),
            by
        }),
        (uuid(), text(), text()).prop_map(|(uuid, root, by)| Order::RemoveDisk {
            uuid: OperationUuid(uuid),
            root,
            by
        }),
    ]
}

fn orphan_order() -> impl Strategy<Value = Order> {
    prop_oneof![
        (uuid(), samples::adoption(), of(samples::ownership())).prop_map(
            |(uuid, together, ownership)| Order::AdoptVolume {
                uuid: OperationUuid(uuid),
                together,
                ownership
            }
        ),
        (uuid(), samples::adoption(), of(samples::ownership())).prop_map(
            |(uuid, together, ownership)| Order::AdoptDirectory {
                uuid: OperationUuid(uuid),
                together,
                ownership
            }
        ),
        (uuid(), uuid(), uuid(), samples::resource(), text()).prop_map(
            |(uuid, volume, disk, resource, by)| Order::RemoveOrphan {
                uuid: OperationUuid(uuid),
                volume: ClaimId(volume),
                disk: DiskId(disk),
                resource: Box::new(resource),
                by
            }
        ),
    ]
}

fn to_agent() -> impl Strategy<Value = ToAgent> {
    let named = (uuid(), samples::operation())
        .prop_map(|(uuid, operation)| NamedOperation { uuid: OperationUuid(uuid), operation });
    let whose = (of(samples::framework()), of(samples::role()), text(), of(samples::ownership()));
    let apply = (whose, prop::collection::vec(named, 0..3)).prop_map(
        |((framework, role, by, ownership), operations)| Order::Apply {
            framework: framework.map(Box::new),
            role,
            by,
            operations,
            ownership,
        },
    );
    let order = prop_oneof![
        (agent(), uuid()).prop_map(|(agent, cluster)| Order::Registered(agent, ClusterId(cluster))),
        text().prop_map(Order::Refused),
        (agent(), uuid(), text()).prop_map(|(agent, cluster, reason)| Order::ShutDown {
            agent,
            cluster: ClusterId(cluster),
            reason,
        }),
        apply.boxed(),
        (framework_id(), task_id(), of(any::<u64>()))
            .prop_map(|(framework, task, grace_ms)| Order::Kill { framework, task, grace_ms }),
        (framework_id(), executor_id())
            .prop_map(|(framework, executor)| Order::ShutdownExecutor(framework, executor)),
        framework_id().prop_map(Order::ShutdownFramework),
        (framework_id(), task_id(), uuid()).prop_map(|(framework, task, status)| {
            Order::AcknowledgeTask(framework, task, StatusUuid(status))
        }),
        (uuid(), uuid()).prop_map(|(uuid, status)| Order::AcknowledgeOperation(
            OperationUuid(uuid),
            StatusUuid(status)
        )),
        (framework_id(), executor_id(), bytes()).prop_map(|(framework, executor, data)| {
            Order::ExecutorMessage(framework, executor, data)
        }),
        (any::<u64>(), any::<u64>())
            .prop_map(|(number, acknowledged)| Order::Ping { number, acknowledged }),
        (uuid(), samples::together(), of(samples::ownership())).prop_map(
            |(uuid, together, ownership)| Order::ApplyTogether {
                uuid: OperationUuid(uuid),
                together,
                ownership
            }
        ),
        orphan_order().boxed(),
        (uuid(), uuid(), text()).prop_map(|(uuid, claim, by)| Order::GiveUp {
            uuid: OperationUuid(uuid),
            claim: ClaimId(claim),
            by
        }),
        select(vec![Order::Resync]),
        (uuid(), uuid(), text()).prop_map(|(uuid, claim, by)| Order::Undelete {
            uuid: OperationUuid(uuid),
            claim: ClaimId(claim),
            by
        }),
        (uuid(), text()).prop_map(|(claim, by)| Order::PurgeTrash { claim: ClaimId(claim), by }),
        disk_order().boxed(),
        (uuid(), samples::agent_recovery(), text())
            .prop_map(|(uuid, recovery, by)| Order::Recover {
                uuid: OperationUuid(uuid),
                recovery: Box::new(recovery),
                by
            })
            .boxed(),
    ];
    (any::<u64>(), order).prop_map(|(term, order)| ToAgent { term: Term(term), order })
}

#[test]
fn wrong_messages_are_named() {
    let node = "00000000-0000-0000-0000-000000000001".to_owned();
    let info = Some(holdfast_proto::mesos::v1::AgentInfo::default());
    let good = wire::Report { node_uuid: node.clone(), info, ..Default::default() };
    let read = |report| {
        let message = Some(wire::from_agent::Message::Report(report));
        to_master_from_proto(wire::FromAgent { message })
    };
    assert!(read(good.clone()).is_ok());
    let claim = wire::Claim { uuid: node.clone(), state: 2, ..Default::default() };
    for (bad, path) in [
        (wire::Report { node_uuid: "x".to_owned(), ..good.clone() }, "node_uuid"),
        (wire::Report { agent_id: "a/b".to_owned(), ..good.clone() }, "agent_id"),
        (wire::Report { cluster_uuid: "x".to_owned(), ..good.clone() }, "cluster_uuid"),
        (wire::Report { info: None, ..good.clone() }, "info"),
        (wire::Report { disks: vec![Default::default()], ..good.clone() }, "disks[0].disk"),
        (wire::Report { claims: vec![claim.clone()], ..good.clone() }, "claims[0].resource"),
        (
            wire::Report { claims: vec![wire::Claim { state: 9, ..claim }], ..good.clone() },
            "claims[0].state",
        ),
        (wire::Report { faults: vec![Default::default()], ..good.clone() }, "faults[0].uuid"),
        (
            wire::Report { frameworks: vec![Default::default()], ..good.clone() },
            "frameworks[0].info",
        ),
        (
            wire::Report { executors: vec![Default::default()], ..good.clone() },
            "executors[0].framework_id",
        ),
        (wire::Report { tasks: vec![Default::default()], ..good.clone() }, "tasks[0].framework_id"),
        (wire::Report { operations: vec![Default::default()], ..good }, "operations[0].uuid"),
    ] {
        assert_eq!(read(bad).unwrap_err().path, format!("report.{path}"));
    }
}

/// A message with one field, which is itself a message.
fn one_field(number: u32, content: &[u8]) -> Vec<u8> {
    use prost::encoding::{encode_key, encode_varint, WireType};
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

#[test]
fn a_newer_peers_messages_are_told_apart() {
    let from_agent = |number| {
        let message =
            <wire::FromAgent as prost::Message>::decode(&*one_field(number, b"")).unwrap();
        to_master_from_proto(message)
    };
    let to_agent = |number| {
        let message = <wire::ToAgent as prost::Message>::decode(&*one_field(number, b"")).unwrap();
        to_agent_from_proto(message)
    };
    assert_eq!(from_agent(7), Ok(Received::NotUnderstood { newest_known: 0 }));
    assert_eq!(to_agent(13), Ok(Received::NotUnderstood { newest_known: 0 }));
    for beyond in 1..100 {
        assert_eq!(from_agent(FROM_AGENT_NEWEST + beyond), Ok(Received::Unknown));
        assert_eq!(to_agent(TO_AGENT_NEWEST + beyond), Ok(Received::Unknown));
    }
    for known in 1..=FROM_AGENT_NEWEST {
        assert_ne!(from_agent(known), Ok(Received::Unknown), "{known}");
    }
    // Set aside, and no message's yet.
    let unused = |it: &u32| *it == 22 || (*it != 30 && (24..=39).contains(it));
    for known in (2..=TO_AGENT_NEWEST).filter(|it| !unused(it)) {
        assert_ne!(to_agent(known), Ok(Received::Unknown), "{known}");
    }
    assert_eq!(
        to_master_from_proto(unknown_to_agent()),
        Ok(Received::NotUnderstood { newest_known: TO_AGENT_NEWEST })
    );
    assert_eq!(
        to_agent_from_proto(unknown_to_master()),
        Ok(Received::NotUnderstood { newest_known: FROM_AGENT_NEWEST })
    );
    let unknown = ToAgent { term: Term(1), order: Order::Unknown };
    assert_eq!(to_agent_from_proto(to_agent_to_proto(&unknown)), Ok(Received::Unknown));
}

fn known<T: std::fmt::Debug>(heard: Result<Received<T>, Invalid>) -> T {
    match heard.unwrap() {
        Received::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn golden_bytes_of_what_agents_say() {
    use holdfast_proto::binary;
    golden::check(
        "link-to-master",
        to_master(),
        golden::variant,
        |it| vec![Some(binary::encode(&to_master_to_proto(it)))],
        |parts| known(to_master_from_proto(binary::decode(parts[0].as_deref().unwrap()).unwrap())),
    );
}

#[test]
fn golden_bytes_of_orders() {
    use holdfast_proto::binary;
    golden::check(
        "link-to-agent",
        to_agent(),
        |it| golden::variant(&it.order),
        |it| vec![Some(binary::encode(&to_agent_to_proto(it)))],
        |parts| known(to_agent_from_proto(binary::decode(parts[0].as_deref().unwrap()).unwrap())),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_agents_say_comes_back(message in to_master()) {
        prop_assert_eq!(to_master_from_proto(to_master_to_proto(&message)), Ok(Received::Message(message)));
    }

    #[test]
    fn orders_come_back(order in to_agent()) {
        let mut message = Vec::new();
        to_agent_to_proto(&order).message.unwrap().encode(&mut message);
        let (number, _) = prost::encoding::decode_key(&mut message.as_slice()).unwrap();
        prop_assert_eq!(order.order.kind(), number);
        prop_assert_eq!(to_agent_from_proto(to_agent_to_proto(&order)), Ok(Received::Message(order)));
    }

    #[test]
    fn damaged_messages_are_read_or_refused(message in to_master(), order in to_agent(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = holdfast_proto::binary::encode(&to_master_to_proto(&message));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(it) = <wire::FromAgent as prost::Message>::decode(bytes.as_slice()) {
            let _ = to_master_from_proto(it);
        }
        let mut bytes = holdfast_proto::binary::encode(&to_agent_to_proto(&order));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(it) = <wire::ToAgent as prost::Message>::decode(bytes.as_slice()) {
            let _ = to_agent_from_proto(it);
        }
    }
}

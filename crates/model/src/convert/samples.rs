//! Values of all domain types for property tests: whatever may come in, and nothing that may not.

mod resources;

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use uuid::Uuid;

use super::{executor, framework, status, task, Format};
use crate::added_disk::AddedDisk;
use crate::adopted_volume::Filling;
use crate::agent_ledger::{DiskKind, DiskRecord, ExecutorRecord, OperationRecord, TaskRecord};
use crate::claim::{Claim, ClaimEvent, ClaimState, Ownership, Share};
use crate::framework::{Capability, FrameworkInfo};
use crate::id::*;
use crate::message::{MachineInfo, OperationState};
use crate::moved_disk::{DiskAdoption, DiskMove, DiskTaking, LeftPlace, MoveState};
use crate::offer_constraints::OfferConstraints;
use crate::operation::{Action, ClaimAction, Expected, ExpectedClaim, Operation, Together};
use crate::recovery::{AgentRecovery, Recovery};
use crate::role::Role;
use crate::task::{
    CommandInfo, ExecutorInfo, ExecutorKind, OpaquePayload, StatusSource, TaskInfo, TaskState,
    TaskStatus,
};
use crate::trash::TrashedVolume;
use crate::value::Scalar;
use holdfast_proto::mesos::v1;
pub(crate) use resources::{list, resource, sum};

pub(crate) fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9._-]{0,6}"
}

/// Any text without zero bytes, not empty.
pub(crate) fn text() -> impl Strategy<Value = String> {
    "[ -~äß€]{1,8}"
}

pub(crate) fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn instant() -> impl Strategy<Value = Instant> {
    (0u64..1 << 42).prop_map(Instant)
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..6)
}

pub(crate) fn agent() -> impl Strategy<Value = AgentId> {
    word().prop_map(AgentId::made)
}

pub(crate) fn framework_id() -> impl Strategy<Value = FrameworkId> {
    word().prop_map(FrameworkId::made)
}

pub(crate) fn executor_id() -> impl Strategy<Value = ExecutorId> {
    word().prop_map(ExecutorId::made)
}

pub(crate) fn task_id() -> impl Strategy<Value = TaskId> {
    word().prop_map(TaskId::made)
}

pub(crate) fn offer_id() -> impl Strategy<Value = OfferId> {
    word().prop_map(OfferId::made)
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    select(vec!["a", "b", "a/b", "a/b/c", "db-1"]).prop_map(|it| Role::parse(it).unwrap())
}

fn command() -> impl Strategy<Value = CommandInfo> {
    let words = || prop::collection::vec(text(), 0..3);
    let environment = prop::collection::vec((word(), text()), 0..3);
    (any::<bool>(), of(text()), words(), environment, of(text())).prop_map(
        |(shell, value, arguments, environment, user)| CommandInfo {
            shell,
            value,
            arguments,
            environment,
            user,
            uris: 0,
        },
    )
}

fn grace() -> impl Strategy<Value = Option<u64>> {
    of(0u64..1 << 40)
}

/// An executor that was made here: its payload is empty.
pub(crate) fn bare_executor() -> impl Strategy<Value = ExecutorInfo> {
    let kinds = of(select(vec![ExecutorKind::Default, ExecutorKind::Custom]));
    (executor_id(), kinds, of(framework_id()), list(), of(command()), grace()).prop_map(
        |(id, kind, framework, resources, command, grace)| ExecutorInfo {
            id,
            kind,
            framework,
            resources,
            command,
            shutdown_grace_ms: grace,
            payload: OpaquePayload::default(),
        },
    )
}

/// A task that was made here: its payload is empty.
pub(crate) fn bare_task() -> impl Strategy<Value = TaskInfo> {
    (task_id(), text(), agent(), list(), of(bare_executor()), of(command()), grace()).prop_map(
        |(id, name, agent, resources, executor, command, kill_grace_ms)| TaskInfo {
            id,
            name,
            agent,
            resources,
            executor,
            command,
            kill_grace_ms,
            payload: OpaquePayload::default(),
        },
    )
}

fn uri() -> v1::command_info::Uri {
    v1::command_info::Uri {
        value: "http://x/y".to_owned(),
        executable: Some(true),
        ..Default::default()
    }
}

/// An executor as it was received.
pub(crate) fn executor() -> impl Strategy<Value = ExecutorInfo> {
    (bare_executor(), of(bytes()), any::<bool>())
        .prop_map(|(executor, data, fetch)| {
            let mut wire = executor::info_to_proto(&executor, Format::WHOLE);
            wire.data = data;
            if let Some(command) = wire.command.as_mut().filter(|_| fetch) {
                command.uris = vec![uri()];
            }
            executor::info_from_proto(wire).unwrap()
        })
        .boxed()
}

/// A task as it was received.
pub(crate) fn task() -> impl Strategy<Value = TaskInfo> {
    (bare_task(), of(executor()), of(bytes()), any::<bool>())
        .prop_map(|(mut task, executor, data, fetch)| {
            task.executor = executor;
            let mut wire = task::to_proto(&task, Format::WHOLE);
            wire.data = data;
            wire.labels =
                Some(v1::Labels { labels: vec![v1::Label { key: "k".to_owned(), value: None }] });
            if let Some(command) = wire.command.as_mut().filter(|_| fetch) {
                command.uris = vec![uri()];
            }
            task::from_proto(wire).unwrap()
        })
        .boxed()
}

pub(crate) fn task_state() -> impl Strategy<Value = TaskState> {
    select(TaskState::ALL.to_vec())
}

pub(crate) fn task_status() -> impl Strategy<Value = TaskStatus> {
    let source =
        of(select(vec![StatusSource::Master, StatusSource::Agent, StatusSource::Executor]));
    let who = (task_id(), of(agent()), of(executor_id()), of(uuid().prop_map(StatusUuid)));
    (
        who,
        task_state(),
        source,
        of(0i32..40),
        of(text()),
        instant(),
        of(any::<bool>()),
        of(instant()),
        of(bytes()),
    )
        .prop_map(
            |(
                (task, agent, executor, uuid),
                state,
                source,
                reason,
                message,
                at,
                healthy,
                unreachable,
                data,
            )| {
                let bare = TaskStatus {
                    source,
                    reason,
                    message,
                    uuid,
                    agent,
                    executor,
                    healthy,
                    unreachable,
                    ..TaskStatus::new(task, state, at)
                };
                let mut wire = status::to_proto(&bare);
                wire.data = data;
                status::from_proto(wire).unwrap()
            },
        )
        .boxed()
}

pub(crate) fn claim_action() -> impl Strategy<Value = ClaimAction> {
    prop_oneof![
        (list(), list()).prop_map(|(resources, source)| ClaimAction::Reserve { resources, source }),
        list().prop_map(ClaimAction::Unreserve),
        list().prop_map(ClaimAction::Create),
        list().prop_map(ClaimAction::Destroy),
        (resource(), resource())
            .prop_map(|(volume, addition)| ClaimAction::Grow { volume, addition }),
        (resource(), 0i64..1 << 40).prop_map(|(volume, mb)| ClaimAction::Shrink {
            volume,
            subtract: Scalar::thousandths(mb)
        }),
    ]
    .boxed() // Strategies that hold it stay small.
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let action = prop_oneof![
        3 => claim_action().prop_map(Action::Claim),
        1 => prop::collection::vec(task(), 0..2).prop_map(Action::Launch),
        1 => (executor(), prop::collection::vec(task(), 0..2)).prop_map(|(executor, tasks)| Action::LaunchGroup(executor, tasks)),
        1 => select(vec!["CREATE_DISK", "DESTROY_DISK", "UNKNOWN"]).prop_map(Action::Unsupported),
    ];
    (of(word()), action).prop_map(|(id, action)| Operation { id, action }).boxed()
}

/// An operation as ledgers hold it: one of the Mesos API, or changes of claims that are made together.
pub(crate) fn recorded_operation() -> impl Strategy<Value = Operation> {
    let several = (of(word()), prop_oneof![3 => together(), 1 => adoption().boxed()])
        .prop_map(|(id, it)| Operation { id, action: Action::Claim(ClaimAction::Together(it)) });
    prop_oneof![3 => operation(), 1 => several].boxed()
}

pub(crate) fn together() -> impl Strategy<Value = Together> {
    let claim = (uuid(), any::<u64>())
        .prop_map(|(claim, generation)| ExpectedClaim { claim: ClaimId(claim), generation });
    let claims = prop::collection::vec(claim, 0..2);
    (text(), prop::collection::vec(claim_action(), 0..3), of(any::<u64>()), claims)
        .prop_map(|(by, steps, agent, claims)| Together {
            by,
            steps,
            expected: Expected { agent, claims },
            filling: None,
        })
        .boxed()
}

/// Changes of claims that are made together with the adoption of an orphan.
pub(crate) fn adoption() -> impl Strategy<Value = Together> {
    (together(), adopted())
        .prop_map(|(together, filling)| Together { filling: Some(Box::new(filling)), ..together })
}

fn adopted() -> impl Strategy<Value = Filling> {
    prop_oneof![
        (uuid(), any::<u64>()).prop_map(|(volume, generation)| Filling::Orphan {
            volume: ClaimId(volume),
            generation
        }),
        word().prop_map(|it| Filling::Directory(format!("/{it}"))),
    ]
}

pub(crate) fn framework() -> impl Strategy<Value = FrameworkInfo> {
    let all: Vec<Capability> = (1..=8).filter_map(Capability::from_number).collect();
    let roles = subsequence(vec!["a", "a/b", "c", "*"], 1..=4);
    let count = all.len();
    let names = (of(framework_id()), text(), text(), of(text()), of(text()));
    (names, roles, 0u64..1 << 40, any::<bool>(), subsequence(all, 0..=count), of(text()))
        .prop_map(
            |(
                (id, name, user, principal, hostname),
                roles,
                failover_timeout_ms,
                checkpoint,
                capabilities,
                webui_url,
            )| {
                let multi = capabilities.contains(&Capability::MultiRole);
                let roles = roles
                    .into_iter()
                    .take(if multi { 4 } else { 1 })
                    .map(|it| Role::parse(it).unwrap())
                    .collect();
                let capabilities = capabilities.into_iter().collect();
                let payload = OpaquePayload::default();
                let bare = FrameworkInfo {
                    id,
                    name,
                    user,
                    roles,
                    failover_timeout_ms,
                    checkpoint,
                    principal,
                    hostname,
                    capabilities,
                    payload,
                    constraints: OfferConstraints::default(),
                };
                let mut wire = framework::to_proto(&bare);
                wire.webui_url = webui_url;
                framework::from_proto(wire).unwrap()
            },
        )
        .boxed()
}

/// A framework that has its id.
pub(crate) fn named_framework() -> impl Strategy<Value = FrameworkInfo> {
    (framework(), framework_id())
        .prop_map(|(info, id)| FrameworkInfo { id: Some(id), ..info })
        .boxed()
}

pub(crate) fn machine() -> impl Strategy<Value = MachineInfo> {
    (word(), any::<u16>(), sum(), of(text()))
        .prop_map(|(hostname, port, resources, zone)| {
            let bare = MachineInfo { hostname, port, resources, payload: OpaquePayload::default() };
            let mut wire = super::machine::to_proto(&bare, Format::WHOLE);
            wire.attributes = zone
                .map(|value| v1::Attribute {
                    name: "zone".to_owned(),
                    r#type: v1::value::Type::Text.into(),
                    text: Some(v1::value::Text { value }),
                    ..Default::default()
                })
                .into_iter()
                .collect();
            super::machine::from_proto(wire).unwrap()
        })
        .boxed()
}

pub(crate) fn claim() -> impl Strategy<Value = Claim> {
    let state = select(vec![ClaimState::Making, ClaimState::Ready, ClaimState::Destroying]);
    let event = (instant(), any::<u64>(), text(), text())
        .prop_map(|(at, generation, what, by)| ClaimEvent { at, generation, what, by });
    let ids = (uuid(), of(framework_id()), of(uuid().prop_map(DiskId)), of(uuid()));
    let histories = (prop::collection::vec(event, 0..3), prop::collection::vec(share(), 0..3));
    (ids, state, resource(), any::<u64>(), instant(), histories)
        .prop_map(|(ids, state, resource, generation, created, (history, shares))| Claim {
            id: ClaimId(ids.0),
            state,
            resource: resource.unallocated(),
            framework: ids.1,
            generation,
            created,
            disk: ids.2,
            history,
            shares,
            operation: ids.3.map(OperationUuid),
        })
        .boxed()
}

fn share() -> impl Strategy<Value = Share> {
    (of(framework_id()), resource())
        .prop_map(|(framework, amount)| Share { framework, amount: amount.unallocated() })
}

pub(crate) fn ownership() -> impl Strategy<Value = Ownership> {
    let claim = of(uuid().prop_map(ClaimId));
    (any::<bool>(), prop::collection::vec(framework_id(), 0..3), claim)
        .prop_map(|(anybody, removed, claim)| Ownership { anybody, removed, claim })
}

pub(crate) fn trashed_volume() -> impl Strategy<Value = TrashedVolume> {
    (claim(), instant(), any::<bool>())
        .prop_map(|(claim, since, purging)| TrashedVolume { claim, since, purging })
        .boxed()
}

pub(crate) fn disk() -> impl Strategy<Value = DiskRecord> {
    let kind = select(vec![DiskKind::Root, DiskKind::Path, DiskKind::Mount]);
    (uuid(), kind, text(), any::<u64>())
        .prop_map(|(id, kind, root, size_mb)| DiskRecord { id: DiskId(id), kind, root, size_mb })
        .boxed()
}

pub(crate) fn added_disk() -> impl Strategy<Value = AddedDisk> {
    let kind = select(vec![DiskKind::Path, DiskKind::Mount]);
    (word(), kind, of(any::<u64>())).prop_map(|(name, kind, size_mb)| AddedDisk {
        root: format!("/{name}"),
        kind,
        size_mb,
    })
}

pub(crate) fn left_place() -> impl Strategy<Value = LeftPlace> {
    let kind = select(vec![DiskKind::Path, DiskKind::Mount]);
    (word(), kind, uuid(), of(word().prop_map(AgentId::made))).prop_map(|(name, kind, disk, to)| {
        LeftPlace { root: format!("/{name}"), kind, disk: DiskId(disk), to }
    })
}

pub(crate) fn disk_adoption() -> impl Strategy<Value = DiskAdoption> {
    (uuid(), word(), of(any::<u64>())).prop_map(|(disk, name, size_mb)| DiskAdoption {
        disk: DiskId(disk),
        root: format!("/{name}"),
        size_mb,
    })
}

pub(crate) fn disk_move() -> impl Strategy<Value = DiskMove> {
    let kind = select(vec![DiskKind::Path, DiskKind::Mount]);
    let state = vec![
        MoveState::Fencing,
        MoveState::Taking,
        MoveState::Lifting,
        MoveState::Moved,
        MoveState::Cancelling,
        MoveState::Recalling,
    ];
    let (who, where_to) = ((agent(), agent(), word()), (word(), word(), of(any::<u64>())));
    let claims = proptest::collection::vec(claim(), 0..3);
    let rest = (of(word()), select(state), uuid(), (instant(), of(word()), of(word())));
    (uuid(), kind, who, where_to, claims, rest).prop_map(
        |(disk, kind, (from, to, by), (from_root, root, size_mb), claims, rest)| DiskMove {
            disk: DiskId(disk),
            from,
            to,
            kind,
            from_root: format!("/{from_root}"),
            root: format!("/{root}"),
            size_mb,
            claims,
            order: OperationUuid(rest.2),
            by,
            reason: rest.0,
            state: rest.1,
            since: rest.3 .0,
            cancelled_by: rest.3 .1,
            cancel_reason: rest.3 .2,
        },
    )
}

pub(crate) fn disk_taking() -> impl Strategy<Value = DiskTaking> {
    disk_move().prop_map(|it| it.taking())
}

pub(crate) fn recovery() -> impl Strategy<Value = Recovery> {
    (agent(), uuid(), uuid(), uuid(), word(), instant()).prop_map(
        |(agent, node, lineage, order, by, since)| Recovery {
            agent,
            node: NodeId(node),
            lineage: NodeId(lineage),
            order: OperationUuid(order),
            by,
            since,
        },
    )
}

pub(crate) fn agent_recovery() -> impl Strategy<Value = AgentRecovery> {
    let claims = proptest::collection::vec(claim(), 0..3);
    (agent(), uuid(), uuid(), uuid(), any::<u64>(), claims).prop_map(
        |(agent, cluster, node, lineage, ledger_version, claims)| AgentRecovery {
            agent,
            cluster: ClusterId(cluster),
            node: NodeId(node),
            lineage: NodeId(lineage),
            ledger_version,
            claims,
        },
    )
}

pub(crate) fn executor_record() -> impl Strategy<Value = ExecutorRecord> {
    let info = prop_oneof![executor(), bare_executor()];
    (framework_id(), info, uuid(), any::<bool>(), any::<bool>(), instant(), role())
        .prop_map(|(framework, info, container, command, registered, launched, role)| {
            ExecutorRecord {
                framework,
                info,
                container: ContainerId(container),
                command,
                registered,
                launched,
                role,
            }
        })
        .boxed()
}

pub(crate) fn task_record() -> impl Strategy<Value = TaskRecord> {
    let info = prop_oneof![task(), bare_task()];
    let statuses = (of(task_status()), prop::collection::vec(task_status(), 0..3));
    (
        framework_id(),
        info,
        executor_id(),
        task_state(),
        statuses,
        any::<bool>(),
        any::<bool>(),
        role(),
        of(word()),
    )
        .prop_map(
            |(
                framework,
                info,
                executor,
                state,
                (latest, updates),
                delivered,
                killed,
                role,
                group,
            )| TaskRecord {
                framework,
                info,
                executor,
                state,
                latest,
                updates,
                delivered,
                killed,
                role,
                group,
            },
        )
        .boxed()
}

pub(crate) fn operation_state() -> impl Strategy<Value = OperationState> {
    (1i32..=9).prop_map(|it| OperationState::from_number(it).unwrap())
}

pub(crate) fn operation_record() -> impl Strategy<Value = OperationRecord> {
    let claims = prop::collection::vec(uuid().prop_map(ClaimId), 0..3);
    let claims = (claims, prop::collection::vec(claim(), 0..2), of(ownership()));
    let ids = (uuid(), of(framework_id()), of(uuid()), prop::collection::vec(uuid(), 0..2));
    (ids, recorded_operation(), operation_state(), of(text()), claims)
        .prop_map(|(ids, operation, state, message, (claims, endings, ownership))| {
            let (uuid, framework, status, making) = ids;
            OperationRecord {
                uuid: OperationUuid(uuid),
                framework,
                operation,
                state,
                message,
                status: status.map(StatusUuid),
                claims,
                endings,
                making: making.into_iter().map(ClaimId).collect(),
                ownership,
            }
        })
        .boxed()
}

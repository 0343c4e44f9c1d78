//! Ledgers: what was written is what is read; what memory folds is what the disk folds; every unreadable record is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::agent_ledger::{AgentChange, AgentIdentity, AgentLedger, LedgerPoint};
use crate::convert::{golden, samples};
use crate::deactivation::{Deactivation, Drain};
use crate::ended::EndedClaim;
use crate::framework::FrameworkInfo;
use crate::id::{AgentId, ClaimId, ClusterId, FrameworkId, NodeId, OperationUuid, TaskId, Term};
use crate::maintenance::{Machine, MachineId, Schedule, Unavailability, Window};
use crate::master_ledger::{
    AgentRecord, Cluster, DeathCertificate, FrameworkRecord, MasterChange, MasterLedger,
    PendingOperation, Presence,
};
use crate::offer_constraints::{
    AttributeConstraint, OfferConstraints, Pattern, Predicate, RoleConstraints, Selector,
};
use crate::quota::Quota;
use crate::resources::Quantities;
use crate::suspect::{Peer, Suspect};
use crate::value::Scalar;
use samples::{
    agent as agent_id, claim as any_claim, disk, executor_id, executor_record, framework_id,
    instant, named_framework,
};
use samples::{operation_record, role, task_id, task_record, uuid, word};

/// The framework with offer constraints of each kind for its first role.
fn constrained(mut info: FrameworkInfo) -> FrameworkInfo {
    let text = || "r1".to_owned();
    let pattern = || Pattern::new("r[0-9]+".to_owned()).unwrap();
    let constraints = [
        (Selector::Hostname, Predicate::Matches(pattern())),
        (Selector::Region, Predicate::NotMatches(pattern())),
        (Selector::Zone, Predicate::NotEquals(text())),
        (Selector::Attribute("rack".to_owned()), Predicate::Equals(text())),
        (Selector::Attribute(String::new()), Predicate::Exists),
        (Selector::Attribute("ssd".to_owned()), Predicate::NotExists),
    ];
    let groups = constraints.chunks(4).map(|group| {
        let constraint = |(selector, predicate): &(Selector, Predicate)| AttributeConstraint {
            selector: selector.clone(),
            predicate: predicate.clone(),
        };
        group.iter().map(constraint).collect()
    });
    if let Some(role) = info.roles.first() {
        let constraints = Arc::new(RoleConstraints::new(groups.collect()));
        info.constraints = OfferConstraints::new(BTreeMap::from([(role.clone(), constraints)]));
    }
    info
}

fn identity() -> impl Strategy<Value = AgentIdentity> {
    (of(agent_id()), of(uuid()), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(agent, cluster, version, claims_generation, checksum)| AgentIdentity {
            node: NodeId(uuid::Uuid::from_u128(7)),
            agent,
            cluster: cluster.map(ClusterId),
            term: Term(3),
            version,
            claims_generation,
            checksum,
        },
    )
}

fn agent_change() -> impl Strategy<Value = AgentChange> {
    prop_oneof![
        identity().prop_map(AgentChange::Identity),
        disk().prop_map(AgentChange::Disk),
        disk().prop_map(|it| AgentChange::DiskGone(it.id)),
        any_claim().prop_map(AgentChange::Claim),
        uuid().prop_map(|it| AgentChange::ClaimGone(ClaimId(it))),
        named_framework().prop_map(AgentChange::Framework),
        framework_id().prop_map(AgentChange::FrameworkGone),
        executor_record().prop_map(AgentChange::Executor),
        (framework_id(), executor_id()).prop_map(AgentChange::ExecutorGone),
        task_record().prop_map(AgentChange::Task),
        (framework_id(), task_id()).prop_map(AgentChange::TaskGone),
        operation_record().prop_map(AgentChange::Operation),
        uuid().prop_map(|it| AgentChange::OperationGone(OperationUuid(it))),
        samples::trashed_volume().prop_map(AgentChange::Trashed),
        uuid().prop_map(|it| AgentChange::TrashGone(ClaimId(it))),
        samples::added_disk().prop_map(AgentChange::DiskAdded),
        samples::added_disk().prop_map(|it| AgentChange::DiskRemoved(it.root)),
        samples::left_place().prop_map(AgentChange::PlaceLeft),
        samples::left_place().prop_map(|it| AgentChange::PlaceFreed(it.root)),
        (any::<u64>(), any::<u64>()).prop_map(|(version, checksum)| {
            AgentChange::Point(LedgerPoint { version, checksum })
        }),
        any::<u64>().prop_map(AgentChange::PointGone),
    ]
}

fn death() -> impl Strategy<Value = DeathCertificate> {
    (agent_id(), instant(), word(), any::<bool>()).prop_map(|(agent, at, by, is_said)| {
        let reason = is_said.then(|| "burnt".to_owned());
        DeathCertificate { agent, at, by, reason }
    })
}

fn deactivation() -> impl Strategy<Value = Deactivation> {
    let drain = (instant(), of(any::<u64>()), any::<bool>(), any::<bool>()).prop_map(
        |(since, max_grace_ms, mark_gone, is_drained)| Drain {
            since,
            max_grace_ms,
            mark_gone,
            is_drained,
        },
    );
    (agent_id(), instant(), word(), of(drain)).prop_map(|(agent, since, by, drain)| Deactivation {
        agent,
        since,
        by,
        drain,
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let machine = (word(), any::<bool>()).prop_map(|(hostname, is_down)| Machine {
        id: MachineId { hostname, ip: String::new() },
        is_down,
    });
    let window = (prop::collection::vec(machine, 1..3), any::<i64>(), of(any::<i64>())).prop_map(
        |(machines, start_ns, duration_ns)| Window {
            machines,
            unavailability: Unavailability { start_ns, duration_ns },
        },
    );
    prop::collection::vec(window, 0..3).prop_map(Schedule::new)
}

fn master_change() -> impl Strategy<Value = MasterChange> {
    let cluster = (any::<u64>(), any::<u64>(), instant(), of(instant())).prop_map(
        |(next_agent, next_framework, created, lost)| Cluster {
            id: ClusterId(uuid::Uuid::from_u128(9)),
            next_agent,
            next_framework,
            created,
            lost,
        },
    );
    let presence = select(vec![Presence::Admitted, Presence::Unreachable, Presence::Gone]);
    let known = (any::<u64>(), of(any::<u64>()));
    let agent = (agent_id(), uuid(), word(), any::<u16>(), presence, instant(), known).prop_map(
        |(id, node, hostname, port, presence, since, known)| AgentRecord {
            id,
            node: NodeId(node),
            hostname,
            port,
            presence,
            since,
            ledger_version: known.0,
            ledger_checksum: known.1,
        },
    );
    let framework = (named_framework(), any::<bool>(), of(instant()), instant()).prop_map(
        |(info, removed, deadline, registered)| {
            // Some of them, by what was drawn already, so that all else is drawn as ever.
            let info = if registered.0 % 2 == 1 { constrained(info) } else { info };
            FrameworkRecord { info, removed, deadline, registered }
        },
    );
    let pending = (uuid(), of(framework_id()), agent_id(), samples::recorded_operation()).prop_map(
        |(uuid, framework, agent, operation)| PendingOperation {
            uuid: OperationUuid(uuid),
            framework,
            agent,
            operation,
        },
    );
    prop_oneof![
        cluster.prop_map(MasterChange::Cluster),
        agent.prop_map(MasterChange::Agent),
        death().prop_map(MasterChange::Death),
        deactivation().prop_map(MasterChange::Deactivated),
        agent_id().prop_map(MasterChange::Reactivated),
        schedule().prop_map(MasterChange::Maintenance),
        framework.prop_map(MasterChange::Framework),
        framework_id().prop_map(MasterChange::FrameworkForgotten),
        (agent_id(), any_claim()).prop_map(|(agent, claim)| MasterChange::Claim(agent, claim)),
        (agent_id(), uuid())
            .prop_map(|(agent, claim)| MasterChange::ClaimGone(agent, ClaimId(claim))),
        pending.prop_map(MasterChange::Pending),
        uuid().prop_map(|it| MasterChange::Settled(OperationUuid(it))),
        (role(), select(vec![1i64, 500, 1000, 2500]))
            .prop_map(|(role, weight)| MasterChange::Weight(role, Scalar::thousandths(weight))),
    ]
}

fn suspect_change() -> impl Strategy<Value = MasterChange> {
    let peer = || {
        prop_oneof![
            uuid().prop_map(|it| Peer::Agent(NodeId(it))),
            framework_id().prop_map(Peer::Framework)
        ]
    };
    let suspect = (peer(), word(), instant(), any::<u32>())
        .prop_map(|(peer, what, at, times)| Suspect { peer, what, at, times });
    prop_oneof![
        suspect.prop_map(MasterChange::Suspect),
        peer().prop_map(MasterChange::SuspectForgotten)
    ]
}

fn ended_change() -> impl Strategy<Value = MasterChange> {
    let ended = (0u64..4, agent_id(), any_claim(), instant(), any::<bool>()).prop_map(
        |(number, agent, claim, noticed, told)| EndedClaim { number, agent, claim, noticed, told },
    );
    prop_oneof![
        ended.prop_map(MasterChange::Ended),
        (0u64..4).prop_map(MasterChange::EndedForgotten),
        instant().prop_map(MasterChange::EndedSince)
    ]
}

fn move_change() -> impl Strategy<Value = MasterChange> {
    prop_oneof![
        samples::disk_move().prop_map(MasterChange::Move),
        samples::disk_move().prop_map(|it| MasterChange::MoveEnded(it.disk, it.from)),
    ]
}

fn quota_change() -> impl Strategy<Value = MasterChange> {
    let amounts = || prop::collection::btree_map(word(), 0i64..5000, 0..3);
    (role(), amounts(), amounts()).prop_map(|(role, guarantees, limits)| {
        let exact = |all: BTreeMap<String, i64>| -> Quantities {
            all.into_iter().map(|(name, it)| (name, Scalar::thousandths(it))).collect()
        };
        let quota = Quota { guarantees: exact(guarantees), limits: exact(limits) };
        MasterChange::Quota(role, quota)
    })
}

fn recovery_change() -> impl Strategy<Value = MasterChange> {
    prop_oneof![
        samples::recovery().prop_map(MasterChange::Recovery),
        samples::recovery().prop_map(|it| MasterChange::RecoveryEnded(it.agent)),
    ]
}

fn any_master_change() -> impl Strategy<Value = MasterChange> {
    prop_oneof![
        9 => master_change().boxed(),
        2 => suspect_change().boxed(),
        3 => ended_change().boxed(),
        2 => move_change().boxed(),
        2 => quota_change().boxed(),
        1 => recovery_change().boxed(),
    ]
}

/// What a store does with entries: the records that are left.
type Records = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

fn store(records: &mut Records, entry: Entry) {
    let place = (entry.tree, entry.key);
    match entry.value {
        Some(value) => drop(records.insert(place, value)),
        None => drop(records.remove(&place)),
    }
}

fn stored(records: &Records) -> impl Iterator<Item = (&str, &[u8], &[u8])> {
    records.iter().map(|((tree, key), value)| (*tree, key.as_slice(), value.as_slice()))
}

/// Whether memory accepts the change: some go backwards, which [`AgentLedger::apply`] forbids.
fn goes_forward(ledger: &AgentLedger, change: &AgentChange) -> bool {
    match change {
        AgentChange::Claim(it) => !ledger.claims.contains_key(&it.id),
        AgentChange::Trashed(it) => !ledger.trash.contains_key(&it.claim.id),
        AgentChange::Task(it) => !ledger.tasks.contains_key(&it.key()),
        _ => true,
    }
}

fn parts(entry: Entry) -> golden::Parts {
    vec![Some(entry.tree.as_bytes().to_vec()), Some(entry.key), entry.value]
}

/// The tree, the key and the value of a record.
fn record(parts: &[Option<Vec<u8>>]) -> (&str, &[u8], Option<&[u8]>) {
    (
        std::str::from_utf8(parts[0].as_deref().unwrap()).unwrap(),
        parts[1].as_deref().unwrap(),
        parts[2].as_deref(),
    )
}

#[test]
fn golden_bytes_of_agents_records() {
    let decode = |it: &[Option<Vec<u8>>]| {
        let (tree, key, value) = record(it);
        agent::decode(tree, key, value).unwrap()
    };
    golden::check(
        "ledger-agent",
        agent_change(),
        golden::variant,
        |it| parts(agent::encode(it)),
        decode,
    );
}

fn check_masters_records(file: &str, changes: impl Strategy<Value = MasterChange>) {
    let decode = |it: &[Option<Vec<u8>>]| {
        let (tree, key, value) = record(it);
        master::decode(tree, key, value).unwrap()
    };
    golden::check(file, changes, golden::variant, |it| parts(master::encode(it)), decode);
}

#[test]
fn golden_bytes_of_masters_records() {
    check_masters_records("ledger-master", master_change());
}

#[test]
fn golden_bytes_of_ended_claims() {
    check_masters_records("ledger-ended", ended_change());
}

#[test]
fn golden_bytes_of_suspects() {
    check_masters_records("ledger-suspects", suspect_change());
}

#[test]
fn golden_bytes_of_moves() {
    check_masters_records("ledger-moves", move_change());
}

#[test]
fn golden_bytes_of_quotas() {
    check_masters_records("ledger-quotas", quota_change());
}

#[test]
fn golden_bytes_of_recoveries() {
    check_masters_records("ledger-recoveries", recovery_change());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn agents_changes_come_back(change in agent_change()) {
        let entry = agent::encode(&change);
        prop_assert!(entry.key.len() <= KEY_BYTES_MAX && agent::TREES.contains(&entry.tree));
        prop_assert_eq!(agent::decode(entry.tree, &entry.key, entry.value.as_deref()), Ok(change));
    }

    #[test]
    fn masters_changes_come_back(change in any_master_change()) {
        let entry = master::encode(&change);
        prop_assert!(entry.key.len() <= KEY_BYTES_MAX && master::TREES.contains(&entry.tree));
        prop_assert_eq!(master::decode(entry.tree, &entry.key, entry.value.as_deref()), Ok(change));
    }

    #[test]
    fn memory_and_disk_fold_the_same_for_agents(first in identity(), changes in prop::collection::vec(agent_change(), 0..20)) {
        let mut memory = AgentLedger::new(first.node);
        let mut records = Records::new();
        for change in std::iter::once(AgentChange::Identity(first)).chain(changes) {
            if goes_forward(&memory, &change) {
                memory.apply(&change);
                store(&mut records, agent::encode(&change));
            }
        }
        let folded = agent::fold(stored(&records)).unwrap().unwrap();
        prop_assert_eq!(&folded, &memory);
        let mut again = Records::new();
        agent::snapshot(&memory).into_iter().for_each(|it| store(&mut again, it));
        prop_assert_eq!(again, records);
    }

    #[test]
    fn memory_and_disk_fold_the_same_for_masters(changes in prop::collection::vec(any_master_change(), 0..20)) {
        let (mut memory, mut records) = (MasterLedger::default(), Records::new());
        for change in changes {
            let backwards = match &change {
                MasterChange::Cluster(_) => memory.cluster.is_some(),
                MasterChange::Agent(it) => memory.agents.contains_key(&it.id),
                MasterChange::Death(it) => memory.deaths.contains_key(&it.agent),
                MasterChange::Framework(it) => it.info.id.as_ref().is_some_and(|it| memory.frameworks.contains_key(it)),
                _ => false,
            };
            if !backwards {
                memory.apply(&change);
                store(&mut records, master::encode(&change));
            }
        }
        prop_assert_eq!(&master::fold(stored(&records)).unwrap(), &memory);
        let mut again = Records::new();
        master::snapshot(&memory).into_iter().for_each(|it| store(&mut again, it));
        prop_assert_eq!(again, records);
    }

    #[test]
    fn damaged_records_are_read_or_named(change in agent_change(), other in any_master_change(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for (entry, agents) in [(agent::encode(&change), true), (master::encode(&other), false)] {
            let Some(mut value) = entry.value else { continue };
            let place = at.index(value.len());
            value[place] = byte;
            let named = format!("{}[{}]", entry.tree, String::from_utf8_lossy(&entry.key));
            let refused = if agents {
                agent::decode(entry.tree, &entry.key, Some(&value)).err()
            } else {
                master::decode(entry.tree, &entry.key, Some(&value)).err()
            };
            if let Some(refused) = refused {
                prop_assert!(refused.to_string().starts_with(&named), "{} is not in {}", refused, named);
            }
        }
    }
}

fn some_claim() -> (Entry, ClaimId) {
    let id = ClaimId(uuid::Uuid::from_u128(5));
    let resource = crate::resource::Resource::scalar("disk", Scalar::whole(1));
    let claim = crate::claim::Claim {
        id,
        state: crate::claim::ClaimState::Ready,
        resource,
        framework: None,
        generation: 1,
        created: crate::id::Instant(0),
        disk: None,
        history: Vec::new(),
        shares: Vec::new(),
        operation: None,
    };
    (agent::encode(&AgentChange::Claim(claim)), id)
}

#[test]
fn what_cannot_be_read_is_named() {
    let (entry, id) = some_claim();
    let (key, value) = (entry.key.as_slice(), entry.value.unwrap());
    let refuse =
        |tree: &str, key: &[u8], value: Option<&[u8]>| match agent::decode(tree, key, value) {
            Err(RecordError::Unreadable(it)) => it,
            other => panic!("{other:?}"),
        };
    let named = format!("claims[{id}]");
    assert_eq!(refuse("claims", key, Some(&[])).path, named);
    assert_eq!(refuse("claims", b"other", Some(&value)).path, "claims[other].key");
    assert_eq!(refuse("identity", b"self", None).path, "identity[self]");
    assert_eq!(refuse("tasks", b"alone", None).path, "tasks[alone].key");
    assert!(refuse("claims", key, Some(&value[..value.len() - 1])).why.contains("damaged"));
    let master = master::decode("claims", key, Some(&value)).unwrap_err();
    assert!(master.to_string().starts_with(&named), "{master}");
    let Err(RecordError::Unreadable(master)) = master::decode("cluster", b"self", None) else {
        panic!("a cluster is never deleted")
    };
    assert_eq!(master.path, "cluster[self]");
}

/// Every kind of record in both ledgers: its ledger's reader, its tree, and the version in which it is written.
fn kinds() -> Vec<(bool, &'static str, u8)> {
    use holdfast_proto::holdfast::ledger::v1 as ledger;
    fn version<M: Record>() -> u8 {
        M::VERSION
    }
    vec![
        (true, "identity", version::<ledger::AgentIdentity>()),
        (true, "disks", version::<ledger::Disk>()),
        (true, "claims", version::<ledger::Claim>()),
        (true, "frameworks", version::<ledger::AgentFramework>()),
        (true, "executors", version::<ledger::Executor>()),
        (true, "tasks", version::<ledger::Task>()),
        (true, "operations", version::<ledger::Operation>()),
        (true, "trash", version::<ledger::TrashedVolume>()),
        (true, "added_disks", version::<ledger::AddedDisk>()),
        (true, "left_places", version::<ledger::LeftPlace>()),
        (true, "points", version::<ledger::LedgerPoint>()),
        (false, "cluster", version::<ledger::Cluster>()),
        (false, "agents", version::<ledger::AgentRecord>()),
        (false, "frameworks", version::<ledger::FrameworkRecord>()),
        (false, "claims", version::<ledger::IndexedClaim>()),
        (false, "pending", version::<ledger::PendingOperation>()),
        (false, "weights", version::<ledger::RoleWeight>()),
        (false, "quotas", version::<ledger::RoleQuota>()),
        (false, "suspects", version::<ledger::Suspect>()),
        (false, "ended", version::<ledger::EndedClaim>()),
        (false, "history", version::<ledger::ClaimHistory>()),
        (false, "moves", version::<ledger::DiskMove>()),
        (false, "recoveries", version::<ledger::Recovery>()),
        (false, "deaths", version::<ledger::DeathCertificate>()),
        (false, "deactivations", version::<ledger::Deactivation>()),
        (false, "maintenance", version::<ledger::MaintenanceSchedule>()),
    ]
}

#[test]
fn a_newer_programs_records_are_never_passed_over() {
    let decode = |agents: bool, tree: &str, value: Option<&[u8]>| {
        if agents {
            agent::decode(tree, b"k", value).unwrap_err()
        } else {
            master::decode(tree, b"k", value).unwrap_err()
        }
    };
    let kinds = kinds();
    assert_eq!(kinds.len(), agent::TREES.len() + master::TREES.len());
    for (agents, name, known) in kinds {
        let (tree, key) = (name.to_owned(), "k".to_owned());
        for found in [0, known + 1, u8::MAX] {
            let error = decode(agents, name, Some(&[found]));
            let (tree, key) = (tree.clone(), key.clone());
            assert_eq!(error, RecordError::UnknownVersion { tree, key, found, known });
        }
        // Field 999, a number; no kind of record has it.
        let error = decode(agents, name, Some(&[known, 0xb8, 0x3e, 1]));
        assert_eq!(error, RecordError::UnknownField { tree, key, version: known });
    }
    for (agents, ledger) in [(true, "agent's"), (false, "masters'")] {
        for value in [Some([1, 2].as_slice()), None] {
            let error = decode(agents, "dreams", value);
            let (tree, key) = ("dreams".to_owned(), "k".to_owned());
            assert_eq!(error, RecordError::UnknownTree { ledger, tree, key });
        }
    }
    let error = agent::fold([("dreams", b"k".as_slice(), [1].as_slice())]).unwrap_err();
    assert!(error.to_string().contains("dreams[k]"), "{error}");
    let newer = [3];
    let error = master::fold([("claims", b"a/b".as_slice(), newer.as_slice())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "claims[a/b]: was written in version 3 of its kind, this program reads versions 1 to 2; use the newer program"
    );
}

#[test]
fn an_empty_ledger_is_new_and_one_without_identity_is_broken() {
    assert_eq!(agent::fold(std::iter::empty()), Ok(None));
    assert_eq!(master::fold(std::iter::empty()), Ok(MasterLedger::default()));
    let (entry, _) = some_claim();
    let value = entry.value.unwrap();
    let broken = agent::fold([(entry.tree, entry.key.as_slice(), value.as_slice())]).unwrap_err();
    assert!(broken.to_string().starts_with("identity[self]: is missing"), "{broken}");
}

#[test]
fn records_with_long_names_are_deleted_too() {
    let long = "f".repeat(255);
    let mut ledger = AgentLedger::new(NodeId(uuid::Uuid::from_u128(1)));
    let framework = FrameworkId::parse(&long).unwrap();
    let info = crate::task::TaskInfo {
        id: TaskId::parse(&"t".repeat(255)).unwrap(),
        name: String::new(),
        agent: AgentId::made("a".to_owned()),
        resources: Vec::new(),
        executor: None,
        command: None,
        kill_grace_ms: None,
        payload: Default::default(),
    };
    let task = crate::agent_ledger::TaskRecord {
        framework: framework.clone(),
        executor: info.executor_id(),
        info,
        state: crate::task::TaskState::Staging,
        latest: None,
        updates: Vec::new(),
        delivered: false,
        killed: false,
        role: crate::role::Role::any(),
        group: None,
    };
    let put = agent::encode(&AgentChange::Task(task.clone()));
    assert!(put.key.len() <= KEY_BYTES_MAX);
    agent::apply(&mut ledger, put.tree, &put.key, put.value.as_deref()).unwrap();
    assert_eq!(ledger.tasks.len(), 1);
    let gone = agent::encode(&AgentChange::TaskGone(task.key()));
    assert_eq!(gone.key, put.key);
    assert!(agent::decode(gone.tree, &gone.key, None).unwrap_err().to_string().contains("digest"));
    agent::apply(&mut ledger, gone.tree, &gone.key, None).unwrap();
    assert!(ledger.tasks.is_empty());
    let agent_id = AgentId::parse(&long).unwrap();
    let claim = ClaimId(uuid::Uuid::from_u128(1));
    let (entry, _) = some_claim();
    let AgentChange::Claim(record) =
        agent::decode(entry.tree, &entry.key, entry.value.as_deref()).unwrap()
    else {
        panic!("no claim")
    };
    let mut masters = MasterLedger::default();
    let put = master::encode(&MasterChange::Claim(
        agent_id.clone(),
        crate::claim::Claim { id: claim, ..record },
    ));
    master::apply(&mut masters, put.tree, &put.key, put.value.as_deref()).unwrap();
    let gone = master::encode(&MasterChange::ClaimGone(agent_id, claim));
    master::apply(&mut masters, gone.tree, &gone.key, None).unwrap();
    assert!(masters.claims.is_empty());
}

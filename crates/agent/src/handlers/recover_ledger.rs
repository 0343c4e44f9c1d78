//! The masters give back what they know of this agent, whose ledger was lost or rolled back: an operator has said so.
//!
//! It comes before any welcome, since an agent with such a ledger is not welcome. The claims, the disks that they name and the new name of
//! the ledger are written down in one go, the name last: who bears it has the claims. What only this ledger had ends here, without a look at
//! any bytes; what was under way is forgotten, since nobody waits for it any more. Then the link is begun anew, under the new name. Never
//! makes, moves or removes anything on a disk, and never makes a volume in place of one that is not there: that one is missing.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    AddedDisk, AgentChange, AgentIdentity, AgentRecovery, Claim, ClaimId, ClaimState, DiskId,
    DiskKind, DiskRecord, ExecutorKey, OperationRecord, OperationState, Source, SourceKind, Term,
};

use super::kill::shut_down_executor;
use crate::bookkeeping::holds::holders;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::Step;
use crate::parts::{Containers, Disks, MasterLink, Tasks, Topic, Waiting};

/// Takes what the masters give back. The caller begins the link anew.
pub(crate) fn recover(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    (term, recovery, by): (Term, AgentRecovery, &str),
) {
    if let Some(why) = not_ours(&step.ledger().identity, &recovery, term) {
        return step.log(format!("what a master gives back is not taken: {why}"));
    }
    let kept: BTreeSet<ClaimId> = recovery.claims.iter().map(|it| it.id).collect();
    let users = users_of_others(step, containers, &kept);
    for key in &users {
        shut_down_executor(step, containers, tasks, master, waiting, key);
    }
    let is_on_its_way = |it: &OperationRecord| {
        it.state == OperationState::Pending && (it.claims.is_empty() || !it.making.is_empty())
    };
    if !users.is_empty() || step.ledger().operations.values().any(is_on_its_way) {
        return step.log("what the masters give back is taken once what still uses volumes that are no longer claimed has ended");
    }
    write(step, disks, &recovery, (term, by), &kept);
    disks.volumes_mut().drop_checks();
    disks.volumes().faulty().into_iter().for_each(|it| disks.volumes_mut().forget_fault(it));
    step.stir(Topic::Claims);
    open_disks(step, disks);
}

/// Why this is not meant for this ledger.
fn not_ours(ours: &AgentIdentity, recovery: &AgentRecovery, term: Term) -> Option<String> {
    if term < ours.term {
        return Some(format!("it is deposed: term {term}, {} is known", ours.term));
    }
    if ours.node != recovery.node {
        return Some(format!("it is for the ledger {}, this one is {}", recovery.node, ours.node));
    }
    if let Some(cluster) = ours.cluster.filter(|it| *it != recovery.cluster) {
        return Some(format!(
            "it is of cluster {}, the disks here are of {cluster}",
            recovery.cluster
        ));
    }
    let name = ours.agent.as_ref().filter(|it| **it != recovery.agent)?;
    Some(format!("it is for agent {}, this is {name}", recovery.agent))
}

/// The executors that use volumes of this ledger that the masters do not know any more.
fn users_of_others(
    step: &Step<'_>,
    containers: &Containers,
    kept: &BTreeSet<ClaimId>,
) -> BTreeSet<ExecutorKey> {
    let volumes = step.ledger().claims.values().filter(|it| it.is_volume());
    let others = volumes.filter(|it| !kept.contains(&it.id));
    others.flat_map(|it| holders(step.ledger(), containers, it).into_keys()).collect()
}

fn write(
    step: &mut Step<'_>,
    disks: &Disks,
    recovery: &AgentRecovery,
    (term, by): (Term, &str),
    kept: &BTreeSet<ClaimId>,
) {
    let (ledger, now) = (step.ledger(), step.now());
    let ready = |it: &Claim| Claim { state: ClaimState::Ready, ..it.recovered(now, by) };
    let claims: Vec<Claim> = recovery.claims.iter().map(ready).collect();
    let mut changes: Vec<AgentChange> =
        ledger.operations.keys().map(|it| AgentChange::OperationGone(*it)).collect();
    // A claim only goes forward; one that was on its way to its end here begins anew.
    let is_over = |it: &&Claim| ClaimState::Ready < it.state || !kept.contains(&it.id);
    let over = ledger.claims.values().filter(is_over);
    changes.extend(over.map(|it| AgentChange::ClaimGone(it.id)));
    let is_back = |it: &&ClaimId| kept.contains(it);
    changes.extend(ledger.trash.keys().filter(is_back).map(|it| AgentChange::TrashGone(*it)));
    let named = disks_of(disks, &claims);
    let is_left = |it: &&DiskId| !named.contains_key(it);
    changes.extend(ledger.disks.keys().filter(is_left).map(|it| AgentChange::DiskGone(*it)));
    changes.extend(ledger.left_places.keys().cloned().map(AgentChange::PlaceFreed));
    changes.extend(places_to_add(disks, &named).map(AgentChange::DiskAdded));
    changes.extend(named.into_values().map(AgentChange::Disk));
    let count = claims.len();
    changes.extend(claims.into_iter().map(AgentChange::Claim));
    let ours = ledger.identity.clone();
    let identity = AgentIdentity {
        node: recovery.lineage,
        agent: Some(recovery.agent.clone()),
        cluster: Some(recovery.cluster),
        term,
        ..ours
    };
    changes.push(AgentChange::Identity(identity));
    step.log(format!(
        "the ledger of agent {} was lost or rolled back; for {by} it has again what the masters know of it ({count} claims), and is ledger {} from now on",
        recovery.agent, recovery.lineage
    ));
    step.commit_anew(recovery.ledger_version, changes);
}

/// The disks that claims name, where they say that those are. Whether they are is found out by the next look.
fn disks_of(disks: &Disks, claims: &[Claim]) -> BTreeMap<DiskId, DiskRecord> {
    let mut named = BTreeMap::new();
    for claim in claims {
        let Some(id) = claim.disk else { continue };
        let root = match &claim.resource.identity.source {
            None => disks.found().iter().find(|it| it.disk.kind == DiskKind::Root).map(|it| {
                DiskRecord { id, kind: DiskKind::Root, root: it.disk.root.clone(), size_mb: 0 }
            }),
            Some(Source { kind, root: Some(root), .. }) => {
                let kind = match kind {
                    SourceKind::Mount => DiskKind::Mount,
                    _ => DiskKind::Path,
                };
                Some(DiskRecord { id, kind, root: root.clone(), size_mb: 0 })
            }
            Some(_) => None,
        };
        let found = disks.found().iter().find(|it| it.disk.id == id && it.disk.size_mb != 0);
        let size_mb = found.map_or(0, |it| it.disk.size_mb);
        named.extend(root.map(|it| (id, DiskRecord { size_mb, ..it })));
    }
    named
}

/// Those that the settings do not name: they were added to the running agent.
fn places_to_add<'a>(
    disks: &'a Disks,
    named: &'a BTreeMap<DiskId, DiskRecord>,
) -> impl Iterator<Item = AddedDisk> + 'a {
    let is_found = |root: &str| disks.found().iter().any(|it| it.disk.root == root);
    let others = named.values().filter(move |it| it.kind != DiskKind::Root && !is_found(&it.root));
    others.map(|it| AddedDisk { root: it.root.clone(), kind: it.kind, size_mb: None })
}

#[cfg(test)]
mod tests {
    use crate::contract::Effect;
    use crate::testbed::{cluster, Bed, DB_VOLUME};
    use holdfast_model::{
        AgentId, AgentLedger, AgentRecovery, Claim, ClusterId, LinkId, NodeId, OperationUuid,
        Order, TaskState,
    };
    use uuid::Uuid;

    const LINEAGE: NodeId = NodeId(Uuid::from_u128(0x11ea));

    fn claims_of(bed: &Bed) -> Vec<Claim> {
        bed.durable.claims.values().cloned().collect()
    }

    /// An agent whose ledger is gone while its disks are as they were, and what it had.
    fn lost() -> (Bed, Vec<Claim>) {
        let mut former = Bed::registered();
        former.reserve_and_create();
        let claims = claims_of(&former);
        let mut bed = Bed::fresh();
        bed.volumes = former.volumes.clone();
        bed.machine = former.machine.clone();
        bed.machine.disks[1].fault = Some("it carries 1 volumes of another ledger".to_owned());
        bed.forget_all_but(ClusterId(cluster(1).0));
        bed.start();
        bed.link(1);
        bed.settle();
        (bed, claims)
    }

    fn recovery(bed: &Bed, claims: &[Claim]) -> AgentRecovery {
        AgentRecovery {
            agent: AgentId::made("a1".to_owned()),
            cluster: cluster(1),
            node: bed.durable.identity.node,
            lineage: LINEAGE,
            ledger_version: 500,
            claims: claims.to_vec(),
        }
    }

    fn give_back(bed: &mut Bed, recovery: &AgentRecovery) {
        let uuid = OperationUuid(Uuid::from_u128(9));
        let (recovery, by) = (Box::new(recovery.clone()), "ops".to_owned());
        bed.order(Order::Recover { uuid, recovery, by });
        bed.settle();
    }

    /// Whether it has them, each as it was, with one event more.
    fn has_all(ledger: &AgentLedger, claims: &[Claim]) -> bool {
        let is_back = |it: &Claim| {
            ledger.claims.get(&it.id).is_some_and(|back| {
                back.resource == it.resource
                    && (back.disk, back.created) == (it.disk, it.created)
                    && it.generation < back.generation
                    && back.history.last().is_some_and(|it| it.what.starts_with("recovered"))
            })
        };
        ledger.claims.len() == claims.len() && claims.iter().all(is_back)
    }

    #[test]
    fn an_agent_without_its_ledger_labels_nothing_and_tells_what_its_disks_carry_before_it_is_asked(
    ) {
        let (bed, claims) = lost();
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::OpenDisks(..))));
        let reports = bed.reports();
        assert!(reports.iter().all(|it| !it.disks.is_empty()), "it waits until it has looked");
        let report = reports.last().unwrap();
        assert_eq!((report.cluster, &report.agent), (Some(cluster(1)), &None));
        let volume = claims.iter().find(|it| it.is_volume()).unwrap();
        let disk = report.disks.iter().find(|it| Some(it.disk.id) == volume.disk).unwrap();
        assert_eq!(disk.orphans.iter().map(|it| it.id).collect::<Vec<_>>(), [volume.id]);
    }

    #[test]
    fn what_is_given_back_is_there_as_it_was_under_another_name_of_the_ledger() {
        let (mut bed, claims) = lost();
        let recovery = recovery(&bed, &claims);
        give_back(&mut bed, &recovery);
        assert!(has_all(&bed.durable, &claims), "{:?}", bed.durable.claims);
        let identity = &bed.durable.identity;
        assert_eq!((identity.node, identity.agent.as_ref()), (LINEAGE, Some(&recovery.agent)));
        assert!(500 < identity.version, "{}", identity.version);
        let is_hung_up =
            |it: &Effect| matches!(it, Effect::CloseMaster(link) if *link == LinkId(1));
        assert!(bed.seen.iter().any(is_hung_up), "it introduces itself anew");
        bed.machine.disks[1].fault = None;
        bed.input(crate::Input::Opened(bed.machine.clone()));
        bed.link(2);
        bed.welcome();
        bed.settle();
        assert!(bed.agent.faults().is_empty(), "{:?}", bed.agent.faults());
        let is_made = |it: &Effect| matches!(it, Effect::MakeVolume(_) | Effect::TrashVolume(_));
        assert!(!bed.seen.iter().any(is_made), "nothing is made or moved");
        bed.launch_command("t", &[bed.claim(DB_VOLUME).resource]);
        bed.settle();
        assert_eq!(bed.task_state("t"), Some(TaskState::Running));
    }

    #[test]
    fn a_crash_leaves_nothing_of_it_or_the_whole_and_asking_again_is_asking_once() {
        for crash_in in 0.. {
            let (mut bed, claims) = lost();
            let recovery = recovery(&bed, &claims);
            bed.crash_in = Some(crash_in);
            give_back(&mut bed, &recovery);
            let is_new = bed.durable.identity.node == LINEAGE;
            assert_eq!(has_all(&bed.durable, &claims), is_new, "the name says whether it has them");
            let crashed = 0 < bed.crashes;
            bed.crash_in = None;
            bed.link(50);
            give_back(&mut bed, &recovery);
            assert!(has_all(&bed.durable, &claims) && bed.durable.identity.node == LINEAGE);
            if !crashed {
                assert!(1 < crash_in);
                break;
            }
        }
    }

    #[test]
    fn what_is_not_there_is_missing_and_not_made() {
        let (mut bed, claims) = lost();
        bed.volumes.clear();
        bed.machine.disks[1].fault = None;
        let recovery = recovery(&bed, &claims);
        give_back(&mut bed, &recovery);
        bed.link(2);
        bed.welcome();
        bed.settle();
        let faults = bed.agent.faults();
        assert!(faults.iter().any(|(_, why)| why.contains("is missing")), "{faults:?}");
        assert!(bed.volumes.is_empty() && has_all(&bed.durable, &claims));
    }

    #[test]
    fn an_older_copy_of_a_ledger_loses_what_has_ended_since_and_keeps_every_byte() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let copy = bed.durable.clone();
        let claims = claims_of(&bed);
        let (volume, rest): (Vec<Claim>, Vec<Claim>) =
            claims.iter().cloned().partition(|it| it.is_volume());
        // The volume was given up since, and the rest is as it was.
        bed.start_with(copy);
        bed.link(2);
        bed.settle();
        let recovery = recovery(&bed, &rest);
        give_back(&mut bed, &recovery);
        assert!(has_all(&bed.durable, &rest));
        assert!(bed.volumes.contains(&volume[0].id), "its bytes are not touched");
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::TrashVolume(_))));
    }

    #[test]
    fn what_uses_a_volume_that_is_no_more_is_ended_first() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        bed.settle();
        let rest: Vec<Claim> = claims_of(&bed).into_iter().filter(|it| !it.is_volume()).collect();
        let recovery = recovery(&bed, &rest);
        bed.link(2);
        give_back(&mut bed, &recovery);
        assert_ne!(bed.durable.identity.node, LINEAGE, "the task is just ending");
        assert_eq!(bed.task_state("t"), Some(TaskState::Killed));
        bed.link(3);
        give_back(&mut bed, &recovery);
        assert!(has_all(&bed.durable, &rest) && bed.durable.identity.node == LINEAGE);
    }

    #[test]
    fn what_is_for_another_ledger_agent_or_cluster_is_not_taken() {
        let (bed, claims) = lost();
        let good = recovery(&bed, &claims);
        let other_cluster = ClusterId(Uuid::from_u128(77));
        for bad in [
            AgentRecovery { node: NodeId(Uuid::from_u128(77)), ..good.clone() },
            AgentRecovery { cluster: other_cluster, ..good.clone() },
        ] {
            let (mut bed, _) = lost();
            give_back(&mut bed, &bad);
            assert!(bed.durable.claims.is_empty() && bed.durable.identity.node == good.node);
        }
        let mut bed = Bed::registered();
        let named =
            AgentRecovery { agent: AgentId::made("a2".to_owned()), ..recovery(&bed, &claims) };
        bed.link(2);
        give_back(&mut bed, &named);
        assert!(bed.durable.claims.is_empty());
    }
}

//! `recover-plan`: what the recovery of an agent would give back, beside what was found on its disks.
//!
//! Relies on the master's own plan for which claims those are. Never decides anything: what contradicts is said.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_master::{FencedAgent, RecoveryPlan};
use holdfast_model::{AgentId, Claim, ClaimId, DiskId, LabelledVolume, MasterLedger, NodeId};

use crate::rows::{
    KnownBy, LeftVolumeRow, OverClaimRow, Plan, RecoverPlan, RecoveredClaimRow, RecoveredStanding,
};
use crate::{MasterView, Refusal};

/// What a recovery of an agent would do.
///
/// # Errors
/// What the core would say if it were asked for it now.
pub fn recover_plan(
    view: &MasterView,
    agent: &AgentId,
    node: Option<NodeId>,
) -> Result<Plan, Refusal> {
    let plan = view.plan_recovery(agent, node)?;
    let (ledger, from) = (view.ledger(), plan.from);
    let found = Found::of(from);
    let kept: BTreeSet<ClaimId> = plan.claims.iter().map(|it| it.id).collect();
    let left = from.labelled().filter(|(_, it)| !kept.contains(&it.id));
    let orphans = left.map(|(disk, it)| LeftVolumeRow {
        disk: disk.disk.id.to_string(),
        disk_root: disk.disk.root.clone(),
        id: it.id.to_string(),
        role: it.role.clone(),
        size_mb: it.size_mb,
        volume: it.persistence.clone(),
        why: whose(ledger, agent, Some(disk.disk.id), it.id),
    });
    let over = plan.over.iter().map(|it| OverClaimRow {
        claim: it.id.to_string(),
        what: it.resource.to_string(),
        why: whose(ledger, agent, it.disk, it.id),
    });
    // A person looks for the data first; ids are random, and would show the same plan in another order each time.
    let mut claims: Vec<&Claim> = plan.claims.iter().map(|it| &**it).collect();
    let name = |it: &Claim| it.resource.identity.persistence.clone();
    claims.sort_by_key(|it| (name(it).is_none(), name(it), it.id));
    Ok(Plan::Recover(RecoverPlan {
        acknowledged_version: plan.record.ledger_version,
        action: "RECOVER_AGENT".to_owned(),
        agent: agent.to_string(),
        claims: claims.into_iter().map(|it| row(ledger, &plan, &found, it)).collect(),
        hostname: from.hostname.clone(),
        ledger: from.node.to_string(),
        ledger_version: from.ledger_version,
        lost: from.is_lost,
        orphans: orphans.collect(),
        over: over.collect(),
        plan: plan.name(),
    }))
}

/// What an agent has said of its disks, by what is looked for.
struct Found<'a> {
    /// What is wrong with each disk; a new ledger calls each a stranger that carries volumes.
    disks: BTreeMap<DiskId, Option<&'a str>>,
    volumes: BTreeMap<ClaimId, &'a LabelledVolume>,
    /// The claims of the agent's own ledger, with what is wrong with each.
    own: BTreeMap<ClaimId, Option<&'a str>>,
}

impl<'a> Found<'a> {
    fn of(from: &'a FencedAgent) -> Found<'a> {
        let fault = |id: ClaimId| {
            from.faults.iter().find(|(its, _)| *its == id).map(|(_, why)| why.as_str())
        };
        let disks = from.disks.iter();
        Found {
            disks: disks.map(|it| (it.disk.id, it.fault.as_deref())).collect(),
            volumes: from.labelled().map(|(_, it)| (it.id, it)).collect(),
            own: from.claims.iter().map(|it| (it.id, fault(it.id))).collect(),
        }
    }

    /// How a volume was found, and what there is to say about that.
    fn volume(&self, from: &FencedAgent, claim: &Claim) -> (RecoveredStanding, Option<String>) {
        let identity = &claim.resource.identity;
        if let Some(label) = self.volumes.get(&claim.id) {
            let name = identity.persistence.as_ref().map(|it| it.as_str()).unwrap_or_default();
            let role = identity.role();
            if (label.persistence.as_str(), label.role.as_str()) != (name, role.as_str()) {
                let why = format!(
                    "its label says `{}` of role {}; it will be missing as long as that is so",
                    label.persistence, label.role
                );
                return (RecoveredStanding::Conflict, Some(why));
            }
            let size = claim.resource.value.quantity().as_whole();
            let is_other = i64::try_from(label.size_mb) != Ok(size);
            let why =
                || format!("its label says {} MB, the size that it was made with", label.size_mb);
            return (RecoveredStanding::Found, is_other.then(why));
        }
        let fault = claim.disk.and_then(|it| self.disks.get(&it));
        match (fault, self.own.get(&claim.id)) {
            (None, _) => (RecoveredStanding::DiskMissing, claim.disk.map(|it| format!("disk {it} is not among those that the agent has found"))),
            (Some(_), Some(None)) => (RecoveredStanding::Found, None),
            (Some(Some(why)), Some(_)) => (RecoveredStanding::DiskMissing, Some((*why).to_owned())),
            (Some(None), Some(Some(why))) => (RecoveredStanding::NotFound, Some((*why).to_owned())),
            (Some(Some(_)), None) if !from.is_lost => (RecoveredStanding::NotSeen, Some("its disk is there, and this ledger does not know it; whether the volume is on it is seen afterwards".to_owned())),
            (Some(_), None) => (RecoveredStanding::NotFound, Some("its disk is there, and no whole volume of that id is on it".to_owned())),
        }
    }
}

fn row(
    ledger: &MasterLedger,
    plan: &RecoveryPlan<'_>,
    found: &Found<'_>,
    claim: &Claim,
) -> RecoveredClaimRow {
    let identity = &claim.resource.identity;
    let agent = &plan.record.id;
    let is_known = ledger.claims.contains_key(&(agent.clone(), claim.id));
    let (mut state, mut why) = match claim.is_volume() {
        true => found.volume(plan.from, claim),
        false => (RecoveredStanding::Reserved, None),
    };
    let others = claim.disk.into_iter().flat_map(|it| ledger.agents_of_disk(it));
    if let Some(other) = others.into_iter().find(|it| *it != agent) {
        state = RecoveredStanding::Conflict;
        why = Some(format!("agent {other} has volumes on the same disk"));
    }
    RecoveredClaimRow {
        amount: claim.resource.value.quantity().to_f64(),
        claim: claim.id.to_string(),
        disk: claim.disk.map(|it| it.to_string()),
        disk_root: identity.source.as_ref().and_then(|it| it.root.clone()),
        framework: claim.framework.as_ref().map(ToString::to_string),
        known_by: match (is_known, found.own.contains_key(&claim.id)) {
            (true, true) => KnownBy::Both,
            (true, false) => KnownBy::Masters,
            (false, _) => KnownBy::Agent,
        },
        resource: identity.name.clone(),
        role: identity.role().to_string(),
        state,
        volume: identity.persistence.as_ref().map(ToString::to_string),
        why,
    }
}

/// Why something is no claim of the agent any more, or never was.
fn whose(ledger: &MasterLedger, agent: &AgentId, disk: Option<DiskId>, id: ClaimId) -> String {
    if let Some(ended) = ledger.ended.last(agent, id) {
        return match ended.end() {
            Some(end) => format!("it was {} by {}", end.what, end.by),
            None => "it has ended".to_owned(),
        };
    }
    let mut others = disk.into_iter().flat_map(|it| ledger.agents_of_disk(it));
    match others.find(|it| ledger.claims.contains_key(&((*it).clone(), id))) {
        Some(other) => format!("it is agent {other}'s"),
        None => "no claim is known that it stands for".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{
        ClaimState, DiskKind, DiskRecord, DiskReport, Instant, Labels, PersistenceId, Reservation,
        ReservationKind, Resource, Role, Scalar,
    };
    use uuid::Uuid;

    fn volume(id: u128, disk: u128) -> Claim {
        let reservation = Reservation {
            kind: ReservationKind::Dynamic,
            role: Role::parse("db").unwrap(),
            principal: None,
            labels: Labels::default(),
        };
        let name = PersistenceId::parse("v").unwrap();
        let resource = Resource::scalar("disk", Scalar::whole(10)).reserved(reservation);
        Claim {
            id: ClaimId(Uuid::from_u128(id)),
            state: ClaimState::Ready,
            resource: resource.volume(name, "data", None),
            framework: None,
            generation: 1,
            created: Instant(1),
            disk: Some(DiskId(Uuid::from_u128(disk))),
            history: Vec::new(),
            shares: Vec::new(),
            operation: None,
        }
    }

    fn label(id: u128, role: &str, size_mb: u64) -> LabelledVolume {
        let (persistence, role) = ("v".to_owned(), role.to_owned());
        LabelledVolume {
            id: ClaimId(Uuid::from_u128(id)),
            persistence,
            role,
            size_mb,
            principal: None,
            generation: 1,
            shared: false,
        }
    }

    fn disk(id: u128, fault: Option<&str>, orphans: Vec<LabelledVolume>) -> DiskReport {
        let (kind, root) = (DiskKind::Path, format!("/d{id}"));
        DiskReport {
            disk: DiskRecord { id: DiskId(Uuid::from_u128(id)), kind, root, size_mb: 100 },
            fault: fault.map(str::to_owned),
            space: None,
            added: false,
            orphans,
            more_orphans: 0,
        }
    }

    fn fenced(is_lost: bool, disks: Vec<DiskReport>, claims: Vec<Claim>) -> FencedAgent {
        let faults = vec![(ClaimId(Uuid::from_u128(6)), "its label is damaged".to_owned())];
        FencedAgent {
            node: NodeId(Uuid::from_u128(1)),
            agent: AgentId::parse("a").unwrap(),
            is_lost,
            hostname: "h".to_owned(),
            ledger_version: 1,
            disks,
            claims,
            faults,
            at: Instant(1),
        }
    }

    #[test]
    fn what_lies_on_the_disks_decides_how_a_volume_was_found() {
        let labels = vec![label(1, "db", 10), label(2, "db", 7), label(3, "web", 10)];
        let disks = vec![disk(1, Some("it carries 3 volumes"), labels), disk(2, None, Vec::new())];
        let from = fenced(true, disks, Vec::new());
        let found = Found::of(&from);
        let state = |claim: &Claim| found.volume(&from, claim);
        assert_eq!(state(&volume(1, 1)), (RecoveredStanding::Found, None));
        let (resized, why) = state(&volume(2, 1));
        assert!(resized == RecoveredStanding::Found && why.unwrap().contains("7 MB"));
        let (other, why) = state(&volume(3, 1));
        assert!(other == RecoveredStanding::Conflict && why.unwrap().contains("of role web"));
        assert_eq!(state(&volume(4, 1)).0, RecoveredStanding::NotFound);
        assert_eq!(state(&volume(4, 2)).0, RecoveredStanding::NotFound);
        assert_eq!(state(&volume(5, 9)).0, RecoveredStanding::DiskMissing);
    }

    #[test]
    fn an_older_ledger_says_how_its_own_volumes_are_and_nothing_of_disks_that_it_does_not_know() {
        let disks = vec![disk(1, None, Vec::new()), disk(2, Some("a stranger's"), Vec::new())];
        let from = fenced(false, disks, vec![volume(1, 1), volume(6, 1), volume(7, 2)]);
        let found = Found::of(&from);
        let state = |claim: &Claim| found.volume(&from, claim).0;
        assert_eq!(state(&volume(1, 1)), RecoveredStanding::Found);
        assert_eq!(state(&volume(6, 1)), RecoveredStanding::NotFound);
        assert_eq!(state(&volume(8, 2)), RecoveredStanding::NotSeen);
    }
}

//! The agent's introduction: everything that it owns, and what of it cannot be used now.
//!
//! Relies on the ledger for what is owned and on the hands' findings for how it is. Never forgets a
//! claim because its disk is away.

use holdfast_model::{ClaimId, DiskReport, Moment, OperationState, Reason, Report, TaskRecord, TaskState, ToMaster};

use crate::soft::Verdict;
use crate::step::Effect;
use crate::Agent;

impl Agent {
    /// Sends a report on the newest link, if there is one.
    pub(crate) fn report(&mut self, moment: &mut Moment<'_>) {
        self.drop_deferred(moment);
        let Some(master) = &self.soft.master else { return };
        let (link, orders_seen) = (master.link, master.orders_seen);
        let report = self.introduction(orders_seen);
        let pending = report.operations.iter().filter(|it| it.state == OperationState::Pending);
        self.soft.reported_pending = pending.map(|it| it.uuid).collect();
        self.effects.push(Effect::ToMaster(link, ToMaster::Report(Box::new(report))));
    }

    fn introduction(&self, orders_seen: u64) -> Report {
        let identity = &self.ledger.identity;
        // What has ended and was acknowledged is only kept until its container is gone.
        let told = |task: &&TaskRecord| !task.state.is_terminal() || !task.updates.is_empty();
        Report {
            node: identity.node,
            agent: identity.agent.clone(),
            cluster: identity.cluster,
            ledger_version: identity.version,
            orders_seen,
            machine: self.soft.machine.clone().unwrap_or_default(),
            disks: self.disk_reports(),
            claims: self.ledger.claims.values().cloned().collect(),
            faults: self.faults(),
            frameworks: self.ledger.frameworks.values().cloned().collect(),
            executors: self.ledger.executors.values().cloned().collect(),
            tasks: self.ledger.tasks.values().filter(told).cloned().collect(),
            operations: self.ledger.operations.values().cloned().collect(),
            version: self.config.version.clone(),
        }
    }

    fn disk_reports(&self) -> Vec<DiskReport> {
        let known = self.ledger.disks.values().map(|disk| DiskReport { disk: disk.clone(), fault: self.disk_fault(disk.id) });
        let ill = self.soft.disks.iter().filter(|it| !self.ledger.disks.contains_key(&it.disk.id));
        let ill = ill.map(|it| DiskReport { disk: it.disk.clone(), fault: it.fault.clone() });
        known.chain(ill).collect()
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> Vec<(ClaimId, String)> {
        self.ledger.claims.values().filter_map(|claim| Some((claim.id, self.claim_fault(claim)?))).collect()
    }

    /// Launches that are written down nowhere yet are ended before a report that would not name them.
    fn drop_deferred(&mut self, moment: &mut Moment<'_>) {
        for launch in std::mem::take(&mut self.soft.deferred) {
            let why = "an operation before it was still under way when the link to the master was renewed; launch it again";
            let verdict = Verdict::new(TaskState::Dropped, Reason::ResourcesUnknown, why);
            self.refuse_launch(moment, &launch, &verdict);
        }
    }
}

//! The agent's introduction: everything that it owns, and what of it cannot be used now.
//!
//! Relies on the ledger for what is owned and on the hands' findings for how it is. Never forgets a
//! claim because its disk is away, and never sends a report that does not name a launch which may yet
//! be done.

use holdfast_model::{
    ClaimId, DiskReport, OperationState, Reason, Report, StepContext, TaskRecord, TaskState,
    ToMaster,
};

use crate::alarms::Alarm;
use crate::soft::TerminationReason;
use crate::step::Effect;
use crate::Agent;

impl Agent {
    /// Sends a report on the newest link, if there is one. Launches that wait are told `occasion`, a sentence after "when".
    pub(crate) fn report(&mut self, _ctx: &mut StepContext<'_>, occasion: &'static str) {
        if let Some(master) = &mut self.soft.master {
            master.wish = Some(Some(occasion));
        }
    }

    /// Ends the step; says whether anything was reported.
    pub(crate) fn grant_wish(&mut self, ctx: &mut StepContext<'_>) -> bool {
        let wish = self.soft.master.as_mut().and_then(|it| it.wish.take());
        match wish {
            None => false,
            Some(Some(occasion)) => {
                self.report_now(ctx, occasion);
                true
            }
            Some(None) if self.soft.deferred.is_empty() => {
                self.report_now(ctx, "there was news for the master");
                true
            }
            Some(None) => {
                self.soft.set_earlier(Alarm::News, ctx.now.plus_ms(self.config.disk_look_ms));
                false
            }
        }
    }

    fn report_now(&mut self, ctx: &mut StepContext<'_>, occasion: &str) {
        let Some(master) = &self.soft.master else { return };
        let (link, orders_seen) = (master.link, master.orders_seen);
        self.soft.alarms.clear(&Alarm::News);
        self.drop_deferred(ctx, occasion);
        let report = self.introduction(orders_seen);
        let pending = report.operations.iter().filter(|it| it.state == OperationState::Pending);
        self.soft.reported_pending = pending.map(|it| it.uuid).collect();
        self.effects.push(Effect::ToMaster(link, ToMaster::Report(Box::new(report))));
    }

    /// Reports what the master has not asked for: at once if no launch waits, or else as soon as none does. The news wait no longer
    /// than they might have gone unnoticed anyway, since what a launch waits for may never come.
    pub(crate) fn report_news(&mut self, _ctx: &mut StepContext<'_>) {
        if let Some(master) = &mut self.soft.master {
            master.wish.get_or_insert(None);
        }
    }

    /// Reports the news that waited for launches, now that none waits.
    pub(crate) fn report_late_news(&mut self, ctx: &mut StepContext<'_>) {
        if self.soft.deferred.is_empty() && self.soft.alarms.at(&Alarm::News).is_some() {
            self.report_news(ctx);
        }
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
        let known = self
            .ledger
            .disks
            .values()
            .map(|disk| DiskReport { disk: disk.clone(), fault: self.disk_fault(disk.id) });
        let ill = self.soft.disks.iter().filter(|it| !self.ledger.disks.contains_key(&it.disk.id));
        let ill = ill.map(|it| DiskReport { disk: it.disk.clone(), fault: it.fault.clone() });
        known.chain(ill).collect()
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> Vec<(ClaimId, String)> {
        self.ledger
            .claims
            .values()
            .filter_map(|claim| Some((claim.id, self.claim_fault(claim)?)))
            .collect()
    }

    /// Launches that are written down nowhere yet are ended before a report that would not name them: the master takes a task that is
    /// missing there for one that was lost.
    fn drop_deferred(&mut self, ctx: &mut StepContext<'_>, occasion: &str) {
        for launch in std::mem::take(&mut self.soft.deferred) {
            let why = format!("what it needs was still under way when {occasion}; launch it again");
            let termination =
                TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why);
            self.refuse_launch(ctx, &launch, &termination);
        }
    }
}

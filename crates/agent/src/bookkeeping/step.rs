//! One step of the agent: the time, fresh ids, the settings, and the record that the step writes.
//!
//! Relies on [`Record`], which it stands for. Never outlives the step.

use std::ops::{Deref, DerefMut};

use holdfast_model::claim::{self, ClaimChanges, Making};
use holdfast_model::{
    Claim, ClaimAction, FrameworkId, IdSource, Identity, Instant, NotTaken, OperationUuid,
    Ownership, StepContext,
};
use holdfast_model::{ContainerId, StatusUuid};

use super::records::disk_of;
use super::Record;
use crate::parts::Alarm;
use crate::Config;

/// See the file.
pub(crate) struct Step<'a> {
    now: Instant,
    ids: &'a mut dyn IdSource,
    config: &'a Config,
    record: &'a mut Record,
}

impl Deref for Step<'_> {
    type Target = Record;

    fn deref(&self) -> &Record {
        self.record
    }
}

impl DerefMut for Step<'_> {
    fn deref_mut(&mut self) -> &mut Record {
        self.record
    }
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        ctx: &'a mut StepContext<'_>,
        config: &'a Config,
        record: &'a mut Record,
    ) -> Step<'a> {
        Step { now: ctx.now, ids: &mut *ctx.ids, config, record }
    }

    /// The same step on another record, to try something.
    pub(crate) fn on<'b>(&'b mut self, record: &'b mut Record) -> Step<'b> {
        Step { now: self.now, ids: &mut *self.ids, config: self.config, record }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn config(&self) -> &'a Config {
        self.config
    }

    pub(crate) fn fresh_status(&mut self) -> StatusUuid {
        StatusUuid(self.ids.fresh())
    }

    /// Writes down, once, that this process has the ledger.
    pub(crate) fn start_history(&mut self) {
        let process = self.ids.fresh().as_u128();
        self.record.start(process);
    }

    pub(crate) fn fresh_container(&mut self) -> ContainerId {
        ContainerId(self.ids.fresh())
    }

    /// Sets an alarm in so many milliseconds, in place of an earlier one of that name.
    pub(crate) fn set_alarm(&mut self, alarm: Alarm, in_ms: u64) {
        let at = self.now.plus_ms(in_ms);
        self.alarms_mut().set(alarm, at);
    }

    /// Sets the alarm that sends an update again.
    pub(crate) fn retry_update(&mut self, alarm: Alarm) {
        let (now, config) = (self.now, self.config);
        let (min_ms, max_ms) = (config.update_retry_min_ms, config.update_retry_max_ms);
        self.alarms_mut().retry(alarm, now, min_ms, max_ms);
    }

    /// What an operation of this name does to the claims.
    pub(crate) fn claim_changes(
        &mut self,
        action: &ClaimAction,
        (operation, framework): (OperationUuid, Option<&FrameworkId>),
        ownership: &Ownership,
        by: &str,
    ) -> Result<ClaimChanges, NotTaken> {
        let operation = Some(operation);
        self.making(framework, ownership, operation, by, |it| claim::changes(action, it))
    }

    /// What gives the space of a volume that is no more back to the reservations that it came from.
    pub(crate) fn give_back(&mut self, volume: &Claim, by: &str) -> ClaimChanges {
        let ownership = Ownership::default();
        self.making(None, &ownership, None, by, |it| claim::give_back(volume, it))
    }

    fn making<T>(
        &mut self,
        framework: Option<&FrameworkId>,
        ownership: &Ownership,
        operation: Option<OperationUuid>,
        by: &str,
        work: impl FnOnce(&mut Making<'_>) -> T,
    ) -> T {
        let ledger = self.record.ledger();
        let disk_of = |identity: &Identity| disk_of(ledger, identity);
        let claims_with = |identity: &Identity| ledger.claims_with(identity).cloned().collect();
        work(&mut Making {
            now: self.now,
            framework,
            ownership,
            operation,
            by,
            ids: &mut *self.ids,
            disk_of: &disk_of,
            claims_with: &claims_with,
        })
    }
}

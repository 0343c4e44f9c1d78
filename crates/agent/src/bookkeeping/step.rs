//! One step of the agent: the time, fresh ids, the settings, and the record that the step writes.
//!
//! Relies on [`Record`], which it stands for. Never outlives the step.

use std::ops::{Deref, DerefMut};

use holdfast_model::claim::{self, ClaimChanges, Making};
use holdfast_model::{
    Claim, ClaimAction, FrameworkId, IdSource, Identity, Instant, Resource, StepContext,
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

    /// What an action does to the claims.
    pub(crate) fn claim_changes(
        &mut self,
        action: &ClaimAction,
        framework: Option<&FrameworkId>,
        by: &str,
    ) -> ClaimChanges {
        let ledger = self.record.ledger();
        let disk_of = |identity: &Identity| disk_of(ledger, identity);
        let claims_with = |identity: &Identity| ledger.claims_with(identity).cloned().collect();
        let mut making = Making {
            now: self.now,
            framework,
            by,
            ids: &mut *self.ids,
            disk_of: &disk_of,
            claims_with: &claims_with,
        };
        claim::changes(action, &mut making)
    }

    /// What gives the space of a volume that is no more back to its reservation. A RESERVE of what the machine has, under the
    /// volume's whole stack of reservations, is just that: it takes from no claim, and grows or makes the innermost one.
    pub(crate) fn give_back(&mut self, volume: &Claim, by: &str) -> ClaimChanges {
        let reserved = volume.resource.without_volume();
        let base = Resource { identity: reserved.identity.base(), ..reserved.clone() };
        let action = ClaimAction::Reserve { resources: vec![reserved], source: vec![base] };
        let mut changes = self.claim_changes(&action, volume.framework.as_ref(), by);
        for last in changes.kept.iter_mut().filter_map(|it| it.history.last_mut()) {
            "given back by a volume".clone_into(&mut last.what);
        }
        changes
    }
}

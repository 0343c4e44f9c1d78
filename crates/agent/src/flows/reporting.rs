//! The agent's introduction: everything that it owns, and what of it cannot be used now.
//!
//! Relies on the ledger for what is owned and on the drivers' findings for how it is. Never forgets a
//! claim because its disk is away, and never sends a report that does not name a launch which may yet
//! be done.

use holdfast_model::{OperationState, Reason, Report, TaskRecord, TaskState, Term, ToMaster};

use super::launching::drop_launches;
use crate::bookkeeping::faults::{disk_reports, Findings};
use crate::bookkeeping::looks::is_lost;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{
    Alarm, Containers, Disks, MasterLink, ReportWish, Tasks, TerminationReason, Waiting,
};

/// Sends a report if one is wanted; says whether it did.
///
/// What the master has not asked for waits until no launch does, but no longer than it might have gone unnoticed anyway, since what a
/// launch waits for may never come.
pub(crate) fn report_if_wanted(
    step: &mut Step<'_>,
    disks: &Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
) -> bool {
    if is_lost(step.ledger()) && disks.machine().is_none() {
        return false; // What its disks carry is what it has to tell.
    }
    let launches_wait = 0 < waiting.launches().len();
    if !launches_wait && step.alarms().at(&Alarm::News).is_some() {
        master.want_report(ReportWish::News);
    }
    let when = match master.take_wish() {
        None => return false,
        Some(ReportWish::News) if launches_wait => {
            let at = step.now().plus_ms(step.config().disk_look_ms);
            step.alarms_mut().set_earlier(Alarm::News, at);
            return false;
        }
        Some(ReportWish::News) => "there was news for the master",
        Some(ReportWish::Now { when }) => when,
    };
    let link = master.link().expect("a report is wanted on a link");
    step.alarms_mut().clear(&Alarm::News);
    // The master takes a task that is missing in a report for one that was lost; launches that wait are written down nowhere yet.
    let why = format!("what it needs was still under way when {when}; launch it again");
    let termination = TerminationReason::new(TaskState::Dropped, Reason::ResourcesUnknown, why);
    drop_launches(step, containers, tasks, master, waiting, &termination, |_| true);
    step.start_history();
    let report = introduction(step, disks, master.orders_seen());
    let pending = report.operations.iter().filter(|it| it.state == OperationState::Pending);
    master.note_pending(pending.map(|it| it.uuid));
    step.push(Effect::ToMaster(link, ToMaster::Report(Box::new(report))));
    step.note_told();
    true
}

fn introduction(step: &Step<'_>, disks: &Disks, orders_seen: u64) -> Report {
    let ledger = step.ledger();
    let identity = &ledger.identity;
    // What has ended and was acknowledged is only kept until its container is gone.
    let told = |task: &&TaskRecord| !task.state.is_terminal() || !task.updates.is_empty();
    Report {
        node: identity.node,
        agent: identity.agent.clone(),
        cluster: identity.cluster,
        ledger_version: identity.version,
        orders_seen,
        machine: disks.machine().map(|it| (**it).clone()).unwrap_or_default(),
        disks: disk_reports(step, disks),
        full: disks.full().cloned(),
        claims: ledger.claims.values().cloned().collect(),
        faults: Findings::of(step, disks).faults(ledger),
        frameworks: ledger.frameworks.values().cloned().collect(),
        executors: ledger.executors.values().cloned().collect(),
        tasks: ledger.tasks.values().filter(told).cloned().collect(),
        operations: ledger.operations.values().cloned().collect(),
        version: step.config().version.clone(),
        claims_generation: identity.claims_generation,
        history: step.history(),
        // One that ignores terms does not tell its own either, as agents before this message did not.
        term: match step.config().is_planted("agent-ignores-terms") {
            true => Term(0),
            false => identity.term,
        },
    }
}

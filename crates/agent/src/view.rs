//! How the agent is, for everybody but the core: a view is published after each batch and read on other threads.
//!
//! Relies on maps that share what did not change, so that a view costs next to nothing. Never looks at the core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_model::{
    AgentIdentity, AgentLedger, Claim, ClaimId, ContainerId, DiskId, ExecutorKey, MachineInfo,
    Resources, SharedMap, VolumeUsed,
};

use crate::bookkeeping::faults::Findings;
use crate::bookkeeping::records::live_tasks;
use crate::contract::UsedSpace;
use crate::parts::{used_by, LiveContainer};
use crate::Agent;

/// The agent at one moment. Cheap to make, to clone and to keep.
#[derive(Clone, Debug)]
pub struct AgentView {
    ledger: AgentLedger,
    containers: SharedMap<ExecutorKey, LiveContainer>,
    machine: Option<Arc<MachineInfo>>,
    total: Resources,
    disk_faults: Arc<BTreeMap<DiskId, String>>,
    volume_faults: SharedMap<ClaimId, String>,
    misfits: Arc<BTreeSet<ClaimId>>,
    measured: Arc<BTreeMap<DiskId, UsedSpace>>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    linked: bool,
    registered: bool,
    waiting_operations: usize,
    waiting_launches: usize,
}

/// An executor's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorView {
    /// Whose, and which.
    pub key: ExecutorKey,
    /// Its container.
    pub container: ContainerId,
    /// Where it is in its life: `recovering`, `waiting` (for its volumes), `starting`, `running`, `ending` or `destroying`.
    pub phase: &'static str,
    /// Whether it has a link to the agent.
    pub connected: bool,
    /// Volumes that its container may see.
    pub mounted: Vec<ClaimId>,
    /// How many of its tasks have not ended.
    pub live_tasks: usize,
}

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who it is.
    pub identity: AgentIdentity,
    /// Whether there is a link to a master.
    pub linked: bool,
    /// Whether that master has welcomed it.
    pub registered: bool,
    /// The machine; `None` until its disks are open.
    pub machine: Option<MachineInfo>,
    /// What it has, with all claims laid on it.
    pub total: Resources,
    /// Claims that cannot be used now, and why.
    pub faults: Vec<(ClaimId, String)>,
    /// Executors.
    pub executors: Vec<ExecutorView>,
    /// Operations that wait for others.
    pub waiting_operations: usize,
    /// Launches that wait for operations.
    pub waiting_launches: usize,
}

impl AgentView {
    /// What survives a crash.
    pub fn ledger(&self) -> &AgentLedger {
        &self.ledger
    }

    /// What the machine has, with all claims laid on it; nothing until its disks are open.
    pub fn total(&self) -> &Resources {
        &self.total
    }

    /// The machine; `None` until its disks are open.
    pub fn machine(&self) -> Option<&MachineInfo> {
        self.machine.as_deref()
    }

    /// Whether a master has welcomed the agent.
    pub fn is_registered(&self) -> bool {
        self.counts.registered
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> Vec<(ClaimId, String)> {
        let findings = Findings {
            are_opened: self.machine.is_some(),
            disks: &self.disk_faults,
            volumes: &self.volume_faults,
            misfits: &self.misfits,
        };
        findings.faults(&self.ledger)
    }

    /// What a volume was last found to use; `None` as long as it was not measured since the agent was started.
    pub fn used(&self, volume: &Claim) -> Option<VolumeUsed> {
        used_by(&self.measured, volume)
    }

    /// What the volumes of each disk were last found to use.
    pub fn measured(&self) -> &BTreeMap<DiskId, UsedSpace> {
        &self.measured
    }

    /// All of it, for checks.
    pub fn status(&self) -> Status {
        Status {
            identity: self.ledger.identity.clone(),
            linked: self.counts.linked,
            registered: self.counts.registered,
            machine: self.machine().cloned(),
            total: self.total.clone(),
            faults: self.faults(),
            executors: self.executors(),
            waiting_operations: self.counts.waiting_operations,
            waiting_launches: self.counts.waiting_launches,
        }
    }

    /// Executors, in the order of their names.
    pub fn executors(&self) -> Vec<ExecutorView> {
        let executors = self.ledger.executors.iter();
        executors.map(|(key, it)| self.executor(key, it.container)).collect()
    }

    fn executor(&self, key: &ExecutorKey, container: ContainerId) -> ExecutorView {
        let live = &self.containers[key];
        ExecutorView {
            key: key.clone(),
            container,
            phase: live.phase().name(),
            connected: live.link().is_some(),
            mounted: live.mounted().iter().copied().collect(),
            live_tasks: live_tasks(&self.ledger, key).len(),
        }
    }
}

impl Agent {
    /// The agent as it is now, for readers on other threads.
    pub fn view(&self) -> AgentView {
        AgentView {
            ledger: self.ledger().clone(),
            containers: self.containers.live().clone(),
            machine: self.disks.machine().cloned(),
            total: self.total().clone(),
            disk_faults: self.disks.faults().clone(),
            volume_faults: self.disks.volumes().faults().clone(),
            misfits: self.record.totals().misfits().clone(),
            measured: self.disks.measured().clone(),
            counts: Counts {
                linked: self.master.link().is_some(),
                registered: self.master.welcomed().is_some(),
                waiting_operations: self.waiting.operations().len(),
                waiting_launches: self.waiting.launches().len(),
            },
        }
    }

    /// What the machine has, with all claims laid on it; nothing until its disks are open.
    pub fn total(&self) -> &Resources {
        self.record.totals().total()
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> Vec<(ClaimId, String)> {
        self.view().faults()
    }

    /// How the agent is.
    pub fn status(&self) -> Status {
        self.view().status()
    }
}

#[cfg(test)]
mod tests {
    use crate::testbed::{task_key, Bed};

    #[test]
    fn a_view_shows_what_was_when_it_was_made() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("t", &[bed.volume()]);
        let before = bed.agent.view();
        bed.settle();
        let after = bed.agent.view();
        let phase = |view: &super::AgentView| view.executors()[0].phase;
        assert_eq!((phase(&before), phase(&after)), ("starting", "running"));
        assert!(!before.ledger().tasks[&task_key("t")].delivered);
        assert_eq!((after.ledger(), after.status()), (bed.agent.ledger(), bed.agent.status()));
        assert!(before.is_registered() && before.machine().is_some());
    }
}

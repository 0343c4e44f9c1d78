//! How the agent is, for operators and for checks. Only looks.

use holdfast_model::{AgentIdentity, ClaimId, ContainerId, ExecutorKey, MachineInfo, Resources};

use crate::bookkeeping::faults::faults;
use crate::bookkeeping::records::live_tasks;
use crate::Agent;

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

impl Agent {
    /// What the machine has, with all claims laid on it; nothing until its disks are open.
    pub fn total(&self) -> &Resources {
        self.record.totals().total()
    }

    /// Claims that cannot be used now, and why.
    pub fn faults(&self) -> Vec<(ClaimId, String)> {
        faults(&self.record, &self.disks)
    }

    /// How the agent is.
    pub fn status(&self) -> Status {
        Status {
            identity: self.ledger().identity.clone(),
            linked: self.master.link().is_some(),
            registered: self.master.welcomed().is_some(),
            machine: self.disks.machine().cloned(),
            total: self.total().clone(),
            faults: self.faults(),
            executors: self
                .ledger()
                .executors
                .iter()
                .map(|(key, it)| self.executor_view(key, it.container))
                .collect(),
            waiting_operations: self.waiting.operations().len(),
            waiting_launches: self.waiting.launches().len(),
        }
    }

    fn executor_view(&self, key: &ExecutorKey, container: ContainerId) -> ExecutorView {
        let live = self.containers.of(key);
        ExecutorView {
            key: key.clone(),
            container,
            phase: live.phase().name(),
            connected: live.link().is_some(),
            mounted: live.mounted().iter().copied().collect(),
            live_tasks: live_tasks(self.ledger(), key).len(),
        }
    }
}

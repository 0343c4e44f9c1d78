//! What an agent says about its machine: taken over whole from each report; in between, news of the space on its disks.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_model::convert::offer_constraints::traits;
use holdfast_model::{ClaimId, DiskReport, MachineInfo, Resources, Traits};

/// The machine, as last reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    machine: MachineInfo,
    /// What offer constraints look at of it, which is read once.
    traits: Arc<Traits>,
    disks: Vec<DiskReport>,
    /// Why nothing new may be begun, because the agent's own file system is nearly full.
    full: Option<String>,
    /// Claims that cannot be used now, and why.
    faults: BTreeMap<ClaimId, String>,
    /// Whether claims no longer fit on what the machine has.
    has_misfits: bool,
    /// The version of Holdfast that the agent runs.
    version: String,
}

impl Description {
    /// What a report says; `misfits` are claims that no longer fit on what the machine has.
    pub(crate) fn new(
        machine: MachineInfo,
        disks: Vec<DiskReport>,
        faults: Vec<(ClaimId, String)>,
        misfits: impl IntoIterator<Item = ClaimId>,
        version: String,
    ) -> Description {
        let mut faults: BTreeMap<ClaimId, String> = faults.into_iter().collect();
        let mut has_misfits = false;
        for misfit in misfits {
            has_misfits = true;
            faults
                .entry(misfit)
                .or_insert_with(|| "it no longer fits on what the machine has".to_owned());
        }
        let traits = Arc::new(traits(&machine));
        Description { machine, traits, disks, full: None, faults, has_misfits, version }
    }

    /// Whether anything new may be begun.
    pub(crate) fn set_full(&mut self, full: Option<String>) {
        self.full = full;
    }

    pub(super) fn full(&self) -> Option<&String> {
        self.full.as_ref()
    }

    pub(super) fn machine(&self) -> &MachineInfo {
        &self.machine
    }

    pub(super) fn traits(&self) -> &Arc<Traits> {
        &self.traits
    }

    /// There is more or less of the disks.
    pub(super) fn set_space(&mut self, resources: Resources, disks: Vec<DiskReport>) {
        self.machine.resources = resources;
        self.disks = disks;
    }

    pub(super) fn disks(&self) -> &[DiskReport] {
        &self.disks
    }

    pub(super) fn faults(&self) -> &BTreeMap<ClaimId, String> {
        &self.faults
    }

    pub(super) fn has_misfits(&self) -> bool {
        self.has_misfits
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_the_agent_says_of_a_fault_stands_before_what_we_found() {
        let claim = |number| ClaimId(Uuid::from_u128(number));
        let faults = vec![(claim(1), "its disk is away".to_owned())];
        let it = Description::new(
            MachineInfo::default(),
            Vec::new(),
            faults,
            [claim(1), claim(2)],
            String::new(),
        );
        assert_eq!(it.faults()[&claim(1)], "its disk is away");
        assert!(it.faults()[&claim(2)].contains("no longer fits"));
    }
}

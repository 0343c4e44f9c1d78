//! V2: nothing of a volume is removed unless somebody asked to destroy that very volume; and its label says whether several tasks may use
//! it at a time, so that it can be found again as what it is.
//!
//! It relies on who asked for what. It never accepts that a byte went because time passed, a launch
//! failed or an agent restarted.

use holdfast_model::{ClaimState, Instant};

use super::known::Known;
use super::{Checked, Rule, Truth};
use crate::agenda::Node;
use crate::fact::Fact;

/// Rule V2.
pub(crate) struct BytesKept;

impl Rule for BytesKept {
    fn letters(&self) -> &'static str {
        "V2"
    }

    fn see(&mut self, _now: Instant, known: &Known, fact: &Fact<'_>) -> Checked {
        let (Fact::VolumeTrashed { machine, label } | Fact::VolumePurged { machine, label }) = fact
        else {
            return Ok(());
        };
        let asked = known.destroyed.iter().any(|(agent, role, name)| {
            known.machines.get(agent) == Some(machine)
                && role.to_string() == label.role
                && *name == label.persistence
        });
        if asked {
            return Ok(());
        }
        Err(format!(
            "volume {} of machine {machine} went to the trash, and nobody asked to destroy it",
            label.persistence
        ))
    }

    /// A volume that an agent calls ready is there, with every record that was called safe.
    fn check_healed(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        (0..truth.machines.len()).try_for_each(|index| check_machine(known, truth, index))
    }

    fn check(&mut self, known: &Known, truth: &Truth<'_>) -> Checked {
        for node in truth.touched {
            if let Node::Machine(index) = node {
                check_machine(known, truth, *index)?;
            }
        }
        Ok(())
    }
}

fn check_machine(known: &Known, truth: &Truth<'_>, index: usize) -> Checked {
    let machine = &truth.machines[index];
    for claim in machine
        .proven()
        .claims
        .values()
        .filter(|it| it.is_volume() && it.state == ClaimState::Ready)
    {
        let volume = machine.disks.iter().find_map(|disk| disk.mounted_volume(&claim.id));
        let Some(volume) = volume else {
            return Err(format!(
                "machine {index} calls {} ready, and it is on none of its disks",
                claim.resource
            ));
        };
        if volume.label.shared != claim.resource.identity.shared {
            return Err(format!(
                "{} of machine {index} is {}shared, and its label says the opposite",
                claim.resource,
                if volume.label.shared { "not " } else { "" }
            ));
        }
        let safe = known.records.get(&claim.id).copied().unwrap_or(0);
        if volume.bytes.synced < safe {
            return Err(format!(
                "{} of machine {index} holds {} records, {safe} were called safe",
                claim.resource, volume.bytes.synced
            ));
        }
    }
    Ok(())
}

//! What this machine can do for containers and volumes, and what to do about what it cannot.
//!
//! Relies on `containers` and `volumes`, which try things for real. Never changes anything, and needs no master.

use std::path::PathBuf;

use holdfast_model::DiskKind;
use holdfast_volumes::{DiskConfig, Finding};

use crate::agent_process::disks::kind_on_disk;

/// Looks at the machine, and at each disk as an agent would use it.
pub fn examine(disks: Vec<(DiskKind, PathBuf)>) -> Vec<Finding> {
    let containers = holdfast_containers::doctor().into_iter().map(|it| Finding {
        name: it.name.to_owned(),
        ok: it.ok,
        detail: it.detail,
        advice: it.advice,
    });
    let disks: Vec<DiskConfig> = disks
        .into_iter()
        .map(|(kind, root)| DiskConfig { kind: kind_on_disk(kind), root })
        .collect();
    containers.chain(holdfast_volumes::limits(&disks)).collect()
}

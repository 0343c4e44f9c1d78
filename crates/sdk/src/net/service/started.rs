//! The spec that a service was last started with: a spec file is an order only when it has changed
//! since. Otherwise a scheduler that is started anew with its old file would take back what
//! `service update` has rolled out in the meantime.
//!
//! It relies on a file beside the ledger. It never takes an unreadable one for an order: where
//! nothing is known, the file that it is started with counts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::super::spec_file::{parse_spec, spec_text};
use crate::pods::ServiceLedger;
use crate::spec::ServiceSpec;

/// The name of the file in the ledger's directory.
const FILE: &str = "started.toml";

/// The spec to start with: the one that is given, or, if that is the one of the last start, the one
/// in force.
pub(super) fn spec_to_start(dir: &Path, given: ServiceSpec, ledger: &ServiceLedger) -> ServiceSpec {
    let Some((_, in_force)) = ledger.wanted() else { return given };
    match last(dir) {
        Some(last) if last == given && *in_force != given => {
            tracing::info!("the spec file is the one of the last start; the spec that was put in force since then stays: `holdfast service update FILE` changes it");
            in_force.clone()
        }
        _ => given,
    }
}

fn last(dir: &Path) -> Option<ServiceSpec> {
    let bytes = fs::read(dir.join(FILE)).ok()?;
    parse_spec(FILE, &bytes).ok()
}

/// Writes the spec of this start down, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(dir: &Path, given: &ServiceSpec) -> io::Result<()> {
    let new = dir.join(format!("{FILE}.new"));
    let mut file = File::create(&new)?;
    file.write_all(spec_text(given).as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::testbed::ring;

    #[test]
    fn a_file_is_an_order_only_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (first, mut updated, mut third) = (ring(), ring(), ring());
        updated.pods[0].tasks[1].mem_mb += 1;
        third.pods[0].tasks[1].mem_mb += 2;
        let mut ledger = ServiceLedger::default();
        assert_eq!(spec_to_start(dir.path(), first.clone(), &ledger), first);
        write(dir.path(), &first).unwrap();
        ledger.specs.insert(2, updated.clone());
        assert_eq!(spec_to_start(dir.path(), first.clone(), &ledger), updated);
        assert_eq!(spec_to_start(dir.path(), third.clone(), &ledger), third);
        write(dir.path(), &third).unwrap();
        assert_eq!(spec_to_start(dir.path(), first.clone(), &ledger), first);
        fs::write(dir.path().join(FILE), b"\xff").unwrap();
        assert_eq!(spec_to_start(dir.path(), first.clone(), &ledger), first);
    }
}

//! Proves that a disk takes a write and brings it to rest.
//!
//! What it is for: a disk that has hung is not believed by a mere look, for what is in the kernel's
//! memory can be read from a disk that is long dead. What it relies on: a directory that is made and
//! synced has reached the disk. What it never does: touch a volume, or leave anything behind that a
//! later proof or [`crate::sweep_unmade`] would not clear away.

use crate::disk::{DiskFault, OpenDisk, MAKING};
use crate::folder::{EnterFault, PRIVATE_MODE};

/// The directory that is made for a moment.
const PROOF: &str = "proof";

/// Makes a directory, syncs it, and removes it again. To be called when no `make_volume` is under
/// way on the disk.
///
/// # Errors
/// The [`DiskFault`] that makes the disk unfit.
pub fn prove_writable(disk: &OpenDisk) -> Result<(), DiskFault> {
    let entered = disk.enter()?;
    let opening = |fault: EnterFault| disk.io("make a directory")(fault.into_io());
    let making = entered.folder.make(MAKING, PRIVATE_MODE).map_err(opening)?;
    making.make(PROOF, PRIVATE_MODE).map_err(opening)?;
    making.sync().map_err(disk.io("sync a directory"))?;
    making.remove_dir(PROOF).map_err(disk.io("remove a directory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};
    use crate::sweep_unmade;
    use crate::testbed::Bed;

    #[test]
    fn a_proof_is_synced_and_leaves_nothing() {
        let bed = Bed::new();
        let (result, steps) = record(|| prove_writable(&bed.disk));
        result.unwrap();
        assert!(steps.iter().any(|it| it.starts_with("sync making")), "{steps:?}");
        assert_eq!(std::fs::read_dir(bed.folder().join("making")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_leaves_of_it_is_swept() {
        for n in 0.. {
            let bed = Bed::new();
            let (_, crashed) = crash_at(n, || prove_writable(&bed.disk));
            sweep_unmade(&bed.disk).unwrap();
            assert_eq!(std::fs::read_dir(bed.folder().join("making")).unwrap().count(), 0);
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn a_disk_that_is_away_proves_nothing() {
        let bed = Bed::new();
        std::fs::rename(&bed.disk.config().root, bed.dir.path().join("away")).unwrap();
        assert!(matches!(prove_writable(&bed.disk), Err(DiskFault::Missing { .. })));
    }
}

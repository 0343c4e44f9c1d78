//! Looks at a disk's label, and whether it carries volumes, without using the disk.
//!
//! What it is for: an agent whose ledger is new finds out whether its disks were used before. What it relies on: labels. What it never
//! does: write, mend or lock anything.

use crate::disk::{io_fault, open_root, read_label, DiskConfig, DiskFault, VOLUMES};
use crate::folder::EnterFault;
use crate::label::DiskLabel;
use crate::label_pair::Repairing;

/// What a disk that was used before says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// Its label.
    pub label: DiskLabel,
    /// Whether there is anything among its volumes.
    pub carries_volumes: bool,
}

/// Looks at a disk; `None` when it bears no label.
///
/// # Errors
/// The [`DiskFault`] that keeps it from being read.
pub fn peek_disk(config: &DiskConfig) -> Result<Option<Peeked>, DiskFault> {
    let root = open_root(config)?;
    let Some(entered) = read_label(&root, Repairing::No)? else { return Ok(None) };
    let io = io_fault(&config.root, "look at its volumes");
    let carries_volumes = match entered.folder.enter(VOLUMES) {
        Ok(volumes) => !volumes.names().map_err(io)?.is_empty(),
        Err(EnterFault::Absent) => false,
        Err(fault) => return Err(io(fault.into_io())),
    };
    Ok(Some(Peeked { label: entered.pair.label, carries_volumes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskKind;
    use crate::steps::record;
    use crate::testbed::{disk_label, Bed};

    #[test]
    fn a_disk_is_looked_at_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let blank = DiskConfig { kind: DiskKind::Path, root: dir.path().to_path_buf() };
        let (peeked, steps) = record(|| peek_disk(&blank).unwrap());
        assert_eq!((peeked, steps), (None, Vec::new()));
        let bed = Bed::new();
        let peek = || record(|| peek_disk(bed.disk.config()).unwrap().unwrap());
        let (label, empty) = (disk_label(1), Vec::<String>::new());
        let expected = |carries_volumes| Peeked { label: label.clone(), carries_volumes };
        assert_eq!(peek(), (expected(false), empty.clone()));
        bed.filled_volume(1);
        assert_eq!(peek(), (expected(true), empty));
        let gone = DiskConfig { kind: DiskKind::Path, root: dir.path().join("gone") };
        assert!(matches!(peek_disk(&gone), Err(DiskFault::Missing { .. })));
    }
}

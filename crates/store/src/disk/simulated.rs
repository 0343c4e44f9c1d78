//! A disk that keeps only what it must: unsynced writes may be lost, reordered and torn at sectors
//! when the power is cut.
//!
//! It is deterministic: all that it does follows from its seed and its fault plan. It is a value,
//! so that a simulated world can be cloned. It never loses what was synced, and never is kinder
//! than its contract.

use super::Disk;
use std::collections::BTreeMap;
use std::io;

/// A sector is written whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// The faults to inject. Operations are counted from 1 over the life of the disk
/// ([`SimulatedDisk::operations`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// This operation and all later ones fail: the process died there. The disk is read again after
    /// [`SimulatedDisk::cut_power`].
    pub crash_at: Option<u64>,
    /// The write with this operation number fails, as on a full disk; later ones work.
    pub fail_write_at: Option<u64>,
    /// The sync with this operation number fails. As on Linux, what it covered is then marked
    /// clean: no later sync saves it.
    pub fail_sync_at: Option<u64>,
    /// Unsynced writes survive a power cut as a prefix in the order they were made; else each
    /// sector survives at random.
    pub in_order: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    /// The bytes that a reader sees.
    seen: Vec<u8>,
    /// The bytes that survive a power cut.
    kept: Vec<u8>,
    /// Writes that a sync would make durable.
    dirty: Vec<(u64, Vec<u8>)>,
    /// Writes that a failed sync marked clean.
    dropped: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum NameChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

/// A simulated directory of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulatedDisk {
    random: u64,
    faults: DiskFaults,
    operations: u64,
    next_inode: u64,
    contents: BTreeMap<u64, Content>,
    names: BTreeMap<String, u64>,
    kept_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    power_cuts: u64,
    syncs: u64,
}

impl SimulatedDisk {
    /// Makes an empty disk whose random choices follow from `seed`.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk { random: seed, ..SimulatedDisk::default() }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&mut self, faults: DiskFaults) {
        self.faults = faults;
    }

    /// The number of operations so far, which a fault plan refers to.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The number of syncs of contents so far.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Cuts the power: a random part of what was not synced survives. Then the machine is up again,
    /// with no faults planned.
    pub fn cut_power(&mut self) {
        let in_order = self.faults.in_order;
        for mut content in std::mem::take(&mut self.contents) {
            let unsynced: Vec<(u64, Vec<u8>)> =
                content.1.dropped.drain(..).chain(content.1.dirty.drain(..)).collect();
            let survivors = if in_order {
                self.below(unsynced.len() as u64 + 1)
            } else {
                unsynced.len() as u64
            };
            for (offset, bytes) in unsynced.into_iter().take(survivors as usize) {
                self.keep_some_sectors(&mut content.1.kept, offset, &bytes, in_order);
            }
            content.1.seen = content.1.kept.clone();
            self.contents.insert(content.0, content.1);
        }
        // A journaling file system keeps the order of changes to a directory, and loses a suffix of
        // them.
        let changes = std::mem::take(&mut self.name_changes);
        let survivors = self.below(changes.len() as u64 + 1) as usize;
        for change in changes.into_iter().take(survivors) {
            change_names(&mut self.kept_names, change);
        }
        self.names = self.kept_names.clone();
        let named: Vec<u64> = self.names.values().copied().collect();
        self.contents.retain(|inode, _| named.contains(inode));
        self.faults = DiskFaults::default();
        self.power_cuts += 1;
    }

    /// Kills the process but not the machine: everything written is still there, synced or not.
    /// Planned faults are dropped.
    pub fn kill_process(&mut self) {
        self.faults = DiskFaults::default();
    }

    /// Changes a stored file behind the store's back: damage for tests. `false` when there is no
    /// such file.
    pub fn damage(&mut self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(content) = self.names.get(file).and_then(|inode| self.contents.get_mut(inode))
        else {
            return false;
        };
        change(&mut content.seen);
        content.kept = content.seen.clone();
        content.dirty.clear();
        true
    }

    /// Names of the files as a reader sees them.
    pub fn file_names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn keep_some_sectors(&mut self, kept: &mut Vec<u8>, offset: u64, bytes: &[u8], all: bool) {
        let end = offset + bytes.len() as u64;
        let mut start = offset;
        while start < end {
            let stop = end.min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
            if all || self.below(2) == 0 {
                put_at(kept, start, &bytes[(start - offset) as usize..(stop - offset) as usize]);
            }
            start = stop;
        }
    }

    /// A number below `bound` (SplitMix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn count(&mut self) -> io::Result<u64> {
        self.operations += 1;
        match self.faults.crash_at {
            Some(at) if self.operations >= at => {
                Err(io::Error::other("the simulated process is dead"))
            }
            _ => Ok(self.operations),
        }
    }

    fn content(&mut self, file: &str) -> io::Result<&mut Content> {
        let inode = self.names.get(file).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.contents.get_mut(inode).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn change_name(&mut self, change: NameChange) {
        change_names(&mut self.names, change.clone());
        self.name_changes.push(change);
    }
}

fn change_names(names: &mut BTreeMap<String, u64>, change: NameChange) {
    match change {
        NameChange::Create(name, inode) => {
            names.insert(name, inode);
        }
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(&from) {
                names.insert(to, inode);
            }
        }
        NameChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

fn put_at(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl Disk for SimulatedDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.count()?;
        Ok(self.file_names())
    }

    fn read(&mut self, file: &str) -> io::Result<Vec<u8>> {
        self.count()?;
        Ok(self.content(file)?.seen.clone())
    }

    fn create(&mut self, file: &str) -> io::Result<()> {
        self.count()?;
        self.next_inode += 1;
        self.contents.insert(self.next_inode, Content::default());
        self.change_name(NameChange::Create(file.to_owned(), self.next_inode));
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // A process that dies in a write may have written part of it.
        let dead = self.count();
        let kept_bytes =
            if dead.is_err() { self.below(bytes.len() as u64 + 1) as usize } else { bytes.len() };
        let first_death = self.faults.crash_at == Some(self.operations);
        if dead.is_ok() || first_death {
            if self.faults.fail_write_at == Some(self.operations) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            let content = self.content(file)?;
            put_at(&mut content.seen, offset, &bytes[..kept_bytes]);
            content.dirty.push((offset, bytes[..kept_bytes].to_vec()));
        }
        dead.map(|_| ())
    }

    fn sync(&mut self, file: &str) -> io::Result<()> {
        let operation = self.count()?;
        self.syncs += 1;
        let fails = self.faults.fail_sync_at == Some(operation);
        let content = self.content(file)?;
        let dirty = std::mem::take(&mut content.dirty);
        if fails {
            content.dropped.extend(dirty);
            return Err(io::Error::other("simulated sync failure"));
        }
        for (offset, bytes) in dirty {
            put_at(&mut content.kept, offset, &bytes);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.count()?;
        self.content(from)?;
        self.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.count()?;
        self.content(file)?;
        self.change_name(NameChange::Remove(file.to_owned()));
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.count()?;
        for change in std::mem::take(&mut self.name_changes) {
            change_names(&mut self.kept_names, change);
        }
        Ok(())
    }

    fn boot(&mut self) -> Option<[u8; 16]> {
        Some(u128::from(self.power_cuts + 1).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seed: u64) -> SimulatedDisk {
        let mut disk = SimulatedDisk::new(seed);
        disk.create("a").unwrap();
        disk.write_at("a", 0, &[1; 2048]).unwrap();
        disk.sync("a").unwrap();
        disk.sync_names().unwrap();
        disk.write_at("a", 0, &[2; 2048]).unwrap();
        disk
    }

    #[test]
    fn synced_bytes_stay_and_unsynced_ones_tear_at_sectors() {
        let mut torn = 0;
        for seed in 0..50 {
            let mut disk = written(seed);
            disk.cut_power();
            let content = disk.read("a").unwrap();
            assert_eq!(content.len(), 2048);
            for sector in content.chunks(512) {
                assert!(
                    sector.iter().all(|byte| *byte == sector[0]) && [1, 2].contains(&sector[0])
                );
            }
            torn += usize::from(content.contains(&1) && content.contains(&2));
        }
        assert!(torn > 20, "only {torn} of 50 power cuts tore the write");
    }

    #[test]
    fn a_failed_sync_dooms_what_it_covered() {
        let lost = (0..50).filter(|seed| {
            let mut disk = written(*seed);
            disk.set_faults(DiskFaults {
                fail_sync_at: Some(disk.operations() + 1),
                ..DiskFaults::default()
            });
            assert!(disk.sync("a").is_err());
            disk.sync("a").unwrap();
            disk.cut_power();
            disk.read("a").unwrap().contains(&1)
        });
        assert!(lost.count() > 20);
    }

    #[test]
    fn a_killed_process_loses_nothing_and_a_name_needs_its_own_sync() {
        let mut disk = written(1);
        disk.kill_process();
        assert_eq!(disk.read("a").unwrap(), vec![2; 2048]);
        let lost = (0..50).filter(|seed| {
            let mut disk = SimulatedDisk::new(*seed);
            disk.create("b").unwrap();
            disk.sync("b").unwrap();
            disk.cut_power();
            disk.file_names().is_empty()
        });
        assert!(lost.count() > 10);
    }
}

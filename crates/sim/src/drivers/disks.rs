//! Simulated disks: labelled, with volumes keyed by uuid that hold records; unmounted, replaced and
//! mounted again by random faults.
//!
//! It relies on `VolumeLabel` for identity. A record survives a power cut once it was synced. It
//! never makes anything on a disk that is not the labelled one, and never throws away a byte of what
//! is not in the trash.

use std::collections::BTreeMap;

use holdfast_agent::{Adopted, DiskFound, Input, TrashFound, VolumeLabel};
use holdfast_model::{ClaimId, ClusterId, DiskId, DiskKind, DiskRecord, LabelledVolume};

/// What a journal-like task has written on a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// The owner, written with the first record: framework and volume name.
    pub stamp: Option<String>,
    /// Records that a power cut leaves.
    pub synced: u64,
    /// Records after those, not yet synced.
    pub unsynced: u64,
}

/// A volume's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The label beside the directory.
    pub label: VolumeLabel,
    /// The content of the directory.
    pub bytes: Bytes,
}

/// What is mounted at the disk's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// The disk.
    Itself,
    /// Nothing: an empty directory of the file system beneath.
    Nothing,
    /// Another disk.
    Stranger,
}

/// A disk that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hang {
    /// Nobody has asked anything of it since.
    Unnoticed,
    /// Its helper waits for it, with this work.
    Waiting(Late),
    /// Its helper was given up, or its agent died, and is not gone.
    Abandoned(Late),
}

/// What may still be done when the disk goes on: the one step in which its helper hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// Making a volume.
    Make(VolumeLabel),
    /// Moving one to the trash.
    Trash(VolumeLabel),
    /// Moving one back.
    Restore(VolumeLabel),
    /// Giving one that no claim stands for another label.
    Adopt(VolumeLabel, Adopted),
    /// Looking at one.
    Check,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// ROOT, PATH or MOUNT.
    pub kind: DiskKind,
    /// Its path.
    pub root: String,
    /// Its size in megabytes (2^20 bytes).
    pub size_mb: u64,
    /// The label: its uuid and its cluster.
    pub label: Option<(DiskId, ClusterId)>,
    /// What is at its path now.
    pub mounted: Mounted,
    /// Whether making and trashing fail now (full, or an I/O error).
    pub troubled: bool,
    /// How it hangs, if it does.
    pub hang: Option<Hang>,
    /// Volumes by uuid.
    pub volumes: BTreeMap<ClaimId, Volume>,
    /// Destroyed volumes.
    pub trash: BTreeMap<ClaimId, Volume>,
    /// Volumes that were moved away by hand, and will be brought back.
    pub hidden: BTreeMap<ClaimId, Volume>,
}

impl Disk {
    pub(crate) fn new(kind: DiskKind, root: String, size_mb: u64) -> Disk {
        Disk {
            kind,
            root,
            size_mb,
            label: None,
            mounted: Mounted::Itself,
            troubled: false,
            hang: None,
            volumes: BTreeMap::new(),
            trash: BTreeMap::new(),
            hidden: BTreeMap::new(),
        }
    }

    /// Opens it for a cluster, labelling it if it is new. `None` when it is not there and was never
    /// known.
    pub(crate) fn open(
        &mut self,
        cluster: ClusterId,
        known: &[DiskRecord],
        fresh: impl FnOnce() -> DiskId,
    ) -> Option<DiskFound> {
        let record =
            |id| DiskRecord { id, kind: self.kind, root: self.root.clone(), size_mb: self.size_mb };
        let was = known.iter().find(|it| it.root == self.root && it.kind == self.kind);
        if let (Some(fault), Some(was)) = (self.hang_fault(), was) {
            return Some(DiskFound {
                disk: was.clone(),
                fault: Some(fault),
                space: None,
                added: None,
            });
        }
        match (self.mounted, self.label, was) {
            (Mounted::Itself, Some((id, owner)), _) if owner == cluster => {
                Some(DiskFound { disk: record(id), fault: None, space: None, added: None })
            }
            (Mounted::Itself, Some((id, owner)), _) => Some(DiskFound {
                disk: record(id),
                fault: Some(format!("{} belongs to cluster {owner}", self.root)),
                space: None,
                added: None,
            }),
            (Mounted::Itself, None, None) => {
                let id = fresh();
                self.label = Some((id, cluster));
                Some(DiskFound {
                    disk: DiskRecord {
                        id,
                        kind: self.kind,
                        root: self.root.clone(),
                        size_mb: self.size_mb,
                    },
                    fault: None,
                    space: None,
                    added: None,
                })
            }
            (Mounted::Itself, None, Some(was)) => Some(DiskFound {
                disk: was.clone(),
                fault: Some(format!("{} has lost its label", self.root)),
                space: None,
                added: None,
            }),
            (Mounted::Nothing, _, Some(was)) => Some(DiskFound {
                disk: was.clone(),
                fault: Some(format!("{} is not mounted", self.root)),
                space: None,
                added: None,
            }),
            (Mounted::Stranger, _, Some(was)) => Some(DiskFound {
                disk: was.clone(),
                fault: Some(format!("another disk is mounted at {}", self.root)),
                space: None,
                added: None,
            }),
            (_, _, None) => None,
        }
    }

    /// Its agent died; a helper that hangs stays.
    pub(crate) fn lose_agent(&mut self) {
        if let Some(Hang::Waiting(late)) = &self.hang {
            self.hang = Some(Hang::Abandoned(late.clone()));
        }
    }

    /// What is wrong with it, once its helper was given up.
    pub(crate) fn hang_fault(&self) -> Option<String> {
        let is_abandoned = matches!(self.hang, Some(Hang::Abandoned(_)));
        is_abandoned.then(|| format!("{} does not answer; its helper hangs", self.root))
    }

    /// A volume as a container that was given it sees it: also when it was moved away since, for a
    /// mount follows the directory.
    pub fn mounted_volume(&self, claim: &ClaimId) -> Option<&Volume> {
        self.volumes.get(claim).or(self.hidden.get(claim))
    }

    /// Whether it is the disk of this label, and there.
    fn check_itself(&self, label: &VolumeLabel) -> Result<(), String> {
        match self.mounted {
            Mounted::Nothing => Err(format!("{} is not mounted", self.root)),
            Mounted::Stranger => Err(format!("another disk is mounted at {}", self.root)),
            Mounted::Itself if self.label.map(|it| it.0) != Some(label.disk) => {
                Err(format!("{} is not disk {}", self.root, label.disk))
            }
            Mounted::Itself => Ok(()),
        }
    }

    /// Makes a volume, or finds it whole. Says whether it is new.
    pub(crate) fn make(&mut self, label: &VolumeLabel) -> Result<bool, String> {
        self.check_itself(label)?;
        if self.troubled {
            return Err(format!("{}: input/output error", self.root));
        }
        if let Some(volume) = self.volumes.get(&label.claim) {
            return if same(&volume.label, label) {
                Ok(false)
            } else {
                Err("its label is of another volume".to_owned())
            };
        }
        self.volumes.insert(label.claim, Volume { label: label.clone(), bytes: Bytes::default() });
        Ok(true)
    }

    /// Whether a volume can be used now.
    pub(crate) fn check(&self, label: &VolumeLabel) -> Result<(), String> {
        self.check_itself(label)?;
        match self.volumes.get(&label.claim) {
            Some(volume) if same(&volume.label, label) => Ok(()),
            Some(_) => Err("its label is of another volume".to_owned()),
            None => Err(format!("volume {} is missing on {}", label.claim, self.root)),
        }
    }

    /// Moves a volume to the trash. What is not there was moved before, or never made.
    pub(crate) fn trash(&mut self, label: &VolumeLabel) -> Result<(), String> {
        self.check_itself(label)?;
        if self.troubled {
            return Err(format!("{}: input/output error", self.root));
        }
        if let Some(volume) = self.volumes.remove(&label.claim) {
            self.trash.insert(label.claim, volume);
        }
        Ok(())
    }

    /// Moves a volume back from the trash, or finds it in its place.
    pub(crate) fn restore(&mut self, label: &VolumeLabel) -> Result<(), String> {
        self.check_itself(label)?;
        if self.troubled {
            return Err(format!("{}: input/output error", self.root));
        }
        if let Some(volume) = self.trash.remove(&label.claim) {
            self.volumes.insert(label.claim, volume);
        }
        self.check(label)
    }

    /// Gives a volume that no claim stands for another label, if it is as it was found.
    pub(crate) fn adopt(&mut self, label: &VolumeLabel, adopted: &Adopted) -> Result<(), String> {
        self.check_itself(label)?;
        if self.troubled {
            return Err(format!("{}: input/output error", self.root));
        }
        let Some(volume) = self.volumes.get_mut(&label.claim) else {
            return Err(format!("volume {} is missing on {}", label.claim, self.root));
        };
        if volume.label.generation != adopted.generation && volume.label != *label {
            return Err(format!("volume {} has another label by now", label.claim));
        }
        volume.label = label.clone();
        Ok(())
    }

    /// Removes a destroyed volume; says what went, if anything was left. `None` when the disk does not answer or is not there.
    pub(crate) fn purge(&mut self, claim: ClaimId) -> Option<Option<Volume>> {
        let is_there = self.mounted == Mounted::Itself && self.hang.is_none() && !self.troubled;
        is_there.then(|| self.trash.remove(&claim))
    }

    /// What lies on it, for its agent, if it answers.
    pub(crate) fn found(&self) -> Option<Input> {
        let is_there = self.mounted == Mounted::Itself && self.hang.is_none();
        let (disk, _) = self.label.filter(|_| is_there)?;
        let trashed = self.trash.keys().copied().collect();
        let labelled = |(id, volume): (&ClaimId, &Volume)| LabelledVolume {
            id: *id,
            persistence: volume.label.persistence.clone(),
            role: volume.label.role.clone(),
            size_mb: volume.label.size_mb,
            principal: volume.label.principal.clone(),
            generation: volume.label.generation,
            shared: volume.label.shared,
        };
        let volumes = self.volumes.iter().map(labelled).collect();
        Some(Input::TrashFound(disk, TrashFound { trashed, volumes, images: Vec::new() }))
    }

    /// Writes a record and perhaps syncs; says how many records are safe. An error when the disk is
    /// not there.
    pub(crate) fn append(
        &mut self,
        claim: &ClaimId,
        stamp: &str,
        sync: bool,
    ) -> Result<u64, String> {
        if self.mounted != Mounted::Itself {
            return Err(format!("{}: input/output error", self.root));
        }
        let volume = self
            .volumes
            .get_mut(claim)
            .or(self.hidden.get_mut(claim))
            .ok_or_else(|| format!("volume {claim} is gone"))?;
        volume.bytes.stamp.get_or_insert_with(|| stamp.to_owned());
        volume.bytes.unsynced += 1;
        if sync {
            volume.bytes.synced += std::mem::take(&mut volume.bytes.unsynced);
        }
        Ok(volume.bytes.synced)
    }

    /// Moves a volume away by hand.
    pub(crate) fn hide(&mut self, claim: ClaimId) -> bool {
        let Some(volume) = self.volumes.remove(&claim) else { return false };
        self.hidden.insert(claim, volume);
        true
    }

    /// Brings back what was moved away.
    pub(crate) fn bring_back(&mut self) {
        for (claim, volume) in std::mem::take(&mut self.hidden) {
            // One that was moved away before anybody was promised it has been made again: nobody puts the other one over it.
            self.volumes.entry(claim).or_insert(volume);
        }
    }

    /// Drops what was not synced.
    pub(crate) fn cut_power(&mut self) {
        // The helper is gone, whatever it hung in.
        self.hang = self.hang.is_some().then_some(Hang::Unnoticed);
        for volume in self.volumes.values_mut().chain(self.hidden.values_mut()) {
            volume.bytes.unsynced = 0;
            if volume.bytes.synced == 0 {
                volume.bytes.stamp = None;
            }
        }
    }
}

/// What makes two labels those of one volume; the rest may be written anew.
fn same(a: &VolumeLabel, b: &VolumeLabel) -> bool {
    (a.claim, a.disk, &a.persistence) == (b.claim, b.disk, &b.persistence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn label(disk: &Disk) -> VolumeLabel {
        VolumeLabel {
            claim: ClaimId(Uuid::from_u128(9)),
            disk: disk.label.unwrap().0,
            persistence: "v".into(),
            role: "db".into(),
            principal: None,
            generation: 1,
            size_mb: 10,
            shared: false,
        }
    }

    fn opened() -> Disk {
        let mut disk = Disk::new(DiskKind::Mount, "/d".into(), 100);
        let found =
            disk.open(ClusterId(Uuid::from_u128(1)), &[], || DiskId(Uuid::from_u128(2))).unwrap();
        assert_eq!((found.disk.id, found.fault), (DiskId(Uuid::from_u128(2)), None));
        disk
    }

    #[test]
    fn nothing_is_made_or_found_while_the_disk_is_away() {
        let mut disk = opened();
        let label = label(&disk);
        assert_eq!(disk.make(&label), Ok(true));
        for mounted in [Mounted::Nothing, Mounted::Stranger] {
            disk.mounted = mounted;
            assert!(
                disk.make(&label).is_err()
                    && disk.check(&label).is_err()
                    && disk.trash(&label).is_err()
            );
            assert!(disk.append(&label.claim, "s", true).is_err());
        }
        disk.mounted = Mounted::Itself;
        assert_eq!((disk.check(&label), disk.make(&label)), (Ok(()), Ok(false)));
    }

    #[test]
    fn only_synced_records_survive_a_power_cut_and_the_trash_keeps_bytes() {
        let mut disk = opened();
        let label = label(&disk);
        disk.make(&label).unwrap();
        assert_eq!(disk.append(&label.claim, "s", false), Ok(0));
        assert_eq!(disk.append(&label.claim, "s", true), Ok(2));
        assert_eq!(disk.append(&label.claim, "s", false), Ok(2));
        disk.cut_power();
        assert_eq!(
            disk.volumes[&label.claim].bytes,
            Bytes { stamp: Some("s".into()), synced: 2, unsynced: 0 }
        );
        disk.trash(&label).unwrap();
        disk.trash(&label).unwrap();
        assert_eq!(disk.trash[&label.claim].bytes.synced, 2);
        assert!(disk.check(&label).unwrap_err().contains("missing"));
    }
}

//! What the helper of a disk does about its trash: sees what lies there, and removes it a part at a time.
//!
//! Relies on `volumes`, which begins a removal with a rename, so that it goes on where it stopped, also after a crash. Never decides what
//! goes.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use holdfast_volumes::{OpenDisk, PurgeProgress, TrashEntry, VolumeLabel};
use uuid::Uuid;

use super::protocol::{Listed, Purged, Room, Survey, TrashItem};
use super::words;

/// How many entries of a destroyed volume are looked at to see what its removal gives back: some milliseconds of work.
const MEASURED_ENTRIES: u64 = 1_000;
/// Bytes in a MB, as everywhere.
const MIB: u64 = 1 << 20;

/// See [`super::protocol::Request::Survey`].
pub fn survey(disk: &OpenDisk) -> Result<Survey, String> {
    let there = holdfast_volumes::list_volumes(disk).map_err(words)?.volumes;
    let listed = |it: VolumeLabel| Listed {
        volume: it.volume_uuid,
        persistence: it.persistence_id,
        role: it.role,
        size_mb: it.size_mb,
        principal: it.principal,
        generation: it.generation,
        shared: it.shared,
    };
    let destroyed = holdfast_volumes::list_trash(disk).map_err(words)?.entries;
    let trash = destroyed.iter().map(|it| item(disk, it)).collect();
    let labels = there.iter().map(|it| &it.label);
    let labels = labels.chain(destroyed.iter().filter_map(|it| it.label.as_ref()));
    let images = labels.filter(|it| it.image).map(|it| it.volume_uuid).collect();
    let volumes = there.into_iter().map(|it| listed(it.label)).collect();
    Ok(Survey { volumes, trash, images })
}

/// A destroyed volume, and what is known of it in passing.
pub fn item(disk: &OpenDisk, entry: &TrashEntry) -> TrashItem {
    let (label, here) = (entry.label.as_ref(), disk.label());
    let is_here =
        |it: &&VolumeLabel| (it.disk_uuid, it.cluster_uuid) == (here.disk_uuid, here.cluster_uuid);
    let measured = holdfast_volumes::measure_up_to(&entry.path, MEASURED_ENTRIES);
    let (used_mb, is_whole) =
        measured.map_or((0, false), |(usage, is_whole)| (usage.used_bytes.div_ceil(MIB), is_whole));
    let size_mb = label.map_or(0, |it| it.size_mb);
    TrashItem {
        volume: entry.volume_uuid,
        destroyed_ms: entry.deleted_at_ms,
        purging: entry.purging,
        mb: if is_whole { used_mb } else { used_mb.max(size_mb) },
        ours: label.filter(is_here).is_some(),
    }
}

/// See [`super::protocol::Request::Room`].
pub fn room(disk: &OpenDisk) -> Result<Room, String> {
    let capacity = holdfast_volumes::capacity(disk).map_err(words)?;
    Ok(Room {
        total_mb: capacity.total_mb,
        free_mb: capacity.free_mb,
        free_files: (capacity.total_files != 0).then_some(capacity.free_files),
    })
}

/// See [`super::protocol::Request::Restore`].
pub fn restore(disk: &OpenDisk, label: &VolumeLabel, destroyed_ms: u64) -> Result<(), String> {
    let entry = entry_of(disk, label.volume_uuid, destroyed_ms);
    holdfast_volumes::restore_volume(disk, &entry).map_err(words)?;
    holdfast_volumes::check_volume(disk, label).map(drop).map_err(words)
}

/// An entry by its name.
fn entry_of(disk: &OpenDisk, volume_uuid: Uuid, deleted_at_ms: u64) -> TrashEntry {
    TrashEntry {
        volume_uuid,
        deleted_at_ms,
        purging: false,
        disk_uuid: disk.label().disk_uuid,
        path: disk.config().root.clone(),
        label: None,
    }
}

/// See [`super::protocol::Request::Purge`].
pub fn purge(
    disk: &OpenDisk,
    (volume, destroyed_ms): (Uuid, u64),
    begun: bool,
    slice_ms: u64,
) -> Result<Purged, String> {
    let until = Instant::now() + Duration::from_millis(slice_ms);
    let entry = entry_of(disk, volume, destroyed_ms);
    let progress = &mut |_: &PurgeProgress| {
        if Instant::now() < until {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let progress = match begun {
        true => holdfast_volumes::purge_trash_further(disk, &entry, progress),
        false => holdfast_volumes::purge_trash(disk, &entry, progress),
    };
    let progress = progress.map_err(words)?;
    Ok(Purged {
        entries: progress.removed_entries,
        bytes: progress.removed_bytes,
        done: progress.done,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_volumes::{DiskConfig, DiskKind, DiskLabel};

    fn disk(root: &std::path::Path) -> OpenDisk {
        let config = DiskConfig { kind: DiskKind::Path, root: root.to_owned() };
        let label = DiskLabel { disk_uuid: Uuid::from_u128(7), cluster_uuid: Uuid::from_u128(1) };
        holdfast_volumes::open_disk(&config, None, &label).unwrap()
    }

    fn volume(disk: &OpenDisk, number: u128, files: usize) -> VolumeLabel {
        let here = disk.label();
        let label = VolumeLabel {
            volume_uuid: Uuid::from_u128(number),
            persistence_id: format!("v{number}"),
            role: "db".to_owned(),
            principal: None,
            generation: 1,
            disk_uuid: here.disk_uuid,
            cluster_uuid: here.cluster_uuid,
            size_mb: 10,
            shared: false,
            image: false,
        };
        let data = holdfast_volumes::make_volume(disk, &label).unwrap();
        (0..files).for_each(|it| std::fs::write(data.join(it.to_string()), [1; 10]).unwrap());
        label
    }

    #[test]
    fn what_lies_on_a_disk_is_told_with_what_its_removal_gives_back() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        let (stays, small) = (volume(&disk, 1, 0), volume(&disk, 2, 3));
        let big = volume(&disk, 3, 2_000);
        for (label, ms) in [(&small, 5), (&big, 6)] {
            holdfast_volumes::trash_volume(&disk, label.volume_uuid, ms).unwrap();
        }
        let survey = survey(&disk).unwrap();
        let listed = Listed {
            volume: stays.volume_uuid,
            persistence: stays.persistence_id.clone(),
            role: stays.role.clone(),
            size_mb: 10,
            shared: false,
            principal: None,
            generation: 1,
        };
        assert_eq!(survey.volumes, [listed]);
        let [small, big] = survey.trash.as_slice() else { panic!("{survey:?}") };
        assert!(small.mb <= 1 && small.ours && !small.purging, "{small:?}");
        assert_eq!(
            (big.mb, big.destroyed_ms),
            (10, 6),
            "too much to be looked at: its size counts"
        );
    }

    #[test]
    fn a_removal_stops_when_its_time_is_up_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        let label = volume(&disk, 1, 50);
        holdfast_volumes::trash_volume(&disk, label.volume_uuid, 5).unwrap();
        let mut slices = Vec::new();
        while slices.last().is_none_or(|it: &Purged| !it.done) {
            let begun = !slices.is_empty();
            slices.push(purge(&disk, (label.volume_uuid, 5), begun, 0).unwrap());
            let trash = survey(&disk).unwrap().trash;
            assert!(trash.iter().all(|it| it.purging && it.ours), "it still says what it was");
        }
        assert!(10 < slices.len(), "{slices:?}");
        assert_eq!(survey(&disk).unwrap(), Survey::default());
        assert!(
            purge(&disk, (label.volume_uuid, 5), false, 0).unwrap().done,
            "what is gone is done"
        );
    }
}

//! Measures all volumes of a disk, a little at a time.
//!
//! What it is for: how much of their sizes volumes use, which decides what else may be promised of the disk. A volume may hold millions of
//! files, and whoever measures them has other things to do: a meter stops when it is told to, and goes on from there. What it
//! relies on: `openat2` beneath the volume, and a directory's position as the kernel hands it out. What it never does: keep a handle on
//! the disk while it rests, follow a link, cross a mount, or fail because a file vanished meanwhile.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, StatxFlags};
use uuid::Uuid;

use crate::disk::OpenDisk;
use crate::folder::{Folder, DIR_FLAGS};
use crate::image::{has_image, used_in_image};
use crate::mounts::{file_id, file_type, FileId};
use crate::volume::{enter_data, enter_volume, enter_volumes, folder_name, VolumeFault};

/// How many entries are looked at between two questions whether to go on.
const ENTRIES_BETWEEN: usize = 64;
/// How many files with several links are remembered, each of which counts once; those beyond count with each link.
const LINKED_MAX: usize = 1_000_000;
/// How much of a directory is read at once, in bytes.
const READ_BYTES: usize = 32 << 10;
/// Below a volume's data, and nowhere else.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// A measurement of all volumes of a disk, under way or done.
#[derive(Debug, Default)]
pub struct VolumesMeter {
    /// Volumes that were not begun.
    todo: Vec<Uuid>,
    current: Option<OneVolume>,
    done: Vec<(Uuid, u64)>,
}

#[derive(Debug)]
struct OneVolume {
    uuid: Uuid,
    used_bytes: u64,
    linked: BTreeSet<FileId>,
    /// The directories from the top of the volume to where it is.
    way: Vec<Place>,
}

/// A directory, and how far it was read.
#[derive(Debug)]
struct Place {
    /// Below the volume's data.
    path: PathBuf,
    position: u64,
}

impl VolumesMeter {
    /// Begins with the volumes that there are.
    ///
    /// # Errors
    /// [`VolumeFault`] if the disk is unfit.
    pub fn begin(disk: &OpenDisk) -> Result<VolumesMeter, VolumeFault> {
        let entered = disk.enter()?;
        let names = enter_volumes(disk, &entered)?.names().map_err(disk.io("list its volumes"))?;
        let volume = |name: &String| name.parse().ok().filter(|it| folder_name(*it) == *name);
        Ok(VolumesMeter {
            todo: names.iter().filter_map(volume).collect(),
            ..VolumesMeter::default()
        })
    }

    /// Goes on until it is done, which it answers, or `may_go_on` says no. A volume that cannot be read is
    /// left out.
    ///
    /// # Errors
    /// [`VolumeFault`] if the disk is unfit.
    pub fn go_on(
        &mut self,
        disk: &OpenDisk,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, VolumeFault> {
        let entered = disk.enter()?;
        let volumes = enter_volumes(disk, &entered)?;
        loop {
            let Some(mut volume) =
                self.current.take().or_else(|| self.todo.pop().map(OneVolume::new))
            else {
                return Ok(true);
            };
            let is_done = match open_data(&volumes, volume.uuid) {
                None => continue,
                Some(Data::Image(used_bytes)) => {
                    volume.used_bytes = used_bytes;
                    true
                }
                Some(Data::Folder(data)) => volume.go_on(&data, may_go_on),
            };
            if !is_done {
                self.current = Some(volume);
                return Ok(false);
            }
            self.done.push((volume.uuid, volume.used_bytes));
            if !may_go_on() {
                return Ok(self.todo.is_empty());
            }
        }
    }

    /// The bytes that each volume uses, by blocks.
    pub fn found(self) -> Vec<(Uuid, u64)> {
        self.done
    }
}

/// What there is to measure of a volume.
enum Data {
    /// Its files.
    Folder(Folder),
    /// It is an image, whose file system knows what is used of it.
    Image(u64),
}

fn open_data(volumes: &Folder, uuid: Uuid) -> Option<Data> {
    let folder = enter_volume(volumes, uuid).ok()??;
    match has_image(&folder, uuid).ok()? {
        true => used_in_image(&folder, uuid).ok()?.map(Data::Image),
        false => enter_data(&folder, uuid).ok().map(Data::Folder),
    }
}

impl OneVolume {
    fn new(uuid: Uuid) -> OneVolume {
        let top = Place { path: PathBuf::from("."), position: 0 };
        OneVolume { uuid, used_bytes: 0, linked: BTreeSet::new(), way: vec![top] }
    }

    /// Whether it is measured.
    fn go_on(&mut self, data: &Folder, may_go_on: &mut dyn FnMut() -> bool) -> bool {
        while let Some(place) = self.way.last_mut() {
            let Some(dir) = open_at(data, place) else {
                self.way.pop();
                continue;
            };
            let mut buffer = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut entries = RawDir::new(&dir, &mut buffer);
            let (mut seen, mut below) = (0, None);
            while let Some(Ok(entry)) = entries.next() {
                place.position = entry.next_entry_cookie();
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                if count(&dir, name, &mut self.used_bytes, &mut self.linked) {
                    below = Some(place.path.join(std::ffi::OsStr::new(&*lossless(name))));
                    break;
                }
                seen += 1;
                if seen % ENTRIES_BETWEEN == 0 && !may_go_on() {
                    return false;
                }
            }
            match below {
                Some(path) => self.way.push(Place { path, position: 0 }),
                None => drop(self.way.pop()),
            }
            if !may_go_on() {
                return self.way.is_empty();
            }
        }
        true
    }
}

fn lossless(name: &std::ffi::CStr) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(name.to_bytes().to_vec())
}

/// The directory, from where it was read to; none if it is gone or may not be read.
fn open_at(data: &Folder, place: &Place) -> Option<OwnedFd> {
    let dir = rustix::fs::openat2(data, &place.path, DIR_FLAGS, Mode::empty(), BENEATH);
    let dir = dir.or_else(|error| match error {
        // Kernels before 5.6: without `openat2` only the top is measured, whose name is no link.
        rustix::io::Errno::NOSYS if place.path == std::path::Path::new(".") => {
            rustix::fs::openat(data, ".", DIR_FLAGS | OFlags::NOFOLLOW, Mode::empty())
        }
        other => Err(other),
    });
    let dir = dir.ok()?;
    rustix::fs::seek(&dir, SeekFrom::Start(place.position)).ok()?;
    Some(dir)
}

/// Counts an entry; whether it is a directory of the same file system.
fn count(
    dir: &OwnedFd,
    name: &std::ffi::CStr,
    used_bytes: &mut u64,
    linked: &mut BTreeSet<FileId>,
) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(stat) = rustix::fs::statx(dir.as_fd(), name, flags, StatxFlags::BASIC_STATS) else {
        return false; // It vanished.
    };
    let is_folder = file_type(&stat) == FileType::Directory;
    let is_known = 1 < stat.stx_nlink && !is_folder && !remember(linked, file_id(&stat));
    if !is_known {
        *used_bytes = used_bytes.saturating_add(stat.stx_blocks.saturating_mul(512));
    }
    is_folder
}

/// Whether it is new, as far as can be remembered.
fn remember(linked: &mut BTreeSet<FileId>, file: FileId) -> bool {
    if linked.len() < LINKED_MAX {
        linked.insert(file)
    } else {
        !linked.contains(&file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{volume_label, Bed};

    fn measured(bed: &Bed, every: u64) -> (Vec<(Uuid, u64)>, u64) {
        let mut meter = VolumesMeter::begin(&bed.disk).unwrap();
        let (mut asked, mut calls) = (0u64, 0);
        loop {
            calls += 1;
            let mut may_go_on = || {
                asked += 1;
                !asked.is_multiple_of(every)
            };
            if meter.go_on(&bed.disk, &mut may_go_on).unwrap() {
                break;
            }
        }
        let mut found = meter.found();
        found.sort();
        (found, calls)
    }

    fn data(bed: &Bed, number: u128) -> PathBuf {
        let uuid = volume_label(number).volume_uuid.to_string();
        bed.folder().join("volumes").join(uuid).join("data")
    }

    #[test]
    fn a_meter_in_slices_finds_what_one_walk_finds() {
        let bed = Bed::new();
        (1..=3).for_each(|it| drop(bed.filled_volume(it)));
        for folder in 0..20 {
            let folder = data(&bed, 2).join(format!("d{folder}/e/f"));
            std::fs::create_dir_all(&folder).unwrap();
            (0..200).for_each(|it| std::fs::write(folder.join(it.to_string()), "x").unwrap());
        }
        std::fs::hard_link(data(&bed, 2).join("d0/e/f/1"), data(&bed, 2).join("again")).unwrap();
        std::os::unix::fs::symlink("/usr", data(&bed, 2).join("away")).unwrap();
        let (whole, calls) = measured(&bed, u64::MAX);
        assert_eq!(calls, 1);
        for (uuid, used) in &whole {
            let folder = bed.folder().join("volumes").join(uuid.to_string()).join("data");
            let top = std::os::unix::fs::MetadataExt::blocks(&folder.metadata().unwrap()) * 512;
            assert_eq!(used + top, crate::measure(&folder).unwrap().used_bytes, "{folder:?}");
        }
        let (sliced, calls) = measured(&bed, 2);
        assert_eq!(sliced, whole);
        assert!(10 < calls, "{calls}");
    }

    #[test]
    fn what_vanishes_between_two_slices_is_no_trouble() {
        let bed = Bed::new();
        bed.filled_volume(1);
        (0..10).for_each(|it| {
            std::fs::create_dir_all(data(&bed, 1).join(format!("{it}/a/b"))).unwrap()
        });
        let mut meter = VolumesMeter::begin(&bed.disk).unwrap();
        assert!(!meter.go_on(&bed.disk, &mut || false).unwrap());
        std::fs::remove_dir_all(data(&bed, 1)).unwrap();
        assert!(meter.go_on(&bed.disk, &mut || true).unwrap());
        assert_eq!(
            meter.found(),
            [],
            "of what is gone nothing is known, and no size of zero is told"
        );
    }
}

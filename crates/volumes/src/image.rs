//! A volume that is a file system of its own: an image of fixed size beside its labels, mounted at its `data`.
//!
//! What it is for: a writer gets "no space left" at the size of its volume, and nobody else feels it. What it relies on: the image's bytes are
//! all allocated when it is made, so that it is never full before its size; its file system's uuid is the volume's, so that what is inside
//! agrees with the label outside; the kernel's word for which file a mount stands for. What it never does: take the bare directory below
//! the mount for the volume, mount over something that lies there, attach an image twice, or repair one.
//!
//! | killed | what is left | and then |
//! |---|---|---|
//! | while it is made | a draft under `making/`, perhaps mounted | is unmounted and swept |
//! | after it was unmounted for the trash | the same | the trash is tried again |
//!
//! An image that is not mounted (the machine was restarted, somebody unmounted it) is mounted at the next check of its volume.
//! A mount that another process still holds (a container's, after the machine's own was taken away) is the same file system: it is found by
//! its device, and mounted once more from there.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, FallocateFlags, FileType, FsWord, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, unmount, FsMountFlags,
    FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags,
};
use uuid::Uuid;

use crate::ext4::{make_file_system, maker, read_superblock, Superblock};
use crate::folder::{EnterFault, Folder, DATA_MODE};
use crate::label::VolumeLabel;
use crate::loop_device::{attach, find, is_over, LoopDevice};
use crate::measure::MIB;
use crate::mounts::{file_id, file_type, stat_fd};
use crate::steps::step;
use crate::volume::{damaged, enter_data, folder_name, volume_io, VolumeFault, DATA};

/// The image of a volume, beside its labels.
pub(crate) const IMAGE: &str = "image";
/// A smaller file system has no room for a journal.
pub(crate) const IMAGE_MB_MIN: u64 = 4;
/// The mode of the directory below the mount: nobody but root can put anything into it.
pub(crate) const BELOW_MODE: u32 = 0o000;
/// The inode of an ext4 file system's top.
const TOP_INODE: u64 = 2;
/// How the kernel calls ext4 in `statfs`.
const EXT4: FsWord = 0xEF53;

/// Why this machine cannot make volumes as images; `None` if it can, as far as can be told without making one.
pub fn cannot_make_images() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("the agent is not root, and only root may mount".into());
    }
    if maker().is_none() {
        return Some("there is no mkfs.ext4; install e2fsprogs".into());
    }
    if File::options().read(true).write(true).open("/dev/loop-control").is_err() {
        return Some(
            "there is no /dev/loop-control that can be opened; load the module `loop`".into(),
        );
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // A module that is not loaded yet is none of them, and is loaded by the first mount.
    let is_built_in = known.lines().any(|it| it.trim() == "ext4");
    (!is_built_in && !std::path::Path::new("/proc/modules").exists())
        .then(|| "this kernel has no ext4, and loads no modules".into())
}

/// Makes the image of a volume in its draft: all its bytes allocated, with an empty file system, durable.
pub(crate) fn make_image(draft: &Folder, label: &VolumeLabel) -> Result<(), VolumeFault> {
    fill_image(draft, label).inspect_err(|_| give_up_image(draft, label.volume_uuid))
}

/// Removes the image of a draft that will be no volume: its space is not kept from others until the draft is swept. What cannot be removed
/// now is removed then.
pub(crate) fn give_up_image(draft: &Folder, volume_uuid: Uuid) {
    let given_up = unmount_image(draft, volume_uuid).is_ok() && draft.remove_file(IMAGE).is_ok();
    if !given_up {
        tracing::warn!(path = %draft.path().display(), "an image that became no volume is cleared away when its disk is opened next");
    }
}

fn fill_image(draft: &Folder, label: &VolumeLabel) -> Result<(), VolumeFault> {
    let volume_uuid = label.volume_uuid;
    let none = |why: String| VolumeFault::NoImage { volume_uuid, why };
    if label.size_mb < IMAGE_MB_MIN {
        return Err(none(format!(
            "{} MB are too few, {IMAGE_MB_MIN} are the least",
            label.size_mb
        )));
    }
    let maker = maker().ok_or_else(|| none("there is no mkfs.ext4; install e2fsprogs".into()))?;
    draft.remove_file(IMAGE).map_err(volume_io(volume_uuid, "clear its draft"))?;
    let image = draft.create_file(IMAGE).map_err(volume_io(volume_uuid, "make its image"))?;
    let bytes = label.size_mb.saturating_mul(MIB);
    match allocate(&image, bytes) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            return Err(none("the disk's file system cannot reserve space for a file; use another one, or a soft limit".into()));
        }
        other => other.map_err(volume_io(volume_uuid, "reserve the space of its image"))?,
    }
    step("mkfs", IMAGE).map_err(volume_io(volume_uuid, "make its file system"))?;
    make_file_system(&maker, &image, volume_uuid)
        .map_err(|error| none(format!("its file system was not made: {error}")))?;
    let device = attach(&image)
        .map_err(|error| none(format!("it cannot be attached to a loop device: {error}")))?;
    let mounted =
        mount(&device).map_err(|error| none(format!("its image cannot be mounted: {error}")))?;
    clear_top(&mounted).map_err(volume_io(volume_uuid, "prepare its file system"))?;
    drop((mounted, device));
    step("fsync", IMAGE)
        .and_then(|()| allocate(&image, bytes))
        .and_then(|()| image.sync_all())
        .map_err(volume_io(volume_uuid, "sync its image"))
}

/// Has all of an image allocated. What is there stays; zeros that the kernel or the tool wrote by making holes get their space back.
fn allocate(image: &File, bytes: u64) -> io::Result<()> {
    // `fallocate` takes all that is left before it says that this is not enough: for that moment the disk would be full to its other volumes.
    let (there, room) =
        (image.metadata()?.blocks().saturating_mul(512), rustix::fs::fstatvfs(image)?);
    if room.f_bfree.saturating_mul(room.f_frsize) < bytes.saturating_sub(there) {
        return Err(Errno::NOSPC.into());
    }
    loop {
        match rustix::fs::fallocate(image, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Has an image allocated that is not any more. That it cannot be is told: its writer may find the disk full before its size.
fn keep_allocated(image: &File, volume_uuid: Uuid) {
    let Ok(stat) = image.metadata() else { return };
    let (bytes, there) = (stat.len(), stat.blocks().saturating_mul(512));
    if bytes <= there {
        return;
    }
    if let Err(error) = allocate(image, bytes) {
        let short = (bytes - there).div_ceil(MIB);
        tracing::warn!("volume {volume_uuid}: {short} MB of its image are not allocated, and cannot be: {error}; a write to it can fail when its disk is full");
    }
}

/// A volume is empty when it is new: databases refuse a directory that holds even `lost+found`, which a repair makes again if it needs it.
fn clear_top(mounted: &OwnedFd) -> io::Result<()> {
    let top = rustix::fs::openat(mounted, ".", crate::folder::DIR_FLAGS, Mode::empty())?;
    match rustix::fs::unlinkat(&top, "lost+found", AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    rustix::fs::fchmod(&top, Mode::from_raw_mode(DATA_MODE))?;
    Ok(rustix::fs::syncfs(&top)?)
}

/// Mounts a device nowhere.
fn mount(device: &LoopDevice) -> io::Result<OwnedFd> {
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", device.path())?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Whether a volume's folder holds an image, whatever its label says.
pub(crate) fn has_image(folder: &Folder, volume_uuid: Uuid) -> Result<bool, VolumeFault> {
    folder.has(IMAGE).map_err(volume_io(volume_uuid, "look for its image"))
}

/// Enters the data of a volume that is an image, which is mounted if it is not.
pub(crate) fn enter_image(folder: &Folder, volume_uuid: Uuid) -> Result<Folder, VolumeFault> {
    let image = open_image(folder, volume_uuid)?;
    let top = match mounted(folder, volume_uuid, &image)? {
        Some(top) => top,
        None => mount_in_place(folder, volume_uuid, &image)?,
    };
    let stat = rustix::fs::fstatvfs(&top).map_err(|errno| {
        volume_io(volume_uuid, "read the state of its file system")(errno.into())
    })?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(damaged(volume_uuid, folder.path(), "the kernel found an error in the file system of its image and takes no more writes; see the kernel's log, end its tasks, unmount it, and run e2fsck -f on the image"));
    }
    Ok(top)
}

/// Sees that a volume that is an image has it, and mounts nothing.
pub(crate) fn look_at_image(folder: &Folder, volume_uuid: Uuid) -> Result<(), VolumeFault> {
    let image = open_image(folder, volume_uuid)?;
    match mounted(folder, volume_uuid, &image)? {
        Some(_) => Ok(()),
        None => verify(folder, volume_uuid, &image).map(drop),
    }
}

/// The bytes that files use in the image of a volume, by its file system; nothing while that is not mounted.
pub(crate) fn used_in_image(
    folder: &Folder,
    volume_uuid: Uuid,
) -> Result<Option<u64>, VolumeFault> {
    let image = open_image(folder, volume_uuid)?;
    keep_allocated(&image, volume_uuid);
    let Some(top) = mounted(folder, volume_uuid, &image)? else { return Ok(None) };
    let stat = rustix::fs::fstatvfs(&top)
        .map_err(|errno| volume_io(volume_uuid, "read what it uses")(errno.into()))?;
    Ok(Some(stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize)))
}

/// Unmounts the image of a volume, if it is mounted: what was written to it is durable then.
pub(crate) fn unmount_image(folder: &Folder, volume_uuid: Uuid) -> Result<(), VolumeFault> {
    while let Some(top) = mount_over(folder, volume_uuid)? {
        let stat = rustix::fs::fstatfs(&top)
            .map_err(|errno| volume_io(volume_uuid, "look at what is mounted")(errno.into()))?;
        let is_ours = stat.f_type == EXT4
            && rustix::fs::fstatvfs(&top).is_ok_and(|it| it.f_fsid == fsid(volume_uuid));
        if !is_ours {
            return Err(foreign(folder, volume_uuid));
        }
        step("umount", DATA).map_err(volume_io(volume_uuid, "unmount its image"))?;
        rustix::fs::syncfs(&top)
            .map_err(|errno| volume_io(volume_uuid, "sync its file system")(errno.into()))?;
        drop(top); // It would be in use by us.
        let path = format!("/proc/self/fd/{}/{DATA}", folder.as_fd().as_raw_fd());
        let result = unmount(path.as_str(), UnmountFlags::NOFOLLOW);
        // Whoever still looks at it (a shell that stands in it) keeps it, and nobody else finds it any more.
        let result = match result {
            Err(Errno::BUSY) => {
                unmount(path.as_str(), UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
            }
            other => other,
        };
        result.map_err(|errno| volume_io(volume_uuid, "unmount its image")(errno.into()))?;
    }
    Ok(())
}

/// How ext4 makes the number of a file system of its uuid.
fn fsid(volume_uuid: Uuid) -> u64 {
    let (low, high) = volume_uuid.as_bytes().split_at(8);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("they are eight"));
    number(low) ^ number(high)
}

fn foreign(folder: &Folder, volume_uuid: Uuid) -> VolumeFault {
    let detail = "another file system is mounted over its `data`".into();
    VolumeFault::Foreign { volume_uuid, path: folder.path().to_path_buf(), detail }
}

fn open_image(folder: &Folder, volume_uuid: Uuid) -> Result<File, VolumeFault> {
    let wrong = |detail: &str| damaged(volume_uuid, folder.path(), detail);
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let image = match rustix::fs::openat(folder, IMAGE, flags, Mode::empty()) {
        Ok(image) => image,
        Err(Errno::NOENT) => return Err(wrong("its image is gone")),
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(wrong("its image is no file")),
        Err(errno) => return Err(volume_io(volume_uuid, "open its image")(errno.into())),
    };
    let stat = stat_fd(&image).map_err(volume_io(volume_uuid, "look at its image"))?;
    match file_type(&stat) {
        FileType::RegularFile => Ok(File::from(image)),
        _ => Err(wrong("its image is no file")),
    }
}

/// What is mounted at the data of a volume, if anything is.
fn mount_over(folder: &Folder, volume_uuid: Uuid) -> Result<Option<Folder>, VolumeFault> {
    match folder.enter_across(DATA) {
        Ok(data) => Ok(Some(data).filter(|it| it.identity().mount != folder.identity().mount)),
        // One that cannot be read any more, and is mounted all the same, says so here.
        Err(EnterFault::Io(source)) => {
            Err(volume_io(volume_uuid, "open its directory `data`")(source))
        }
        Err(EnterFault::Absent) => Ok(None),
        Err(_) => Err(damaged(volume_uuid, folder.path(), "its `data` is a file or a link")),
    }
}

/// The top of the image of a volume, if it is mounted.
fn mounted(
    folder: &Folder,
    volume_uuid: Uuid,
    image: &File,
) -> Result<Option<Folder>, VolumeFault> {
    let Some(top) = mount_over(folder, volume_uuid)? else { return Ok(None) };
    let found = top.identity();
    let file = file_id(&stat_fd(image).map_err(volume_io(volume_uuid, "look at its image"))?);
    let is_it = is_over(found.file.device, file)
        .map_err(volume_io(volume_uuid, "ask which file its mount stands for"))?;
    let is_top = found.file.inode == TOP_INODE && found.mount_root != Some(false);
    match is_it && is_top {
        true => Ok(Some(top)),
        false => Err(foreign(folder, volume_uuid)),
    }
}

/// The file system in an image: that of this volume, whole as far as its first block tells.
fn verify(folder: &Folder, volume_uuid: Uuid, image: &File) -> Result<Superblock, VolumeFault> {
    let wrong = |detail: &str| damaged(volume_uuid, folder.path(), detail);
    let found = read_superblock(image).map_err(volume_io(volume_uuid, "read its image"))?;
    let found = found.ok_or_else(|| wrong("its image holds no ext4 file system"))?;
    if found.uuid != volume_uuid {
        let detail = format!("the file system in its image says volume {}", found.uuid);
        return Err(VolumeFault::Foreign {
            volume_uuid,
            path: folder.path().to_path_buf(),
            detail,
        });
    }
    let length = image.metadata().map_err(volume_io(volume_uuid, "look at its image"))?.len();
    if length < found.bytes {
        return Err(wrong(&format!(
            "its image is cut short: {length} bytes are left of {}",
            found.bytes
        )));
    }
    if found.has_errors {
        return Err(wrong(
            "the kernel found errors in the file system of its image; run e2fsck -f on the image",
        ));
    }
    Ok(found)
}

/// Mounts the image of a volume that is not mounted.
fn mount_in_place(folder: &Folder, volume_uuid: Uuid, image: &File) -> Result<Folder, VolumeFault> {
    let below = enter_data(folder, volume_uuid)?;
    if !below.is_empty().map_err(volume_io(volume_uuid, "look below its mount"))? {
        return Err(damaged(volume_uuid, folder.path(), "its image is not mounted, and something was put into the directory below the mount; move that away, by hand"));
    }
    verify(folder, volume_uuid, image)?;
    keep_allocated(image, volume_uuid);
    let attaching = volume_io(volume_uuid, "attach its image to a loop device");
    step("mount", DATA).map_err(&attaching)?;
    let device = match find(image, &folder_name(volume_uuid)).map_err(&attaching)? {
        Some(device) => device,
        None => attach(image).map_err(&attaching)?,
    };
    let tree = mount(&device).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOMEM | libc::EPERM | libc::ENODEV) => {
            volume_io(volume_uuid, "mount its image")(error)
        }
        _ => damaged(volume_uuid, folder.path(), format!("its image cannot be mounted: {error}; see the kernel's log, and run e2fsck -f on the image")),
    })?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&tree, "", &below, "", flags)
        .map_err(|errno| volume_io(volume_uuid, "mount its image")(errno.into()))?;
    drop((tree, below));
    mounted(folder, volume_uuid, image)?.ok_or_else(|| {
        damaged(volume_uuid, folder.path(), "its image was unmounted again by somebody else")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{crash_at, record};
    use crate::testbed::{may_mount, once_free, volume_label, Bed, TmpfsMount};
    use crate::{
        check_volume, give_volume_to, list_trash, list_volumes, make_volume, make_volumes,
        purge_trash, restore_volume, sweep_unmade, trash_volume, VolumesMeter,
    };
    use std::fs;
    use std::io::Write as _;
    use std::ops::ControlFlow;
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    /// Volume `n`, as an image.
    fn image_label(n: u128) -> VolumeLabel {
        VolumeLabel { image: true, size_mb: 8, ..volume_label(n) }
    }

    /// A disk whose mounts go with it.
    struct ImageBed(Bed);

    impl ImageBed {
        fn new(test: &str) -> Option<ImageBed> {
            let can = may_mount(test) && cannot_make_images().is_none();
            can.then(|| ImageBed(Bed::new()))
        }

        fn folder(&self, place: &str, n: u128) -> PathBuf {
            self.0.folder().join(place).join(volume_label(n).volume_uuid.to_string())
        }

        fn filled(&self, n: u128) -> PathBuf {
            let data = make_volume(&self.0.disk, &image_label(n)).unwrap();
            fs::write(data.join("precious"), format!("bytes of {n}")).unwrap();
            data
        }

        fn check(&self, n: u128) -> Result<PathBuf, VolumeFault> {
            check_volume(&self.0.disk, &volume_label(n))
        }

        /// Unmounts, and waits until no device is over the image.
        fn unmount(&self, n: u128) {
            let folder = self.folder("volumes", n);
            once_free(|| unmount(folder.join("data"), UnmountFlags::empty()));
            self.let_go(&folder);
        }

        /// Waits until no device is over the image of a volume.
        fn let_go(&self, path: &std::path::Path) {
            let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while let Some(device) = self.device(path) {
                assert!(std::time::Instant::now() < until, "{device:?} is kept");
                std::thread::yield_now();
            }
        }

        /// The device over the image of a volume, if there is one.
        fn device(&self, path: &std::path::Path) -> Option<PathBuf> {
            let image = File::options().read(true).open(path.join(IMAGE)).unwrap();
            let word = self.0.dir.path().file_name().unwrap().to_str().unwrap().to_owned();
            find(&image, &word).unwrap().map(|it| it.path().to_owned())
        }
    }

    impl Drop for ImageBed {
        fn drop(&mut self) {
            let mounts = crate::mounts::read_mountinfo().unwrap_or_default();
            for mount in mounts.iter().filter(|it| it.mount_point.starts_with(self.0.dir.path())) {
                let _ = unmount(&mount.mount_point, UnmountFlags::DETACH);
            }
        }
    }

    fn fill(path: &std::path::Path) -> (u64, io::Error) {
        let mut file = File::create(path).unwrap();
        let mut written = 0;
        loop {
            match file.write_all(&[7; 4096]).and_then(|()| file.sync_data()) {
                Ok(()) => written += 4096,
                Err(error) => return (written, error),
            }
        }
    }

    #[test]
    fn a_writer_meets_the_end_of_its_volume_and_nobody_else_does() {
        let test = "a_writer_meets_the_end_of_its_volume_and_nobody_else_does";
        let Some(bed) = ImageBed::new(test) else { return };
        let (one, other) = (bed.filled(1), bed.filled(2));
        assert_eq!(fs::read_dir(&one).unwrap().count(), 1, "it was empty, no lost+found");
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, DATA_MODE);
        let (written, error) = fill(&one.join("big"));
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert!((5 << 20..8 << 20).contains(&written), "{written} of 8 MB");
        fs::write(other.join("more"), vec![1; 1 << 20]).unwrap();
        fs::write(bed.0.dir.path().join("else"), vec![1; 1 << 20]).unwrap();
        let mut meter = VolumesMeter::begin(&bed.0.disk).unwrap();
        assert!(meter.go_on(&bed.0.disk, &mut || true).unwrap());
        for (uuid, used) in meter.found() {
            let is_full = uuid == volume_label(1).volume_uuid;
            assert!((is_full && written <= used) || (!is_full && used < 2 << 20), "{uuid} {used}");
        }
        let image = bed.folder("volumes", 2).join(IMAGE);
        let blocks = fs::metadata(&image).unwrap().blocks() * 512;
        assert!(8 << 20 <= blocks, "all of it is allocated: {blocks}");
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let open = File::options().write(true).open(&image).unwrap();
        rustix::fs::fallocate(&open, hole, 7 << 20, 64 << 10).unwrap();
        assert!(fs::metadata(&image).unwrap().blocks() * 512 < blocks);
        let mut meter = VolumesMeter::begin(&bed.0.disk).unwrap();
        assert!(meter.go_on(&bed.0.disk, &mut || true).unwrap());
        assert!(blocks <= fs::metadata(&image).unwrap().blocks() * 512, "and again");
        assert_eq!(fs::metadata(&image).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(give_volume_to(&bed.0.disk, &volume_label(1), 4711, 4712).unwrap());
        assert_eq!(fs::metadata(&one).unwrap().uid(), 4711);
    }

    #[test]
    fn a_mount_is_used_again_and_one_that_is_gone_is_made_again() {
        let test = "a_mount_is_used_again_and_one_that_is_gone_is_made_again";
        let Some(bed) = ImageBed::new(test) else { return };
        let data = bed.filled(1);
        let (checked, steps) = record(|| bed.check(1).unwrap());
        assert_eq!((checked, steps), (data.clone(), Vec::new()), "nothing is done");
        let device = bed.device(&bed.folder("volumes", 1)).unwrap();
        bed.unmount(1);
        assert!(!data.join("precious").exists());
        assert_eq!(list_volumes(&bed.0.disk).unwrap().volumes.len(), 1, "looking mounts nothing");
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, BELOW_MODE);
        assert_eq!(bed.check(1).unwrap(), data);
        assert_eq!(fs::read_to_string(data.join("precious")).unwrap(), "bytes of 1");
        // A container still has it when the machine's own mount is taken away: it is the same file system.
        let held = File::open(data.join("precious")).unwrap();
        let before = bed.device(&bed.folder("volumes", 1)).unwrap();
        unmount(&data, UnmountFlags::DETACH).unwrap();
        assert_eq!(bed.check(1).unwrap(), data);
        assert_eq!(bed.device(&bed.folder("volumes", 1)).as_ref(), Some(&before), "{device:?}");
        assert_eq!(held.metadata().unwrap().dev(), fs::metadata(&data).unwrap().dev());
        assert_eq!(make_volume(&bed.0.disk, &image_label(1)).unwrap(), data);
    }

    /// Something that happens to a volume that is not mounted, and what is said of it.
    type Harm = (&'static str, fn(&ImageBed, &std::path::Path));

    #[test]
    fn what_is_wrong_with_an_image_is_said_and_nothing_is_served_in_its_place() {
        let test = "what_is_wrong_with_an_image_is_said_and_nothing_is_served_in_its_place";
        let Some(bed) = ImageBed::new(test) else { return };
        let write = |path: &std::path::Path, at: u64, bytes: &[u8]| {
            File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
        };
        let harms: [Harm; 8] = [
            ("its image is gone", |_, it| fs::rename(it.join(IMAGE), it.join("x")).unwrap()),
            ("its image is no file", |_, it| {
                fs::rename(it.join(IMAGE), it.join("x")).unwrap();
                std::os::unix::fs::symlink("x", it.join(IMAGE)).unwrap();
            }),
            ("cut short", |_, it| {
                let image = File::options().write(true).open(it.join(IMAGE)).unwrap();
                image.set_len(3 << 20).unwrap();
            }),
            ("holds no ext4 file system", |_, it| fs::write(it.join(IMAGE), [0; 9000]).unwrap()),
            ("says volume", |bed, it| {
                drop(bed.filled(90));
                bed.unmount(90);
                fs::copy(bed.folder("volumes", 90).join(IMAGE), it.join(IMAGE)).unwrap();
                drop(trash_volume(&bed.0.disk, volume_label(90).volume_uuid, 1).unwrap());
            }),
            ("below the mount", |_, it| fs::write(it.join("data/stray"), "x").unwrap()),
            ("`data` is gone", |_, it| fs::remove_dir(it.join("data")).unwrap()),
            ("is a file or a link", |_, it| {
                fs::remove_dir(it.join("data")).unwrap();
                std::os::unix::fs::symlink("/tmp", it.join("data")).unwrap();
            }),
        ];
        for (n, (words, harm)) in (1..).zip(harms) {
            bed.filled(n);
            bed.unmount(n);
            harm(&bed, &bed.folder("volumes", n));
            let (said, steps) = record(|| bed.check(n).unwrap_err());
            assert!(said.to_string().contains(words), "{n}: {said}");
            assert_eq!(steps, Vec::<String>::new(), "{words}");
        }
        for (n, at, bytes, words) in [
            (20, 1024 + 0x3A, &[3u8, 0][..], "run e2fsck -f on the image"),
            (21, 1024 + 0x18, &[2, 0, 0, 0][..], "cut short"),
            (22, 1024 + 0x20, &[0xff; 16][..], "cannot be mounted"),
        ] {
            bed.filled(n);
            bed.unmount(n);
            write(&bed.folder("volumes", n).join(IMAGE), at, bytes);
            let said = bed.check(n).unwrap_err().to_string();
            assert!(said.contains(words), "{n}: {said}");
            bed.let_go(&bed.folder("volumes", n));
        }
    }

    #[test]
    fn what_somebody_else_mounted_there_is_foreign_and_stays() {
        let test = "what_somebody_else_mounted_there_is_foreign_and_stays";
        let Some(bed) = ImageBed::new(test) else { return };
        let data = bed.filled(1);
        let over = TmpfsMount::on(data.clone(), test).unwrap();
        assert!(matches!(bed.check(1), Err(VolumeFault::Foreign { .. })));
        let trashed = trash_volume(&bed.0.disk, volume_label(1).volume_uuid, 1);
        assert!(matches!(trashed, Err(VolumeFault::Foreign { .. })), "{trashed:?}");
        drop(over);
        bed.check(1).expect("whole again, without anyone's help");
        bed.filled(2);
        bed.unmount(2);
        let bind = TmpfsMount::bind(&data, bed.folder("volumes", 2).join("data"), test).unwrap();
        assert!(matches!(bed.check(2), Err(VolumeFault::Foreign { .. })), "another's image");
        drop(bind);
    }

    #[test]
    fn one_that_takes_no_more_writes_is_refused_with_what_to_do() {
        let test = "one_that_takes_no_more_writes_is_refused_with_what_to_do";
        let Some(bed) = ImageBed::new(test) else { return };
        let data = bed.filled(1);
        // As the kernel does it after an error.
        once_free(|| rustix::mount::mount_remount(&data, rustix::mount::MountFlags::RDONLY, c""));
        let said = bed.check(1).unwrap_err().to_string();
        assert!(said.contains("takes no more writes") && said.contains("e2fsck"), "{said}");
        assert_eq!(fs::read_to_string(data.join("precious")).unwrap(), "bytes of 1");
    }

    #[test]
    fn destroyed_it_is_unmounted_and_comes_back_whole_or_goes_for_good() {
        let test = "destroyed_it_is_unmounted_and_comes_back_whole_or_goes_for_good";
        let Some(bed) = ImageBed::new(test) else { return };
        let data = bed.filled(1);
        let standing = File::open(&data).unwrap();
        let entry = trash_volume(&bed.0.disk, volume_label(1).volume_uuid, 7).unwrap();
        assert!(!data.exists() && entry.label.as_ref().is_some_and(|it| it.image));
        let mounts = crate::mounts::read_mountinfo().unwrap();
        assert!(!mounts.iter().any(|it| it.mount_point.starts_with(bed.0.dir.path())));
        drop(standing);
        bed.let_go(&entry.path);
        restore_volume(&bed.0.disk, &entry).unwrap();
        bed.check(1).unwrap();
        assert_eq!(fs::read_to_string(data.join("precious")).unwrap(), "bytes of 1");
        let entry = trash_volume(&bed.0.disk, volume_label(1).volume_uuid, 8).unwrap();
        let mut go_on = |_: &crate::PurgeProgress| ControlFlow::Continue(());
        let purged = purge_trash(&bed.0.disk, &entry, &mut go_on).unwrap();
        assert!(purged.done && 8 << 20 <= purged.removed_bytes, "{purged:?}");
        assert!(list_trash(&bed.0.disk).unwrap().entries.is_empty());
    }

    #[test]
    fn killed_at_any_step_it_is_made_and_destroyed_in_the_end() {
        let test = "killed_at_any_step_it_is_made_and_destroyed_in_the_end";
        for n in 0.. {
            let Some(bed) = ImageBed::new(test) else { return };
            let labels = [image_label(1), volume_label(2)];
            let (made, crashed) = crash_at(n, || make_volumes(&bed.0.disk, &labels));
            // Also after a kill the first of which nobody cleared away.
            sweep_unmade(&bed.0.disk).unwrap();
            assert_eq!(fs::read_dir(bed.0.folder().join("making")).map_or(0, |it| it.count()), 0);
            assert!(made.iter().all(Result::is_ok) || crashed, "step {n}: {made:?}");
            let data = make_volume(&bed.0.disk, &image_label(1)).unwrap();
            fs::write(data.join("precious"), "x").unwrap();
            bed.check(1).unwrap();
            if !crashed {
                break;
            }
        }
        for n in 0.. {
            let Some(bed) = ImageBed::new(test) else { return };
            let data = bed.filled(1);
            let uuid = volume_label(1).volume_uuid;
            let (_, crashed) = crash_at(n, || trash_volume(&bed.0.disk, uuid, 7));
            let entry = trash_volume(&bed.0.disk, uuid, 8).unwrap();
            restore_volume(&bed.0.disk, &entry).unwrap();
            bed.check(1).unwrap();
            assert_eq!(fs::read_to_string(data.join("precious")).unwrap(), "bytes of 1");
            if !crashed {
                break;
            }
        }
    }

    #[test]
    fn a_kill_between_the_mount_and_the_name_leaves_nothing_mounted() {
        let test = "a_kill_between_the_mount_and_the_name_leaves_nothing_mounted";
        let Some(bed) = ImageBed::new(test) else { return };
        bed.filled(1);
        fs::rename(bed.folder("volumes", 1), bed.folder("making", 1)).unwrap();
        fs::remove_file(bed.folder("making", 1).join("data/precious")).unwrap();
        assert_eq!(sweep_unmade(&bed.0.disk).unwrap(), 1);
        assert!(!bed.folder("making", 1).exists());
    }

    #[test]
    fn one_that_cannot_be_made_is_refused_with_a_reason_and_takes_no_space() {
        let test = "one_that_cannot_be_made_is_refused_with_a_reason_and_takes_no_space";
        let Some(bed) = ImageBed::new(test) else { return };
        let small = VolumeLabel { size_mb: 3, ..image_label(1) };
        let said = make_volume(&bed.0.disk, &small).unwrap_err();
        assert!(matches!(said, VolumeFault::NoImage { .. }), "{said}");
        assert!(said.to_string().contains("3 MB are too few, 4 are the least"), "{said}");
        let root = bed.0.dir.path().join("small");
        let mount = TmpfsMount::on(root.clone(), test).unwrap(); // 8 MB
        let config = crate::DiskConfig { kind: crate::DiskKind::Path, root };
        let disk = crate::open_disk(&config, None, bed.0.disk.label()).unwrap();
        let large = VolumeLabel { size_mb: 64, ..image_label(1) };
        let said = make_volume(&disk, &large).unwrap_err().to_string();
        assert!(said.contains("reserve the space of its image"), "{said}");
        assert!(7 <= crate::capacity(&disk).unwrap().free_mb, "nothing of it is kept");
        drop(mount);
    }
}

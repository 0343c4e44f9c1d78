//! Loop devices: a file as a block device, which the image of a volume is mounted by.
//!
//! What it is for: attaching an image, and finding the device that it is attached to already. What it relies on: `LOOP_CONFIGURE` (Linux
//! 5.8), and the kernel's word for which file a device stands for, by device and inode. What it never does: attach a file a second time (two
//! devices over one file are two file systems that destroy each other), or keep a device: it goes with its last user.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use crate::mounts::{file_id, stat_fd, FileId};

/// The kernel's number of the driver.
const MAJOR: u32 = 7;
const LOOP_GET_STATUS64: u64 = 0x4C05;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LOOP_CTL_GET_FREE: u64 = 0x4C82;
/// The device is let go of with its last user.
const AUTOCLEAR: u32 = 4;
const READ_ONLY: u32 = 1;
/// Not cached twice, where the file system below can do that.
const DIRECT_IO: u32 = 16;
/// How often another process may take the free device that was just found.
const TRIES: usize = 32;

/// `struct loop_info64` of `linux/loop.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const NO_INFO: LoopInfo = LoopInfo {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encrypt_type: 0,
    encrypt_key_size: 0,
    flags: 0,
    file_name: [0; 64],
    crypt_name: [0; 64],
    encrypt_key: [0; 32],
    init: [0; 2],
};

/// `struct loop_config` of `linux/loop.h`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// A loop device that is attached for as long as this, or something that is mounted by it, uses it.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    path: PathBuf,
    /// Keeps it.
    _open: File,
}

impl LoopDevice {
    /// Its node.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The device that a file is attached to, if it is to any. `word` occurs in every path that the file has had.
pub(crate) fn find(image: &File, word: &str) -> io::Result<Option<LoopDevice>> {
    let wanted = file_id(&stat_fd(image)?);
    for entry in std::fs::read_dir("/sys/block")? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b"loop") {
            continue;
        }
        // There is no such file where nothing is attached. Many devices are asked only what costs little.
        let backing = std::fs::read(entry.path().join("loop/backing_file")).unwrap_or_default();
        if !String::from_utf8_lossy(&backing).contains(word) {
            continue;
        }
        let path = Path::new("/dev").join(&name);
        let open = File::options().read(true).open(&path)?;
        match status(&open) {
            Ok(info) if file_of(&info) == wanted => {
                return whole(&info, &path).map(|()| Some(LoopDevice { path, _open: open }));
            }
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {} // It has just let go.
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Attaches a file that no device is attached to.
pub(crate) fn attach(image: &File) -> io::Result<LoopDevice> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    let fd = u32::try_from(image.as_raw_fd()).map_err(io::Error::other)?;
    for _ in 0..TRIES {
        let number = ioctl(&control, LOOP_CTL_GET_FREE, std::ptr::null_mut::<LoopConfig>())?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let open = File::options().read(true).write(true).open(&path)?;
        let info = LoopInfo { flags: AUTOCLEAR | DIRECT_IO, ..NO_INFO };
        let mut config = LoopConfig { fd, block_size: 0, info, reserved: [0; 8] };
        match ioctl(&open, LOOP_CONFIGURE, &mut config) {
            Ok(_) => return Ok(LoopDevice { path, _open: open }),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {} // Another process was quicker.
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free loop device was left for us"))
}

/// Whether a device, by its numbers, is a loop device over this file.
pub(crate) fn is_over(device: (u32, u32), image: FileId) -> io::Result<bool> {
    if device.0 != MAJOR {
        return Ok(false);
    }
    let open = File::options().read(true).open(format!("/dev/loop{}", device.1))?;
    match status(&open) {
        Ok(info) => Ok(file_of(&info) == image),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses a device that somebody made with other settings than ours.
fn whole(info: &LoopInfo, path: &Path) -> io::Result<()> {
    if (info.offset, info.size_limit, info.flags & READ_ONLY) == (0, 0, 0) {
        return Ok(());
    }
    let path = path.display();
    Err(io::Error::other(format!(
        "it is attached to {path} in part or read-only, which was not us; detach it there: losetup --detach {path}"
    )))
}

fn file_of(info: &LoopInfo) -> FileId {
    let device = (rustix::fs::major(info.device), rustix::fs::minor(info.device));
    FileId { device, inode: info.inode }
}

fn status(device: &File) -> io::Result<LoopInfo> {
    let mut info = NO_INFO;
    ioctl(device, LOOP_GET_STATUS64, &mut info)?;
    Ok(info)
}

/// One of the calls above, with the structure that it takes, or none.
fn ioctl<T>(device: impl AsFd, call: u64, with: *mut T) -> io::Result<i32> {
    #[allow(unsafe_code, reason = "no safe wrapper has the calls of loop devices")]
    // SAFETY: the descriptor is open for the length of the call; each of the calls of this file reads and writes at most the structure that its
    // caller passes, which has the kernel's layout, or nothing; the kernel keeps no pointer.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), call, with) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::may_mount;

    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!((size_of::<LoopInfo>(), size_of::<LoopConfig>()), (232, 304));
    }

    #[test]
    fn a_file_is_attached_found_again_and_let_go_of() {
        if !may_mount("a_file_is_attached_found_again_and_let_go_of") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let image = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        image.set_len(1 << 20).unwrap();
        let word = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(find(&image, &word).unwrap().is_none());
        let device = attach(&image).unwrap();
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        let found = find(&image, &word).unwrap().expect("it is attached, whatever it is called");
        assert_eq!(found.path(), device.path());
        let other = File::create(dir.path().join("other")).unwrap();
        assert!(find(&other, &word).unwrap().is_none(), "another file is not this one");
        let number: u32 = device.path().to_str().unwrap()["/dev/loop".len()..].parse().unwrap();
        let file = file_id(&stat_fd(&image).unwrap());
        assert!(is_over((MAJOR, number), file).unwrap() && !is_over((8, number), file).unwrap());
        drop((device, found));
        // Whoever asks after any device at this moment holds it a little longer.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while find(&image, &word).unwrap().is_some() {
            assert!(std::time::Instant::now() < end, "nobody lets go of it");
            std::thread::yield_now();
        }
        assert!(!is_over((MAJOR, number), file).unwrap_or(false));
    }
}

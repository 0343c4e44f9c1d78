//! Which mount a file lies on, and which mounts there are.
//!
//! What it is for: [`identify`] says on which mount and which file system an open file lies, so
//! that nobody crosses from one to another unawares; [`read_mountinfo`] lists the mounts of this
//! process. What it relies on: `statx` with mount ids (Linux 5.8), else `/proc/self/fdinfo`;
//! `/proc/self/mountinfo`. What it never does: trust a path twice.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, Statx, StatxAttributes, StatxFlags};

/// The mount id bit of `statx`'s answer.
const MOUNT_ID_BIT: u32 = 0x1000;

/// The place of an open file, as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The mount; unlike the device it tells a bind mount from what lies under it.
    pub mount: u64,
    /// Device and inode.
    pub file: FileId,
    /// Whether this is the top of its mount, where the kernel says so.
    pub mount_root: Option<bool>,
}

/// Device and inode: the same file, whatever the path or mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// Asks the kernel about an open file.
pub(crate) fn stat_fd(fd: impl AsFd) -> io::Result<Statx> {
    let want = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    Ok(rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT, want)?)
}

/// Device and inode of a stat.
pub(crate) fn file_id(stat: &Statx) -> FileId {
    FileId { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino }
}

/// The type of a stat's file.
pub(crate) fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

/// Reads mount, device and inode of an open file.
pub(crate) fn identify(fd: impl AsFd) -> io::Result<Identity> {
    let stat = stat_fd(&fd)?;
    let mount = if stat.stx_mask & MOUNT_ID_BIT != 0 {
        stat.stx_mnt_id
    } else {
        mount_id_from_fdinfo(fd.as_fd().as_raw_fd())?
    };
    let known = stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    let mount_root = known.then(|| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    Ok(Identity { mount, file: file_id(&stat), mount_root })
}

/// Whether an open directory is the top of a mount.
pub(crate) fn is_mount_root(dir: impl AsFd) -> io::Result<bool> {
    let here = identify(&dir)?;
    if let Some(answer) = here.mount_root {
        return Ok(answer);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = identify(rustix::fs::openat(&dir, "..", flags, rustix::fs::Mode::empty())?)?;
    // The parent of "/" is "/" itself: the same directory on the same mount, and a mount point all
    // the same.
    Ok(parent.mount != here.mount || parent.file == here.file)
}

/// Reads the mount id where kernels before 5.8 report it.
fn mount_id_from_fdinfo(fd: i32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    line.and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
        io::Error::other("no mnt_id in /proc/self/fdinfo; Linux 3.15 or newer is needed")
    })
}

/// One mount, from a line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountLine {
    /// Device numbers, `major:minor`.
    pub device: String,
    /// The directory of the file system that is mounted; `/` unless it is a bind mount or a
    /// subvolume.
    pub root: PathBuf,
    /// The directory where it is mounted.
    pub mount_point: PathBuf,
    /// Options of this mount and of its file system.
    pub options: Vec<String>,
    /// The kind of file system, for example `ext4`.
    pub file_system: String,
    /// The mounted device, for example `/dev/sdb1`.
    pub source: PathBuf,
}

/// The mounts this process sees, in the kernel's order.
pub(crate) fn read_mountinfo() -> io::Result<Vec<MountLine>> {
    let bytes = std::fs::read("/proc/self/mountinfo")?;
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
}

/// The mount that holds `path`: the last of those with the longest mount point above it.
pub(crate) fn mount_of<'a>(mounts: &'a [MountLine], path: &Path) -> Option<&'a MountLine> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue`; a line of
/// another form is none of ours.
fn parse_line(line: &[u8]) -> Option<MountLine> {
    let mut words = line.split(|byte| *byte == b' ');
    let device = String::from_utf8_lossy(words.by_ref().nth(2)?).into_owned();
    let root = unescape(words.next()?);
    let mount_point = unescape(words.next()?);
    let own_options = String::from_utf8_lossy(words.next()?).into_owned();
    words.by_ref().find(|word| *word == b"-")?;
    let file_system = String::from_utf8_lossy(words.next()?).into_owned();
    let source = unescape(words.next()?);
    let super_options = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    let options = own_options
        .split(',')
        .chain(super_options.split(','))
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect();
    Some(MountLine { device, root, mount_point, options, file_system, source })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(word: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|digits| {
            *byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        match digits {
            Some(digits) => {
                out.push(
                    digits
                        .iter()
                        .fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')),
                );
                rest = &tail[3..];
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

/// Whether a mount source is a block device's node.
pub(crate) fn is_device(source: &Path) -> bool {
    source.as_os_str().as_bytes().starts_with(b"/dev/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::TmpfsMount;

    #[test]
    fn lines_are_parsed_with_and_without_optional_fields() {
        let line = parse_line(br"36 35 98:0 / /mnt/my\040disk\134x rw,noatime shared:1 master:2 - ext4 /dev/sdb1 rw,prjquota").unwrap();
        assert_eq!(line.mount_point, Path::new(r"/mnt/my disk\x"));
        assert_eq!(
            (line.file_system.as_str(), line.source.as_path(), line.device.as_str()),
            ("ext4", Path::new("/dev/sdb1"), "98:0")
        );
        assert_eq!(line.options, ["rw", "noatime", "rw", "prjquota"]);
        let short = parse_line(b"1 2 0:5 /sub /a ro - tmpfs none").unwrap();
        assert_eq!((short.root.as_path(), short.options.len()), (Path::new("/sub"), 1));
        for bad in [&b""[..], b"1 2 3", b"1 2 0:5 / /a rw shared:1", b"\xff\xff"] {
            assert_eq!(parse_line(bad), None);
        }
    }

    #[test]
    fn an_escape_cut_short_is_taken_as_it_stands() {
        assert_eq!(unescape(br"a\04"), Path::new(r"a\04"));
        assert_eq!(unescape(br"a\999b"), Path::new(r"a\999b"));
    }

    #[test]
    fn the_longest_and_last_mount_wins() {
        let mount = |point: &str, fs: &str| MountLine {
            device: "0:1".into(),
            root: "/".into(),
            mount_point: point.into(),
            options: vec![],
            file_system: fs.into(),
            source: "none".into(),
        };
        let mounts = [mount("/", "a"), mount("/d", "b"), mount("/d", "c"), mount("/dd", "e")];
        assert_eq!(
            mount_of(&mounts, Path::new("/d/x")).map(|mount| mount.file_system.as_str()),
            Some("c")
        );
        assert_eq!(
            mount_of(&mounts, Path::new("/x")).map(|mount| mount.file_system.as_str()),
            Some("a")
        );
    }

    #[test]
    fn this_process_has_a_root_mount_and_proc_is_one() {
        assert!(read_mountinfo().unwrap().iter().any(|mount| mount.mount_point == Path::new("/")));
        assert!(is_mount_root(std::fs::File::open("/proc").unwrap()).unwrap());
        assert!(is_mount_root(std::fs::File::open("/").unwrap()).unwrap());
        assert!(!is_mount_root(std::fs::File::open("/proc/self").unwrap()).unwrap());
    }

    #[test]
    fn both_sources_of_the_mount_id_tell_two_mounts_apart() {
        let dir = tempfile::tempdir().unwrap();
        let Some(mount) = TmpfsMount::on(dir.path().join("disk"), "both_sources_of_the_mount_id")
        else {
            return;
        };
        let (below, above) =
            (std::fs::File::open(dir.path()).unwrap(), std::fs::File::open(mount.path()).unwrap());
        assert_ne!(identify(&below).unwrap().mount, identify(&above).unwrap().mount);
        assert_ne!(
            mount_id_from_fdinfo(below.as_raw_fd()).unwrap(),
            mount_id_from_fdinfo(above.as_raw_fd()).unwrap()
        );
    }
}

//! What the first block of an ext4 file system says of it, and the tool that makes one.
//!
//! What it is for: before an image is mounted it must be the one of its volume, whole, and free of known errors. What it relies on: the
//! superblock's layout, which is fixed; the kernel checks its checksum at the mount. What it never does: write to a file system that is there.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use uuid::Uuid;

/// Where the superblock is.
const AT: u64 = 1024;
const MAGIC: u16 = 0xEF53;
/// The flag of a file system in which the kernel found errors.
const ERRORS: u16 = 2;
/// The flag of block numbers of 64 bits.
const BITS_64: u32 = 0x80;
/// How much of what the tool says is passed on.
const SAID_MAX: u64 = 1_000;

/// A file system, by its superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub uuid: Uuid,
    /// Whether errors were found in it.
    pub has_errors: bool,
    /// All of it.
    pub bytes: u64,
    /// What files and directories use of it.
    pub used_bytes: u64,
}

/// Reads it; `None` where there is none.
pub(crate) fn read_superblock(image: &File) -> io::Result<Option<Superblock>> {
    let mut block = [0; 1024];
    match image.read_exact_at(&mut block, AT) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let u16_at = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
    let u32_at =
        |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    if u16_at(0x38) != MAGIC || 6 < u32_at(0x18) {
        return Ok(None);
    }
    let high = u32_at(0x60) & BITS_64 != 0;
    let blocks = |low: usize, above: usize| {
        u64::from(u32_at(low)) | if high { u64::from(u32_at(above)) << 32 } else { 0 }
    };
    let block_bytes = 1024u64 << u32_at(0x18);
    let (all, free) = (blocks(0x04, 0x150), blocks(0x0C, 0x158));
    let used = all.saturating_sub(free).saturating_sub(u64::from(u32_at(0x248)));
    Ok(Some(Superblock {
        uuid: Uuid::from_slice(&block[0x68..0x78]).expect("a uuid has 16 bytes"),
        has_errors: u16_at(0x3A) & ERRORS != 0,
        bytes: all.saturating_mul(block_bytes),
        used_bytes: used.saturating_mul(block_bytes),
    }))
}

/// The tool that makes file systems, if the machine has it.
pub(crate) fn maker() -> Option<PathBuf> {
    // Not from `PATH` alone: a helper process has no environment, and users' paths often lack these.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let mut places = system.into_iter().chain(std::env::split_paths(&path));
    places.find_map(|dir| Some(dir.join("mkfs.ext4")).filter(|it| it.is_file()))
}

/// Fills a file, which must read as zeros, with a new file system of its length. Dies with its caller.
pub(crate) fn make_file_system(maker: &PathBuf, image: &File, uuid: Uuid) -> io::Result<()> {
    // The first spares the kernel to write zeros to what holds zeros, in the background and into the volume's own limit of I/O; older tools
    // do not know it.
    let options = ["nodiscard,assume_storage_prezeroed=1", "nodiscard,lazy_itable_init=1"];
    let first = run(maker, image, uuid, options[0]);
    first.or_else(|_| run(maker, image, uuid, options[1]))
}

fn run(maker: &PathBuf, image: &File, uuid: Uuid, options: &str) -> io::Result<()> {
    let parent = std::process::id();
    let mut command = Command::new(maker);
    command.env_clear().args(["-q", "-F", "-m", "0", "-e", "remount-ro", "-L", "holdfast"]);
    command.args(["-U", &uuid.to_string(), "-E", options]);
    command.arg(format!("/proc/{parent}/fd/{}", image.as_raw_fd()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    #[allow(unsafe_code, reason = "there is no other way to bind a child's life to ours")]
    // SAFETY: between fork and exec, the closure makes two system calls and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // It may have died before that.
            let is_ours = rustix::process::getppid()
                .is_some_and(|it| u32::try_from(it.as_raw_nonzero().get()) == Ok(parent));
            is_ours.then_some(()).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
        });
    }
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(log) = child.stderr.take() {
        // What cannot be read is missing in a message, no more.
        let _ = log.take(SAID_MAX).read_to_string(&mut said);
    }
    let status = child.wait()?;
    match status.success() {
        true => Ok(()),
        false => {
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(io::Error::other(format!("{} ended with {status}: {said}", maker.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_says_what_it_is_and_other_bytes_say_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(read_superblock(&file).unwrap(), None, "it is too short");
        file.set_len(8 << 20).unwrap();
        assert_eq!(read_superblock(&file).unwrap(), None, "zeros");
        let Some(maker) = maker() else { return };
        let uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788);
        make_file_system(&maker, &file, uuid).unwrap();
        let made = read_superblock(&file).unwrap().unwrap();
        assert_eq!((made.uuid, made.has_errors, made.bytes), (uuid, false, 8 << 20));
        assert!(made.used_bytes < 1 << 20, "{made:?}");
        file.write_all_at(&3u16.to_le_bytes(), AT + 0x3A).unwrap();
        assert!(read_superblock(&file).unwrap().unwrap().has_errors);
    }

    #[test]
    fn what_the_tool_says_is_passed_on() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1).unwrap();
        let Some(maker) = maker() else { return };
        let error = make_file_system(&maker, &file, Uuid::nil()).unwrap_err().to_string();
        assert!(error.contains("mkfs.ext4 ended with"), "{error}");
    }
}

//! What payloads print: pipes that are emptied into files, of which only the newest part is kept.
//!
//! Each of the two streams has a file (`stdout`, `stderr`) and, once that has reached half of what may be
//! kept, the one before it (`stdout.1`, `stderr.1`). Bytes go from the pipe to the file without a copy in
//! between, and count as out of the pipe only when they are in the file; so an empty pipe says that all that
//! was printed can be read ([`is_settled`]). Where the file system has little room, or none, the oldest
//! output goes first. It never holds up a payload because of a full disk, never follows a link in the
//! directory of the files, and never writes to a file that it did not open.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::{
    fchown, fstat, fstatvfs, openat, renameat, unlinkat, AtFlags, FileType, Gid, Mode, OFlags, Uid,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::isolation::beneath::open_directory;

/// The streams, as their files are named.
const NAMES: [&str; 2] = ["stdout", "stderr"];
/// The most that goes from a pipe to a file at once.
const PIECE_BYTES: u64 = 64 << 10;
/// How much is written between two looks at the room that is left.
const LOOK_BYTES: u64 = 256 << 10;

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLimits {
    /// Bytes of each stream that are kept at most; 0 for all, which goes straight to the file.
    pub max_bytes: u64,
    /// Bytes that are to stay free on the file system: with less, only the newest output is kept.
    #[serde(default)]
    pub keep_free_bytes: u64,
}

/// The ends of both pipes for a payload.
#[derive(Debug)]
pub struct OutputEnds {
    /// For its standard output.
    pub stdout: PipeWriter,
    /// For its standard error.
    pub stderr: PipeWriter,
}

/// The other ends, with the files.
#[derive(Debug)]
pub struct OutputPump {
    streams: Vec<Stream>,
}

/// A pump that runs in a thread of its own.
#[derive(Debug)]
pub struct RunningPump(Receiver<()>);

#[derive(Debug)]
struct Stream {
    pipe: PipeReader,
    file: File,
    directory: OwnedFd,
    name: &'static str,
    older: CString,
    owner: Option<(u32, u32)>,
    limits: OutputLimits,
    /// Bytes in the file.
    size: u64,
    /// Bytes since the last look at the room that is left.
    unlooked: u64,
}

/// Opens the files in `directory`, appending to what is there, and a pipe for each. Both belong to `owner`, so
/// that a payload can open its own output by name, as `/dev/stdout`.
///
/// # Errors
/// When the directory, a file or a pipe cannot be opened.
pub fn open_output(
    directory: &Path,
    limits: OutputLimits,
    owner: Option<(u32, u32)>,
) -> io::Result<(OutputPump, OutputEnds)> {
    let mut streams = Vec::new();
    let mut open = |name: &'static str| -> io::Result<PipeWriter> {
        let directory = open_directory(directory)?;
        let mut file = open_file(&directory, name, OFlags::empty(), owner)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let size = file.seek(SeekFrom::End(0))?;
        let (pipe, end) = io::pipe()?;
        give(&end, owner)?;
        let older = CString::new(format!("{name}.1"))?;
        let unlooked = LOOK_BYTES;
        streams.push(Stream { pipe, file, directory, name, older, owner, limits, size, unlooked });
        Ok(end)
    };
    let ends = OutputEnds { stdout: open(NAMES[0])?, stderr: open(NAMES[1])? };
    Ok((OutputPump { streams }, ends))
}

fn open_file(
    directory: &OwnedFd,
    name: &str,
    how: OFlags,
    owner: Option<(u32, u32)>,
) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC | how;
    let file = File::from(openat(directory, name, flags, Mode::from_raw_mode(0o644))?);
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    give(&file, owner)?;
    Ok(file)
}

fn give(file: &impl AsFd, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((uid, gid)) => Ok(fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?),
        None => Ok(()),
    }
}

impl OutputPump {
    /// Empties the pipes in a thread of its own until nobody can write to them any more.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn start(self) -> io::Result<RunningPump> {
        let (done, ended) = channel();
        std::thread::Builder::new().name("output".to_owned()).stack_size(128 << 10).spawn(
            move || {
                self.run();
                // Nobody may wait for it.
                let _ = done.send(());
            },
        )?;
        Ok(RunningPump(ended))
    }

    fn run(mut self) {
        while !self.streams.is_empty() {
            let ready: Vec<bool> = {
                let mut polled: Vec<PollFd> =
                    self.streams.iter().map(|it| PollFd::new(&it.pipe, PollFlags::IN)).collect();
                match poll(&mut polled, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return eprintln!("the output cannot be waited for: {error}"),
                }
                polled.iter().map(|it| !it.revents().is_empty()).collect()
            };
            let mut ready = ready.into_iter();
            self.streams.retain_mut(|it| !ready.next().unwrap_or_default() || it.take());
        }
    }
}

impl RunningPump {
    /// Waits until all that was printed is in the files; not longer than this, as a disk may hang.
    pub fn wait(&self, patience: Duration) -> bool {
        self.0.recv_timeout(patience).is_ok()
    }
}

impl Stream {
    /// Moves what is there; `false` at the end.
    fn take(&mut self) -> bool {
        let half = (self.limits.max_bytes / 2).max(1);
        if self.size >= half {
            self.turn_over();
        }
        if self.unlooked >= LOOK_BYTES {
            self.unlooked = 0;
            self.make_room();
        }
        let length = PIECE_BYTES.min(half.saturating_sub(self.size).max(1));
        match self.move_piece(length) {
            Ok(0) => false,
            Ok(count) => {
                self.size += count;
                self.unlooked += count;
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(Errno::NOSPC | Errno::DQUOT) => self.give_way(length),
            Err(_) => self.discard(length),
        }
    }

    /// From the pipe into the file; by way of memory where the file system can do no better.
    fn move_piece(&mut self, length: u64) -> Result<u64, Errno> {
        match splice(&self.pipe, &self.file, length) {
            Err(Errno::INVAL) => {
                let mut bytes = vec![0; length as usize];
                let count = self.pipe.read(&mut bytes).map_err(errno)?;
                self.file.write_all(&bytes[..count]).map_err(errno)?;
                Ok(count as u64)
            }
            moved => moved,
        }
    }

    /// Begins a new file; the one before the last goes. What a payload has put in their places may prevent it:
    /// then the file begins anew as it is.
    fn turn_over(&mut self) {
        let turned = renameat(&self.directory, self.name, &self.directory, &self.older)
            .map_err(io::Error::from)
            .and_then(|()| open_file(&self.directory, self.name, OFlags::EXCL, self.owner));
        match turned {
            Ok(file) => (self.file, self.size) = (file, 0),
            Err(_) => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) {
        // On a disk that fails, more cannot be done.
        let _ = self.file.set_len(0).and_then(|()| self.file.rewind());
        self.size = 0;
    }

    /// Keeps only what is newest where little is free.
    fn make_room(&mut self) {
        let free = fstatvfs(&self.file).map(|it| it.f_bavail.saturating_mul(it.f_frsize));
        if free.is_ok_and(|it| it < self.limits.keep_free_bytes) {
            self.remove_older();
            if self.size >= LOOK_BYTES {
                self.turn_over();
            }
        }
    }

    fn remove_older(&self) {
        // There may be none.
        let _ = unlinkat(&self.directory, &self.older, AtFlags::empty());
    }

    /// The file system is full: older output makes way for this piece, and if that is not enough, it is lost.
    fn give_way(&mut self, length: u64) -> bool {
        self.remove_older();
        self.begin_anew();
        match self.move_piece(length) {
            Ok(count) => {
                self.size += count;
                count > 0
            }
            Err(_) => self.discard(length),
        }
    }

    /// Takes a piece and drops it: a payload is not held up because its output cannot be kept.
    fn discard(&mut self, length: u64) -> bool {
        !matches!(self.pipe.read(&mut vec![0; length as usize]), Ok(0))
    }
}

/// Moves bytes from a pipe to where a file stands.
#[allow(unsafe_code, reason = "neither nix nor rustix, as they are built here, has splice")]
fn splice(pipe: &PipeReader, file: &File, length: u64) -> Result<u64, Errno> {
    // SAFETY: both descriptors are open for the length of the call, and there are no offsets.
    let moved = unsafe {
        libc::splice(
            pipe.as_raw_fd(),
            std::ptr::null_mut(),
            file.as_raw_fd(),
            std::ptr::null_mut(),
            length as usize,
            libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
        )
    };
    u64::try_from(moved).map_err(|_| errno(io::Error::last_os_error()))
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Whether all that was printed to `output` so far can be read: it is no pipe, or an empty one.
pub fn is_settled(output: BorrowedFd<'_>) -> bool {
    let is_pipe =
        fstat(output).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo);
    !is_pipe || rustix::io::ioctl_fionread(output).is_ok_and(|it| it == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutputLimits = OutputLimits { max_bytes: 64 << 10, keep_free_bytes: 0 };

    /// Prints through the pipes to the end, and returns what is kept: the older file, and the newer.
    fn printed(directory: &Path, limits: OutputLimits, pieces: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let (pump, mut ends) = open_output(directory, limits, None).unwrap();
        let pump = pump.start().unwrap();
        for piece in pieces {
            ends.stdout.write_all(piece).unwrap();
        }
        drop(ends);
        assert!(pump.wait(Duration::from_secs(60)));
        let read = |name: &str| std::fs::read(directory.join(name)).unwrap_or_default();
        (read("stdout.1"), read("stdout"))
    }

    fn lines(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|it| format!("line {it}\n").into_bytes()).collect()
    }

    #[test]
    fn what_fits_is_whole_and_what_does_not_ends_with_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(printed(dir.path(), LIMITS, &lines(10)), (vec![], lines(10).concat()));
        let all = [lines(10).concat(), lines(100_000).concat()].concat();
        let (older, newer) = printed(dir.path(), LIMITS, &lines(100_000));
        assert!(older.len() + newer.len() <= 64 << 10 && older.len() == 32 << 10);
        assert!(all.ends_with(&[older, newer].concat()), "nothing is lost between the two");
    }

    #[test]
    fn all_is_in_the_file_once_the_pipe_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (pump, mut ends) = open_output(dir.path(), LIMITS, None).unwrap();
        let _pump = pump.start().unwrap();
        for round in 1..200 {
            ends.stdout.write_all(b"0123456789").unwrap();
            while !is_settled(ends.stdout.as_fd()) {
                std::thread::yield_now();
            }
            assert_eq!(std::fs::metadata(dir.path().join("stdout")).unwrap().len(), round * 10);
        }
        assert!(is_settled(File::open("/dev/null").unwrap().as_fd()));
    }

    #[test]
    fn what_a_payload_puts_in_their_places_is_neither_followed_nor_an_end() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = elsewhere.path().join("victim");
        std::fs::write(&victim, "keep").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("stdout")).unwrap();
        assert!(open_output(dir.path(), LIMITS, None).is_err());
        std::fs::remove_file(dir.path().join("stdout")).unwrap();
        std::fs::create_dir_all(dir.path().join("stdout.1/x")).unwrap();
        let (_, newer) = printed(dir.path(), LIMITS, &lines(50_000));
        assert!(lines(50_000).concat().ends_with(&newer) && newer.len() <= 32 << 10);
        std::fs::remove_dir_all(dir.path().join("stdout.1")).unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("stdout.1")).unwrap();
        printed(dir.path(), LIMITS, &lines(50_000));
        assert_eq!(std::fs::read(&victim).unwrap(), b"keep");
    }

    #[test]
    fn where_little_is_free_only_the_newest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutputLimits { max_bytes: 1 << 40, keep_free_bytes: u64::MAX };
        let (older, newer) = printed(dir.path(), limits, &lines(500_000));
        assert!(lines(500_000).concat().ends_with(&[older.clone(), newer.clone()].concat()));
        let kept = (older.len() + newer.len()) as u64;
        assert!(kept <= 2 * (LOOK_BYTES + PIECE_BYTES), "{kept}");
    }
}

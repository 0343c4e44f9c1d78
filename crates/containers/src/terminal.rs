//! Terminals: made where the container finds them by name, sized, and given to a payload.
//!
//! It relies on the container's own `/dev/pts`. It never opens the payload's side by name: the kernel opens it for the other side.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use crate::WindowSize;

/// The kernel's number of the device that makes terminals, `/dev/ptmx`.
const MULTIPLEXER: (u32, u32) = (5, 2);

/// Both sides of a terminal.
pub(crate) struct Terminal {
    /// The shim's.
    pub ours: File,
    /// The payload's.
    pub theirs: OwnedFd,
}

/// Makes a terminal as the process `pid` would; the caller holds a handle on it and looks afterwards whether it still was that one.
#[allow(unsafe_code, reason = "neither nix nor rustix, as they are built here, has these requests")]
pub(crate) fn make(pid: i32, size: WindowSize, owner: Option<(u32, u32)>) -> io::Result<Terminal> {
    let flags = libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let path = format!("/proc/{pid}/root/dev/pts/ptmx");
    let ours = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let meta = ours.metadata()?;
    let device = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
    if !meta.file_type().is_char_device() || device != MULTIPLEXER {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "/dev/pts/ptmx makes no terminals",
        ));
    }
    let blocking = rustix::fs::fcntl_getfl(&ours)?.difference(rustix::fs::OFlags::NONBLOCK);
    rustix::fs::fcntl_setfl(&ours, blocking)?;
    let unlocked: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the request reads one int that lives as long as the call.
    if unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &unlocked) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let how = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the descriptor is open; the request takes flags and returns a new descriptor or -1.
    let theirs = unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, how) };
    if theirs < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else has it.
    let theirs = unsafe { OwnedFd::from_raw_fd(theirs) };
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&theirs, Some(uid), Some(gid))?;
    }
    resize(&ours.as_fd(), size)?;
    Ok(Terminal { ours, theirs })
}

/// Gives a terminal this size. What runs in it is told by the kernel.
#[allow(
    unsafe_code,
    reason = "neither nix nor rustix, as they are built here, sets the size of a terminal"
)]
pub(crate) fn resize(terminal: &BorrowedFd<'_>, size: WindowSize) -> io::Result<()> {
    let size =
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and the request reads one winsize that lives as long as the call.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes it the terminal of this process's session, which must be new.
#[allow(unsafe_code, reason = "neither nix nor rustix, as they are built here, has this request")]
pub(crate) fn control(terminal: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the request takes a number.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

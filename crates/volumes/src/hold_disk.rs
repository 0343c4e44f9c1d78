//! Holds a disk for this process: two agents of one machine that were given the same disk must not
//! both offer its space.
//!
//! What it relies on: a name in the kernel for each disk uuid (an abstract socket), which goes with
//! the process that holds it, however that ends. What it never does: keep a file of the disk open,
//! as a lock on one would have to: an operator can unmount a disk that no task uses, and mount it
//! again. So it does not see a holder on another machine, nor one in another network namespace.

use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    connect, getsockopt, socket, AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials,
};
use thiserror::Error;
use uuid::Uuid;

use crate::OpenDisk;

/// What a disk is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// An agent, which offers its space as long as it lives.
    Agent,
    /// The one process of that agent that works on it. One that hangs in the kernel outlives its
    /// agent, and nobody else may work on the disk before it has ended.
    Worker,
}

/// The hold on a disk, released when this is dropped.
#[derive(Debug)]
pub struct DiskHold {
    /// Nothing is ever answered on it: all that counts is that the name is taken.
    listener: UnixListener,
}

impl DiskHold {
    /// Closes the connections of all that asked who holds the disk. Call it now and then: the
    /// kernel queues a bounded number.
    pub fn forget_callers(&self) {
        while self.listener.accept().is_ok() {}
    }
}

/// Why a disk could not be held.
#[derive(Debug, Error)]
pub enum HoldFault {
    /// Another process holds it.
    #[error("disk {} is in use by another agent on this machine, {holder}; stop that one, or give each a disk of its own", root.display())]
    Held {
        /// The disk's root.
        root: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
    },
    /// An earlier agent's process is still at work on it.
    #[error("disk {} cannot be used yet: a helper process of an earlier agent still works on it or hangs in the kernel, {holder}; look for errors of the device in the kernel's log: the disk is used again once that process has ended", root.display())]
    AtWork {
        /// The disk's root.
        root: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
    },
    /// A system call failed.
    #[error("disk {} cannot be held for this agent: {source}", root.display())]
    Io {
        /// The disk's root.
        root: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
}

/// Holds a disk. Ask again after a moment when the holder may just be ending.
///
/// # Errors
/// A [`HoldFault`], which names the holder.
pub fn hold_disk(disk: &OpenDisk) -> Result<DiskHold, HoldFault> {
    hold_disk_for(&disk.config().root, disk.label().disk_uuid, HeldBy::Agent)
}

/// Does the same as [`hold_disk`] for a disk that another process has identified: the disk itself is
/// not touched. An agent and its worker hold it at the same time.
///
/// # Errors
/// A [`HoldFault`], which names the holder.
pub fn hold_disk_for(root: &Path, disk_uuid: Uuid, by: HeldBy) -> Result<DiskHold, HoldFault> {
    let root = || root.to_path_buf();
    let failed = |source| HoldFault::Io { root: root(), source };
    let name = match by {
        HeldBy::Agent => format!("holdfast-disk-{disk_uuid}"),
        HeldBy::Worker => format!("holdfast-disk-worker-{disk_uuid}"),
    };
    let address = SocketAddr::from_abstract_name(&name).map_err(failed)?;
    match UnixListener::bind_addr(&address) {
        Ok(listener) => {
            listener.set_nonblocking(true).map_err(failed)?;
            Ok(DiskHold { listener })
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let (root, holder) = (root(), holder(&name));
            Err(match by {
                HeldBy::Agent => HoldFault::Held { root, holder },
                HeldBy::Worker => HoldFault::AtWork { root, holder },
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Describes the process that listens there by its pid and command line. Never waits for it.
fn holder(name: &str) -> String {
    let peer = match peer(name) {
        Ok(peer) => peer,
        Err(Errno::EAGAIN) => return "which does not say who it is".to_owned(),
        Err(_) => return "which is just ending".to_owned(),
    };
    let command = std::fs::read(format!("/proc/{}/cmdline", peer.pid())).unwrap_or_default();
    let command: Vec<_> = command
        .split(|it| *it == 0)
        .filter(|it| !it.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    format!("process {} (`{}`)", peer.pid(), command.join(" "))
}

fn peer(name: &str) -> nix::Result<UnixCredentials> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    getsockopt(&socket, PeerCredentials)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{cluster, disk_label, once_free, TmpfsMount};
    use crate::{open_disk, DiskConfig, DiskKind, DiskLabel};
    use uuid::Uuid;

    fn label() -> DiskLabel {
        DiskLabel { disk_uuid: Uuid::new_v4(), cluster_uuid: cluster() }
    }

    #[test]
    fn a_disk_has_one_holder_which_is_named_and_is_free_when_that_one_goes() {
        let dir = tempfile::tempdir().unwrap();
        let config = DiskConfig { kind: DiskKind::Path, root: dir.path().to_path_buf() };
        let disk = open_disk(&config, None, &label()).unwrap();
        let held = hold_disk(&disk).unwrap();
        let fault = hold_disk(&disk).unwrap_err().to_string();
        assert!(fault.contains(&format!("process {} (`", std::process::id())), "{fault}");
        drop(held);
        hold_disk(&disk).unwrap();
    }

    #[test]
    fn an_agent_and_its_worker_hold_a_disk_together_and_no_second_worker_does() {
        let (root, uuid) = (Path::new("/disk"), Uuid::new_v4());
        let _agent = hold_disk_for(root, uuid, HeldBy::Agent).unwrap();
        let worker = hold_disk_for(root, uuid, HeldBy::Worker).unwrap();
        let fault = hold_disk_for(root, uuid, HeldBy::Worker).unwrap_err();
        let own = format!("process {}", std::process::id());
        assert!(
            matches!(&fault, HoldFault::AtWork { holder, .. } if holder.contains(&own)),
            "{fault}"
        );
        drop(worker);
        hold_disk_for(root, uuid, HeldBy::Worker).unwrap();
    }

    #[test]
    fn whoever_asks_again_and_again_never_hangs_and_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let config = DiskConfig { kind: DiskKind::Path, root: dir.path().to_path_buf() };
        let disk = open_disk(&config, None, &label()).unwrap();
        let held = hold_disk(&disk).unwrap();
        let ask = || hold_disk(&disk).unwrap_err().to_string();
        let silent = (0..10_000).find(|_| ask().contains("does not say who it is"));
        assert!(silent.is_some(), "the kernel's queue has an end");
        held.forget_callers();
        assert!(ask().contains("process"), "{}", ask());
    }

    #[test]
    fn a_disk_that_is_held_can_be_unmounted() {
        let dir = tempfile::tempdir().unwrap();
        let Some(mount) =
            TmpfsMount::on(dir.path().join("disk"), "a_disk_that_is_held_can_be_unmounted")
        else {
            return;
        };
        let config = DiskConfig { kind: DiskKind::Mount, root: mount.path().to_path_buf() };
        let disk = open_disk(&config, None, &label()).unwrap();
        let _held = hold_disk(&disk).unwrap();
        once_free(|| rustix::mount::unmount(mount.path(), rustix::mount::UnmountFlags::empty()));
        assert!(
            open_disk(&config, Some(disk.label()), &disk_label(1)).is_err(),
            "it is not mounted any more"
        );
    }
}

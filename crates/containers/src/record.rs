//! The files of one container, through which launcher and shim communicate.
//!
//! ```text
//!  <runtime>/containers/<id>/               its name is durable before the shim is spawned
//!                             launch.json   spec and plan, by the launcher
//!                             lock          locked by the shim as long as it lives (the launcher's lock, inherited)
//!                             shim.json     the identities of the shim and of the container's first process
//!                             started.json  the identity of the payload: written before it may exec, and again once it has
//!                             exit.json     how it ended, written once the container is empty
//!                             shim.log      the log of the shim
//! ```
//!
//! Each file has one writer at a time. It relies on `durable`; never kills or waits for anything.
//!
//! What must survive a power cut is one thing only: that this container may have run. The
//! directory's name says it. After a power cut nothing of it lives, and whatever the files say or
//! have lost, the container ended in a way that is not known.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};
use crate::isolation::{Plan, Subject};
use crate::process::ProcessIdentity;
use crate::spec_check::Account;
use crate::{ContainerSpec, Exit, LaunchError};

/// The version of these files that this code writes and reads.
pub(crate) const LAYOUT_VERSION: u32 = 1;

/// The directory of one container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerDir {
    path: PathBuf,
}

/// The content of `launch.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub version: u32,
    pub spec: ContainerSpec,
    pub account: Option<Account>,
    pub plan: Plan,
}

/// The content of `shim.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ShimIdentity {
    pub shim: ProcessIdentity,
    /// The container's first process: with a pid namespace, when it is gone, all are.
    pub first: Option<ProcessIdentity>,
}

/// The content of `started.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub payload: ProcessIdentity,
    /// Whether it has been exec'ed for certain; otherwise it may have been.
    pub execed: bool,
}

/// The content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The payload ended, or was destroyed.
    Exited(Exit),
    /// The payload was never exec'ed.
    NeverStarted(LaunchError),
    /// The shim died; the container is empty, how the payload ended is not known.
    Lost { message: String },
}

/// A container as its files show it, with nothing waited for and nothing killed.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// There is no such container.
    Unknown,
    /// The shim lives, the payload has not been reported.
    Starting,
    /// The shim lives and the payload was exec'ed.
    Running { pid: i32 },
    /// The container ended and is empty.
    Ended(Ending),
    /// The shim is dead and wrote no exit. Unless `may_have_run`, the payload was certainly not
    /// exec'ed.
    Orphaned { may_have_run: bool },
}

impl ContainerDir {
    /// Makes the handle of the directory at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> ContainerDir {
        ContainerDir { path: path.into() }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The shim's log.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    /// The file whose lock means "the shim lives".
    pub fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Writes the launch record.
    pub fn write_launch(&self, launch: &Launch) -> Result<(), FileError> {
        durable::write_atomic(&self.path.join("launch.json"), launch)
    }

    /// Reads the launch record.
    pub fn launch(&self) -> Result<Option<Launch>, FileError> {
        let path = self.path.join("launch.json");
        match durable::read::<Launch>(&path)? {
            Some(launch) if launch.version != LAYOUT_VERSION => Err(FileError::new(
                "understand",
                &path,
                format!("it has version {}, this program knows {LAYOUT_VERSION}", launch.version),
            )),
            found => Ok(found),
        }
    }

    /// Writes the identity of the shim.
    pub fn write_shim(&self, shim: &ShimIdentity) -> Result<(), FileError> {
        durable::write_atomic(&self.path.join("shim.json"), shim)
    }

    /// Reads the identity of the shim.
    pub fn shim(&self) -> Result<Option<ShimIdentity>, FileError> {
        durable::read(&self.path.join("shim.json"))
    }

    /// Writes the identity of the payload, and whether it was exec'ed.
    pub fn write_payload(&self, payload: &Payload) -> Result<(), FileError> {
        durable::write_atomic(&self.path.join("started.json"), payload)
    }

    /// Reads the identity of the payload; `None` when it was certainly never exec'ed.
    pub fn payload(&self) -> Result<Option<Payload>, FileError> {
        durable::read(&self.path.join("started.json"))
    }

    /// Writes how the container ended. After this returns it has ended, whatever process dies.
    pub fn write_ending(&self, ending: &Ending) -> Result<(), FileError> {
        durable::write_atomic(&self.path.join("exit.json"), ending)
    }

    /// How that container ended.
    pub fn ending(&self) -> Result<Option<Ending>, FileError> {
        durable::read(&self.path.join("exit.json"))
    }

    /// Takes the lock for the shim to inherit, waiting a little for one that looks (`condition`
    /// does, for a moment).
    pub fn lock(&self) -> Result<File, FileError> {
        let path = self.lock_path();
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
        };
        let file = open().map_err(|error| FileError::new("open", &path, error))?;
        for _ in 0..100 {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    // tidy: sleep is the point: a lock that another process is about to drop has no
                    // event
                    std::thread::sleep(std::time::Duration::from_millis(10))
                }
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::new("lock", &path, error))
                }
            }
        }
        Err(FileError::new("lock", &path, "another process holds it: its shim is alive"))
    }

    /// Whether someone holds the lock, which means that the shim is alive.
    pub fn is_locked(&self) -> Result<bool, FileError> {
        let path = self.lock_path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(FileError::new("open", &path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(FileError::new("lock", &path, error)),
        }
    }

    /// Reads the container's condition as its files show it now.
    pub fn condition(&self) -> Result<Condition, FileError> {
        if !self.path.is_dir() {
            return Ok(Condition::Unknown);
        }
        if let Some(ending) = self.ending()? {
            return Ok(Condition::Ended(ending));
        }
        let shim_lives = self.is_locked()?;
        // The shim may have ended between the two reads; what it wrote is there by now.
        if let Some(ending) = self.ending()? {
            return Ok(Condition::Ended(ending));
        }
        Ok(match (shim_lives, self.payload()?) {
            (true, Some(Payload { payload, execed: true })) => {
                Condition::Running { pid: payload.pid }
            }
            (true, _) => Condition::Starting,
            (false, payload) => Condition::Orphaned { may_have_run: payload.is_some() },
        })
    }

    /// The last lines of the shim's log, for a message.
    pub fn log_tail(&self) -> String {
        const TAIL_BYTES: usize = 2000;
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        match String::from_utf8_lossy(tail).trim() {
            "" => "it wrote nothing to its log".to_string(),
            text => text.to_string(),
        }
    }
}

impl Launch {
    /// The container as isolators see it; `shim_pid` is given when the shim is known and alive.
    pub fn subject(&self, shim_pid: Option<i32>) -> Subject<'_> {
        Subject {
            id: &self.spec.id,
            sandbox: &self.spec.sandbox,
            volumes: &self.spec.volumes,
            limits: &self.spec.limits,
            owner: self.account.as_ref().map(|account| (account.uid, account.gid)),
            hiding: self.plan.hiding.as_ref(),
            shim_pid,
        }
    }
}

impl Ending {
    /// Converts the ending to an exit, for callers that learn of "lost" in another way.
    pub fn as_exit(&self) -> Exit {
        match self {
            Ending::Exited(exit) => exit.clone(),
            Ending::NeverStarted(error) => {
                Exit { message: format!("never started: {error}"), ..Exit::default() }
            }
            Ending::Lost { message } => Exit { message: message.clone(), ..Exit::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_tell_the_condition() {
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::at(root.path().join("c"));
        assert!(matches!(dir.condition().unwrap(), Condition::Unknown));
        std::fs::create_dir(dir.path()).unwrap();
        assert!(matches!(dir.condition().unwrap(), Condition::Orphaned { may_have_run: false }));
        let lock = dir.lock().unwrap();
        assert!(matches!(dir.condition().unwrap(), Condition::Starting));
        let own = ProcessIdentity::of(std::process::id() as i32).unwrap();
        dir.write_payload(&Payload { payload: own.clone(), execed: false }).unwrap();
        assert!(matches!(dir.condition().unwrap(), Condition::Starting));
        dir.write_payload(&Payload { payload: own.clone(), execed: true }).unwrap();
        assert!(matches!(dir.condition().unwrap(), Condition::Running { pid } if pid == own.pid));
        drop(lock);
        assert!(matches!(dir.condition().unwrap(), Condition::Orphaned { may_have_run: true }));
        let ending = Ending::Exited(Exit { code: Some(3), ..Exit::default() });
        dir.write_ending(&ending).unwrap();
        assert!(matches!(dir.condition().unwrap(), Condition::Ended(found) if found == ending));
    }

    #[test]
    fn the_lock_lives_as_long_as_any_copy_of_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::at(root.path());
        let lock = dir.lock().unwrap();
        let inherited = lock.try_clone().unwrap();
        drop(lock);
        assert!(dir.is_locked().unwrap(), "the shim's copy counts");
        drop(inherited);
        assert!(!dir.is_locked().unwrap());
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let dir = ContainerDir::at(root.path());
        let spec = ContainerSpec {
            id: "6f1c8a52-5a0a-4f6e-9d9b-0c4b7c2e1a11".into(),
            command: crate::Command::Shell("true".into()),
            environment: Default::default(),
            sandbox: "/".into(),
            user: None,
            volumes: vec![],
            limits: Default::default(),
            output: Default::default(),
            isolate: false,
            inside: None,
        };
        dir.write_launch(&Launch {
            version: LAYOUT_VERSION + 1,
            spec,
            account: None,
            plan: Plan::default(),
        })
        .unwrap();
        assert!(dir.launch().unwrap_err().to_string().contains("launch.json"));
    }
}

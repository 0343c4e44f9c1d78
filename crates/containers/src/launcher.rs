//! The launcher, which holds the runtime directory, and its state in memory.
//!
//! All that matters is on disk; in memory are only a gate per container, so that two calls on one
//! container do not cross, and the shims that are our own children, so that they are reaped. The
//! operations are in files of their own. There is one launcher per runtime directory: a second one
//! is refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::durable::FileError;
use crate::isolation::{detect, HiddenPlace, Isolation, Plan};
use crate::record::{Condition, ContainerDir};
use crate::{Found, FoundState};

/// The time that `open` waits for the lock of a predecessor that is just ending.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two polls of something that another process does.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(5);

/// The program that becomes a shim. It must call [`crate::shim_main`] with its last argument,
/// before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShimCommand {
    /// The program, absolute.
    pub program: PathBuf,
    /// The arguments before the container's directory, such as the hidden verb of the `holdfast`
    /// binary.
    pub leading_args: Vec<OsString>,
}

/// The options of a launcher; the default is right for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LauncherOptions {
    /// Use namespaces and cgroups where the machine has them; `false` uses neither, as if not root.
    pub isolate: bool,
    /// Hide Holdfast's own places from containers (see [`Launcher::hide`]), which takes from root payloads
    /// the capabilities that could undo it; `false` leaves them everything.
    pub hides: bool,
    /// The cgroup that holds all containers of this launcher, one path part.
    pub cgroup_parent: String,
    /// Milliseconds that a shim has to report its payload.
    pub start_timeout_ms: u64,
    /// Milliseconds that `destroy` and recovery have to empty one container.
    pub destroy_timeout_ms: u64,
}

impl Default for LauncherOptions {
    fn default() -> Self {
        LauncherOptions {
            isolate: true,
            hides: true,
            cgroup_parent: "holdfast".into(),
            start_timeout_ms: 30_000,
            destroy_timeout_ms: 30_000,
        }
    }
}

/// Why a launcher did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another launcher holds the directory.
    #[error("runtime directory {} is in use by another agent; stop it, or give this one a directory of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// An option is not acceptable.
    #[error("cgroup parent {name:?} must be one plain path part, as \"holdfast\"")]
    CgroupParent {
        /// The value that was given.
        name: String,
    },
    /// A path must be absolute, because the shim does not share our working directory.
    #[error("{} must be an absolute path", path.display())]
    NotAbsolute {
        /// The value that was given.
        path: PathBuf,
    },
    /// A file could not be made.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why the containers could not be listed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ListError(#[from] FileError);

/// Starts, finds, watches and ends containers. All calls block, none for ever except `wait`; call
/// them from threads that may block.
#[derive(Debug)]
pub struct Launcher {
    pub(crate) runtime_dir: PathBuf,
    pub(crate) shim: ShimCommand,
    pub(crate) options: LauncherOptions,
    pub(crate) plan: Plan,
    /// What containers must not see.
    pub(crate) hidden: Mutex<Vec<HiddenPlace>>,
    gates: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
    children: Mutex<BTreeMap<String, Child>>,
    /// The lock on the directory, held as long as the launcher lives and never read.
    _lock: File,
}

impl Launcher {
    /// Opens a runtime directory, making it if needed. Containers that are there stay as they are:
    /// see `recover`.
    pub fn open(runtime_dir: impl Into<PathBuf>, shim: ShimCommand) -> Result<Launcher, OpenError> {
        Launcher::open_with(runtime_dir, shim, LauncherOptions::default())
    }

    /// Does the same as [`Launcher::open`] with options.
    pub fn open_with(
        runtime_dir: impl Into<PathBuf>,
        shim: ShimCommand,
        options: LauncherOptions,
    ) -> Result<Launcher, OpenError> {
        let runtime_dir = runtime_dir.into();
        for path in [&runtime_dir, &shim.program] {
            if !path.is_absolute() {
                return Err(OpenError::NotAbsolute { path: path.clone() });
            }
        }
        let parent = &options.cgroup_parent;
        if parent.is_empty() || parent.starts_with('.') || parent.contains(['/', '\0', '\n', ' ']) {
            return Err(OpenError::CgroupParent { name: parent.clone() });
        }
        for dir in [
            runtime_dir.clone(),
            runtime_dir.join("containers"),
            runtime_dir.join("gone"),
            runtime_dir.join("trial"),
        ] {
            make_private_dir(&dir)?;
        }
        let lock = take_lock(&runtime_dir)?;
        let plan = match options.isolate {
            true => detect::best_plan(&runtime_dir.join("trial"), parent, options.hides),
            false => Plan { cgroup_parent: parent.clone(), ..Plan::default() },
        };
        let launcher = Launcher {
            runtime_dir,
            shim,
            options,
            plan,
            hidden: Mutex::default(),
            gates: Mutex::default(),
            children: Mutex::default(),
            _lock: lock,
        };
        launcher.empty_gone();
        Ok(launcher)
    }

    /// The isolation that containers of this launcher get when they ask for it.
    pub fn isolation(&self) -> Isolation {
        self.plan.isolation()
    }

    /// Every container in the runtime directory, in the order of ids, as its files show it; damaged
    /// files are reported as `Lost`. Waits for nothing and kills nothing: what is `Lost` here may
    /// still have processes until `recover` or `destroy` has dealt with it.
    pub fn list(&self) -> Result<Vec<Found>, ListError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            let state = match self.dir(&id).condition() {
                Ok(Condition::Unknown) => continue,
                Ok(Condition::Starting) => FoundState::Starting,
                Ok(Condition::Running { pid }) => FoundState::Running { pid },
                Ok(Condition::Ended(ending)) => FoundState::from(ending),
                Ok(Condition::Orphaned { .. }) => {
                    FoundState::Lost { message: "its shim is dead".into() }
                }
                Err(error) => {
                    FoundState::Lost { message: format!("its files are damaged: {error}") }
                }
            };
            found.push(Found { id, state });
        }
        Ok(found)
    }

    /// The ids of all containers, sorted. A name that is no id is not ours and is left alone.
    pub(crate) fn ids(&self) -> Result<Vec<String>, FileError> {
        let path = self.runtime_dir.join("containers");
        let entries = fs::read_dir(&path).map_err(|error| FileError::new("list", &path, error))?;
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| crate::spec_check::check_id(name).is_ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// The directory of one container. The id must have been checked: it becomes a path.
    pub(crate) fn dir(&self, id: &str) -> ContainerDir {
        ContainerDir::at(self.runtime_dir.join("containers").join(id))
    }

    /// The gate of one container, a mutex that is held by whoever changes the container.
    pub(crate) fn gate(&self, id: &str) -> Arc<Mutex<()>> {
        lock(&self.gates).entry(id.to_string()).or_default().clone()
    }

    /// Forgets the gate of a container that is no more, unless someone waits at it.
    pub(crate) fn drop_gate(&self, id: &str) {
        let mut gates = lock(&self.gates);
        // There are two references when nobody waits: the map's and the caller's.
        if gates.get(id).is_some_and(|gate| Arc::strong_count(gate) <= 2) {
            gates.remove(id);
        }
    }

    /// Keeps a shim that is our child, to be reaped when it ends.
    pub(crate) fn keep_child(&self, id: &str, child: Child) {
        lock(&self.children).insert(id.to_string(), child);
    }

    /// Reaps the shim of a container if it is our child and has ended.
    pub(crate) fn reap(&self, id: &str) {
        let mut children = lock(&self.children);
        if children.get_mut(id).is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
            children.remove(id);
        }
    }

    /// Kills the shim of a container if it is our child, and reaps it if it ends before `deadline`: one
    /// that hangs in the kernel is reaped later. Its pid cannot be another's: we have not reaped it.
    pub(crate) fn kill_child(&self, id: &str, deadline: Instant) {
        let child = lock(&self.children).remove(id);
        let Some(mut child) = child else { return };
        let _ = child.kill();
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                return self.keep_child(id, child);
            }
            // tidy: sleep is the point: a killed process ends in its own time
            std::thread::sleep(POLL_PAUSE);
        }
    }

    /// `destroy_timeout_ms` from now.
    pub(crate) fn destroy_deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.options.destroy_timeout_ms)
    }

    /// Moves the files of a container out of the way in one step, then removes them. After a crash
    /// between the two the rest is removed by the next `open`.
    pub(crate) fn remove_files(&self, id: &str) -> Result<(), FileError> {
        let (from, to) =
            (self.dir(id), self.runtime_dir.join("gone").join(uuid::Uuid::new_v4().to_string()));
        match fs::rename(from.path(), &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FileError::new("remove", from.path(), error)),
        }
        fs::remove_dir_all(&to).map_err(|error| FileError::new("remove", &to, error))
    }

    fn empty_gone(&self) {
        let Ok(entries) = fs::read_dir(self.runtime_dir.join("gone")) else { return };
        for entry in entries.flatten() {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "files of a forgotten container could not be removed");
            }
        }
    }
}

/// Locks, taking no notice of a thread that panicked: what is inside stays whole, because it is
/// only replaced as a whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a directory that nobody else may look into; its parents are made too.
fn make_private_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| FileError::new("create", path, error))
}

fn take_lock(runtime_dir: &Path) -> Result<File, OpenError> {
    let path = runtime_dir.join("launcher.lock");
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open().map_err(|error| FileError::new("open", &path, error))?;
    let deadline = Instant::now() + OPEN_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A child of the predecessor, forked and not yet exec'ed, holds its files for a moment
            // longer than the predecessor lived.
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                // tidy: sleep is the point: a lock that another process is about to drop has no
                // event
                std::thread::sleep(POLL_PAUSE)
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: runtime_dir.to_path_buf() })
            }
            Err(TryLockError::Error(error)) => {
                return Err(FileError::new("lock", &path, error).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shim() -> ShimCommand {
        ShimCommand { program: "/nonexistent/shim".into(), leading_args: vec![] }
    }

    fn posix() -> LauncherOptions {
        LauncherOptions { isolate: false, ..LauncherOptions::default() }
    }

    #[test]
    fn one_launcher_per_directory_and_the_next_one_may() {
        let dir = tempfile::tempdir().unwrap();
        let one = Launcher::open_with(dir.path(), shim(), posix()).unwrap();
        assert!(matches!(
            Launcher::open_with(dir.path(), shim(), posix()),
            Err(OpenError::InUse { .. })
        ));
        drop(one);
        Launcher::open_with(dir.path(), shim(), posix()).unwrap();
    }

    #[test]
    fn what_cannot_work_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Launcher::open("relative", shim()), Err(OpenError::NotAbsolute { .. })));
        let relative = ShimCommand { program: "holdfast".into(), leading_args: vec![] };
        assert!(matches!(Launcher::open(dir.path(), relative), Err(OpenError::NotAbsolute { .. })));
        for bad in ["", "..", "a/b", "/", "a b"] {
            let options = LauncherOptions { cgroup_parent: bad.into(), ..posix() };
            assert!(
                matches!(
                    Launcher::open_with(dir.path(), shim(), options),
                    Err(OpenError::CgroupParent { .. })
                ),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn strangers_in_the_directory_are_left_alone_and_the_gone_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("containers/lost+found")).unwrap();
        fs::create_dir_all(dir.path().join("gone/x")).unwrap();
        let launcher = Launcher::open_with(dir.path(), shim(), posix()).unwrap();
        assert!(launcher.list().unwrap().is_empty());
        assert!(dir.path().join("containers/lost+found").is_dir());
        assert!(!dir.path().join("gone/x").exists());
    }

    #[test]
    fn a_gate_goes_when_nobody_waits_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let launcher = Launcher::open_with(dir.path(), shim(), posix()).unwrap();
        let gate = launcher.gate("a");
        let waiting = launcher.gate("a");
        launcher.drop_gate("a");
        assert_eq!(lock(&launcher.gates).len(), 1);
        drop(waiting);
        launcher.drop_gate("a");
        assert!(lock(&launcher.gates).is_empty());
        drop(gate);
    }
}

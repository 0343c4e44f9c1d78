//! `recover` finds what is left of the containers that an earlier agent started.
//!
//! It relies on the locks that living shims hold and on their files, and never on what the earlier
//! agent knew. A container whose shim is dead is emptied before it is reported lost, and reported
//! stuck if it cannot be emptied.

use std::time::{Duration, Instant};

use crate::durable::FileError;
use crate::launcher::{lock, Launcher, ListError, POLL_PAUSE};
use crate::record::{Condition, ContainerDir, Ending};
use crate::survivors::fence;
use crate::{Found, FoundState};

/// The time that recovery has to empty the containers of dead shims, all together. What hangs on a
/// disk must not hold up a starting agent: it is reported as stuck, and `wait` goes on with it.
const EMPTYING_TIMEOUT: Duration = Duration::from_secs(3);

impl Launcher {
    /// Lists every container in the runtime directory, in the order of ids, with its settled state:
    /// shims that are still starting are waited for, containers of dead shims are emptied. Call it
    /// once after `open`, before anything else. A container whose files are damaged is emptied and
    /// reported as lost; the others are found all the same.
    pub fn recover(&self) -> Result<Vec<Found>, ListError> {
        let mut found = Vec::new();
        let deadline = self.destroy_deadline().min(Instant::now() + EMPTYING_TIMEOUT);
        for id in self.ids()? {
            let gate = self.gate(&id);
            let _held = lock(&gate);
            match self.settle(&id, deadline) {
                Ok(Some(state)) => found.push(Found { id, state }),
                Ok(None) => {}
                Err(error) => found.push(Found { state: self.settle_damaged(&id, &error), id }),
            }
        }
        Ok(found)
    }

    /// Brings one container to a state that changes by itself only when a running one ends; one whose
    /// shim is dead is to be empty before `emptied_by`. The caller holds its gate.
    pub(crate) fn settle(
        &self,
        id: &str,
        emptied_by: Instant,
    ) -> Result<Option<FoundState>, FileError> {
        let dir = self.dir(id);
        let deadline = Instant::now() + Duration::from_millis(self.options.start_timeout_ms);
        loop {
            match dir.condition()? {
                Condition::Unknown => return Ok(None),
                Condition::Running { pid } => return Ok(Some(FoundState::Running { pid })),
                Condition::Ended(ending) => {
                    self.reap(id);
                    return Ok(Some(FoundState::from(ending)));
                }
                // tidy: sleep is the point: another process writes the file that is waited for
                Condition::Starting if Instant::now() < deadline => std::thread::sleep(POLL_PAUSE),
                Condition::Starting | Condition::Orphaned { .. } => {
                    return self.lose(&dir, id, emptied_by).map(Some)
                }
            }
        }
    }

    /// Empties a container whose shim is dead or makes no progress, and records that it is lost.
    fn lose(
        &self,
        dir: &ContainerDir,
        id: &str,
        emptied_by: Instant,
    ) -> Result<FoundState, FileError> {
        let emptied = match dir.launch()? {
            Some(launch) => fence(dir, &launch, emptied_by).map(|()| Some(launch)),
            // The agent died before it had written the spec, so nothing can have been spawned; the
            // environments of processes are checked all the same.
            None => {
                crate::survivors::fence_unrecorded(dir, &self.plan, id, emptied_by).map(|()| None)
            }
        };
        self.reap(id);
        let launch = match emptied {
            Ok(launch) => launch,
            Err(pids) => return Ok(FoundState::Stuck { pids }),
        };
        // Between our check and the fence the shim may have finished after all: then its exit
        // counts.
        if let Some(ending) = dir.ending()? {
            return Ok(FoundState::from(ending));
        }
        let message = match dir.payload()? {
            Some(_) => {
                "its shim died, so how the payload ended is not known; nothing of it is left"
                    .to_string()
            }
            None => format!("its shim died before the payload was started: {}", dir.log_tail()),
        };
        let ending = Ending::Lost { message };
        // On a file system that is full it must be forgotten all the same: that gives it room.
        if let Err(error) = dir.write_ending(&ending) {
            tracing::warn!(%id, %error, "a lost container could not be noted as such; until it is forgotten it will be found so again");
        }
        if let Some(error) = launch.and_then(|launch| self.clean_up(&launch).err()) {
            tracing::warn!(%id, %error, "a lost container left something behind; forgetting it tries again");
        }
        Ok(FoundState::from(ending))
    }

    /// Settles a container whose files cannot be read: all that can be known and recorded is that
    /// nothing of it lives.
    pub(crate) fn settle_damaged(&self, id: &str, error: &FileError) -> FoundState {
        let dir = self.dir(id);
        if let Err(pids) =
            crate::survivors::fence_unrecorded(&dir, &self.plan, id, self.destroy_deadline())
        {
            return FoundState::Stuck { pids };
        }
        self.reap(id);
        let ending = Ending::Lost {
            message: format!("its files are damaged: {error}; nothing of it is left"),
        };
        if let Err(error) = dir.write_ending(&ending) {
            tracing::warn!(%id, %error, "a lost container could not be noted as such; the next agent will find it so again");
        }
        FoundState::from(ending)
    }
}

impl From<Ending> for FoundState {
    fn from(ending: Ending) -> FoundState {
        match ending {
            Ending::Lost { message } => FoundState::Lost { message },
            other => FoundState::Exited(other.as_exit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::{LauncherOptions, ShimCommand};
    use crate::process::ProcessIdentity;
    use crate::record::{Launch, Payload, ShimIdentity, LAYOUT_VERSION};
    use crate::{Exit, LaunchError};

    /// What a power cut leaves of a file that was written and not synced.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Left {
        Whole,
        Empty,
        Nothing,
    }

    const FILES: [&str; 4] = ["launch.json", "shim.json", "started.json", "exit.json"];

    fn launch(id: &str) -> Launch {
        let spec = serde_json::from_value(serde_json::json!({
            "id": id, "command": {"shell": "true"}, "sandbox": "/", "isolate": false,
        }));
        let plan = Default::default();
        Launch { version: LAYOUT_VERSION, spec: spec.unwrap(), account: None, plan }
    }

    fn write_all(dir: &ContainerDir, id: &str) {
        let before = ProcessIdentity { pid: 1, start_ticks: 1, boot_id: "the last boot".into() };
        std::fs::create_dir(dir.path()).unwrap();
        dir.write_launch(&launch(id)).unwrap();
        dir.write_shim(&ShimIdentity { shim: before.clone(), first: None }).unwrap();
        dir.write_payload(&Payload { payload: before, execed: true }).unwrap();
        dir.write_ending(&Ending::Exited(Exit { code: Some(3), ..Exit::default() })).unwrap();
        drop(dir.lock().unwrap());
    }

    #[test]
    fn whatever_a_power_cut_leaves_a_container_that_may_have_run_is_found_and_not_run_again() {
        let root = tempfile::tempdir().unwrap();
        let shim = ShimCommand { program: "/nonexistent/shim".into(), leading_args: vec![] };
        let options = LauncherOptions { isolate: false, ..LauncherOptions::default() };
        let launcher = Launcher::open_with(root.path(), shim, options).unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for number in 0..81_usize {
            let kinds = [Left::Whole, Left::Empty, Left::Nothing];
            let left = |file: usize| kinds[number / 3_usize.pow(file as u32) % 3];
            let id = uuid::Uuid::from_u128(number as u128).to_string();
            let dir = launcher.dir(&id);
            write_all(&dir, &id);
            for (at, file) in FILES.iter().enumerate() {
                match left(at) {
                    Left::Whole => {}
                    Left::Empty => std::fs::write(dir.path().join(file), "").unwrap(),
                    Left::Nothing => std::fs::remove_file(dir.path().join(file)).unwrap(),
                }
            }
            expected.insert(id, left(3));
        }
        let found = launcher.recover().unwrap();
        assert_eq!(found.len(), expected.len(), "none is taken for one that never began");
        for Found { id, state } in found {
            match (expected[&id], &state) {
                (Left::Whole, FoundState::Exited(exit)) => assert_eq!(exit.code, Some(3)),
                (Left::Empty | Left::Nothing, FoundState::Lost { .. }) => {}
                (left, state) => panic!("{id}, exit {left:?}: {state:?}"),
            }
            let again = launcher.start(&launch(&id).spec);
            assert!(matches!(again, Err(LaunchError::AlreadyEnded { .. })), "{id}: {again:?}");
        }
    }
}

//! `start` takes a spec to a running payload, or to a reason why not.
//!
//! Everything that can be checked is checked before anything exists. That the container may have run
//! is durable before the shim is spawned; from then on the files show how far it got, so a start
//! that is repeated, by this agent or the next, finds what the first one began and never runs a
//! payload twice.

use std::fs::{DirBuilder, File};
use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::durable::{self, FileError};
use crate::launcher::{lock, Launcher, POLL_PAUSE};
use crate::process::wait_readable;
use crate::record::{Condition, ContainerDir, Ending, Launch, LAYOUT_VERSION};
use crate::shim::ShimReport;
use crate::spec_check::{check_spec, give_volume_root, owns_root};
use crate::survivors::fence;
use crate::{ContainerSpec, LaunchError, Started, VolumeMount, SHIM_OF_VARIABLE};

/// The greatest length of a report, which is one small JSON value.
const REPORT_BYTES_MAX: usize = 64 << 10;

impl Launcher {
    /// Starts a container and returns once its payload has been exec'ed, or with a typed reason why
    /// it was not; then nothing of it is left, except after [`LaunchError::NotEmpty`],
    /// [`LaunchError::TimedOut`] or [`LaunchError::Files`]: `destroy` says when it is certain. If a
    /// container of this id runs already, that one is returned; if one has ended, the call fails.
    ///
    /// A writable volume's root (not what is in it) is given to `user`, unless another container of
    /// this launcher uses the volume.
    pub fn start(&self, spec: &ContainerSpec) -> Result<Started, LaunchError> {
        crate::spec_check::check_id(&spec.id)
            .map_err(|reason| LaunchError::InvalidField { field: "id".into(), reason })?;
        let gate = self.gate(&spec.id);
        let _held = lock(&gate);
        let dir = self.dir(&spec.id);
        if let Some(started) = self.resume(&dir, &spec.id)? {
            return Ok(started);
        }
        let launch = self.launch_of(spec)?;
        let outcome = self.begin(&dir, &launch);
        match &outcome {
            Ok(_) => {}
            // Processes that live are found by the files, and the volumes count as in use as long
            // as the files are there.
            Err(LaunchError::NotEmpty { .. }) => self.reap(&spec.id),
            // Nothing of it lives (each other way out of `begin` has made sure); its files would
            // only stand in the way of another try.
            Err(_) => {
                self.reap(&spec.id);
                self.remove_files(&spec.id)?;
            }
        }
        outcome
    }

    /// Checks a spec, and says how it is carried out.
    fn launch_of(&self, spec: &ContainerSpec) -> Result<Launch, LaunchError> {
        let account = check_spec(spec)?;
        if let Some(account) = &account {
            self.give_volumes(&spec.volumes, account)?;
        }
        let (account, plan) = match &spec.inside {
            Some(inside) => {
                let (plan, around) = self.plan_inside(spec, inside)?;
                (account.or(around.account), plan)
            }
            None => {
                let namespaces = self.plan.namespaces && spec.isolate;
                let hiding = self.hiding().filter(|_| namespaces);
                (account, crate::isolation::Plan { namespaces, hiding, ..self.plan.clone() })
            }
        };
        Ok(Launch { version: LAYOUT_VERSION, spec: spec.clone(), account, plan })
    }

    /// Finds what became of an earlier start of the same id: it runs, or it is out of the way, or
    /// it must not be repeated.
    fn resume(&self, dir: &ContainerDir, id: &str) -> Result<Option<Started>, LaunchError> {
        let deadline = Instant::now() + Duration::from_millis(self.options.start_timeout_ms);
        loop {
            let ended = |ending: &Ending| LaunchError::AlreadyEnded {
                id: id.to_string(),
                ending: ending.as_exit().message,
            };
            match dir.condition()? {
                Condition::Unknown => return Ok(None),
                Condition::Running { pid } => {
                    let isolation = dir
                        .launch()?
                        .map(|launch| launch.plan.isolation())
                        .unwrap_or(self.isolation());
                    return Ok(Some(Started { pid, already_running: true, isolation }));
                }
                Condition::Ended(Ending::NeverStarted(_)) => break,
                Condition::Ended(ending) => return Err(ended(&ending)),
                Condition::Orphaned { may_have_run: true } => {
                    return Err(ended(&Ending::Lost {
                        message: "its shim died and how it ended is not known".into(),
                    }))
                }
                Condition::Orphaned { may_have_run: false } => break,
                // An agent died in the middle of `start`; its shim will start the payload or fail.
                // tidy: sleep is the point: another process writes the file that is waited for
                Condition::Starting if Instant::now() < deadline => std::thread::sleep(POLL_PAUSE),
                Condition::Starting => {
                    return Err(LaunchError::TimedOut { timeout_ms: self.options.start_timeout_ms })
                }
            }
        }
        // It never ran a payload, so it may be started anew once it is certain that nothing of it
        // lives.
        if let Some(launch) = dir.launch()? {
            let not_empty = |pids| LaunchError::NotEmpty { id: id.to_string(), pids };
            fence(dir, &launch, self.destroy_deadline()).map_err(not_empty)?;
            self.clean_up(&launch)?;
        }
        self.reap(id);
        self.remove_files(id)?;
        Ok(None)
    }

    /// Has the isolators remove what they made for a container that is empty.
    pub(crate) fn clean_up(&self, launch: &Launch) -> Result<(), crate::IsolationError> {
        launch
            .plan
            .isolators()
            .iter()
            .try_for_each(|isolator| isolator.cleanup(&launch.subject(None)))
    }

    /// Gives the roots of writable volumes that no container uses to the user who will write to
    /// them.
    pub(crate) fn give_volumes(
        &self,
        volumes: &[VolumeMount],
        account: &crate::spec_check::Account,
    ) -> Result<(), LaunchError> {
        let strange = |volume: &VolumeMount| !volume.read_only && !owns_root(volume, account);
        let given =
            volumes.iter().filter(|volume| account.switch && strange(volume)).collect::<Vec<_>>();
        if given.is_empty() {
            return Ok(());
        }
        let in_use = self.volumes_in_use()?;
        given
            .into_iter()
            .filter(|volume| !in_use.contains(&volume.source))
            .try_for_each(|volume| give_volume_root(volume, account))
    }

    /// The user and group, by number, to whom [`Launcher::start`] for `user` would give the root of a
    /// volume; `None` when it would leave it as it is. For a caller that has it given away by a
    /// process of its own, since a disk that hangs holds up whoever writes to it.
    pub fn owner_to_be(
        &self,
        volume: &VolumeMount,
        user: &str,
    ) -> Result<Option<(u32, u32)>, LaunchError> {
        let account = crate::spec_check::look_up_user(user)?;
        let stays = volume.read_only || !account.switch || owns_root(volume, &account);
        if stays || self.volumes_in_use()?.contains(&volume.source) {
            return Ok(None);
        }
        Ok(Some((account.uid, account.gid)))
    }

    /// Sources of the volumes of all containers that may be alive.
    fn volumes_in_use(&self) -> Result<std::collections::BTreeSet<std::path::PathBuf>, FileError> {
        let mut sources = std::collections::BTreeSet::new();
        for id in self.ids()? {
            let dir = self.dir(&id);
            if !matches!(dir.condition()?, Condition::Ended(_) | Condition::Unknown) {
                sources.extend(
                    dir.launch()?
                        .into_iter()
                        .flat_map(|launch| launch.spec.volumes)
                        .map(|volume| volume.source),
                );
            }
        }
        Ok(sources)
    }

    /// Writes the files, spawns the shim and hears its report. On every error but `NotEmpty`
    /// nothing of the container lives.
    fn begin(&self, dir: &ContainerDir, launch: &Launch) -> Result<Started, LaunchError> {
        let failed = |error: std::io::Error| FileError::new("create", dir.path(), error);
        DirBuilder::new().mode(0o700).create(dir.path()).map_err(failed)?;
        dir.write_launch(launch)?;
        durable::sync_dir(&self.runtime_dir.join("containers")).map_err(failed)?;
        let (reader, child) = self.spawn_shim(dir, &launch.spec.id)?;
        self.keep_child(&launch.spec.id, child);
        let deadline = Instant::now() + Duration::from_millis(self.options.start_timeout_ms);
        let error = match hear_report(reader, deadline) {
            Heard::Report(ShimReport::Running { pid }) => {
                return Ok(Started {
                    pid,
                    already_running: false,
                    isolation: launch.plan.isolation(),
                })
            }
            Heard::Report(ShimReport::Failed(error)) => error,
            Heard::Nothing => LaunchError::ShimDied { detail: dir.log_tail() },
            Heard::TooLate => LaunchError::TimedOut { timeout_ms: self.options.start_timeout_ms },
        };
        self.kill_child(&launch.spec.id, self.destroy_deadline());
        let not_empty = |pids| LaunchError::NotEmpty { id: launch.spec.id.clone(), pids };
        fence(dir, launch, self.destroy_deadline()).map_err(not_empty)?;
        self.clean_up(launch)?;
        Err(error)
    }

    fn spawn_shim(&self, dir: &ContainerDir, id: &str) -> Result<(PipeReader, Child), LaunchError> {
        let (reader, writer) =
            std::io::pipe().map_err(|error| LaunchError::shim("be given a pipe", error))?;
        let log_path = dir.log_path();
        let log = File::options()
            .append(true)
            .create(true)
            .open(&log_path)
            .map_err(|error| FileError::new("open", &log_path, error))?;
        let child = Command::new(&self.shim.program)
            .args(&self.shim.leading_args)
            .arg(dir.path())
            // Nothing of the agent's environment is passed on: it may hold secrets, and the
            // container's comes from its spec.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env(SHIM_OF_VARIABLE, id)
            .current_dir("/")
            .stdin(Stdio::from(dir.lock()?))
            .stdout(Stdio::from(writer))
            .stderr(Stdio::from(log))
            .spawn();
        let program = || self.shim.program.display().to_string();
        let child = child.map_err(|error| LaunchError::ShimMissing {
            program: program(),
            detail: error.to_string(),
        })?;
        Ok((reader, child))
    }
}

enum Heard {
    Report(ShimReport),
    Nothing,
    TooLate,
}

/// Reads until the value is whole: the end of the pipe may come later, when another process forked
/// at the wrong moment.
fn hear_report(mut reader: PipeReader, deadline: Instant) -> Heard {
    let mut bytes = Vec::new();
    let mut portion = [0; 4096];
    while bytes.len() < REPORT_BYTES_MAX {
        if !wait_readable(&reader.as_fd(), Some(deadline)) {
            return Heard::TooLate;
        }
        match reader.read(&mut portion) {
            Ok(0) | Err(_) => return Heard::Nothing,
            Ok(count) => bytes.extend_from_slice(&portion[..count]),
        }
        if let Ok(report) = serde_json::from_slice(&bytes) {
            return Heard::Report(report);
        }
    }
    Heard::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_report_in_pieces_is_heard_though_the_pipe_stays_open() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let listener = std::thread::spawn(move || hear_report(reader, deadline));
        writer.write_all(br#"{"running":"#).unwrap();
        writer.write_all(br#"{"pid":42}}"#).unwrap();
        assert!(matches!(listener.join().unwrap(), Heard::Report(ShimReport::Running { pid: 42 })));
    }

    #[test]
    fn silence_and_an_early_end_are_told_apart() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(matches!(hear_report(reader, Instant::now()), Heard::TooLate));
        drop(writer);
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"Segmentation fault").unwrap();
        drop(writer);
        assert!(matches!(
            hear_report(reader, Instant::now() + Duration::from_secs(20)),
            Heard::Nothing
        ));
    }
}

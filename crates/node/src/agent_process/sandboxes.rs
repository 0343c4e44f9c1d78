//! Where tasks work: one directory per run of an executor, laid out as Mesos does, so that tools find
//! `stdout` and `stderr` where they look for them. No volume is ever in here.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use holdfast_api::agent::EndedRun;
use holdfast_model::{AgentId, ContainerId, ExecutorId, FrameworkId};

/// The mode of sandboxes and of all directories above them in older programs.
const OPEN_MODE: u32 = 0o755;
/// A sandbox is its user's alone.
const SANDBOX_MODE: u32 = 0o700;
/// What is above them is passed through by all users.
const PASS_MODE: u32 = 0o711;

/// The sandboxes of an agent.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    dir: PathBuf,
}

impl Sandboxes {
    /// Below an agent's directory.
    pub fn below(dir: &Path) -> Sandboxes {
        Sandboxes { dir: dir.join("slaves") }
    }

    /// All sandboxes lie in here.
    pub fn root(&self) -> &Path {
        &self.dir
    }

    fn runs(&self, agent: &AgentId, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
        self.dir
            .join(agent.as_str())
            .join("frameworks")
            .join(framework.as_str())
            .join("executors")
            .join(executor.as_str())
            .join("runs")
    }

    /// The sandbox of one run.
    pub fn path(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: ContainerId,
    ) -> PathBuf {
        self.runs(agent, framework, executor).join(container.to_string())
    }

    /// Closes to other users what older programs left open to them. It is told by the folder of an executor's runs, which is closed
    /// last: what a task makes of the mode of its own sandbox stays.
    pub fn close_left_open(&self) {
        for runs in
            executors(&self.dir).map(|it| it.join("runs")).filter(|it| mode(it) == Some(OPEN_MODE))
        {
            for sandbox in folders(&runs).filter(|it| mode(it) == Some(OPEN_MODE)) {
                set_mode(&sandbox, SANDBOX_MODE);
            }
            for above in runs.ancestors().take_while(|it| it.starts_with(&self.dir)) {
                set_mode(above, PASS_MODE);
            }
        }
    }

    /// Makes the sandbox, and points `runs/latest` at it.
    ///
    /// # Errors
    /// A sentence.
    pub fn stage(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: ContainerId,
        user: Option<&str>,
    ) -> Result<PathBuf, String> {
        let path = self.path(agent, framework, executor, container);
        holdfast_containers::stage_sandbox(&path, user).map_err(|error| error.to_string())?;
        let latest = self.runs(agent, framework, executor).join("latest");
        let part = latest.with_extension(container.to_string());
        let linked = std::os::unix::fs::symlink(container.to_string(), &part)
            .and_then(|()| std::fs::rename(&part, &latest));
        // Only people use `latest`; a sandbox without it is as good.
        if let Err(error) = linked {
            tracing::warn!("cannot point {} at the newest run: {error}", latest.display());
        }
        Ok(path)
    }
}

/// The most sandboxes of executors that are no more which are shown, the newest of them.
const ENDED_RUNS_MAX: usize = 150;

/// Sandboxes that are kept, but for those of these containers; at most 150, the newest ones. It looks at each folder once.
pub(super) fn ended_runs(root: &Path, live: &BTreeSet<String>) -> Vec<EndedRun> {
    let mut runs: Vec<(std::time::SystemTime, EndedRun)> = Vec::new();
    for executor in executors(root) {
        for run in folders(&executor.join("runs")) {
            let Some(found) = ended_run(&executor, &run).filter(|it| !live.contains(&it.container))
            else {
                continue;
            };
            let changed = std::fs::symlink_metadata(&run).and_then(|it| it.modified());
            runs.push((changed.unwrap_or(std::time::SystemTime::UNIX_EPOCH), found));
        }
    }
    runs.sort_by(|(a, _), (b, _)| b.cmp(a));
    runs.into_iter().take(ENDED_RUNS_MAX).map(|(_, run)| run).collect()
}

fn ended_run(executor: &Path, run: &Path) -> Option<EndedRun> {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let framework = executor.parent().and_then(Path::parent)?;
    Some(EndedRun {
        framework: name(framework)?,
        executor: name(executor)?,
        container: name(run)?,
        directory: run.to_string_lossy().into_owned(),
    })
}

/// The folders of executors below the root of all sandboxes.
pub(super) fn executors(root: &Path) -> impl Iterator<Item = PathBuf> {
    let frameworks = folders(root).flat_map(|it| folders(&it.join("frameworks")));
    frameworks.flat_map(|it| folders(&it.join("executors")))
}

/// The folders in a folder, links left out; none if it cannot be read.
pub(super) fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).map(|it| it.path())
}

fn mode(path: &Path) -> Option<u32> {
    let found = std::fs::symlink_metadata(path).ok().filter(|it| it.is_dir())?;
    Some(found.permissions().mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) {
    if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) {
        tracing::warn!("{} is open to other users and cannot be closed: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_of_executors_that_are_no_more_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::below(dir.path());
        let runs = sandboxes.root().join("a/frameworks/f/executors/e/runs");
        for run in ["one", "two"] {
            std::fs::create_dir_all(runs.join(run)).unwrap();
        }
        std::os::unix::fs::symlink("two", runs.join("latest")).unwrap();
        let live = BTreeSet::from(["two".to_owned()]);
        let expected = EndedRun {
            framework: "f".to_owned(),
            executor: "e".to_owned(),
            container: "one".to_owned(),
            directory: runs.join("one").to_string_lossy().into_owned(),
        };
        assert_eq!(ended_runs(sandboxes.root(), &live), [expected]);
    }

    #[test]
    fn sandboxes_of_older_programs_are_closed_once_and_what_tasks_opened_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let sandboxes = Sandboxes::below(dir.path());
        let run = |executor: &str| {
            let path = format!("a/frameworks/f/executors/{executor}/runs/one");
            sandboxes.root().join(path)
        };
        let (old, new) = (run("old"), run("new"));
        for path in [&old, &new] {
            std::fs::create_dir_all(path).unwrap();
            path.ancestors().take(8).for_each(|it| set_mode(it, OPEN_MODE));
        }
        set_mode(new.parent().unwrap(), PASS_MODE);
        std::os::unix::fs::symlink("one", old.with_file_name("latest")).unwrap();
        sandboxes.close_left_open();
        assert_eq!(mode(&old), Some(SANDBOX_MODE));
        assert_eq!(mode(old.parent().unwrap()), Some(PASS_MODE));
        assert_eq!(mode(sandboxes.root()), Some(PASS_MODE));
        assert_eq!(mode(&new), Some(OPEN_MODE), "its task wanted it so");
        set_mode(&old, OPEN_MODE);
        sandboxes.close_left_open();
        assert_eq!(mode(&old), Some(OPEN_MODE));
    }
}

//! Where tasks work: one directory per run of an executor, laid out as Mesos does, so that tools find
//! `stdout` and `stderr` where they look for them. No volume is ever in here.

use std::path::{Path, PathBuf};

use holdfast_model::{AgentId, ContainerId, ExecutorId, FrameworkId};

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

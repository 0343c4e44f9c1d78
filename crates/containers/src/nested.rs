//! Containers inside others: what they share with the container around them, and what they have of their own.
//!
//! One that is started inside another has its namespaces, its hidden places, its user and its limits, and dies with it: the kernel kills
//! what is in the pid namespace when the first process of the outermost container ends. What tells its processes from the others is a
//! cgroup beneath that of the container around it. So that it cannot be begun in one that is over, it enters by a handle on that
//! first process, and its cgroup is made only beneath one that is there. It never outlives the container around it, and is never put into
//! one that does not have both.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::FileError;
use crate::isolation::inside::InsidePlan;
use crate::isolation::{CgroupPlan, Plan};
use crate::launcher::Launcher;
use crate::record::{Condition, Launch, ShimIdentity};
use crate::{ContainerSpec, LaunchError};

/// Where a container is that is inside another, and how one speaks with its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The id of the container around it.
    pub container: String,
    /// Its own name and those of the containers around it, the outermost first. For the caller, who finds them again in `recover`.
    pub names: Vec<String>,
    /// The sandbox of the outermost container. The spec's is that, or lies beneath.
    pub beneath: PathBuf,
    /// Whether it ends when the one that attached to it as its session goes away, and its output goes only there.
    pub is_session: bool,
    /// The size of its terminal; `None` for none.
    pub terminal: Option<WindowSize>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Letters in a line.
    pub columns: u16,
}

fn rejected(reason: impl Into<String>) -> LaunchError {
    LaunchError::InvalidField { field: "inside".into(), reason: reason.into() }
}

impl Launcher {
    /// The plan of a container inside another that runs, and the account of its payload when the spec names none.
    pub(crate) fn plan_inside(
        &self,
        spec: &ContainerSpec,
        inside: &Inside,
    ) -> Result<(Plan, Launch), LaunchError> {
        crate::spec_check::check_id(&inside.container).map_err(rejected)?;
        if !spec.volumes.is_empty() {
            return Err(rejected("a container inside another has the volumes of that one"));
        }
        let over = || rejected(format!("container {} does not run", inside.container));
        let dir = self.dir(&inside.container);
        let Condition::Running { .. } = dir.condition()? else { return Err(over()) };
        let around = dir.launch()?.ok_or_else(over)?;
        let ShimIdentity { first, .. } = dir.shim()?.ok_or_else(over)?;
        let own = match &around.plan.inside {
            Some(outer) => outer.deeper(&spec.id),
            None => {
                let first = first.ok_or_else(over)?;
                InsidePlan::within(&around, first, &spec.id).map_err(rejected)?
            }
        };
        let plan = Plan {
            namespaces: true,
            hiding: around.plan.hiding.clone(),
            cgroups: CgroupPlan::None,
            cgroup_parent: around.plan.cgroup_parent.clone(),
            inside: Some(own),
        };
        Ok((plan, around))
    }

    /// As what a container was started; `None` for one that is not known, and where its record cannot be read.
    pub fn spec(&self, id: &str) -> Option<ContainerSpec> {
        crate::spec_check::check_id(id).ok()?;
        self.dir(id).launch().ok()?.map(|it| it.spec)
    }

    /// Where the container is when it is inside another.
    pub fn inside(&self, id: &str) -> Option<Inside> {
        self.spec(id)?.inside
    }

    /// Makes the sandbox of a container inside another, beneath that of the outermost one, without following any link. Returns it.
    pub fn make_sandbox_beneath(
        &self,
        beneath: &Path,
        relative: &Path,
        user: Option<&str>,
    ) -> Result<PathBuf, LaunchError> {
        let account = user.map(crate::spec_check::look_up_user).transpose()?;
        let owner = account.filter(|it| it.switch).map(|it| (it.uid, it.gid));
        let path = beneath.join(relative);
        let failed = |error| FileError::new("create", &path, error);
        let root = crate::isolation::beneath::open_directory(beneath).map_err(failed)?;
        crate::isolation::beneath::make_directories(&root, relative, owner).map_err(failed)?;
        Ok(path)
    }

    /// Removes the sandbox of a container inside another, without following any link. What is not there is removed.
    pub fn remove_sandbox_beneath(&self, beneath: &Path, relative: &Path) -> Result<(), FileError> {
        let path = beneath.join(relative);
        let failed = |error: rustix::io::Errno| FileError::new("remove", &path, error);
        let (Some(above), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(FileError::new("remove", &path, "it has no name"));
        };
        let opened = crate::isolation::beneath::open_directory(beneath)
            .and_then(|root| crate::isolation::beneath::open_beneath(&root, above));
        let above = match opened {
            Ok(above) => above,
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        match std::fs::remove_dir_all(through(&above).join(name)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(FileError::new("remove", &path, error)),
        }
    }
}

/// The path of an open directory, through which nobody can put another in its place.
pub(crate) fn through(directory: &impl std::os::fd::AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/.", directory.as_raw_fd()))
}

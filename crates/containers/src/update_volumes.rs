//! `add_volumes` and `remove_volumes` change the volumes of a running container.
//!
//! The record is written before a volume is added and after it is removed, so that it never names
//! fewer volumes than the container may see. It may name more: a crash between the two leaves a
//! volume that is recorded and not mounted, so what is recorded is checked at again whenever it is
//! asked for. A removed volume is not fenced: a payload that is root may have kept access to it.
//! Only `destroy` frees a volume.

use crate::durable::FileError;
use crate::isolation::{mounts, posix};
use crate::launcher::{lock, Launcher};
use crate::process::ProcessIdentity;
use crate::record::{Condition, ContainerDir, Launch};
use crate::spec_check::{check_container_path, check_volumes};
use crate::{IsolationError, LaunchError, VolumeMount};

/// Why the volumes of a container were not changed, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum UpdateVolumesError {
    /// There is no such container, or it does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id of the container.
        id: String,
    },
    /// A volume is not acceptable beside those that the container has.
    #[error(transparent)]
    Refused(#[from] LaunchError),
    /// The container has no volume there.
    #[error("container {id} has no volume at {container_path:?}")]
    NoSuchVolume {
        /// The id of the container.
        id: String,
        /// The path that was asked for.
        container_path: String,
    },
    /// It could not be mounted or unmounted; a volume that is in use is not unmounted.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Shows volumes to a running container; each is seen there once this returns, also one that
    /// was asked for before. All are checked before the first is added; on an error those before it
    /// have been, and nothing is left at the path of the one that could not be. The root of a
    /// writable one is given to the container's user, as `start` does.
    pub fn add_volumes(&self, id: &str, volumes: &[VolumeMount]) -> Result<(), UpdateVolumesError> {
        self.change_volumes(id, |dir, mut launch, first| {
            let before = launch.spec.volumes.clone();
            let new: Vec<VolumeMount> =
                volumes.iter().filter(|volume| !before.contains(volume)).cloned().collect();
            let all: Vec<VolumeMount> = before.iter().chain(&new).cloned().collect();
            check_volumes(&all)?;
            if let Some(account) = &launch.account {
                self.give_volumes(&new, account)?;
            }
            for volume in volumes {
                let is_new = !launch.spec.volumes.contains(volume);
                if is_new {
                    launch.spec.volumes.push(volume.clone());
                    dir.write_launch(&launch)?;
                }
                let subject = launch.subject(None);
                // Volumes that were recorded before are included: the agent may have died between
                // the record and the mount.
                let shown = match launch.plan.namespaces {
                    true => mounts::show(first, &subject, volume),
                    false => posix::link(&subject, volume),
                };
                if let Err(error) = shown {
                    if is_new {
                        launch.spec.volumes.pop();
                        dir.write_launch(&launch)?;
                    }
                    return Err(error.into());
                }
            }
            Ok(())
        })
    }

    /// Removes volumes, named by their container paths, from a running container. Fails at one that
    /// a process of the container uses (with namespaces); on an error those before it have been
    /// removed.
    pub fn remove_volumes(
        &self,
        id: &str,
        container_paths: &[String],
    ) -> Result<(), UpdateVolumesError> {
        self.change_volumes(id, |dir, mut launch, first| {
            for path in container_paths {
                let field = "container_path".to_string();
                check_container_path(path)
                    .map_err(|reason| LaunchError::InvalidField { field, reason })?;
                let Some(at) =
                    launch.spec.volumes.iter().position(|volume| volume.container_path == *path)
                else {
                    return Err(UpdateVolumesError::NoSuchVolume {
                        id: id.to_string(),
                        container_path: path.clone(),
                    });
                };
                match launch.plan.namespaces {
                    true => mounts::remove(first, &launch.spec.sandbox, path)?,
                    false => posix::unlink(&launch.subject(None), &launch.spec.volumes[at])?,
                }
                launch.spec.volumes.remove(at);
                dir.write_launch(&launch)?;
            }
            Ok(())
        })
    }

    fn change_volumes(
        &self,
        id: &str,
        change: impl FnOnce(&ContainerDir, Launch, &ProcessIdentity) -> Result<(), UpdateVolumesError>,
    ) -> Result<(), UpdateVolumesError> {
        let not_running = || UpdateVolumesError::NotRunning { id: id.to_string() };
        crate::spec_check::check_id(id).map_err(|_| not_running())?;
        let gate = self.gate(id);
        let _held = lock(&gate);
        let dir = self.dir(id);
        let Condition::Running { .. } = dir.condition()? else { return Err(not_running()) };
        let (Some(launch), Some(first)) = (dir.launch()?, dir.shim()?.and_then(|shim| shim.first))
        else {
            return Err(not_running());
        };
        change(&dir, launch, &first)
    }
}

//! The directory of one task of a group: `tasks/<id>` below the executor's sandbox, with links to the volumes that it uses.
//!
//! Relies on the container to show every volume in the executor's own sandbox. Never makes a directory where a volume should be: what is
//! not there fails the task. Never removes anything.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use holdfast_model::convert::{task, Format};
use holdfast_model::{Resource, TaskInfo};
use holdfast_proto::mesos::v1::volume::source::sandbox_path::Type as SandboxType;

/// A place of the executor's sandbox that shows in the task's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    /// Relative to the executor's sandbox.
    from: PathBuf,
    /// Relative to the task's directory.
    to: PathBuf,
    /// Whether it is (in) a volume, which must be there.
    is_volume: bool,
}

/// Makes the directory of a task. `executor` is what the executor itself was given.
///
/// # Errors
/// Why the task cannot run, for people.
pub(super) fn make(
    sandbox: &Path,
    task: &TaskInfo,
    executor: &[Resource],
) -> Result<PathBuf, String> {
    let shown = shown(task, executor)?;
    let directory = sandbox.join("tasks").join(task.id.as_str());
    let cannot =
        |path: &Path, error: std::io::Error| format!("cannot make {}: {error}", path.display());
    std::fs::create_dir_all(&directory).map_err(|error| cannot(&directory, error))?;
    for place in shown {
        let (from, to) = (sandbox.join(&place.from), directory.join(&place.to));
        if place.is_volume && !from.is_dir() {
            return Err(format!(
                "the volume at {} is not there; nothing is put in its place",
                from.display()
            ));
        }
        std::fs::create_dir_all(&from).map_err(|error| cannot(&from, error))?;
        std::fs::create_dir_all(to.parent().unwrap_or(&directory))
            .map_err(|error| cannot(&to, error))?;
        match std::os::unix::fs::symlink(&from, &to) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(cannot(&to, error))
            }
            _ => {}
        }
        if std::fs::read_link(&to).ok() != Some(from) {
            return Err(format!(
                "{} is there already, and is something else; choose another container path",
                to.display()
            ));
        }
    }
    Ok(directory)
}

fn shown(info: &TaskInfo, executor: &[Resource]) -> Result<Vec<Shown>, String> {
    let paths = |resources: &[Resource]| -> Result<Vec<PathBuf>, String> {
        let volumes = resources.iter().filter(|it| it.identity.persistence.is_some());
        volumes.filter_map(|it| it.mount.as_ref()).map(|it| below(&it.container_path)).collect()
    };
    let own = paths(&info.resources)?;
    let volumes: Vec<PathBuf> = paths(executor)?.into_iter().chain(own.clone()).collect();
    let mut all: Vec<Shown> =
        own.into_iter().map(|it| Shown { from: it.clone(), to: it, is_volume: true }).collect();
    let wire = task::to_proto(info, Format::WHOLE);
    for volume in wire.container.iter().flat_map(|it| &it.volumes) {
        let Some(path) = volume.source.as_ref().and_then(|it| it.sandbox_path.as_ref()) else {
            continue;
        };
        if path.r#type() != SandboxType::Parent {
            continue;
        }
        let from = below(&path.path)?;
        let is_volume = volumes.iter().any(|it| from.starts_with(it));
        all.push(Shown { from, to: below(&volume.container_path)?, is_volume });
    }
    Ok(all)
}

/// A path that stays below where it starts.
fn below(path: &str) -> Result<PathBuf, String> {
    let parts = Path::new(path).components().filter(|it| !matches!(it, Component::CurDir));
    let kept: Option<PathBuf> =
        parts.map(|it| if let Component::Normal(name) = it { Some(name) } else { None }).collect();
    let kept = kept.filter(|it| !it.as_os_str().is_empty());
    kept.ok_or_else(|| {
        format!("container path `{path}`: give one below the task's directory, without `..`")
    })
}

#[cfg(test)]
mod tests {
    use holdfast_model::{AgentId, PersistenceId, Scalar, TaskId};
    use holdfast_proto::mesos::v1;

    use super::*;

    fn task(resources: Vec<Resource>) -> TaskInfo {
        TaskInfo {
            id: TaskId::made("t1".to_owned()),
            name: "t1".to_owned(),
            agent: AgentId::made("a".to_owned()),
            resources,
            executor: None,
            command: None,
            kill_grace_ms: None,
            payload: Default::default(),
        }
    }

    fn volume(path: &str) -> Resource {
        Resource::scalar("disk", Scalar::whole(1)).volume(
            PersistenceId::made("v".to_owned()),
            path,
            None,
        )
    }

    #[test]
    fn a_volume_shows_in_the_tasks_own_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/file"), "kept").unwrap();
        let made = make(dir.path(), &task(vec![volume("data")]), &[]).unwrap();
        assert_eq!(made, dir.path().join("tasks/t1"));
        assert_eq!(std::fs::read_to_string(made.join("data/file")).unwrap(), "kept");
        assert_eq!(
            make(dir.path(), &task(vec![volume("data")]), &[]).unwrap(),
            made,
            "again is no error"
        );
    }

    #[test]
    fn nothing_is_put_in_place_of_a_missing_volume() {
        let dir = tempfile::tempdir().unwrap();
        let why = make(dir.path(), &task(vec![volume("data")]), &[]).unwrap_err();
        assert!(why.contains("not there"), "{why}");
        assert!(!dir.path().join("data").exists());
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["/etc", "../x", "a/../../x", "", "."] {
            assert!(make(dir.path(), &task(vec![volume(path)]), &[]).is_err(), "{path}");
        }
        assert!(!dir.path().join("tasks").exists());
    }

    #[test]
    fn a_place_of_the_parents_sandbox_is_shared() {
        let dir = tempfile::tempdir().unwrap();
        let place = v1::volume::source::SandboxPath {
            r#type: Some(SandboxType::Parent.into()),
            path: "shared/x".to_owned(),
        };
        let source = v1::volume::Source { sandbox_path: Some(place), ..Default::default() };
        let volume_info = v1::Volume {
            container_path: "mine".to_owned(),
            source: Some(source),
            ..Default::default()
        };
        let container = v1::ContainerInfo { volumes: vec![volume_info], ..Default::default() };
        let mut wire = task::to_proto(&task(Vec::new()), Format::WHOLE);
        wire.container = Some(container);
        let info = task::from_proto(wire).unwrap();
        let made = make(dir.path(), &info, &[]).unwrap();
        std::fs::write(made.join("mine/file"), "seen").unwrap();
        assert!(dir.path().join("shared/x/file").exists());
        let of_volume = Resource { ..volume("shared") };
        let empty = tempfile::tempdir().unwrap();
        assert!(
            make(empty.path(), &info, &[of_volume]).is_err(),
            "within a volume that is missing nothing is made"
        );
    }
}

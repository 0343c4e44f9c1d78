//! Checks a spec before anything is made; an error names the field that is wrong.
//!
//! It relies on the file system only to see what exists, and never creates or changes anything.
//! Errors name the field as the caller wrote it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

use crate::{Command, ContainerSpec, LaunchError, VolumeMount};

/// Bytes of command line and environment together; the kernel takes 2 MiB on most machines.
const ARGUMENT_BYTES_MAX: usize = 1 << 20;
/// Volumes of one container.
const VOLUMES_MAX: usize = 256;
/// Bytes of a container path; the sandbox's own path comes before it.
const CONTAINER_PATH_BYTES_MAX: usize = 1024;
/// Bytes of one part of a path, as every file system has it.
const PART_BYTES_MAX: usize = 255;

/// The user a payload runs as, looked up once, before namespaces can hide the user database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Whether it is not the agent's own user, so that the payload must switch.
    pub switch: bool,
}

/// Checks a whole spec; returns the account as which the payload runs, if one was given.
pub(crate) fn check_spec(spec: &ContainerSpec) -> Result<Option<Account>, LaunchError> {
    check_id(&spec.id).map_err(|reason| rejected("id", reason))?;
    check_command(&spec.command)?;
    check_environment(&spec.environment)?;
    check_sandbox(&spec.sandbox)?;
    check_volumes(&spec.volumes)?;
    spec.user.as_deref().map(look_up_user).transpose()
}

fn rejected(field: impl Into<String>, reason: impl Into<String>) -> LaunchError {
    LaunchError::InvalidField { field: field.into(), reason: reason.into() }
}

/// An id becomes a directory's and a cgroup's name: only a uuid, and only in its one canonical
/// spelling.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    match uuid::Uuid::try_parse(id) {
        Ok(uuid) if uuid.hyphenated().to_string() == id => Ok(()),
        _ => Err(format!("{id:?} is not a uuid in lower-case text with dashes")),
    }
}

fn check_command(command: &Command) -> Result<(), LaunchError> {
    let words: Vec<&str> = match command {
        Command::Shell(line) => vec![line],
        Command::Argv { program, args } => {
            std::iter::once(program).chain(args).map(String::as_str).collect()
        }
    };
    if words[0].is_empty() {
        return Err(rejected("command", "is empty; name a program or give a shell line"));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(rejected("command", "contains a NUL byte, which no program can receive"));
    }
    if words.iter().map(|word| word.len() + 1).sum::<usize>() > ARGUMENT_BYTES_MAX {
        return Err(rejected(
            "command",
            format!("is longer than {ARGUMENT_BYTES_MAX} bytes; put long arguments into a file"),
        ));
    }
    Ok(())
}

fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), LaunchError> {
    let mut bytes = 0;
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(rejected(
                "environment",
                format!("{name:?} cannot be a variable: empty, or with '=' or a NUL byte"),
            ));
        }
        bytes += name.len() + value.len() + 2;
    }
    if bytes > ARGUMENT_BYTES_MAX {
        return Err(rejected(
            "environment",
            format!("is larger than {ARGUMENT_BYTES_MAX} bytes; put long values into a file"),
        ));
    }
    Ok(())
}

fn check_sandbox(sandbox: &Path) -> Result<(), LaunchError> {
    if !sandbox.is_absolute() || sandbox.components().any(|part| part == Component::ParentDir) {
        return Err(rejected(
            "sandbox",
            format!("{} must be absolute and without \"..\"", sandbox.display()),
        ));
    }
    is_real_directory(sandbox).map_err(|detail| LaunchError::SandboxMissing {
        sandbox: sandbox.display().to_string(),
        detail: detail.to_string(),
    })
}

/// Checks that a path is a directory itself, not a link to one.
fn is_real_directory(path: &Path) -> Result<(), String> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(found) if found.is_symlink() => Err("it is a symbolic link".into()),
        Ok(_) => Err("it is a file".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks the volumes of one container, each by itself and against each other.
pub(crate) fn check_volumes(volumes: &[VolumeMount]) -> Result<(), LaunchError> {
    if volumes.len() > VOLUMES_MAX {
        return Err(rejected(
            "volumes",
            format!("{} volumes, at most {VOLUMES_MAX} fit in one container", volumes.len()),
        ));
    }
    for (at, volume) in volumes.iter().enumerate() {
        let field = format!("volumes[{at}]");
        check_container_path(&volume.container_path)
            .map_err(|reason| rejected(format!("{field}.container_path"), reason))?;
        if !volume.source.is_absolute()
            || volume.source.components().any(|part| part == Component::ParentDir)
        {
            return Err(rejected(
                format!("{field}.source"),
                format!("{} must be absolute and without \"..\"", volume.source.display()),
            ));
        }
        is_real_directory(&volume.source).map_err(|detail| LaunchError::VolumeMissing {
            container_path: volume.container_path.clone(),
            source_path: volume.source.display().to_string(),
            detail,
        })?;
        for (other_at, other) in volumes.iter().enumerate().take(at) {
            check_apart(&other.container_path, &volume.container_path).map_err(|reason| {
                rejected(format!("{field}.container_path"), format!("{reason} volumes[{other_at}]"))
            })?;
        }
    }
    Ok(())
}

/// Accepts a container path that can be mounted beneath a sandbox, or says what is wrong with it:
/// it must be relative, without `..`, `.` or empty parts, and must not be one of the files that the
/// sandbox has anyway (`stdout`, `stderr`). Several parts are fine.
pub fn check_container_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("is empty; name a path relative to the sandbox, as \"data\"".into());
    }
    if path.starts_with('/') {
        return Err(format!("{path:?} is absolute; name it relative to the sandbox, as \"data\""));
    }
    if path.len() > CONTAINER_PATH_BYTES_MAX {
        return Err(format!("is longer than {CONTAINER_PATH_BYTES_MAX} bytes"));
    }
    if path.chars().any(char::is_control) {
        return Err(format!("{path:?} has control characters"));
    }
    for part in path.strip_suffix('/').unwrap_or(path).split('/') {
        match part {
            ".." => return Err(format!("{path:?} leaves the sandbox with \"..\"")),
            "" | "." => {
                return Err(format!(
                    "{path:?} has an empty part or \".\"; write it plainly, as \"data/a\""
                ))
            }
            _ if part.len() > PART_BYTES_MAX => {
                return Err(format!("{path:?} has a part longer than {PART_BYTES_MAX} bytes"))
            }
            _ => {}
        }
    }
    match path.split('/').next() {
        Some(first @ ("stdout" | "stderr")) => {
            Err(format!("{path:?} would hide the sandbox's own {first}"))
        }
        _ => Ok(()),
    }
}

/// Checks that two volumes do not lie in each other: the inner one's mount point would be made
/// inside the outer one's data.
fn check_apart(one: &str, other: &str) -> Result<(), String> {
    let (one, other) = (Path::new(one), Path::new(other));
    if one == other {
        return Err(format!("{:?} is taken by", other.display().to_string()));
    }
    if one.starts_with(other) || other.starts_with(one) {
        return Err(format!("{:?} lies in or around", other.display().to_string()));
    }
    Ok(())
}

/// Finds a user by name or number.
pub(crate) fn look_up_user(user: &str) -> Result<Account, LaunchError> {
    let unknown = || LaunchError::UnknownUser { user: user.to_string() };
    let found = match user.parse::<u32>() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) if user.is_empty() || user.contains('\0') => return Err(unknown()),
        Err(_) => User::from_name(user),
    };
    let found = found.ok().flatten().ok_or_else(unknown)?;
    let (uid, own) = (found.uid.as_raw(), nix::unistd::geteuid());
    let switch = uid != own.as_raw();
    if switch && !own.is_root() {
        return Err(LaunchError::CannotSwitchUser { user: user.to_string() });
    }
    Ok(Account { name: found.name, uid, gid: found.gid.as_raw(), switch })
}

/// Whether the root of a volume belongs to `account`.
pub(crate) fn owns_root(volume: &VolumeMount, account: &Account) -> bool {
    std::fs::symlink_metadata(&volume.source)
        .is_ok_and(|found| (found.uid(), found.gid()) == (account.uid, account.gid))
}

/// Gives the root of a volume, and only that, to `account`.
pub(crate) fn give_volume_root(volume: &VolumeMount, account: &Account) -> Result<(), LaunchError> {
    std::os::unix::fs::lchown(&volume.source, Some(account.uid), Some(account.gid)).map_err(
        |error| LaunchError::Volume {
            container_path: volume.container_path.clone(),
            detail: format!("its root cannot be given to user {}: {error}", account.name),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_paths() {
        for good in ["data", "data/", "a/b/c", "var/lib/mydb", ".hidden", "a..b", "stdout.d"] {
            assert_eq!(check_container_path(good), Ok(()), "{good}");
        }
        for bad in [
            "", "/", "/data", "..", "a/../b", "../x", "a//b", "./a", "a/.", ".", "a\nb", "a\0",
            "stdout", "stderr/x", "data//",
        ] {
            assert!(check_container_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_container_path(&"a".repeat(256)).is_err());
        assert!(check_container_path(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn ids_have_one_spelling() {
        assert!(check_id("6f1c8a52-5a0a-4f6e-9d9b-0c4b7c2e1a11").is_ok());
        for bad in [
            "",
            "x",
            "..",
            "6F1C8A52-5A0A-4F6E-9D9B-0C4B7C2E1A11",
            "6f1c8a525a0a4f6e9d9b0c4b7c2e1a11",
            "../../etc",
        ] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn volumes_are_checked_against_each_other_and_the_field_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let volume = |path: &str| VolumeMount::new(dir.path(), path);
        assert!(check_volumes(&[volume("a"), volume("b/c"), volume("b/d"), volume("bb")]).is_ok());
        for (one, other) in [("a", "a"), ("a", "a/"), ("a", "a/b"), ("a/b", "a")] {
            let error = check_volumes(&[volume("z"), volume(one), volume(other)]).unwrap_err();
            assert!(
                matches!(&error, LaunchError::InvalidField { field, .. } if field == "volumes[2].container_path"),
                "{one} {other}: {error}"
            );
        }
        let error = check_volumes(&[VolumeMount::new("relative", "a")]).unwrap_err();
        assert!(
            matches!(error, LaunchError::InvalidField { field, .. } if field == "volumes[0].source")
        );
    }

    #[test]
    fn a_missing_volume_is_refused_and_never_created() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("data");
        let error = check_volumes(&[VolumeMount::new(&missing, "data")]).unwrap_err();
        assert!(matches!(error, LaunchError::VolumeMissing { .. }), "{error}");
        assert!(!missing.exists());
        std::os::unix::fs::symlink("/tmp", &missing).unwrap();
        let error = check_volumes(&[VolumeMount::new(&missing, "data")]).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }

    #[test]
    fn commands_and_environments_that_no_program_can_receive() {
        assert!(check_command(&Command::Shell("true".into())).is_ok());
        assert!(check_command(&Command::Shell(String::new())).is_err());
        assert!(check_command(&Command::Argv { program: "a".into(), args: vec!["b\0".into()] })
            .is_err());
        assert!(check_command(&Command::Shell("x".repeat(ARGUMENT_BYTES_MAX))).is_err());
        let variables =
            |name: &str, value: &str| BTreeMap::from([(name.to_string(), value.to_string())]);
        assert!(check_environment(&variables("A", "b=c")).is_ok());
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "\0")] {
            assert!(check_environment(&variables(name, value)).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn users_by_name_and_number() {
        let own = nix::unistd::geteuid().as_raw();
        assert!(!look_up_user(&own.to_string()).unwrap().switch);
        assert_eq!(look_up_user("root").map(|found| found.uid).unwrap_or(0), 0);
        assert!(matches!(look_up_user("no-such-user-here"), Err(LaunchError::UnknownUser { .. })));
        assert!(matches!(look_up_user("4294900000"), Err(LaunchError::UnknownUser { .. })));
    }
}

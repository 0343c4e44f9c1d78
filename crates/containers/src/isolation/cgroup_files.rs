//! The files of a cgroup, version 1 or 2: written, read, listed and removed.
//!
//! It works on any directory, so that a test can stand in for a kernel. It relies on the caller for
//! paths, and never knows a controller by name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The depth to which cgroups beneath a container's own, made by its payload, are searched.
const DEPTH_MAX: usize = 16;
/// The kernel frees a cgroup a little after its last process, so removal is tried this often, with
/// a pause between.
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(5);

/// Writes one value; the error names file and value.
pub(crate) fn write(path: &Path, value: impl std::fmt::Display) -> Result<(), String> {
    fs::write(path, value.to_string())
        .map_err(|error| format!("writing {value} to {}: {error}", path.display()))
}

/// Writes one value if the kernel has that file.
pub(crate) fn write_if_there(path: &Path, value: impl std::fmt::Display) -> Result<(), String> {
    match path.exists() {
        true => write(path, value),
        false => Ok(()),
    }
}

/// Reads a number; `None` when there is no such file or it holds a word (as `max`).
pub(crate) fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads the number that follows `key` in a file of `key value` lines.
pub(crate) fn read_keyed(path: &Path, key: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == key).then(|| value.trim().parse().ok())?
    })
}

/// The processes of a cgroup and of all cgroups beneath it; empty when there is no such cgroup.
pub(crate) fn processes(dir: &Path) -> Vec<i32> {
    let mut pids: Vec<i32> = with_children(dir)
        .iter()
        .filter_map(|dir| fs::read_to_string(dir.join("cgroup.procs")).ok())
        .flat_map(|text| {
            text.lines().filter_map(|line| line.trim().parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Removes a cgroup and those beneath it; all must be empty. Absent is removed.
pub(crate) fn remove(dir: &Path) -> Result<(), String> {
    for each in with_children(dir) {
        let mut tries = 0;
        loop {
            match fs::remove_dir(&each) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < REMOVE_TRIES => {
                    tries += 1;
                    // tidy: sleep is the point: the kernel frees a cgroup shortly after its last
                    // process, and notifies nobody
                    std::thread::sleep(REMOVE_PAUSE);
                }
                Err(error) => return Err(format!("removing {}: {error}", each.display())),
            }
        }
    }
    Ok(())
}

/// `dir` and all beneath it, the deepest first; empty when `dir` is absent.
fn with_children(dir: &Path) -> Vec<PathBuf> {
    fn visit(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        if depth < DEPTH_MAX {
            for entry in
                entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            {
                visit(&entry.path(), depth + 1, found);
            }
        }
        found.push(dir.to_path_buf());
    }
    let mut found = Vec::new();
    visit(dir, 0, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(read_number(&path), None);
        write(&path, "17\n").unwrap();
        assert_eq!(read_number(&path), Some(17));
        write(&path, "max\n").unwrap();
        assert_eq!(read_number(&path), None);
        write(&path, "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n").unwrap();
        assert_eq!(read_keyed(&path, "oom_kill"), Some(3));
        assert_eq!(read_keyed(&path, "oom"), None);
        assert!(write(&dir.path().join("no/such"), 1).unwrap_err().contains("no/such"));
        write_if_there(&dir.path().join("no"), 1).unwrap();
    }

    #[test]
    fn processes_of_nested_groups_count_and_groups_go_deepest_first() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("g");
        fs::create_dir_all(group.join("a/b")).unwrap();
        fs::write(group.join("cgroup.procs"), "5\n3\n").unwrap();
        fs::write(group.join("a/b/cgroup.procs"), "9\n3\n").unwrap();
        assert_eq!(processes(&group), [3, 5, 9]);
        fs::remove_file(group.join("cgroup.procs")).unwrap();
        fs::remove_file(group.join("a/b/cgroup.procs")).unwrap();
        remove(&group).unwrap();
        assert!(!group.exists());
        remove(&group).unwrap();
        assert!(processes(&group).is_empty());
    }
}

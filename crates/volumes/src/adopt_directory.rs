//! Moves a directory with data into a new volume.
//!
//! What it is for: data that were there before Holdfast become a volume. What it relies on: one rename
//! within a mount. The volume's labelled folder is put into place first, without data; the rename is
//! the last step, so that at any moment the data are at their old place or in the volume. What it
//! never does: copy a byte, take anything from another file system, follow a link, or touch what is
//! in the directory.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::adopt_volume::check_own_space;
use crate::disk::{Entered, OpenDisk, HOLDFAST, MAKING};
use crate::folder::{EnterFault, Folder, PASS_MODE, PRIVATE_MODE};
use crate::label::VolumeLabel;
use crate::label_pair::{write_pair, Repairing, LABEL_NAMES};
use crate::mounts::{is_mount_root, read_mountinfo};
use crate::volume::{
    check_claim, check_claimed_here, enter_data, enter_volume, enter_volumes, folder_name,
    look_at_label, volume_io, VolumeFault, DATA,
};

/// Makes the directory `from` the data of the volume that `label` describes, and returns their new path. `own_mb` of the space that its claim
/// needs must be its own already. It is durable on return; repeating it is harmless.
///
/// # Errors
/// [`VolumeFault`]; the data are then where they were, or (after `Io`) perhaps in the volume.
pub fn adopt_directory(
    disk: &OpenDisk,
    label: &VolumeLabel,
    from: &Path,
    own_mb: u64,
) -> Result<PathBuf, VolumeFault> {
    let volume_uuid = label.volume_uuid;
    check_claimed_here(disk, label)?;
    let entered = disk.enter()?;
    let volumes = enter_volumes(disk, &entered)?;
    let begun = enter_volume(&volumes, volume_uuid)?;
    if let Some(folder) = &begun {
        let found = look_at_label(folder, volume_uuid, Repairing::No)?;
        check_claim(folder.path(), label, &found.label)?;
        if folder.has(DATA).map_err(volume_io(volume_uuid, "look into its folder"))? {
            // It was done before, and perhaps not synced.
            let data = enter_data(folder, volume_uuid)?.path().to_path_buf();
            check_own_space(&data, volume_uuid, own_mb)?;
            folder.sync().map_err(volume_io(volume_uuid, "sync its folder"))?;
            return Ok(data);
        }
    }
    let unfit =
        |why: String| VolumeFault::NotAdoptable { volume_uuid, path: from.to_path_buf(), why };
    let moved = source(disk, &entered, from).map_err(unfit).and_then(|(parent, name)| {
        check_own_space(from, volume_uuid, own_mb)?;
        let folder = match begun {
            Some(folder) => folder,
            None => place(&entered, &volumes, label)
                .map_err(volume_io(volume_uuid, "put its folder into place"))?,
        };
        parent
            .move_to(&name, &folder, DATA)
            .map_err(volume_io(volume_uuid, "move the directory into it"))?;
        Ok(folder.path().join(DATA))
    });
    if moved.is_err() {
        clear(&volumes, volume_uuid);
    }
    moved
}

/// Puts a labelled folder without data into place.
fn place(entered: &Entered, volumes: &Folder, label: &VolumeLabel) -> io::Result<Folder> {
    let name = folder_name(label.volume_uuid);
    let making = entered.folder.make(MAKING, PRIVATE_MODE).map_err(EnterFault::into_io)?;
    making.lock()?;
    let draft = making.make(&name, PASS_MODE).map_err(EnterFault::into_io)?;
    write_pair(&draft, label, 1)?;
    draft.sync()?;
    making.move_to(&name, volumes, &name)?;
    volumes.enter(&name).map_err(EnterFault::into_io)
}

/// Takes away the folder of a volume that got no data. What holds more than labels stays.
fn clear(volumes: &Folder, volume_uuid: Uuid) {
    let Ok(Some(folder)) = enter_volume(volumes, volume_uuid) else { return };
    if !matches!(folder.has(DATA), Ok(false)) {
        return;
    }
    let cleared = LABEL_NAMES.iter().try_for_each(|it| folder.remove_file(it));
    let cleared = cleared.and_then(|()| volumes.remove_dir(&folder_name(volume_uuid)));
    if let Err(error) = cleared.and_then(|()| volumes.sync()) {
        tracing::warn!("the folder of volume {volume_uuid}, which got no data, stays: {error}");
    }
}

/// The directory that holds the one to be moved, and its name there; or why it cannot be moved.
fn source(disk: &OpenDisk, entered: &Entered, from: &Path) -> Result<(Folder, String), String> {
    let kind = std::fs::symlink_metadata(from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such directory; write its path on the agent's host".to_owned()
        }
        _ => format!("it cannot be looked at: {error}"),
    })?;
    if kind.is_symlink() {
        return Err("it is a symbolic link; name the directory itself".to_owned());
    }
    if !kind.is_dir() {
        return Err("it is no directory; move the file into one, and name that".to_owned());
    }
    let real = std::fs::canonicalize(from).map_err(|it| format!("it cannot be looked at: {it}"))?;
    if real != from {
        return Err(format!("it is reached through a symbolic link; name {}", real.display()));
    }
    check_place(disk, from)?;
    let (Some(parent), Some(name)) = (from.parent(), from.file_name().and_then(|it| it.to_str()))
    else {
        return Err("it has no name that is text; rename it".to_owned());
    };
    let cannot = |fault: EnterFault| format!("it cannot be opened: {}", fault.into_io());
    let parent = Folder::open(parent).map_err(cannot)?;
    let source = parent.enter_across(name).map_err(cannot)?;
    if is_mount_root(&source).unwrap_or(true) {
        return Err("a file system is mounted there, and a mount is not moved; add it as a disk with `holdfast disk add --type mount`, or name a directory in it".to_owned());
    }
    if source.identity().mount != entered.folder.identity().mount {
        return Err(format!(
            "it is on another file system, or another mount, than disk {}, and nothing is copied; create a volume with `holdfast volume create`, and copy the data into it",
            disk.config().root.display()
        ));
    }
    let mounts = read_mountinfo().map_err(|it| format!("the mounts cannot be read: {it}"))?;
    if let Some(mount) = mounts.iter().find(|it| it.mount_point.starts_with(from)) {
        return Err(format!(
            "{} is mounted in it; unmount that first",
            mount.mount_point.display()
        ));
    }
    match user_of(from) {
        Some(user) => Err(format!("{user} has it open; end that first")),
        None => Ok((parent, name.to_owned())),
    }
}

/// What is a disk's, or holds one, is no data to be adopted.
fn check_place(disk: &OpenDisk, from: &Path) -> Result<(), String> {
    let root = std::fs::canonicalize(&disk.config().root).map_err(|it| it.to_string())?;
    if root.starts_with(from) {
        return Err(format!("disk {} is it, or lies in it", disk.config().root.display()));
    }
    let is_ours =
        |it: &Path| it.file_name() == Some(HOLDFAST.as_ref()) && it.join("label").exists();
    if let Some(ours) = from.ancestors().find(|it| is_ours(it)) {
        return Err(format!("it lies in {}, where the volumes of a disk are", ours.display()));
    }
    match from.join(HOLDFAST).join("label").exists() {
        true => Err("it is a disk itself; its volumes are what can be used of it".to_owned()),
        false => Ok(()),
    }
}

/// A process that has something in a directory open, as far as this one can see.
fn user_of(dir: &Path) -> Option<String> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let links = |process: &Path| {
        let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let open = open.map(|it| it.path());
        let rest = ["cwd", "root", "exe"].map(|it| process.join(it));
        open.chain(rest).filter_map(|it| std::fs::read_link(it).ok()).collect::<Vec<_>>()
    };
    for process in processes.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|it| it.parse::<u32>().ok()) else { continue };
        if pid != std::process::id() && links(&process.path()).iter().any(|it| it.starts_with(dir))
        {
            let comm = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", comm.trim_end()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::crash_at;
    use crate::testbed::{volume_label, Bed, TmpfsMount};
    use crate::{check_volume, list_volumes, sweep_unmade};

    /// A directory with data beside the disk.
    fn old(bed: &Bed) -> PathBuf {
        let old = std::fs::canonicalize(bed.dir.path()).unwrap().join("old");
        std::fs::create_dir_all(old.join("below")).unwrap();
        std::fs::write(old.join("below/precious"), "bytes").unwrap();
        old
    }

    fn adopt(bed: &Bed, from: &Path) -> Result<PathBuf, VolumeFault> {
        adopt_with(bed, from, 0)
    }

    /// Adopts what nobody uses: a process that another test starts has a copy of each handle for a moment.
    fn adopt_with(bed: &Bed, from: &Path, own_mb: u64) -> Result<PathBuf, VolumeFault> {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            match adopt_directory(&bed.disk, &volume_label(1), from, own_mb) {
                Err(error)
                    if error.to_string().contains("has it open")
                        && std::time::Instant::now() < until =>
                {
                    std::thread::yield_now();
                }
                done => break done,
            }
        }
    }

    fn refused(bed: &Bed, from: &Path, words: &str) {
        let adopted = adopt_directory(&bed.disk, &volume_label(1), from, 0);
        let why = adopted.unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
        assert_eq!(std::fs::read_dir(bed.folder().join("volumes")).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_becomes_a_whole_volume_and_nothing_is_left_at_its_place() {
        let bed = Bed::new();
        let old = old(&bed);
        let data = adopt(&bed, &old).unwrap();
        assert_eq!(std::fs::read_to_string(data.join("below/precious")).unwrap(), "bytes");
        assert!(!old.exists());
        assert_eq!(check_volume(&bed.disk, &volume_label(1)).unwrap(), data);
        assert_eq!(adopt(&bed, &old).unwrap(), data, "repeated");
    }

    #[test]
    fn a_crash_anywhere_leaves_the_data_at_their_place_or_in_the_volume_and_can_be_repeated() {
        for n in 0.. {
            let bed = Bed::new();
            let old = old(&bed);
            let (_, crashed) = crash_at(n, || adopt(&bed, &old));
            let there = old.join("below/precious").exists();
            let whole = check_volume(&bed.disk, &volume_label(1)).is_ok();
            assert!(there != whole, "step {n}");
            let listed = list_volumes(&bed.disk).unwrap().volumes.len();
            assert_eq!(listed, usize::from(whole), "step {n}");
            sweep_unmade(&bed.disk).unwrap();
            let data = adopt(&bed, &old).unwrap();
            assert_eq!(std::fs::read_to_string(data.join("below/precious")).unwrap(), "bytes");
            if !crashed {
                assert!(whole && 4 < n);
                break;
            }
        }
    }

    #[test]
    fn what_is_no_directory_of_its_own_is_refused_with_what_to_do() {
        let bed = Bed::new();
        let old = old(&bed);
        let base = old.parent().unwrap();
        refused(&bed, &base.join("absent"), "there is no such directory");
        refused(&bed, &old.join("below/precious"), "it is no directory");
        std::os::unix::fs::symlink(&old, base.join("link")).unwrap();
        refused(&bed, &base.join("link"), "it is a symbolic link");
        refused(&bed, &base.join("link/below"), "reached through a symbolic link");
        refused(&bed, base, "is it, or lies in it");
        refused(&bed, &base.join("disk/holdfast/trash"), "where the volumes of a disk are");
        refused(&bed, Path::new("/proc/self"), "symbolic link");
        assert_eq!(std::fs::read_to_string(old.join("below/precious")).unwrap(), "bytes");
    }

    #[test]
    fn what_is_used_mounted_or_elsewhere_is_refused_and_left() {
        let test = "what_is_used_mounted_or_elsewhere_is_refused_and_left";
        let bed = Bed::new();
        let old = old(&bed);
        let mut user = std::process::Command::new("sleep")
            .arg("1000")
            .current_dir(old.join("below"))
            .spawn()
            .unwrap();
        refused(&bed, &old, &format!("process {} (sleep) has it open", user.id()));
        user.kill().unwrap();
        user.wait().unwrap();
        let Some(mount) = TmpfsMount::on(old.join("mounted"), test) else { return };
        refused(&bed, &old, "is mounted in it");
        refused(&bed, mount.path(), "a file system is mounted there");
        std::fs::create_dir(mount.path().join("elsewhere")).unwrap();
        refused(&bed, &mount.path().join("elsewhere"), "nothing is copied");
        drop(mount);
        adopt(&bed, &old).unwrap();
    }

    #[test]
    fn what_the_data_use_already_need_not_be_free_and_no_more_than_that() {
        let bed = Bed::new();
        let old = old(&bed);
        std::fs::write(old.join("big"), vec![7; 3 << 20]).unwrap();
        let short = adopt_with(&bed, &old, 5).unwrap_err();
        assert!(matches!(short, VolumeFault::NoSpace { missing_mb: 2, .. }), "{short:?}");
        assert!(old.exists());
        adopt_with(&bed, &old, 3).unwrap();
    }
}

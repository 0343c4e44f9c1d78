//! The two copies of a label: written one after the other, read together, the bad one mended from
//! the good one.
//!
//! What it is for: a torn, lost or flipped copy costs nothing as long as the other is whole, and is
//! reported. What it relies on: [`Folder::write_file`] is atomic and durable, and the serial number
//! grows with each write, so that of two whole copies the later one is known. What it never does:
//! choose between two copies that contradict each other, write over a label of a newer program, or
//! make a label where none was.

use std::fs::File;
use std::io;

use crate::folder::Folder;
use crate::label::{parse, render, Labelled, Unreadable, LABEL_BYTES_MAX};

/// The names of the two copies, in the order of writing.
pub(crate) const LABEL_NAMES: [&str; 2] = ["label", "label-copy"];

/// A copy of a label that was not as it should be, while the other was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The path of the copy.
    pub path: std::path::PathBuf,
    /// What was wrong with it.
    pub why: String,
    /// Whether it was written anew from the good copy; if not, the next use tries again.
    pub done: bool,
}

/// A label as read.
#[derive(Debug)]
pub(crate) struct Pair<T> {
    pub label: T,
    pub serial: u64,
    pub repair: Option<Repair>,
}

/// Why the label could not be read.
#[derive(Debug)]
pub(crate) enum LabelFault {
    /// Neither copy is there.
    Absent,
    /// Neither copy is whole, or they contradict each other.
    Damaged(String),
    /// A newer program wrote it.
    TooNew(u32),
    /// A system call failed.
    Io(io::Error),
}

/// One copy as read.
enum Copy<T> {
    Whole(T, u64),
    Absent,
    Damaged(String),
}

/// Whether reading may repair a bad copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repairing {
    /// Repair a bad copy from a good one.
    Yes,
    /// Only read.
    No,
}

/// Reads both copies. The caller that asks for mending must not hold the folder's lock.
pub(crate) fn read_pair<T: Labelled>(
    folder: &Folder,
    repairing: Repairing,
) -> Result<Pair<T>, LabelFault> {
    let look = read_copies::<T>(folder);
    if repairing == Repairing::No || matches!(look, Ok((_, None))) {
        return look.map(|(pair, _)| pair);
    }
    // What looks bad may be a write that is under way: read again when nobody writes.
    folder.lock().map_err(LabelFault::Io)?;
    let result = read_copies::<T>(folder).map(|(mut pair, bad)| {
        if let (Some(bad), Some(mended)) = (bad, &mut pair.repair) {
            mended.done = repair(folder, bad, &pair.label, pair.serial, &mended.path, &mended.why);
        }
        pair
    });
    folder.unlock().map_err(LabelFault::Io)?;
    result
}

/// Reads both copies as they are, and says which one is bad.
fn read_copies<T: Labelled>(folder: &Folder) -> Result<(Pair<T>, Option<usize>), LabelFault> {
    let copies = [read_copy::<T>(folder, LABEL_NAMES[0])?, read_copy::<T>(folder, LABEL_NAMES[1])?];
    let (good, bad, why) = match copies {
        [Copy::Whole(label, serial), Copy::Whole(other, other_serial)] => {
            if serial == other_serial && label == other {
                return Ok((Pair { label, serial, repair: None }, None));
            }
            if serial == other_serial {
                return Err(LabelFault::Damaged(format!(
                    "its two copies differ though both are number {serial}"
                )));
            }
            let newest =
                if serial > other_serial { (label, serial) } else { (other, other_serial) };
            let why =
                format!("it is of serial {}, the other of {}", serial.min(other_serial), newest.1);
            (newest, usize::from(serial > other_serial), why)
        }
        [Copy::Whole(label, serial), bad] => ((label, serial), 1, bad.why()),
        [bad, Copy::Whole(label, serial)] => ((label, serial), 0, bad.why()),
        [Copy::Absent, Copy::Absent] => return Err(LabelFault::Absent),
        [one, other] => {
            return Err(LabelFault::Damaged(format!(
                "{}: {}; {}: {}",
                LABEL_NAMES[0],
                one.why(),
                LABEL_NAMES[1],
                other.why()
            )))
        }
    };
    let (label, serial) = good;
    let path = folder.path().join(LABEL_NAMES[bad]);
    Ok((Pair { label, serial, repair: Some(Repair { path, why, done: false }) }, Some(bad)))
}

fn repair<T: Labelled>(
    folder: &Folder,
    bad: usize,
    label: &T,
    serial: u64,
    path: &std::path::Path,
    why: &str,
) -> bool {
    // A good copy is enough to go on with, so failing to write the other (a full disk, say) is
    // reported, not fatal.
    match folder.write_file(LABEL_NAMES[bad], &render(label, serial)) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), why, "mended one of the two copies of a label");
            true
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), why, %error, "one of the two copies of a label is bad and cannot be mended now");
            false
        }
    }
}

impl<T> Copy<T> {
    fn why(self) -> String {
        match self {
            Copy::Whole(..) => "it is whole".into(),
            Copy::Absent => "it is missing".into(),
            Copy::Damaged(why) => why,
        }
    }
}

fn read_copy<T: Labelled>(folder: &Folder, name: &str) -> Result<Copy<T>, LabelFault> {
    let bytes = match folder.read_file(name, LABEL_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Copy::Absent),
        // Not being allowed to read says nothing about the copy; being unable to (EIO, a link, a
        // folder) does.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(LabelFault::Io(error))
        }
        Err(error) => return Ok(Copy::Damaged(format!("it cannot be read: {error}"))),
    };
    match parse(&bytes) {
        Ok((label, serial)) => Ok(Copy::Whole(label, serial)),
        Err(Unreadable::Damaged(why)) => Ok(Copy::Damaged(why)),
        Err(Unreadable::TooNew(version)) => Err(LabelFault::TooNew(version)),
    }
}

/// Writes the first label of something that nobody reads yet. It is durable when the caller has
/// synced the folder.
pub(crate) fn write_first_pair<T: Labelled>(folder: &Folder, label: &T) -> io::Result<()> {
    let text = render(label, 1);
    LABEL_NAMES.iter().try_for_each(|name| folder.write_new(name, &text))
}

/// Both copies of a label as written and not yet synced, with their names.
pub(crate) type UnsyncedPair = [(&'static str, File); 2];

/// Does the same as [`write_first_pair`], and leaves the syncs of the two copies to the caller.
pub(crate) fn write_first_pair_unsynced<T: Labelled>(
    folder: &Folder,
    label: &T,
) -> io::Result<UnsyncedPair> {
    let text = render(label, 1);
    let [first, second] = LABEL_NAMES;
    Ok([
        (first, folder.write_unsynced(first, &text)?),
        (second, folder.write_unsynced(second, &text)?),
    ])
}

/// Writes both copies, one after the other, each atomic and durable. After a crash in between the
/// later serial wins. The caller has held the folder's lock since before it read the serial number.
pub(crate) fn write_pair<T: Labelled>(folder: &Folder, label: &T, serial: u64) -> io::Result<()> {
    let text = render(label, serial);
    LABEL_NAMES.iter().try_for_each(|name| folder.write_file(name, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::DiskLabel;
    use crate::steps::crash_at;
    use std::sync::atomic::Ordering;
    use uuid::Uuid;

    fn label(n: u128) -> DiskLabel {
        DiskLabel { disk_uuid: Uuid::from_u128(n), cluster_uuid: Uuid::nil() }
    }

    fn pair(dir: &std::path::Path) -> Result<Pair<DiskLabel>, LabelFault> {
        read_pair(&Folder::open(dir).unwrap(), Repairing::Yes)
    }

    #[test]
    fn a_torn_flipped_or_lost_copy_is_mended_from_the_other() {
        for bad in LABEL_NAMES {
            let spoils: [&dyn Fn(&std::path::Path); 4] = [
                &|path| std::fs::remove_file(path).unwrap(),
                &|path| std::fs::write(path, "").unwrap(),
                &|path| std::fs::write(path, &std::fs::read(path).unwrap()[..50]).unwrap(),
                &|path| {
                    std::fs::remove_file(path).unwrap();
                    std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
                },
            ];
            for spoil in spoils {
                let dir = tempfile::tempdir().unwrap();
                write_pair(&Folder::open(dir.path()).unwrap(), &label(1), 4).unwrap();
                spoil(&dir.path().join(bad));
                let read = pair(dir.path()).unwrap();
                assert_eq!((read.label, read.serial), (label(1), 4));
                let repair = read.repair.expect("it is reported");
                assert!(repair.done && repair.path.ends_with(bad), "{repair:?}");
                assert!(pair(dir.path()).unwrap().repair.is_none(), "the second time all is well");
            }
        }
    }

    #[test]
    fn two_bad_copies_or_two_that_contradict_are_damage_and_stay_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(pair(dir.path()), Err(LabelFault::Absent)));
        std::fs::write(dir.path().join("label"), "rubbish").unwrap();
        assert!(matches!(pair(dir.path()), Err(LabelFault::Damaged(_))));
        assert!(!dir.path().join("label-copy").exists());
        std::fs::write(dir.path().join("label"), render(&label(1), 1)).unwrap();
        std::fs::write(dir.path().join("label-copy"), render(&label(2), 1)).unwrap();
        assert!(matches!(pair(dir.path()), Err(LabelFault::Damaged(_))));
    }

    #[test]
    fn of_two_whole_copies_the_later_one_wins() {
        for newer in [0, 1] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(LABEL_NAMES[newer]), render(&label(2), 2)).unwrap();
            std::fs::write(dir.path().join(LABEL_NAMES[1 - newer]), render(&label(1), 1)).unwrap();
            let read = pair(dir.path()).unwrap();
            assert_eq!((read.label, read.serial), (label(2), 2));
            assert!(
                read.repair.is_some_and(
                    |repair| repair.done && repair.path.ends_with(LABEL_NAMES[1 - newer])
                )
            );
            assert_eq!(
                std::fs::read(dir.path().join(LABEL_NAMES[1 - newer])).unwrap(),
                render(&label(2), 2)
            );
        }
    }

    #[test]
    fn readers_beside_a_writer_see_whole_labels_and_never_disturb_it() {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        write_pair(&Folder::open(dir.path()).unwrap(), &label(0), 1).unwrap();
        let written = std::sync::atomic::AtomicU64::new(1);
        // Makes readers end with the writer, also when one of them fails.
        struct End<'a>(&'a std::sync::atomic::AtomicU64);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(u64::MAX, Ordering::Relaxed);
            }
        }
        std::thread::scope(|scope| {
            let read_on = || {
                let mut last = 0;
                while written.load(Ordering::Relaxed) != u64::MAX {
                    let serial = pair(dir.path()).expect("always a whole label").serial;
                    assert!(serial >= last, "never back: {serial} after {last}");
                    last = serial;
                }
            };
            scope.spawn(read_on);
            scope.spawn(read_on);
            let _end = End(&written);
            for n in 2..300 {
                let folder = Folder::open(dir.path()).unwrap();
                folder.lock().unwrap();
                let read = read_pair::<DiskLabel>(&folder, Repairing::No).unwrap();
                assert_eq!(read.serial, n - 1);
                write_pair(&folder, &label(n.into()), n).unwrap();
            }
        });
    }

    #[test]
    fn a_reader_waits_for_a_write_that_is_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        write_pair(&folder, &label(1), 1).unwrap();
        folder.lock().unwrap();
        folder.write_file(LABEL_NAMES[0], &render(&label(2), 2)).unwrap();
        let inode = format!(":{} ", folder.identity().file.inode);
        let waits = || {
            std::fs::read_to_string("/proc/locks")
                .unwrap()
                .lines()
                .any(|line| line.contains("->") && line.contains(&inode))
        };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| pair(dir.path()).unwrap());
            while !waits() && !reader.is_finished() {
                std::thread::yield_now();
            }
            folder.write_file(LABEL_NAMES[1], &render(&label(2), 2)).unwrap();
            folder.unlock().unwrap();
            let read = reader.join().unwrap();
            assert_eq!(
                (read.label, read.serial, read.repair),
                (label(2), 2, None),
                "there was nothing to repair"
            );
        });
    }

    #[test]
    fn looking_does_not_write() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.write_file("label", &render(&label(1), 1)).unwrap();
        assert!(!read_pair::<DiskLabel>(&folder, Repairing::No).unwrap().repair.unwrap().done);
        assert!(!dir.path().join("label-copy").exists());
    }

    #[test]
    fn a_rewrite_that_crashes_anywhere_leaves_the_old_or_the_new_label() {
        let mut seen_new = 0;
        for n in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::open(dir.path()).unwrap();
            write_pair(&folder, &label(1), 1).unwrap();
            let (_, crashed) = crash_at(n, || write_pair(&folder, &label(2), 2));
            let read = pair(dir.path()).unwrap();
            assert!(read.label == label(1) || read.label == label(2));
            assert!(read.label == label(1) || n > 0, "crash before the first step changes nothing");
            seen_new += u32::from(read.label == label(2));
            if !crashed {
                assert_eq!(read.label, label(2));
                break;
            }
        }
        assert!(seen_new > 1, "some crash came after the first copy was in place");
    }
}

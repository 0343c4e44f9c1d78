//! What an agent asks the helper process of a disk, and what that answers: one JSON value on a line each, one answer for each request, in
//! order.
//!
//! Parent and child are the same build (the child is started from the very file that the parent runs), so there are no versions. Never
//! carries anything but data: what a fault means is said in words by whoever saw it.

use std::io::{self, BufRead, Read, Write};

use holdfast_volumes::{DiskLabel, Place, VolumeLabel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The greatest length of a line; a request for 256 volumes with long names is far shorter.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// How much of a line that cannot be understood is shown.
const SHOWN_CHARS: usize = 100;

/// A kind of disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A directory on the agent's own file system.
    Root,
    /// A directory that is shared among volumes.
    Path,
    /// A whole file system.
    Mount,
}

/// What is asked. All of it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Identify the disk, label it if it is new, and keep other workers off it. Everything else is done on the disk that was opened last.
    Open {
        /// What kind of place.
        kind: Kind,
        /// Its path, as the bytes that the operator gave.
        root: Vec<u8>,
        /// The label that it must bear, if the agent knows it.
        expected: Option<DiskLabel>,
        /// The label that it gets if it bears none and none is expected; none when its disk uuid is nil.
        fresh: DiskLabel,
        /// The places of the agent's other disks, so that one of them is known by any name; each with its uuid.
        others: Vec<(Uuid, Vec<u8>)>,
        /// Whether it must prove that it takes writes.
        prove: bool,
        /// How long a predecessor that is just ending is waited for, in milliseconds.
        patience_ms: u64,
    },
    /// Look whether the disk was used before, without using it.
    Peek {
        /// What kind of place.
        kind: Kind,
        /// Its path.
        root: Vec<u8>,
    },
    /// Clear away volumes that a crash left half made.
    Sweep,
    /// Make volumes, or find them whole.
    Make(Vec<VolumeLabel>),
    /// See whether a volume can be used.
    Check(VolumeLabel),
    /// Give the top directory of a volume to a user.
    Give {
        /// The volume.
        label: VolumeLabel,
        /// The user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// Move volumes to the trash.
    Trash {
        /// Their uuids.
        volumes: Vec<Uuid>,
        /// The time, in milliseconds since 1970.
        now_ms: u64,
    },
    /// Measure what the volumes use, or go on with that.
    Measure {
        /// How long this may take, in milliseconds.
        slice_ms: u64,
    },
    /// Make a whole volume that no claim stands for that of a claim again, or a directory a volume.
    Adopt {
        /// The label that it gets.
        label: VolumeLabel,
        /// The directory that is moved into it; `None` when the volume is there.
        directory: Option<String>,
        /// The generation that its label had when it was found.
        generation: u64,
        /// How much of its size must be its own already, in MB.
        own_mb: u64,
    },
    /// See which volumes are there, and what lies in the trash.
    Survey,
    /// See how much room there is.
    Room,
    /// Move a destroyed volume back from the trash, or find it in its place.
    Restore {
        /// Its label.
        label: VolumeLabel,
        /// When it was destroyed, which is a part of its name in the trash.
        destroyed_ms: u64,
    },
    /// Remove a destroyed volume, or the next part of it. Once begun it cannot be restored.
    Purge {
        /// Its uuid.
        volume: Uuid,
        /// When it was destroyed, which is a part of its name.
        destroyed_ms: u64,
        /// Whether this helper has done a part of it already.
        begun: bool,
        /// How long this may take, in milliseconds.
        slice_ms: u64,
    },
}

/// What is answered. Faults are sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Open`]: it is open.
    Opened(Box<Found>),
    /// To [`Request::Open`]: it cannot be used.
    NotOpened(String),
    /// To [`Request::Open`]: another worker has not let go of it.
    InUse {
        /// The disk.
        disk_uuid: Uuid,
        /// Who that is.
        why: String,
        /// Where the disk is.
        place: Place,
    },
    /// To [`Request::Peek`]: its label, if it bears one, and whether it carries volumes.
    Peeked(Result<Option<(DiskLabel, bool)>, String>),
    /// To [`Request::Sweep`]: how many were cleared away.
    Swept(Result<u64, String>),
    /// To [`Request::Make`], in the order of the labels.
    Made(Vec<Result<(), String>>),
    /// To [`Request::Check`]: the path of the volume's data, below the disk's root.
    Checked(Result<String, String>),
    /// To [`Request::Adopt`].
    Adopted(Result<(), String>),
    /// To [`Request::Give`]: whether that changed anything.
    Given(Result<bool, String>),
    /// To [`Request::Trash`], in the order of the uuids.
    Trashed(Vec<Result<Trashed, String>>),
    /// To [`Request::Measure`]: the bytes that each volume uses, by blocks; `None` when there is more to measure.
    Measured(Result<Option<Vec<(Uuid, u64)>>, String>),
    /// To [`Request::Survey`].
    Surveyed(Result<Survey, String>),
    /// To [`Request::Room`].
    Room(Result<Room, String>),
    /// To [`Request::Restore`].
    Restored(Result<(), String>),
    /// To [`Request::Purge`].
    Purged(Result<Purged, String>),
}

/// What lies on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The volumes.
    pub volumes: Vec<Listed>,
    /// Destroyed volumes.
    pub trash: Vec<TrashItem>,
    /// Those of both that are images of fixed size.
    pub images: Vec<Uuid>,
}

/// A volume in its place, by its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its uuid.
    pub volume: Uuid,
    /// The name that its framework or operator gave it.
    pub persistence: String,
    /// The role that it was made for.
    pub role: String,
    /// Its size in MB when it was made.
    pub size_mb: u64,
    /// The principal that made it, if one is known.
    pub principal: Option<String>,
    /// The generation of its label.
    pub generation: u64,
    /// Whether its label says that several tasks may use it at a time.
    pub shared: bool,
}

/// A destroyed volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashItem {
    /// Its uuid.
    pub volume: Uuid,
    /// When it was destroyed, in milliseconds since 1970.
    pub destroyed_ms: u64,
    /// Whether its removal has begun.
    pub purging: bool,
    /// What its removal gives back, in MB: as measured, or its size where there is too much in it to be looked at in passing.
    pub mb: u64,
    /// Whether its label proves that it is a volume of this disk and this cluster.
    pub ours: bool,
}

/// The room on the file system of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its size in MB.
    pub total_mb: u64,
    /// What can still be written, in MB.
    pub free_mb: u64,
    /// How many files can still be made; `None` if it has no limit.
    pub free_files: Option<u64>,
}

/// What a removal did in its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The number of files, links and directories that went.
    pub entries: u64,
    /// The bytes that this gave back.
    pub bytes: u64,
    /// Whether nothing of it is left, durably.
    pub done: bool,
}

/// A disk that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its label.
    pub label: DiskLabel,
    /// The copy of its label that was mended, if one was.
    pub repair: Option<String>,
    /// The room on its file system, or why that cannot be read.
    pub room: Result<Room, String>,
    /// Where it is.
    pub place: Place,
    /// The path under which the agent knows it, when that is another name of the same place.
    pub known_as: Option<Vec<u8>>,
    /// Why it is another agent's, if it is.
    pub strangers: Option<String>,
}

/// A volume that its owner destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trashed {
    /// It is in the trash, durably.
    Moved(TrashItem),
    /// It is neither on the disk nor in its trash.
    Missing,
}

/// Writes one line.
///
/// # Errors
/// When nobody takes it.
pub fn write(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one line; `None` at the end.
///
/// # Errors
/// When nothing can be read, or it is not understood.
pub fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.is_empty() {
        true => Ok(None),
        false => parse(&line).map(Some),
    }
}

/// Understands one line.
///
/// # Errors
/// When it is not whole, or is something else.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(|error| {
        let shown: String = String::from_utf8_lossy(line).chars().take(SHOWN_CHARS).collect();
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", shown.trim_end()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_text_travels_unchanged() {
        let label = DiskLabel { disk_uuid: Uuid::nil(), cluster_uuid: Uuid::nil() };
        let asked = Request::Open {
            kind: Kind::Mount,
            root: b"/mnt/\xff\n".to_vec(),
            expected: None,
            fresh: label,
            others: vec![(Uuid::nil(), b"/\xff".to_vec())],
            prove: false,
            patience_ms: 1,
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &asked).unwrap();
        assert_eq!(bytes.iter().filter(|it| **it == b'\n').count(), 1, "one line");
        assert_eq!(read(&mut bytes.as_slice()).unwrap(), Some(asked));
    }

    #[test]
    fn a_line_that_is_cut_short_is_no_answer() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Answer::Swept(Ok(1))).unwrap();
        let cut = &bytes[..bytes.len() - 3];
        assert!(read::<Answer>(&mut &*cut).is_err());
        assert!(read::<Answer>(&mut [].as_slice()).unwrap().is_none());
    }
}

//! What is known of a member's volumes, in two places: the marker on each of them, and the note in the scheduler's ledger. Each is the
//! other's witness: a volume that is empty, foreign or older than the note is seen before Hadoop starts on it.
//!
//! The marker is written to a new file that is synced and renamed, so it is whole or not there. It never lies in a directory of Hadoop's.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::identity::{Identity, Who};

/// The name of the marker on a volume.
pub const MARKER_FILE: &str = "holdfast-hdfs.json";
/// The format of markers and notes that is written.
const FORMAT: u32 = 1;

/// How far a volume has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It was given to Hadoop, and nothing of it was ever acknowledged.
    Begun,
    /// A new file system of this `clusterID` is being formatted on it; no name node ever started.
    Formatting(String),
    /// It belongs to this file system.
    Whole(Identity),
}

/// The marker on a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub(crate) format: u32,
    /// Whose volume it is.
    pub who: Who,
    /// Its place among the member's volumes, from 0.
    pub place: usize,
    /// How far it has come.
    pub stage: Stage,
    /// The ids of a data node and of its storage directory, once they are known.
    pub data_node: Option<(String, String)>,
    /// How often the member was started on it; only rises.
    pub starts: u64,
}

impl Marker {
    /// The marker of a volume that is about to be given to Hadoop.
    pub fn new(who: &Who, place: usize, stage: Stage) -> Marker {
        Marker { format: FORMAT, who: who.clone(), place, stage, data_node: None, starts: 0 }
    }

    /// The file system that it belongs to, once it does.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.stage {
            Stage::Whole(identity) => Some(identity),
            Stage::Begun | Stage::Formatting(_) => None,
        }
    }

    /// Reads the marker of a volume; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood, for people.
    pub fn read(volume: &Path) -> Result<Option<Marker>, String> {
        let text = match fs::read(volume.join(MARKER_FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let marker: Marker = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        known(marker.format)?;
        Ok(Some(marker))
    }

    /// Writes the marker, and returns once it is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, volume: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        let new = volume.join(format!("{MARKER_FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, volume.join(MARKER_FILE))?;
        File::open(volume)?.sync_all()
    }
}

/// What the scheduler remembers of a member whose volumes belong to the file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    format: u32,
    /// Whose volumes.
    pub who: Who,
    /// The volumes, by their names in the cluster, in the order of the spec.
    pub volumes: Vec<String>,
    /// The file system.
    pub identity: Identity,
    /// The id of a data node.
    pub data_node: Option<String>,
    /// How often the member was started on them.
    pub starts: u64,
}

impl Note {
    /// The note of a member by the markers of all of its volumes; `None` before all of them are whole.
    pub fn of(markers: &[Marker], volumes: &[String]) -> Option<Note> {
        let first = markers.first()?;
        if !markers.iter().all(|it| it.identity().is_some()) {
            return None;
        }
        Some(Note {
            format: FORMAT,
            who: first.who.clone(),
            volumes: volumes.to_vec(),
            identity: first.identity()?.clone(),
            data_node: first.data_node.as_ref().map(|it| it.0.clone()),
            starts: first.starts,
        })
    }

    /// Reads a note; `None` when nothing was noted.
    ///
    /// # Errors
    /// When it cannot be understood, for people.
    pub fn read(bytes: &[u8]) -> Result<Option<Note>, String> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let note: Note = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        known(note.format)?;
        Ok(Some(note))
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are always written")
    }

    /// Whether the other says more of the same: what is remembered goes forward only. A member that was given new volumes begins anew.
    pub fn gives_way_to(&self, other: &Note) -> bool {
        let is_same =
            self.who == other.who && self.identity.contradiction(&other.identity).is_none();
        is_same && (self.volumes != other.volumes || self.starts < other.starts)
    }
}

fn known(format: u32) -> Result<(), String> {
    match format == FORMAT {
        true => Ok(()),
        false => Err(format!("it has format {format}, and this program knows format {FORMAT}")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identity::tests::identity;
    use crate::identity::Kind;

    /// A member of the service `files`.
    pub(crate) fn who(kind: Kind, member: u32) -> Who {
        Who { service: "files".to_owned(), kind, member }
    }

    /// The marker of a volume that belongs to a file system.
    pub(crate) fn whole(who: &Who, place: usize, starts: u64) -> Marker {
        Marker { starts, ..Marker::new(who, place, Stage::Whole(identity("c"))) }
    }

    #[test]
    fn a_marker_is_read_as_it_was_written_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(None));
        let mut marker = whole(&who(Kind::Data, 1), 1, 4);
        marker.data_node = Some(("u".to_owned(), "DS".to_owned()));
        marker.write(dir.path()).unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(Some(marker.clone())));
        let newer = serde_json::to_string(&Marker { format: 2, ..marker }).unwrap();
        fs::write(dir.path().join(MARKER_FILE), newer).unwrap();
        assert!(Marker::read(dir.path()).unwrap_err().contains("format 2"));
        fs::write(dir.path().join(MARKER_FILE), "{").unwrap();
        assert!(Marker::read(dir.path()).is_err());
    }

    #[test]
    fn a_note_is_made_of_whole_volumes_and_goes_forward_only() {
        let it = who(Kind::Data, 0);
        let volumes = ["v-0".to_owned(), "v-1".to_owned()];
        let begun = Marker::new(&it, 1, Stage::Begun);
        assert_eq!(Note::of(&[whole(&it, 0, 1), begun], &volumes), None);
        assert_eq!(Note::of(&[], &[]), None);
        let note =
            |starts| Note::of(&[whole(&it, 0, starts), whole(&it, 1, starts)], &volumes).unwrap();
        assert_eq!(Note::read(&note(1).to_bytes()), Ok(Some(note(1))));
        assert!(note(1).gives_way_to(&note(2)));
        assert!(!note(2).gives_way_to(&note(2)) && !note(2).gives_way_to(&note(1)));
        let replaced = Note { volumes: vec!["w".to_owned()], ..note(1) };
        assert!(note(5).gives_way_to(&replaced), "new volumes begin anew");
        let other = Note { identity: identity("d"), ..note(9) };
        assert!(!note(1).gives_way_to(&other), "another file system's");
        assert!(Note::read(b"?").is_err());
    }
}

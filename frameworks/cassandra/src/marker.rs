//! What is known of a member that has joined, in two places: the marker on its volume, and the note in the scheduler's ledger. Each is
//! the other's witness: a volume that is empty, foreign or older than the note is seen before Cassandra starts on it.
//!
//! The marker is written to a new file that is synced and renamed, so it is whole or not there. It is never written into Cassandra's own
//! directories.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The name of the marker on the volume.
pub const MARKER_FILE: &str = "holdfast-member.json";
/// The format of markers that are written, but for nodes that have left.
const FORMAT: u32 = 1;
/// The format of the markers of nodes that have left their ring: nobody who does not know of that may read them.
const LEFT_FORMAT: u32 = 2;
/// The format of notes.
const NOTE_FORMAT: u32 = 2;
/// What the scheduler remembers of a member whose volume it adopted: it must have joined, and the volume's marker says as whom.
pub const ADOPTED: &str = "adopted";

/// What is decided at the first join, once for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// The name of the cluster.
    pub cluster_name: String,
    /// The data centre of the node.
    pub dc: String,
    /// The rack of the node.
    pub rack: String,
    /// How many tokens it has.
    pub num_tokens: u32,
    /// How keys become tokens.
    pub partitioner: String,
}

impl Frozen {
    /// The first setting in which the two differ, with its old and its new value.
    pub fn difference(&self, wanted: &Frozen) -> Option<(&'static str, String, String)> {
        let pairs = [
            ("cluster_name", self.cluster_name.clone(), wanted.cluster_name.clone()),
            ("dc", self.dc.clone(), wanted.dc.clone()),
            ("rack", self.rack.clone(), wanted.rack.clone()),
            ("num_tokens", self.num_tokens.to_string(), wanted.num_tokens.to_string()),
            ("partitioner", self.partitioner.clone(), wanted.partitioner.clone()),
        ];
        pairs.into_iter().find(|(_, old, new)| old != new)
    }
}

/// Who a node is in its ring, as it said itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its host id, a UUID.
    pub host_id: String,
    /// Its tokens.
    pub tokens: Vec<String>,
}

/// The marker on a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    format: u32,
    /// The number of the member.
    pub member: u32,
    /// What was decided when it began to join.
    pub frozen: Frozen,
    /// Who it is; `None` until it has joined.
    pub joined: Option<Joined>,
    /// The version of Cassandra that last ran on it.
    pub release: String,
    /// How often Cassandra was started on it; only rises.
    pub starts: u64,
    /// When it was last seen serving, in milliseconds since 1970; 0 if never.
    pub alive_at_ms: u64,
    /// Whether it has given its data to the others and left its ring, for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl Marker {
    /// The marker of a member that is about to join.
    pub fn about_to_join(member: u32, frozen: Frozen) -> Marker {
        let release = String::new();
        Marker {
            format: FORMAT,
            member,
            frozen,
            joined: None,
            release,
            starts: 0,
            alive_at_ms: 0,
            left: false,
        }
    }

    /// The same of a node that has left its ring.
    pub fn having_left(self) -> Marker {
        Marker { format: LEFT_FORMAT, left: true, ..self }
    }

    /// What the scheduler is to remember; `None` before it has joined.
    pub fn note(&self, address: &str, claim: &str) -> Option<Note> {
        Some(Note {
            format: NOTE_FORMAT,
            claim: claim.to_owned(),
            left: self.left,
            member: self.member,
            frozen: self.frozen.clone(),
            joined: self.joined.clone()?,
            release: self.release.clone(),
            starts: self.starts,
            address: address.to_owned(),
        })
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("texts and numbers are always written");
        text.push('\n');
        text
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
        known_format(marker.format, LEFT_FORMAT)?;
        Ok(Some(marker))
    }

    /// Writes the marker, and returns once it is durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, volume: &Path) -> io::Result<()> {
        let new = volume.join(format!("{MARKER_FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(self.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, volume.join(MARKER_FILE))?;
        File::open(volume)?.sync_all()
    }
}

/// What the scheduler remembers of a member that has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    format: u32,
    /// The number of the member.
    pub member: u32,
    /// The volume that it joined on. A member that has got another one since replaces this node.
    pub claim: String,
    /// Whether it has given its data to the others and left its ring, for good.
    pub left: bool,
    /// What was decided when it joined.
    pub frozen: Frozen,
    /// Who it is in its ring.
    pub joined: Joined,
    /// The version of Cassandra that last ran on it.
    pub release: String,
    /// How often Cassandra was started on its volume.
    pub starts: u64,
    /// The address under which the others reach it. It may change.
    pub address: String,
}

impl Note {
    /// As it is said and kept.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are always written")
    }

    /// Reads what a node says.
    ///
    /// # Errors
    /// When it cannot be understood, for people.
    pub fn read(text: &[u8]) -> Result<Note, String> {
        let note: Note = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        known_format(note.format, NOTE_FORMAT)?;
        Ok(note)
    }

    /// Whether `newer` says more of the same node: another start, or another address.
    pub fn gives_way_to(&self, newer: &Note) -> bool {
        let same = self.member == newer.member
            && self.claim == newer.claim
            && self.left <= newer.left
            && self.joined.host_id == newer.joined.host_id
            && self.frozen == newer.frozen;
        same && self.starts <= newer.starts && self != newer
    }
}

/// What is remembered of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Nothing: it never joined.
    #[default]
    Nothing,
    /// Its volume was adopted, so that it must have joined; the marker there says as whom.
    Adopted,
    /// The node that it is, or was on an earlier volume.
    Joined(Box<Note>),
}

impl Memory {
    /// Reads what was kept.
    ///
    /// # Errors
    /// When it cannot be understood, for people.
    pub fn read(text: &[u8]) -> Result<Memory, String> {
        match text {
            [] => Ok(Memory::Nothing),
            _ if text == ADOPTED.as_bytes() => Ok(Memory::Adopted),
            _ => Ok(Memory::Joined(Box::new(Note::read(text)?))),
        }
    }
}

fn known_format(format: u32, most: u32) -> Result<(), String> {
    if (1..=most).contains(&format) {
        return Ok(());
    }
    Err(format!(
        "format {format} is not known to this version, which knows {most}; use a newer one"
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frozen() -> Frozen {
        Frozen {
            cluster_name: "hf".to_owned(),
            dc: "dc1".to_owned(),
            rack: "r1".to_owned(),
            num_tokens: 16,
            partitioner: "Murmur3Partitioner".to_owned(),
        }
    }

    pub(crate) fn joined_marker(member: u32, starts: u64) -> Marker {
        Marker {
            joined: Some(Joined {
                host_id: format!("host-{member}"),
                tokens: vec!["-7".to_owned()],
            }),
            release: "5.0.9".to_owned(),
            starts,
            alive_at_ms: 1_000,
            ..Marker::about_to_join(member, frozen())
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(None));
        let left = joined_marker(3, 9).having_left();
        for marker in [Marker::about_to_join(3, frozen()), joined_marker(3, 9), left] {
            marker.write(dir.path()).unwrap();
            assert_eq!(Marker::read(dir.path()), Ok(Some(marker)));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_marker_whose_writing_broke_off_is_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        joined_marker(0, 1).write(dir.path()).unwrap();
        let whole = joined_marker(0, 2).to_text();
        for length in 0..=whole.len() {
            let draft = dir.path().join(format!("{MARKER_FILE}.new"));
            fs::write(&draft, &whole[..length]).unwrap();
            assert_eq!(Marker::read(dir.path()), Ok(Some(joined_marker(0, 1))));
        }
        joined_marker(0, 3).write(dir.path()).unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(Some(joined_marker(0, 3))));
    }

    #[test]
    fn a_marker_that_makes_no_sense_is_an_error_and_never_none() {
        let dir = tempfile::tempdir().unwrap();
        joined_marker(0, 1).write(dir.path()).unwrap();
        let whole = fs::read_to_string(dir.path().join(MARKER_FILE)).unwrap();
        let newer = whole.replace("\"format\": 1", "\"format\": 3");
        for (text, says) in [
            ("", "EOF"),
            (&whole[..whole.len() / 2], "EOF"),
            ("{}", "missing field"),
            (&newer, "format 3"),
        ] {
            fs::write(dir.path().join(MARKER_FILE), text).unwrap();
            let error = Marker::read(dir.path()).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_note_goes_forward_only_and_never_to_another_node() {
        let note = |member, starts| joined_marker(member, starts).note("10.0.0.1", "v-1").unwrap();
        assert!(note(0, 1).gives_way_to(&note(0, 2)));
        assert!(!note(0, 2).gives_way_to(&note(0, 1)));
        assert!(!note(0, 2).gives_way_to(&note(0, 2)), "there is nothing to write");
        assert!(!note(0, 1).gives_way_to(&note(1, 2)));
        let moved = Note { address: "10.0.0.9".to_owned(), ..note(0, 2) };
        assert!(note(0, 2).gives_way_to(&moved));
        let left = joined_marker(0, 2).having_left().note("10.0.0.1", "v-1").unwrap();
        assert!(note(0, 2).gives_way_to(&left) && !left.gives_way_to(&note(0, 2)));
        assert!(!note(0, 1).gives_way_to(&Note { claim: "v-2".to_owned(), ..note(0, 2) }));
        let text = moved.to_text();
        assert_eq!(Memory::read(text.as_bytes()), Ok(Memory::Joined(Box::new(moved))));
        assert_eq!(Memory::read(b""), Ok(Memory::Nothing));
        assert_eq!(Memory::read(ADOPTED.as_bytes()), Ok(Memory::Adopted));
        assert!(Memory::read(b"?").is_err());
    }
}

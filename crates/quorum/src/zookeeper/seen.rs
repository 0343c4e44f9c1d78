//! What a master remembers of the journal beside the ensemble: how far it has come, in a file of its own.
//!
//! It relies on `durable_file`. An ensemble whose data were put back to an older state looks sound by itself; only who has seen more
//! can tell. It never says that all is well: a master without the file believes what it finds.

use std::path::{Path, PathBuf};

use super::head::Head;
use crate::durable_file::{read, replace};
use crate::leadership::LeadershipError;

/// The file, or nothing where a master remembers nothing.
#[derive(Clone, Debug)]
pub(crate) struct Seen(pub Option<PathBuf>);

impl Seen {
    /// The head that was noted last.
    pub fn last(&self) -> Result<Option<Head>, LeadershipError> {
        let Some(path) = &self.0 else { return Ok(None) };
        let bytes = read(path).map_err(|source| io(path, source))?;
        let damaged = |_| {
            LeadershipError::Journal {
            what: format!(
                "{} is damaged, so nobody can tell whether the ensemble was put back to an older state; if it was not, remove the file",
                path.display()
            ),
        }
        };
        bytes.map(|it| Head::decode(it.trim_ascii_end()).map_err(damaged)).transpose()
    }

    /// Notes a head that was committed.
    pub fn note(&self, head: &Head) -> Result<(), LeadershipError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let line = [head.encode(), b"\n".to_vec()].concat();
        replace(path, &line, true).map_err(|source| io(path, source))
    }
}

fn io(file: &Path, source: std::io::Error) -> LeadershipError {
    LeadershipError::Io { file: file.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_and_damage_is_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen(Some(dir.path().join("journal-seen")));
        assert_eq!(seen.last().unwrap(), None);
        let head = Head { term: 3, sequence: 7, ..Head::new([5; 16]) };
        seen.note(&head).unwrap();
        assert_eq!(seen.last().unwrap(), Some(head));
        std::fs::write(dir.path().join("journal-seen"), "noise").unwrap();
        let refused = seen.last().unwrap_err();
        assert!(matches!(refused, LeadershipError::Journal { .. }), "{refused}");
        Seen(None).note(&Head::new([1; 16])).unwrap();
        assert_eq!(Seen(None).last().unwrap(), None);
    }
}

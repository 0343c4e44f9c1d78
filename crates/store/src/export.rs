//! A whole ledger as one stream of bytes, for backup and for moving between versions and machines;
//! and back.
//!
//! Form: magic, title page (identity, commit, term, counts, digest), every record with its
//! checksums, end. It relies on `payload` and `title`. It never writes over a ledger: an import
//! makes a new one in a directory that has none.

use crate::digest::Digest;
use crate::disk::RealDisk;
use crate::durable::{located, make_dir};
use crate::engine::Bounds;
use crate::identity::Identity;
use crate::journal::payload;
use crate::lock::DirLock;
use crate::mirror::{title, SledMirror, Title};
use crate::reconcile::State;
use crate::records::Records;
use crate::recover;
use crate::report::{OpenError, OpenReport};
use crate::witness::Expected;
use std::io::{self, Read, Write};
use std::path::Path;

const MAGIC: [u8; 8] = *b"HFEXPRT\x01";
/// Longest piece: a value of the largest size with its key, or a title page of many trees.
const PIECE_BYTES_MAX: u32 = 4 << 20;

pub(crate) fn write_export(
    identity: &Identity,
    sequence: u64,
    term: u64,
    records: &Records,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let page = Title {
        identity: identity.clone(),
        sequence,
        term,
        state: records.digest(),
        counts: records.counts_all(),
    };
    writer.write_all(&MAGIC)?;
    write_piece(writer, &title::encode(&page))?;
    let mut piece = Vec::new();
    for (tree, key, held) in records.all() {
        piece.clear();
        payload::encode(&mut piece, held.sequence, tree, key, Some(&held.value));
        write_piece(writer, &piece)?;
    }
    writer.write_all(&0u32.to_le_bytes())?;
    writer.flush()
}

fn write_piece(writer: &mut dyn Write, piece: &[u8]) -> io::Result<()> {
    writer.write_all(&(piece.len() as u32).to_le_bytes())?;
    writer.write_all(piece)
}

/// Why an import failed. The directory holds no ledger then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The stream could not be read.
    #[error("cannot read the export: {0}; it may be cut off: export again")]
    Read(#[source] io::Error),
    /// The stream is not an export of this format.
    #[error("this is not an export of a ledger (or of a newer version); give the file that `ledger export` wrote")]
    NotAnExport,
    /// The stream is damaged.
    #[error("the export is damaged at record {record}: {reason}; use another export")]
    Damaged {
        /// The number of records read before it.
        record: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a ledger already.
    #[error("there is a ledger of {found} already; import into an empty directory and move it into place yourself")]
    Occupied {
        /// The owner of that ledger, as far as known.
        found: String,
    },
    /// The new ledger could not be written.
    #[error(transparent)]
    Write(#[from] OpenError),
}

/// Makes a ledger in `dir` out of an export: same identity, commits, term and records.
///
/// # Errors Every variant of [`ImportError`]. The export is read and proven whole before anything
/// is written.
pub fn import(dir: &Path, reader: &mut dyn Read) -> Result<OpenReport, ImportError> {
    let (page, records) = read_export(reader)?;
    make_dir(dir).map_err(OpenError::io(dir.display().to_string()))?;
    let _lock = DirLock::take(dir)?;
    let mut disk = RealDisk::new(dir);
    let mut mirror = SledMirror::new(dir, &dir.join("books.reading"));
    let found = recover::assess(&mut disk, &mut mirror, &Expected { kind: None, uuid: None })
        .map_err(|error| located(error, dir))?;
    if let Some(found) = found {
        let found =
            found.identity.map_or("unknown kind".to_owned(), |identity| identity.to_string());
        return Err(ImportError::Occupied { found });
    }
    let state = State { records, sequence: page.sequence, term: page.term };
    let report = recover::make_from(&mut disk, page.identity, state, &Bounds::default())
        .map_err(|error| located(error, dir))?
        .1;
    Ok(report)
}

fn read_export(reader: &mut dyn Read) -> Result<(Title, Records), ImportError> {
    let mut magic = [0; 8];
    reader.read_exact(&mut magic).map_err(ImportError::Read)?;
    if magic != MAGIC {
        return Err(ImportError::NotAnExport);
    }
    let page = read_piece(reader, 0)?
        .and_then(|page| title::decode(&page))
        .ok_or(ImportError::NotAnExport)?;
    let mut records = Records::default();
    let mut count = 0;
    while let Some(piece) = read_piece(reader, count)? {
        let damaged = || ImportError::Damaged {
            record: count,
            reason: "its checksum does not match".to_owned(),
        };
        let change =
            payload::decode(&piece, 1).and_then(|mut changes| changes.pop()).ok_or_else(damaged)?;
        records.apply_change(&change);
        count += 1;
    }
    if records.digest() != page.state
        || records.counts_all() != page.counts
        || records.digest() == Digest::default() && count > 0
    {
        let reason = "the records together are not those of its title page".to_owned();
        return Err(ImportError::Damaged { record: count, reason });
    }
    Ok((page, records))
}

fn read_piece(reader: &mut dyn Read, record: u64) -> Result<Option<Vec<u8>>, ImportError> {
    let mut len = [0; 4];
    reader.read_exact(&mut len).map_err(ImportError::Read)?;
    let len = u32::from_le_bytes(len);
    if len > PIECE_BYTES_MAX {
        return Err(ImportError::Damaged { record, reason: format!("a length of {len} bytes") });
    }
    if len == 0 {
        return Ok(None);
    }
    // No length is believed before its bytes are there: a stream of some bytes could else claim megabytes again and again.
    let mut piece = Vec::new();
    Read::take(&mut *reader, u64::from(len)).read_to_end(&mut piece).map_err(ImportError::Read)?;
    if piece.len() < len as usize {
        return Err(ImportError::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Store;
    use crate::entry::Entry;
    use crate::{DurableStore, Options};

    fn exported(dir: &Path) -> Vec<u8> {
        let (mut store, _) =
            DurableStore::open(dir, Options::new("agent").create_as([5; 16])).unwrap();
        store
            .commit(3, &[Entry::put("claims", "a", "one"), Entry::put("tasks", "b", vec![7; 9000])])
            .unwrap();
        store.commit(3, &[Entry::put("claims", "c", ""), Entry::delete("tasks", "none")]).unwrap();
        let mut bytes = Vec::new();
        store.export(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_export_makes_the_same_ledger_elsewhere() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bytes = exported(from.path());
        let report = import(&to.path().join("new"), &mut bytes.as_slice()).unwrap();
        assert_eq!((report.sequence.0, report.term), (2, 3));
        let (store, report) =
            DurableStore::open(&to.path().join("new"), Options::new("agent").expecting([5; 16]))
                .unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(store.value("tasks", b"b"), Some([7; 9000].as_slice()));
        let mut again = Vec::new();
        store.export(&mut again).unwrap();
        assert_eq!(again, bytes);
        drop(store);
        let refused = import(&to.path().join("new"), &mut bytes.as_slice()).unwrap_err();
        assert!(matches!(refused, ImportError::Occupied { .. }), "{refused}");
    }

    #[test]
    fn every_flip_and_every_cut_of_an_export_is_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bytes = exported(from.path());
        for at in (0..400).chain((400..bytes.len()).step_by(97)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            assert!(import(to.path(), &mut flipped.as_slice()).is_err(), "flip at {at}");
            assert!(import(to.path(), &mut bytes[..at].as_ref()).is_err(), "cut at {at}");
        }
        assert!(import(to.path(), &mut bytes.as_slice()).is_ok());
    }
}

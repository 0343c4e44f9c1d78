//! Copies of a node's tables, beside its volume: made of a snapshot, and called good only once every byte was read back.
//!
//! A backup is a directory with a manifest; it has its name only when it is whole. What is there is never written over. Cassandra makes
//! the snapshot and takes a restored table in; nothing here writes into its directories.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::jars::Release;
use crate::marker::Marker;

/// The name of the manifest in a backup.
pub const MANIFEST_FILE: &str = "holdfast-backup.json";
const FORMAT: u32 = 1;
/// How much is copied at a time, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its keyspace.
    pub keyspace: String,
    /// Its table: name and id, as Cassandra calls its directory.
    pub table: String,
    /// Its name.
    pub name: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// The CRC-32 of all its bytes.
    pub crc32: u32,
}

/// Of which node a backup is, and when its tables looked like this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the cluster.
    pub cluster_name: String,
    /// The host id of the node.
    pub host_id: String,
    /// Its tokens, in order.
    pub tokens: Vec<String>,
    /// The version of Cassandra.
    pub release: String,
    /// The version of the schema.
    pub schema: String,
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Of which node.
    pub origin: Origin,
    /// Its files.
    pub files: Vec<FileEntry>,
}

/// Why a backup is not made, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// There is one already.
    #[error("{0} is there already, and a backup is never written over; begin another one, or move it away")]
    Exists(PathBuf),
    /// There is none.
    #[error("{0}: there is no whole backup of this node: {1}")]
    Missing(PathBuf, String),
    /// The manifest is of a newer version, or makes no sense.
    #[error("{0}: its manifest makes no sense: {1}")]
    Manifest(PathBuf, String),
    /// It is another node's, or of another time.
    #[error("the backup's {what} is `{was}`, and the node's is `{is}`; {instead}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// In the backup.
        was: String,
        /// Now.
        is: String,
        /// What to do.
        instead: &'static str,
    },
    /// A table is gone.
    #[error("table {0} of the backup is not among the node's; make it again with the id that the backup has, or restore elsewhere")]
    Table(String),
    /// A file is not as it was written.
    #[error("{0} is not as it was written ({1}); the backup is not good")]
    Damaged(PathBuf, String),
    /// A disk fails.
    #[error("{0}: {1}")]
    Disk(PathBuf, #[source] io::Error),
}

type Done<T> = Result<T, Failed>;

fn at<T>(path: &Path, done: io::Result<T>) -> Done<T> {
    done.map_err(|error| Failed::Disk(path.to_owned(), error))
}

impl Origin {
    /// The origin of what this node has now.
    pub fn of(marker: &Marker, schema: String) -> Option<Origin> {
        let joined = marker.joined.clone()?;
        let mut tokens = joined.tokens;
        tokens.sort();
        Some(Origin {
            cluster_name: marker.frozen.cluster_name.clone(),
            host_id: joined.host_id,
            tokens,
            release: marker.release.clone(),
            schema,
        })
    }

    /// Whether what is of this origin may be restored into a node that is now as `now`.
    ///
    /// # Errors
    /// What differs.
    pub fn fits(&self, now: &Origin) -> Done<()> {
        let differ = |what, was: &str, is: &str, instead| Failed::Mismatch {
            what,
            was: was.to_owned(),
            is: is.to_owned(),
            instead,
        };
        if self.cluster_name != now.cluster_name {
            let instead = "restore it into a ring of that name";
            return Err(differ("cluster name", &self.cluster_name, &now.cluster_name, instead));
        }
        if self.tokens != now.tokens {
            let (was, is) = (self.tokens.join(","), now.tokens.join(","));
            let instead = "the node has other rows than it had; load the backup with sstableloader";
            return Err(differ("list of tokens", &was, &is, instead));
        }
        let (was, is) = (Release::parse(&self.release), Release::parse(&now.release));
        if was.zip(is).is_none_or(|(was, is)| is.is_before(&was)) {
            let instead = "start that version, or a newer one";
            return Err(differ("version", &self.release, &now.release, instead));
        }
        if self.schema != now.schema {
            let instead = "set the schema back to what it was then";
            return Err(differ("schema", &self.schema, &now.schema, instead));
        }
        Ok(())
    }
}

/// The directory of a node's backup.
pub fn place(dir: &Path, origin: &Origin, name: &str) -> PathBuf {
    // The name of a cluster may be anything.
    let plain = |it: char| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '_' };
    let cluster: String = origin.cluster_name.chars().map(plain).collect();
    dir.join(format!("cluster-{cluster}")).join(name).join(&origin.host_id)
}

/// Whether a keyspace is the service's users' own: those of Cassandra itself belong to one node and one time.
fn is_users(keyspace: &str) -> bool {
    keyspace != "system" && !keyspace.starts_with("system_")
}

/// Names in a directory, in order; none where there is no directory.
fn names(dir: &Path) -> Done<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => at(dir, other)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        found.push(at(dir, entry)?.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    Ok(found)
}

/// Copies the snapshot of that name below `data`, reads the copy back, and gives it its name.
///
/// # Errors
/// Why there is none then.
pub fn save(data: &Path, snapshot: &str, origin: Origin, to: &Path) -> Done<Manifest> {
    if at(to, to.try_exists())? {
        return Err(Failed::Exists(to.to_owned()));
    }
    let draft = to.with_extension("part");
    if at(&draft, draft.try_exists())? {
        // It never had its name, so that nobody was told of it.
        at(&draft, fs::remove_dir_all(&draft))?;
    }
    at(&draft, fs::create_dir_all(&draft))?;
    let mut files = Vec::new();
    for keyspace in names(data)?.into_iter().filter(|it| is_users(it)) {
        for table in names(&data.join(&keyspace))? {
            let from = data.join(&keyspace).join(&table).join("snapshots").join(snapshot);
            for name in names(&from)?.into_iter().filter(|it| from.join(it).is_file()) {
                let place = draft.join(&keyspace).join(&table);
                at(&place, fs::create_dir_all(&place))?;
                let (bytes, crc32) = copied(&from.join(&name), &place.join(&name))?;
                let (keyspace, table) = (keyspace.clone(), table.clone());
                files.push(FileEntry { keyspace, table, name, bytes, crc32 });
            }
        }
    }
    let manifest = Manifest { format: FORMAT, origin, files };
    verify(&draft, &manifest)?;
    let text = serde_json::to_string_pretty(&manifest).expect("texts and numbers are written");
    let path = draft.join(MANIFEST_FILE);
    let mut file = at(&path, File::create(&path))?;
    at(&path, file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))?;
    for (keyspace, table) in tables(&manifest) {
        kept(&draft.join(&keyspace).join(&table))?;
        kept(&draft.join(&keyspace))?;
    }
    kept(&draft)?;
    at(&draft, fs::rename(&draft, to))?;
    // Those above may be new, too: the backup's, the cluster's, and the one that was named.
    to.ancestors().skip(1).take(3).try_for_each(kept)?;
    Ok(manifest)
}

/// Makes the names in a directory durable.
fn kept(dir: &Path) -> Done<()> {
    at(dir, File::open(dir).and_then(|it| it.sync_all()))
}

/// Reads the manifest of a backup.
///
/// # Errors
/// When there is none that is whole.
pub fn read(from: &Path) -> Done<Manifest> {
    let path = from.join(MANIFEST_FILE);
    let text = fs::read(&path).map_err(|it| Failed::Missing(from.to_owned(), it.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|it| Failed::Manifest(from.to_owned(), it.to_string()))?;
    let plain = |it: &str| !it.is_empty() && !it.starts_with('.') && !it.contains('/');
    let is_plain = |it: &FileEntry| [&it.keyspace, &it.table, &it.name].iter().all(|it| plain(it));
    if manifest.format != FORMAT || !manifest.files.iter().all(is_plain) {
        return Err(Failed::Manifest(from.to_owned(), "it is of another version".to_owned()));
    }
    Ok(manifest)
}

/// Reads every byte of a backup.
///
/// # Errors
/// What is not as the manifest says.
pub fn verify(from: &Path, manifest: &Manifest) -> Done<()> {
    for it in &manifest.files {
        let path = from.join(&it.keyspace).join(&it.table).join(&it.name);
        let read = File::open(&path).and_then(|mut it| sums(&mut it, &mut io::sink()));
        let (bytes, crc32) = at(&path, read)?;
        if (bytes, crc32) != (it.bytes, it.crc32) {
            let why = format!("{bytes} bytes, CRC-32 {crc32:08x}");
            return Err(Failed::Damaged(path, why));
        }
    }
    Ok(())
}

/// The tables that a backup has files of: keyspace, and name with id.
pub fn tables(manifest: &Manifest) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        manifest.files.iter().map(|it| (it.keyspace.clone(), it.table.clone())).collect();
    found.sort();
    found.dedup();
    found
}

/// Copies a table's files to where Cassandra may take them from.
///
/// # Errors
/// When a disk fails, or what was copied is not what was written.
pub fn lay_out(from: &Path, manifest: &Manifest, table: &(String, String), to: &Path) -> Done<()> {
    at(to, fs::create_dir_all(to))?;
    let own = |it: &&FileEntry| (&it.keyspace, &it.table) == (&table.0, &table.1);
    for it in manifest
        .files
        .iter()
        .filter(own)
        .filter(|it| it.name.contains("-big-") || it.name.contains("-bti-"))
    {
        let path = from.join(&it.keyspace).join(&it.table).join(&it.name);
        if copied(&path, &to.join(&it.name))? != (it.bytes, it.crc32) {
            return Err(Failed::Damaged(path, "it changed while it was copied".to_owned()));
        }
    }
    Ok(())
}

/// Copies a file durably; its length and checksum.
fn copied(from: &Path, to: &Path) -> Done<(u64, u32)> {
    let mut source = at(from, File::open(from))?;
    let mut copy = at(to, File::create_new(to))?;
    let seen = at(to, sums(&mut source, &mut copy))?;
    at(to, copy.sync_all())?;
    Ok(seen)
}

fn sums(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, u32)> {
    let table = crc_table();
    let (mut bytes, mut crc, mut piece) = (0, u32::MAX, vec![0; PIECE_BYTES]);
    loop {
        let count = from.read(&mut piece)?;
        if count == 0 {
            return Ok((bytes, !crc));
        }
        bytes += count as u64;
        for byte in &piece[..count] {
            crc = (crc >> 8) ^ table[usize::from((crc as u8) ^ byte)];
        }
        to.write_all(&piece[..count])?;
    }
}

/// The table of the CRC-32 that zlib has.
fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    for (index, entry) in (0_u32..).zip(&mut table) {
        let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xEDB8_8320 };
        *entry = (0..8).fold(index, |crc, _| step(crc));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::tests::joined_marker;

    fn origin() -> Origin {
        Origin::of(&joined_marker(0, 1), "schema-1".to_owned()).unwrap()
    }

    /// A volume with one table of a user's and one of Cassandra's own, both with a snapshot.
    fn volume() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        for table in ["orders/rows-1f", "system/local-7a", "system_auth/roles-5b"] {
            let snapshot = data.join(table).join("snapshots/s1");
            fs::create_dir_all(&snapshot).unwrap();
            fs::write(snapshot.join("nb-1-big-Data.db"), "123456789").unwrap();
            fs::write(snapshot.join("schema.cql"), "CREATE").unwrap();
        }
        let to = place(&dir.path().join("backups"), &origin(), "s1");
        (dir, data, to)
    }

    #[test]
    fn a_backup_has_what_the_snapshot_has_and_is_laid_out_again() {
        let (dir, data, to) = volume();
        let manifest = save(&data, "s1", origin(), &to).unwrap();
        assert_eq!(read(&to).unwrap(), manifest);
        let file = &manifest.files[0];
        assert_eq!((file.bytes, file.crc32), (9, 0xCBF4_3926), "the check value of this CRC");
        assert_eq!(tables(&manifest), [("orders".to_owned(), "rows-1f".to_owned())]);
        verify(&to, &manifest).unwrap();
        let back = dir.path().join("back");
        lay_out(&to, &manifest, &tables(&manifest)[0], &back).unwrap();
        assert_eq!(names(&back).unwrap(), ["nb-1-big-Data.db"], "its schema is no table");
        assert_eq!(fs::read(back.join("nb-1-big-Data.db")).unwrap(), b"123456789");
    }

    #[test]
    fn what_is_there_is_never_written_over_and_what_was_not_finished_is_no_backup() {
        let (_dir, data, to) = volume();
        let draft = to.with_extension("part");
        fs::create_dir_all(draft.join("orders/rows-1f")).unwrap();
        assert!(matches!(read(&to), Err(Failed::Missing(..))));
        save(&data, "s1", origin(), &to).unwrap();
        assert!(!draft.exists());
        assert!(matches!(save(&data, "s1", origin(), &to), Err(Failed::Exists(_))));
    }

    #[test]
    fn a_byte_that_changed_or_a_file_that_is_gone_is_seen_before_anything_is_restored() {
        let (_dir, data, to) = volume();
        let manifest = save(&data, "s1", origin(), &to).unwrap();
        let path = to.join("orders/rows-1f/nb-1-big-Data.db");
        for damaged in ["123456780", "12345678", ""] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(verify(&to, &manifest), Err(Failed::Damaged(..))), "{damaged}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(verify(&to, &manifest), Err(Failed::Disk(..))));
        for (from, into) in [("\"rows-1f\"", "\"../rows\""), ("\"format\": 1", "\"format\": 2")] {
            let text = serde_json::to_string_pretty(&manifest).unwrap().replace(from, into);
            fs::write(to.join(MANIFEST_FILE), text).unwrap();
            assert!(matches!(read(&to), Err(Failed::Manifest(..))), "{into}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert!(origin().fits(&origin()).is_ok());
        type Edit = fn(&mut Origin);
        for (edit, says) in [
            ((|it| it.cluster_name = "x".to_owned()) as Edit, "cluster name is `hf`"),
            (|it| it.tokens = vec!["1".to_owned()], "list of tokens is `-7`"),
            (|it| it.release = "4.1.0".to_owned(), "version is `5.0.9`"),
            (|it| it.release = "?".to_owned(), "version is"),
            (|it| it.schema = "x".to_owned(), "schema is `schema-1`"),
        ] {
            let mut now = origin();
            edit(&mut now);
            let why = origin().fits(&now).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}

//! Unpacks archives: tar (plain, or packed by gzip, bzip2 or xz), zip, and single files packed by
//! gzip.
//!
//! Directories, regular files and links within the sandbox are made; anything else that an archive
//! may hold (devices, pipes, names and links that lead out) spoils it. It relies on `tree` to stay
//! in the sandbox and on `bounded` for room.

use std::fs::File;
use std::io::{BufReader, Error, Read, Result};
use std::path::{Path, PathBuf};

use super::bounded::Bounds;
use super::tree::{finish, Tree};
use super::FetchError;

/// The most members of one archive: each takes an inode.
const MEMBERS_MAX: u64 = 1_000_000;
/// The memory that unpacking xz may take, in bytes.
const XZ_MEMORY_MAX: u64 = 128 << 20;
/// The longest target of a link, in bytes.
const TARGET_BYTES_MAX: u64 = 4096;

/// A kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    Tar,
    TarGz,
    TarBz2,
    TarXz,
    Zip,
    Gz,
}

/// The ends of names, the longer ones first.
const SUFFIXES: [(&str, Archive); 9] = [
    (".tar.gz", Archive::TarGz),
    (".tgz", Archive::TarGz),
    (".tar.bz2", Archive::TarBz2),
    (".tbz2", Archive::TarBz2),
    (".tar.xz", Archive::TarXz),
    (".txz", Archive::TarXz),
    (".tar", Archive::Tar),
    (".zip", Archive::Zip),
    (".gz", Archive::Gz),
];

impl Archive {
    /// The kind of archive that a name says; `None` when it says none.
    pub fn of_name(name: &str) -> Option<Archive> {
        SUFFIXES.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
    }

    /// Unpacks a file of this name.
    pub fn unpack(
        self,
        name: &str,
        file: File,
        tree: &Tree,
        bounds: Bounds,
    ) -> std::result::Result<(), FetchError> {
        let reader = BufReader::new(file);
        let unpacked = match self {
            Archive::Tar => unpack_tar(reader, tree, bounds),
            Archive::TarGz => {
                unpack_tar(flate2::bufread::MultiGzDecoder::new(reader), tree, bounds)
            }
            Archive::TarBz2 => {
                unpack_tar(bzip2::bufread::MultiBzDecoder::new(reader), tree, bounds)
            }
            Archive::TarXz => {
                let flags = liblzma::stream::CONCATENATED;
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_MAX, flags)
                    .map_err(Error::other)
                    .and_then(|stream| {
                        let decoder = liblzma::bufread::XzDecoder::new_stream(reader, stream);
                        unpack_tar(decoder, tree, bounds)
                    })
            }
            Archive::Zip => unpack_zip(reader, tree, bounds),
            Archive::Gz => {
                let plain = name.strip_suffix(".gz").unwrap_or(name);
                tree.create(plain).and_then(|mut target| {
                    let decoder = flate2::bufread::MultiGzDecoder::new(reader);
                    super::copy(decoder, &mut bounds.writer(&mut target))
                })
            }
        };
        unpacked
            .map_err(|error| FetchError::Archive { name: name.to_string(), why: error.to_string() })
    }
}

fn counted(count: &mut u64) -> Result<()> {
    *count += 1;
    match *count <= MEMBERS_MAX {
        true => Ok(()),
        false => Err(Error::other(format!("it has more than {MEMBERS_MAX} members"))),
    }
}

fn at(path: &Path) -> impl Fn(Error) -> Error + '_ {
    move |error| Error::other(format!("{}: {error}", path.display()))
}

fn unpack_tar(reader: impl Read, tree: &Tree, bounds: Bounds) -> Result<()> {
    use tar::EntryType;
    let mut archive = tar::Archive::new(reader);
    let mut count = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        counted(&mut count)?;
        let path = entry.path()?.into_owned();
        let target = |entry: &tar::Entry<'_, _>| -> Result<PathBuf> {
            let target = entry.link_name()?;
            target.map(|it| it.into_owned()).ok_or_else(|| Error::other("a link without a target"))
        };
        let mode = entry.header().mode().unwrap_or(0o644);
        let made = match entry.header().entry_type() {
            EntryType::Directory => tree.make_directory(&path, mode),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let modified = entry.header().mtime().ok().and_then(|it| i64::try_from(it).ok());
                write_file(tree, &path, &mut entry, bounds, mode, modified)
            }
            EntryType::Symlink => target(&entry).and_then(|it| tree.link(&path, &it)),
            EntryType::Link => target(&entry).and_then(|it| tree.hard_link(&path, &it)),
            EntryType::XGlobalHeader => Ok(()),
            other => Err(Error::other(format!("a member of type {other:?} is not unpacked"))),
        };
        made.map_err(at(&path))?;
    }
    if count == 0 {
        return Err(Error::other("it is empty, or no tar archive"));
    }
    Ok(())
}

fn unpack_zip(reader: BufReader<File>, tree: &Tree, bounds: Bounds) -> Result<()> {
    let mut archive = zip::ZipArchive::new(reader).map_err(Error::other)?;
    let mut count = 0;
    for index in 0..archive.len() {
        counted(&mut count)?;
        let mut member = archive.by_index(index).map_err(Error::other)?;
        let path = PathBuf::from(member.name().map_err(Error::other)?.into_owned());
        let mode = member.unix_mode();
        let kind = mode.unwrap_or(0) & 0o170_000;
        let made = match kind {
            _ if member.is_dir() => tree.make_directory(&path, mode.unwrap_or(0o755)),
            0o120_000 => {
                let mut target = String::new();
                let read = (&mut member).take(TARGET_BYTES_MAX).read_to_string(&mut target);
                read.and_then(|_| tree.link(&path, Path::new(&target)))
            }
            0 | 0o100_000 => {
                write_file(tree, &path, &mut member, bounds, mode.unwrap_or(0o644), None)
            }
            _ => Err(Error::other("only files, directories and links are unpacked")),
        };
        made.map_err(at(&path))?;
    }
    Ok(())
}

fn write_file(
    tree: &Tree,
    path: &Path,
    from: &mut impl Read,
    bounds: Bounds,
    mode: u32,
    modified_s: Option<i64>,
) -> Result<()> {
    let mut file = tree.create(path)?;
    super::copy(from, &mut bounds.writer(&mut file))?;
    finish(&file, mode, modified_s)
}

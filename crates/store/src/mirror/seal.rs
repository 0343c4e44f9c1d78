//! The seal of the mirror: length and checksums of each of its files while it is closed.
//!
//! sled takes damage for the end of its log and goes on; the seal finds it first, without running
//! sled on unproven bytes. It relies on `title` and `sled_files`, and is never written before the
//! files that it covers are synced.

use super::sled_files::{list_files, sync_dir};
use super::{title, Survey, Title};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// The name of the file, beside the mirror's directory.
const FILE: &str = "books.seal";
const MAGIC: [u8; 8] = *b"HFSEAL\0\x01";
const BLOCK_BYTES: usize = 64 << 10;

/// Length and block checksums of each file, as bytes that can be compared.
fn fingerprint(mirror: &Path) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for file in list_files(mirror)? {
        let name = file.strip_prefix(mirror).unwrap_or(&file).as_os_str().as_encoded_bytes();
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name);
        let mut content = File::open(&file)?;
        out.extend(content.metadata()?.len().to_le_bytes());
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        loop {
            block.clear();
            if Read::by_ref(&mut content).take(BLOCK_BYTES as u64).read_to_end(&mut block)? == 0 {
                break;
            }
            out.extend(crc32fast::hash(&block).to_le_bytes());
        }
    }
    Ok(out)
}

/// Seals the closed and synced mirror.
pub(crate) fn write(dir: &Path, mirror: &Path, page: &Title) -> io::Result<()> {
    let page = title::encode(page);
    let mut out = MAGIC.to_vec();
    out.extend((page.len() as u32).to_le_bytes());
    out.extend(page);
    out.extend(fingerprint(mirror)?);
    out.extend(crc32fast::hash(&out).to_le_bytes());
    let fresh = dir.join(format!("{FILE}.new"));
    let mut file =
        crate::private::file_options().write(true).create(true).truncate(true).open(&fresh)?;
    file.write_all(&out)?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(FILE))?;
    sync_dir(dir)
}

/// Removes the seal, durably, before the mirror changes.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Ok(()) => sync_dir(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Compares the mirror with its seal.
pub(crate) fn survey(dir: &Path, mirror: &Path) -> Survey {
    if !mirror.is_dir() {
        return Survey::Missing;
    }
    let bytes = match fs::read(dir.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Survey::Interrupted,
        Err(error) => return Survey::Damaged(format!("{FILE}: {error}")),
    };
    let Some((page, expected)) = split(&bytes) else {
        return Survey::Damaged(format!("{FILE} is damaged"));
    };
    if page.first().is_some_and(|version| *version > title::VERSION) {
        return Survey::Newer(u32::from(page[0]));
    }
    let Some(page) = title::decode(page) else {
        return Survey::Damaged(format!("{FILE} has no title"));
    };
    match fingerprint(mirror) {
        Ok(found) if found == expected => Survey::Sealed(page),
        Ok(_) => Survey::Damaged(format!(
            "the files in {} are not as they were sealed",
            mirror.display()
        )),
        Err(error) => Survey::Damaged(format!("{}: {error}", mirror.display())),
    }
}

/// Title page and fingerprint of a whole seal.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (len, rest) = body.strip_prefix(&MAGIC)?.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

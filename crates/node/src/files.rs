//! Directories of processes, and reading a piece of a file for somebody far away.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use holdfast_wire::Refusal;

/// The flag of open(2) on Linux.
const O_NONBLOCK: i32 = 0o4000;

/// The most that one read gives, in bytes.
pub const CHUNK_MAX_BYTES: u64 = 64 * 1024;

/// Makes a process's directory with this mode, and those above it as anybody makes them. One that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_dir(path: &Path, mode: u32) -> std::io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// A piece of a file.
pub struct Chunk {
    /// The whole file's size.
    pub size_bytes: u64,
    /// The piece.
    pub data: Vec<u8>,
}

/// Reads at most `length` bytes from `offset`; less at the end of the file, nothing beyond it.
///
/// # Errors
/// 404 when the file does not exist, 400 when it is none, 500 when it cannot be read.
pub fn read_chunk(path: &Path, offset: u64, length: Option<u64>) -> Result<Chunk, Refusal> {
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::not_found(format!("there is no file `{shown}`")),
        _ => Refusal::internal(format!("cannot read `{shown}`: {error}")),
    };
    // A task may have put a pipe there: opening it must not wait for a writer.
    let mut file =
        File::options().read(true).custom_flags(O_NONBLOCK).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Refusal::bad_request(format!("`{shown}` is no file")));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut data = Vec::new();
    file.take(length.unwrap_or(CHUNK_MAX_BYTES).min(CHUNK_MAX_BYTES))
        .read_to_end(&mut data)
        .map_err(failed)?;
    Ok(Chunk { size_bytes: meta.len(), data })
}

//! What others make of our messages: `protoc` reads every .proto file.
//!
//! Relies on `protoc` with Google's own files. Never makes code: our build uses a compiler written in Rust, which is laxer here and there,
//! and a file that only it accepts is of no use to a client in another language.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{machine, verdict, Outcome};
use crate::process::{find, program, run};
use crate::project;

/// Reads all files of `/proto` at once.
///
/// # Errors
/// If the folder cannot be listed.
pub(super) fn step() -> Result<Outcome> {
    if find("protoc").is_none() || find(machine::GOOGLE_PROTOS).is_none() {
        return Ok(Outcome::LeftOut(
            "no protoc with Google's files here; try: apt-get install protobuf-compiler libprotobuf-dev".to_owned(),
        ));
    }
    let folder = project::root().join("proto");
    let files = files(&folder)?;
    if files.is_empty() {
        return Ok(Outcome::Failed(format!(
            "no .proto file under {}; there should be many",
            folder.display()
        )));
    }
    let mut command = program("protoc");
    command.arg("-I").arg(&folder).args(["-I", "/usr/include", "-o", "/dev/null"]).args(&files);
    Ok(verdict(run(&mut command)?, "protoc refuses a .proto file; see above".to_owned()))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|end| end == "proto") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_any_depth() {
        let folder = std::env::temp_dir().join(format!("holdfast-protos-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        for name in ["a/b/two.proto", "one.proto", "a/notes.txt"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = files(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [folder.join("a/b/two.proto"), folder.join("one.proto")]);
    }
}

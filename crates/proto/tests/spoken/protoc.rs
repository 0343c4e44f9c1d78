//! The files, which others may want to compile, are accepted by the real `protoc`, not only by the compiler that we build with.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps Google's own files, without which `protoc` cannot read those of ours that import them.
const GOOGLE_PROTOS: &str = "/usr/include/google/protobuf/duration.proto";

#[test]
fn protoc_accepts_the_files() {
    if !Path::new(GOOGLE_PROTOS).exists() {
        return leave_out(&format!("{GOOGLE_PROTOS} is not there; install libprotobuf-dev"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto").canonicalize().unwrap();
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() >= 10, "{files:?}");
    let program = std::env::var_os("PROTOC").unwrap_or_else(|| "protoc".into());
    let run = match Command::new(program)
        .arg("-o/dev/null")
        .arg(format!("-I{}", root.display()))
        .arg("-I/usr/include")
        .args(&files)
        .output()
    {
        Ok(run) => run,
        Err(error) => return leave_out(&format!("protoc is not installed ({error})")),
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn leave_out(why: &str) {
    // Not by a macro: the test runner keeps what those print of tests that pass.
    let _ = writeln!(std::io::stdout(), "left out: reading the files with protoc: {why}");
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
}

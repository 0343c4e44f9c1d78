//! A Python of its own for the compat scripts: a venv under `target/` with the foreign Mesos clients in it.
//!
//! Relies on a `python3` with `venv`, on pip's index and, for one C extension, on a C compiler and Python's headers. Never touches the
//! system's Python, and never uses a half-made venv: a stamp is written last, and one with another content is made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine;
use crate::process::{find, output, program};
use crate::project;

/// What is installed, in exactly these versions.
const PACKAGES: &[&str] = &["pymesos==0.3.15", "http-parser==0.9.0"];
/// What the packages are imported as.
const IMPORTS: &str = "import pymesos, http_parser.http";
/// Pythons to try. http-parser's setup needs the module `imp`, which 3.12 no longer has.
const PYTHONS: &[&str] = &["python3", "python3.11", "python3.10", "python3.9"];
const TOO_NEW: (u32, u32) = (3, 12);
/// Writes the C source of http-parser anew: the one in its archive is too old for Python 3.11.
const CYTHON: &[&str] = &["cython==3.0.12", "setuptools<81", "wheel"];

/// The Python to run compat scripts with, made if it is not there yet.
///
/// # Errors
/// Says in one line why there is none.
pub fn ready() -> Result<PathBuf, String> {
    let venv = project::target().join("compat-venv");
    let (python, stamp) = (venv.join("bin/python"), venv.join("holdfast.stamp"));
    let content = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == content)
        && output(program(&python).args(["-c", IMPORTS])).is_ok()
    {
        return Ok(python);
    }
    let base = base()?;
    eprintln!("prepare: {} into {}", PACKAGES.join(" "), venv.display());
    if venv.exists() {
        fs::remove_dir_all(&venv)
            .map_err(|error| format!("cannot remove the previous {}: {error}", venv.display()))?;
    }
    make(&base, &venv)?;
    fill(&python)?;
    said(program(&python).args(["-c", IMPORTS]))?;
    fs::write(&stamp, content)
        .map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(python)
}

/// The first Python that is old enough.
fn base() -> Result<PathBuf, String> {
    let mut seen = Vec::new();
    for name in PYTHONS {
        let Some(path) = find(name) else { continue };
        let text = output(program(&path).args(["-c", "import sys; print(*sys.version_info[:2])"]))
            .unwrap_or_default();
        match version(&text) {
            Some(version) if version < TOO_NEW => return Ok(path),
            Some((major, minor)) => seen.push(format!("{name} is {major}.{minor}")),
            None => seen.push(format!("{name} does not run")),
        }
    }
    Err(format!(
        "it must be older than {}.{}; seen: {}; try: apt-get install python3.11",
        TOO_NEW.0,
        TOO_NEW.1,
        seen.join(", ")
    ))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some((words.next()??, words.next()??))
}

fn make(base: &Path, venv: &Path) -> Result<(), String> {
    let venv_command = || {
        let mut command = program(base);
        command.args(["-m", "venv"]).arg(venv);
        command
    };
    if output(&mut venv_command()).is_ok() {
        return Ok(());
    }
    // Debian keeps these apart from Python itself.
    machine::debian(&["python3-venv", "python3-dev", "gcc"])?;
    said(&mut venv_command())
}

/// Installs the packages; where http-parser does not compile, with its C source written anew.
fn fill(python: &Path) -> Result<(), String> {
    if said(pip(python).args(["install"]).args(PACKAGES)).is_ok() {
        return Ok(());
    }
    eprintln!("prepare: http-parser does not compile as it comes; once more with its C source written anew");
    said(pip(python).arg("install").args(CYTHON))?;
    let sources = python.ancestors().nth(2).expect("bin/python lies in a venv").join("http-parser");
    fs::create_dir_all(&sources)
        .map_err(|error| format!("cannot make {}: {error}", sources.display()))?;
    let download = [
        "download",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
        "http-parser==0.9.0",
    ];
    said(pip(python).args(download).arg("--dest").arg(&sources))?;
    said(
        program("tar")
            .arg("-C")
            .arg(&sources)
            .arg("-xzf")
            .arg(sources.join("http-parser-0.9.0.tar.gz")),
    )?;
    let unpacked = sources.join("http-parser-0.9.0");
    said(program(python.with_file_name("cython")).arg(unpacked.join("http_parser/parser.pyx")))?;
    if let Err(why) = said(pip(python).args(["install", "--no-build-isolation"]).arg(&unpacked)) {
        machine::debian(&["python3-dev", "gcc"]).map_err(|_| why)?;
        said(pip(python).args(["install", "--no-build-isolation"]).arg(&unpacked))?;
    }
    said(pip(python).arg("install").args(PACKAGES))
}

fn pip(python: &Path) -> Command {
    let mut command = program(python);
    command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("PIP_NO_INPUT", "1");
    command.args(["-m", "pip", "--quiet", "--timeout", "20", "--retries", "1"]);
    command
}

fn said(command: &mut Command) -> Result<(), String> {
    output(command).map(|_| ()).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        assert_eq!(version("3 9\n"), Some((3, 9)));
        assert_eq!(version("3"), None);
        assert_eq!(version("three 9"), None);
        assert!(version("3 9").unwrap() < TOO_NEW && TOO_NEW <= version("3 12").unwrap());
    }

    #[test]
    fn a_command_that_fails_says_why_in_one_line() {
        let why = said(program("sh").args(["-c", "echo no index >&2; exit 1"])).unwrap_err();
        assert!(why.contains("no index") && !why.contains('\n'), "{why}");
    }
}

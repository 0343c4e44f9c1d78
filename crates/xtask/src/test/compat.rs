//! Foreign clients: scripts that speak to Holdfast with libraries that others wrote for Mesos.
//!
//! Relies on the Python of [`super::python`] and on the built `holdfast` binary. Never reads what a script prints: its exit code counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{python, Outcome, Run};
use crate::process::{cargo, echo, program, run, watch, End};
use crate::project;

/// A script that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// The binary that scripts and tests start.
pub fn binary() -> PathBuf {
    project::target().join("debug/holdfast")
}

/// Runs all scripts.
///
/// # Errors
/// If a script cannot be started at all.
pub(super) fn step(all: &mut Run) -> Result<Outcome> {
    let scripts = scripts(&project::root().join("tests/compat"))?;
    if scripts.is_empty() {
        return Ok(Outcome::LeftOut("no scripts in tests/compat".to_owned()));
    }
    let python = match all.python.clone().unwrap_or_else(python::ready) {
        Ok(python) => python,
        Err(why) => {
            let why = format!("{} scripts not run, no Python for them: {why}", scripts.len());
            // At home one may do without; a build machine that leaves clients out vouches for what it did not see.
            return Ok(if std::env::var_os("CI").is_some() {
                Outcome::Failed(why)
            } else {
                Outcome::LeftOut(why)
            });
        }
    };
    if !run(&mut cargo(&["build", "--quiet", "--workspace", "--bins", "--tests"]))? {
        return Ok(Outcome::Failed("the holdfast binary does not build; see above".to_owned()));
    }
    let mut failures = Vec::new();
    for script in &scripts {
        match one(&python, script)? {
            Ok(()) => all.tally.passed += 1,
            Err(why) => {
                all.tally.failed += 1;
                all.tally.failures.push(format!("{}: {why}", script.display()));
                failures.push(format!(
                    "{} {why}",
                    script.file_name().unwrap_or_default().to_string_lossy()
                ));
            }
        }
    }
    Ok(super::verdict(failures.is_empty(), failures.join("; ")))
}

/// Runs one script in a scratch folder of its own.
fn one(python: &Path, script: &Path) -> Result<Result<(), String>> {
    let scratch = project::target().join("compat").join(script.file_stem().unwrap_or_default());
    if scratch.exists() {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot remove the previous {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    eprintln!("compat: {}", script.display());
    let mut command = program(python);
    command
        .arg("-u")
        .arg(script)
        .env("HOLDFAST_BIN", binary())
        .env("HOLDFAST_SCRATCH", &scratch)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(match watch(&mut command, Some(LIMIT), echo)? {
        End::Exit(status) if status.success() => Ok(()),
        End::Exit(status) => Err(format!("ended with {status}")),
        End::TimedOut => Err(format!(
            "did not end within {} s, or left a process behind; it was killed",
            LIMIT.as_secs()
        )),
    })
}

/// The scripts in a folder, by name; `_kit.py` is something that scripts import.
fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let is_kit = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_'));
        if path.extension().is_some_and(|end| end == "py") && !is_kit {
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
    fn scripts_are_found_by_name() {
        let folder = std::env::temp_dir().join(format!("holdfast-compat-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["b.py", "a.py", "_kit.py", "notes.txt"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let found = scripts(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [folder.join("a.py"), folder.join("b.py")]);
        assert_eq!(scripts(&folder).unwrap(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_script_is_judged_by_its_exit_code() {
        let sh = Path::new("/bin/sh");
        let script = std::env::temp_dir().join(format!("holdfast-script-{}", std::process::id()));
        for (code, passes) in [("0", true), ("3", false)] {
            // `sh -u FILE` takes the place of `python -u FILE`: both run the file.
            fs::write(&script, format!("test -d \"$HOLDFAST_SCRATCH\" && exit {code}")).unwrap();
            assert_eq!(one(sh, &script).unwrap().is_ok(), passes, "{code}");
        }
        fs::remove_file(&script).unwrap();
    }
}

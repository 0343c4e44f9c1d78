//! `cargo xtask dist`: one archive that a machine without Rust can run from.
//!
//! Relies on cargo, `tar`, `sha256sum` and, where it is there, `strip`. Never uploads, and writes only under `target/dist`. The same
//! commit gives the same archive: names are sorted, owners dropped, times taken from the commit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};

use crate::arguments::{Given, Words};
use crate::process::{cargo, find, output, program, run};
use crate::project;
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "dist",
    about: "Make an archive to install from",
    details: "Builds the binary (profile `dist`: release with thin LTO), strips it, and packs it with LICENSE, README.md and deploy/ into\n\
              target/dist/holdfast-VERSION-SYSTEM-MACHINE.tar.gz, with a .sha256 beside it.",
    flags: &[],
    words: Words::Flags,
    run: |_: &Given| dist().map(|()| true),
};

/// What lies beside the binary: files and folders of the root.
const BESIDE: &[&str] = &["LICENSE", "README.md", "deploy"];

fn dist() -> Result<()> {
    let (root, shelf) = (project::root(), project::target().join("dist"));
    for name in BESIDE {
        ensure!(
            root.join(name).exists(),
            "{name} is missing in {}; an archive without it is not whole",
            root.display()
        );
    }
    let name = format!(
        "holdfast-{}-{}-{}",
        project::version()?,
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    eprintln!("dist: building {name}");
    ensure!(
        run(&mut cargo(&["build", "--profile", "dist", "--locked", "--package", "holdfast"]))?,
        "the build failed; see above"
    );
    let folder = shelf.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove the previous {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let binary = folder.join("holdfast");
    let built = project::target().join("dist/holdfast");
    fs::copy(&built, &binary).with_context(|| format!("cannot copy {}", built.display()))?;
    match find("strip") {
        Some(strip) => ensure!(run(program(strip).arg(&binary))?, "strip failed; see above"),
        None => eprintln!("dist: no `strip` here, the binary keeps its symbols (Debian: apt-get install binutils)"),
    }
    for name in BESIDE {
        copy(&root.join(name), &folder.join(name))?;
    }
    let archive = pack(&shelf, &name)?;
    println!("{}", archive.display());
    Ok(())
}

/// Packs `shelf/name` into `shelf/name.tar.gz` and writes its checksum beside it, in the form `sha256sum --check` reads.
fn pack(shelf: &Path, name: &str) -> Result<PathBuf> {
    let file = format!("{name}.tar.gz");
    let time = format!("--mtime=@{}", commit_time());
    let mut tar = program("tar");
    tar.current_dir(shelf).arg("--use-compress-program=gzip -n");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        &time,
        "-cf",
        &file,
        name,
    ]);
    output(&mut tar)?;
    let sum = output(program("sha256sum").current_dir(shelf).arg(&file))?;
    let path = shelf.join(format!("{file}.sha256"));
    fs::write(&path, sum).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(shelf.join(file))
}

/// Seconds since 1970 of `SOURCE_DATE_EPOCH`, else of the last commit, else 0 (a tree without git).
fn commit_time() -> u64 {
    let said = std::env::var("SOURCE_DATE_EPOCH").ok();
    let said = said.or_else(|| output(program("git").args(["log", "-1", "--format=%ct"])).ok());
    said.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_folder_gives_the_same_archive_and_the_sum_holds() {
        let shelf = std::env::temp_dir().join(format!("holdfast-dist-{}", std::process::id()));
        let from = shelf.join("source");
        fs::create_dir_all(from.join("deploy")).unwrap();
        fs::write(from.join("deploy/one"), "1").unwrap();
        fs::write(from.join("LICENSE"), "free").unwrap();
        copy(&from, &shelf.join("thing")).unwrap();
        let archive = pack(&shelf, "thing").unwrap();
        let first = fs::read(&archive).unwrap();
        assert_eq!(pack(&shelf, "thing").unwrap(), archive);
        assert!(first == fs::read(&archive).unwrap(), "two archives of one folder differ");
        let listed = output(program("tar").arg("-tzf").arg(&archive)).unwrap();
        assert_eq!(
            listed.lines().collect::<Vec<_>>(),
            ["thing/", "thing/LICENSE", "thing/deploy/", "thing/deploy/one"]
        );
        output(program("sha256sum").current_dir(&shelf).args(["--check", "thing.tar.gz.sha256"]))
            .unwrap();
        fs::remove_dir_all(&shelf).unwrap();
    }
}

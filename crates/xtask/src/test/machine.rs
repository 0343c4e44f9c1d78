//! What the tests need of the machine: small tools from Debian, installed where that is allowed.
//!
//! Relies on `apt-get` and on being root. Never fails a run: a tool that cannot be had is named with the reason, and the tests that need it
//! decide for themselves.

use std::os::unix::fs::MetadataExt as _;

use crate::process::{find, output, program};

/// A tool and where it comes from.
struct Tool {
    /// Its name on the PATH, or its whole path.
    file: &'static str,
    /// The Debian package.
    package: &'static str,
    /// What it is good for.
    used_by: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { file: "strace", package: "strace", used_by: "counting syscalls per operation" },
    Tool { file: "ip", package: "iproute2", used_by: "network namespaces" },
    Tool {
        file: "protoc",
        package: "protobuf-compiler",
        used_by: "checking that other languages can read our .proto files",
    },
    // Google's own files, which Debian keeps apart from the compiler.
    Tool {
        file: "/usr/include/google/protobuf/duration.proto",
        package: "libprotobuf-dev",
        used_by: "checking that other languages can read our .proto files",
    },
    Tool { file: "python3", package: "python3", used_by: "foreign Mesos clients" },
    // It brings a Java to run on.
    Tool {
        file: "/usr/share/java/zookeeper.jar",
        package: "zookeeper",
        used_by: "masters on several machines",
    },
];

/// Installs what is missing; says what could not be had.
pub fn install() -> Vec<String> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| find(tool.file).is_none()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let Err(why) = debian(&packages) else { return Vec::new() };
    missing
        .iter()
        .map(|tool| {
            format!(
                "no `{}` ({}): {why}; try: apt-get install {}",
                tool.file, tool.used_by, tool.package
            )
        })
        .collect()
}

/// Installs Debian packages, if we are root on a Debian that can reach its archive.
///
/// # Errors
/// Says in one line why not.
pub fn debian(packages: &[&str]) -> Result<(), String> {
    if !is_root() {
        return Err("not root".to_owned());
    }
    if find("apt-get").is_none() {
        return Err("no apt-get here".to_owned());
    }
    eprintln!("prepare: apt-get install {}", packages.join(" "));
    if apt("install", packages).is_ok() {
        return Ok(());
    }
    // A fresh image has no package lists yet.
    apt("update", &[]).map_err(|why| format!("apt-get update failed (offline?): {why}"))?;
    apt("install", packages)
}

fn apt(verb: &str, packages: &[&str]) -> Result<(), String> {
    let mut command = program("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args([
        "-qq",
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=20",
        "-o",
        "DPkg::Lock::Timeout=120",
        verb,
    ]);
    if verb == "install" {
        command.args(["--yes", "--no-install-recommends"]);
    }
    output(command.args(packages)).map(|_| ()).map_err(|error| format!("{error:#}"))
}

/// Whether we run as root: who owns our own entry under /proc.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_root_is_known_as_the_system_knows_it() {
        let id = output(program("id").arg("-u")).unwrap();
        assert_eq!(is_root(), id.trim() == "0");
    }

    #[test]
    fn nothing_is_installed_twice() {
        assert!(TOOLS.iter().all(|tool| !tool.package.is_empty() && !tool.used_by.is_empty()));
        if TOOLS.iter().all(|tool| find(tool.file).is_some()) {
            assert_eq!(install(), Vec::<String>::new());
        }
    }
}

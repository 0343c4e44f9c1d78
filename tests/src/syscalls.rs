//! Counting what a process asks of its disk, with strace.
//!
//! Relies on strace and on being allowed to trace. Never changes what the traced process does, but makes it slower.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::deadline::until;

/// Every way to have bytes written to a disk.
const SYNCS: &str = "trace=fsync,fdatasync,syncfs,sync,sync_file_range,msync";

/// A running strace.
pub struct Tracer {
    child: Child,
    output: PathBuf,
}

/// How often each call was made.
pub type Counts = BTreeMap<String, u64>;

impl Tracer {
    /// Attaches to a process and all of its threads, and to the helpers that work on its disks.
    ///
    /// # Errors
    /// Says why syncs cannot be counted on this machine.
    pub fn attach(process: u32, output: &Path) -> Result<Tracer, String> {
        let notes = output.with_extension("notes");
        let said = fs::File::create(&notes).map_err(|error| error.to_string())?;
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-e", SYNCS, "-o"]).arg(output);
        let helpers = disk_helpers(process);
        let processes = 1 + helpers.len();
        for id in std::iter::once(process).chain(helpers) {
            command.args(["-p", &id.to_string()]);
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        let mut child = spawned.map_err(|error| format!("strace does not start: {error}"))?;
        let attached = until("strace is attached or gives up", || {
            let text = fs::read_to_string(&notes).unwrap_or_default();
            match child.try_wait().expect("it is our child") {
                Some(status) => Ok(Err(format!("strace ended with {status}: {}", text.trim()))),
                None if text.matches("attached").count() >= processes => Ok(Ok(())),
                None => Err(text),
            }
        });
        attached.map(|()| Tracer { child, output: output.to_owned() })
    }

    /// Detaches; how often each call was made since.
    pub fn counts(mut self) -> Counts {
        let process = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are small"));
        kill(process, Signal::SIGINT).expect("strace runs until it is told to stop");
        // It ends by the signal that it was sent.
        self.child.wait().expect("it is our child");
        read_counts(&fs::read_to_string(&self.output).expect("strace has written its table"))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // After `counts` it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes in which an agent works on its disks, one for each: process ids.
pub fn disk_helpers(agent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{agent}/task")).into_iter().flatten().flatten();
    let children = threads.map(|it| fs::read_to_string(it.path().join("children")));
    let children: Vec<String> = children.map(Result::unwrap_or_default).collect();
    let ids = children.iter().flat_map(|it| it.split_whitespace()).flat_map(str::parse::<u32>);
    let is_helper = |id: &u32| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        command.split(|it| *it == 0).any(|word| word == b"disk-worker")
    };
    ids.filter(is_helper).collect()
}

/// Reads the table of `strace -c`.
fn read_counts(table: &str) -> Counts {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        let name = words.last().filter(|name| **name != "total")?;
        Some(((*name).to_owned(), calls))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     80.00    0.000413          45         9           fdatasync\n\
                     20.00    0.000100          10        10         2 fsync\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.000513          45        19         2 total\n";
        assert_eq!(
            read_counts(table),
            [("fdatasync".to_owned(), 9), ("fsync".to_owned(), 10)].into()
        );
        assert_eq!(read_counts(""), Counts::new());
    }
}

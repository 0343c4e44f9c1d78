//! Running the steps of a page, one after the other, in one shell, as a reader would paste them.
//!
//! Relies on bash. The shell has a directory of its own as its working directory, home and place for temporary files, a network of its
//! own where the machine allows it (so that the pages can use the usual ports), and nothing of the caller's settings. Never leaves a
//! process behind, and tells when the page would have.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use super::blocks::Step;

/// The port of a master, which pages use.
const PORT: u16 = 5050;
/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long what is left may take to end after it was asked to.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How much output is shown of a step that failed, in lines.
const SHOWN_LINES: usize = 30;

/// Where there is only the machine's own network, pages take turns.
static PORTS: Mutex<()> = Mutex::new(());

/// A directory for a page, and the programs that it finds.
#[derive(Debug)]
pub struct Session {
    scratch: tempfile::TempDir,
    programs: PathBuf,
}

impl Session {
    /// A new directory; `programs` are found first.
    pub fn new(programs: &Path) -> Session {
        let scratch = tempfile::Builder::new()
            .prefix("holdfast-docs-")
            .tempdir()
            .expect("there is room for scratch files");
        for name in ["work", "steps", "tmp"] {
            fs::create_dir(scratch.path().join(name))
                .expect("the scratch directory can be written");
        }
        Session { scratch, programs: programs.to_owned() }
    }

    /// Gives the page a copy of what the repository has: pages are written for readers who stand in it.
    pub fn show(&self, root: &Path, names: &[&str]) {
        for name in names {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(root.join(name)).arg(self.scratch.path().join("work"));
            assert!(copy.status().is_ok_and(|it| it.success()), "{name} cannot be copied");
        }
    }

    /// Runs the steps; each must succeed and print what is expected.
    ///
    /// # Errors
    /// The first step that does not, with its line and output; or what the page leaves running.
    pub fn run(&self, steps: &[Step]) -> Result<(), String> {
        self.run_within(steps, PAGE_TIMEOUT)
    }

    fn run_within(&self, steps: &[Step], timeout: Duration) -> Result<(), String> {
        let own_network = has_own_network();
        let _turn = (!own_network).then(|| PORTS.lock().unwrap_or_else(PoisonError::into_inner));
        if !own_network {
            let taken = |error| {
                format!("port {PORT} is not free ({error}); end what listens there, or run this as root, with a network of its own")
            };
            drop(TcpListener::bind(("127.0.0.1", PORT)).map_err(taken)?);
        }
        let script = self.scratch.path().join("script");
        fs::write(&script, self.script(steps, own_network))
            .expect("the scratch directory can be written");
        let mut shell = self
            .shell(&script, own_network)
            .spawn()
            .map_err(|error| format!("bash does not start: {error}"))?;
        let ended = self.wait(&mut shell, steps, timeout);
        let verdict = ended.and_then(|well| self.judge(steps, well));
        let left = self.end_all(verdict.is_ok());
        verdict.and_then(|()| match left.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "the page leaves processes running; say how to end them:\n  {}",
                left.join("\n  ")
            )),
        })
    }

    fn shell(&self, script: &Path, own_network: bool) -> Command {
        let mut command = Command::new(if own_network { "unshare" } else { "bash" });
        if own_network {
            command.args(["--net", "bash"]);
        }
        let foreign = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("HOLDFAST_"));
        foreign.for_each(|name| {
            command.env_remove(name);
        });
        let mut path = OsString::from(&self.programs);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let tmp = self.scratch.path().join("tmp");
        command
            .arg(script)
            .env("PATH", path)
            .env("HOME", &tmp)
            .env("TMPDIR", &tmp)
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG");
        // Pages that install something do so in a folder when this is set.
        command.env("DESTDIR", tmp.join("machine"));
        command.current_dir(self.scratch.path().join("work")).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Each step in the same shell, with its output in a file of its own.
    fn script(&self, steps: &[Step], own_network: bool) -> String {
        let mut script = String::from(if own_network {
            "set -euo pipefail\nip link set lo up\n"
        } else {
            "set -euo pipefail\n"
        });
        for (index, step) in steps.iter().enumerate() {
            let (at, out) = (self.file("at"), self.file(&index.to_string()));
            script.push_str(&format!(
                "echo {index} >{}\n{{\n{}\n}} >{} 2>&1\n",
                at.display(),
                step.command,
                out.display()
            ));
        }
        script.push_str(&format!("echo {} >{}\n", steps.len(), self.file("at").display()));
        script
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join("steps").join(name)
    }

    /// Whether the shell ended well.
    fn wait(&self, shell: &mut Child, steps: &[Step], timeout: Duration) -> Result<bool, String> {
        let end = Instant::now() + timeout;
        loop {
            match shell.try_wait().expect("it is our child") {
                Some(status) => return Ok(status.success()),
                None if Instant::now() < end => pause(),
                None => {
                    let (line, output) = (
                        steps.get(self.reached()).map_or(0, |it| it.line),
                        self.output(self.reached()),
                    );
                    let _ = kill(Pid::from_raw(-pid(shell)), Signal::SIGKILL);
                    shell.wait().expect("it is our child");
                    return Err(format!(
                        "line {line}: not done after {timeout:?}; it said:\n{}",
                        tail(&output)
                    ));
                }
            }
        }
    }

    /// The step that was begun last; the number of steps when all are done.
    fn reached(&self) -> usize {
        fs::read_to_string(self.file("at")).ok().and_then(|it| it.trim().parse().ok()).unwrap_or(0)
    }

    fn output(&self, step: usize) -> String {
        String::from_utf8_lossy(&fs::read(self.file(&step.to_string())).unwrap_or_default())
            .into_owned()
    }

    fn judge(&self, steps: &[Step], well: bool) -> Result<(), String> {
        let reached = self.reached();
        for (index, step) in steps.iter().enumerate().take(reached.min(steps.len())) {
            let output = self.output(index);
            if let Some(missing) = missing(&output, &step.expected) {
                return Err(format!(
                    "line {}: `{}` should print\n  {missing}\nbut printed:\n{}",
                    step.line,
                    step.command,
                    tail(&output)
                ));
            }
        }
        match steps.get(reached) {
            None if well => Ok(()),
            None => Err("the shell ended badly after the last step".to_owned()),
            Some(step) => Err(format!(
                "line {}: `{}` failed:\n{}",
                step.line,
                step.command,
                tail(&self.output(reached))
            )),
        }
    }

    /// Ends what is left, first kindly; returns what did not end by itself when it may have needed a moment to.
    fn end_all(&self, patient: bool) -> Vec<String> {
        let end = Instant::now() + if patient { END_TIMEOUT } else { Duration::ZERO };
        while !self.processes().is_empty() && Instant::now() < end {
            pause();
        }
        let left: Vec<String> = self.processes().into_iter().map(|(_, words)| words).collect();
        let begin = Instant::now();
        while begin.elapsed() < END_TIMEOUT * 2 {
            let all = self.processes();
            if all.is_empty() {
                break;
            }
            let signal =
                if begin.elapsed() < END_TIMEOUT { Signal::SIGTERM } else { Signal::SIGKILL };
            for (id, _) in all {
                // It may end by itself in between.
                let _ = kill(Pid::from_raw(id), signal);
            }
            pause();
        }
        left
    }

    /// Everything that this page started: it names the scratch directory, as an argument or in its environment.
    fn processes(&self) -> Vec<(i32, String)> {
        let mark = self.scratch.path().as_os_str().as_encoded_bytes();
        let holds = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
        let read = |id: i32, file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let found = ids.filter_map(|id| {
            let words = read(id, "cmdline");
            let ours = !words.is_empty() && (holds(&words) || holds(&read(id, "environ")));
            ours.then(|| (id, String::from_utf8_lossy(&words).replace('\0', " ")))
        });
        found.collect()
    }
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("process ids are small")
}

fn pause() {
    // tidy: sleep is the point: other processes do not announce what is looked for here
    std::thread::sleep(PAUSE);
}

/// Whether pages can have a network of their own: root may make one, and bring its loopback up.
fn has_own_network() -> bool {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}

/// The first expected line that is not there, in order. `...` stands for anything; how wide a gap is does not matter.
fn missing(output: &str, expected: &[String]) -> Option<String> {
    let narrow = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = output.lines().map(narrow);
    let wanted =
        expected.iter().map(|it| (it, narrow(it))).filter(|(_, it)| !it.is_empty() && it != "...");
    let mut unmet = wanted.filter(|(_, pattern)| !lines.by_ref().any(|line| fits(&line, pattern)));
    unmet.next().map(|(it, _)| it.trim().to_owned())
}

fn fits(line: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split("...").collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    if parts.len() == 1 {
        return line == pattern;
    }
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(line: usize, command: &str, expected: &[&str]) -> Step {
        Step {
            line,
            command: command.to_owned(),
            expected: expected.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    fn run(steps: &[Step]) -> Result<(), String> {
        Session::new(Path::new("/nowhere")).run_within(steps, Duration::from_secs(20))
    }

    #[test]
    fn steps_share_a_shell_and_a_directory() {
        let steps = [
            step(1, "export A=1\necho here >file", &[]),
            step(2, "echo \"$A $(cat file)\"", &["1 here"]),
            step(3, "sleep 600 &", &[]),
            step(4, "kill %1", &[]),
        ];
        assert_eq!(run(&steps), Ok(()));
    }

    #[test]
    fn a_step_that_fails_is_named() {
        let error =
            run(&[step(3, "true", &[]), step(7, "echo why; false", &[]), step(9, "true", &[])])
                .unwrap_err();
        assert!(error.contains("line 7") && error.contains("why"), "{error}");
        assert!(run(&[step(1, "false | true", &[])]).is_err(), "a pipe hides nothing");
        assert!(run(&[step(1, "echo $UNSET", &[])]).is_err());
        assert!(
            run(&[step(1, "exit 0", &[]), step(2, "true", &[])]).is_err(),
            "a page does not end early"
        );
    }

    #[test]
    fn what_should_be_printed_is_looked_for() {
        assert_eq!(
            run(&[step(1, "printf 'a   b\\nc\\nd 12 e\\n'", &["a b", "...", "d ... e"])]),
            Ok(())
        );
        let error = run(&[step(4, "printf 'a\\nb\\n'", &["b", "a"])]).unwrap_err();
        assert!(error.contains("line 4") && error.contains("should print\n  a"), "{error}");
    }

    #[test]
    fn what_is_left_running_is_told_and_ended() {
        let session = Session::new(Path::new("/nowhere"));
        let error = session
            .run_within(&[step(1, "sleep 600 &", &[])], Duration::from_secs(20))
            .unwrap_err();
        assert!(error.contains("sleep 600"), "{error}");
        assert_eq!(session.processes(), []);
    }

    #[test]
    fn a_step_that_never_ends_is_ended() {
        let session = Session::new(Path::new("/nowhere"));
        let error = session
            .run_within(&[step(1, "echo begun; sleep 600", &[])], Duration::from_secs(1))
            .unwrap_err();
        assert!(error.contains("begun"), "{error}");
        assert_eq!(session.processes(), []);
    }

    #[test]
    fn patterns() {
        for (line, pattern, fit) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a...", true),
            ("abc", "...c", true),
            ("abcd", "a...c...d", true),
            ("abcd", "a...x...d", false),
            ("ab", "ab...ab", false),
        ] {
            assert_eq!(fits(line, pattern), fit, "{line} {pattern}");
        }
    }
}

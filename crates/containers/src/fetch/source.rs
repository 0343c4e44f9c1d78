//! Reads from where something comes.
//!
//! The network is left to the machine's `curl`, as Mesos leaves it to libcurl: it knows proxies,
//! redirects and certificates, and this program needs no TLS of its own. An address goes to it by
//! its standard input: command lines can be read by everybody on the machine.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use sha2::{Digest, Sha256};

use super::plan::{FetchKind, FetchSource};
use super::FetchError;

/// The most of a client's complaint that is told, in bytes.
const COMPLAINT_BYTES_MAX: usize = 500;
/// The most of an answer's head that is read, in bytes.
const HEAD_BYTES_MAX: u64 = 256 << 10;

impl FetchSource {
    /// The address without credentials, query and fragment.
    pub fn shown(&self) -> String {
        let address = self.address.split(['?', '#']).next().unwrap_or_default();
        match address.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = host.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => self.address.clone(),
        }
    }

    fn failed(&self, why: impl Into<String>) -> FetchError {
        FetchError::Source { address: self.shown(), why: why.into() }
    }

    fn path(&self) -> &str {
        self.address.strip_prefix("file://").unwrap_or(&self.address)
    }

    /// How many bytes it has, if that can be known beforehand.
    pub(super) fn size(&self, stall_s: u64) -> Option<u64> {
        match self.kind {
            FetchKind::File => {
                std::fs::metadata(self.path()).ok().filter(|it| it.is_file()).map(|it| it.len())
            }
            FetchKind::Hadoop => None,
            FetchKind::Net => {
                let mut child = self
                    .curl(stall_s, &["--head", "--max-time", &stall_s.max(1).to_string()])
                    .ok()?;
                let mut head = String::new();
                let read = child.stdout.take()?.take(HEAD_BYTES_MAX).read_to_string(&mut head);
                let ended = child.wait();
                let is_well = read.is_ok() && ended.is_ok_and(|it| it.success());
                content_length(&head).filter(|_| is_well)
            }
        }
    }

    /// Writes all of it.
    pub(super) fn read_into(&self, to: &mut impl Write, stall_s: u64) -> Result<(), FetchError> {
        let mut to = Summing { to, sum: Sha256::new() };
        match self.kind {
            FetchKind::File => {
                let found =
                    std::fs::metadata(self.path()).map_err(|it| self.failed(it.to_string()))?;
                if !found.is_file() {
                    return Err(self.failed("it is no regular file"));
                }
                let mut file = File::open(self.path()).map_err(|it| self.failed(it.to_string()))?;
                super::copy(&mut file, &mut to).map_err(|it| self.failed(it.to_string()))?;
            }
            FetchKind::Net => {
                let child = self.curl(stall_s, &[]).map_err(|it| {
                    self.failed(format!("`curl` does not start: {it}; install it on this machine"))
                })?;
                self.drain(child, "curl", &mut to)?;
            }
            FetchKind::Hadoop => {
                let child = Command::new("hadoop")
                    .args(["fs", "-cat", &self.address])
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn();
                let child = child.map_err(|it| {
                    self.failed(format!(
                        "`hadoop` does not start: {it}; install its client on this machine"
                    ))
                })?;
                self.drain(child, "hadoop", &mut to)?;
            }
        }
        let sum: String = to.sum.finalize().iter().map(|it| format!("{it:02x}")).collect();
        match &self.sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&sum) => {
                Err(self.failed(format!("its SHA-256 is {sum}, and not what was asked for")))
            }
            _ => Ok(()),
        }
    }

    /// Starts a `curl` that knows what to ask for.
    fn curl(&self, stall_s: u64, more: &[&str]) -> std::io::Result<Child> {
        let seconds = stall_s.max(1).to_string();
        let mut child = Command::new("curl")
            .args(["--disable", "--config", "-", "--globoff", "--fail", "--silent", "--show-error"])
            .args(["--location", "--max-redirs", "10", "--proto", "=http,https,ftp,ftps"])
            .args(["--proto-redir", "=http,https"])
            .args(["--connect-timeout", &seconds, "--speed-limit", "1", "--speed-time", &seconds])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let quoted = self.address.replace('\\', "\\\\").replace('"', "\\\"");
        let told = child.stdin.take().map_or(Ok(()), |mut it| writeln!(it, "url = \"{quoted}\""));
        if told.is_err() {
            let _ = child.kill();
        }
        Ok(child)
    }

    /// Takes all that a client reads.
    fn drain(&self, mut child: Child, name: &str, to: &mut impl Write) -> Result<(), FetchError> {
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let complaint = std::thread::spawn(move || {
            let mut said = Vec::new();
            stderr.map(|mut it| it.read_to_end(&mut said));
            said
        });
        let copied = stdout.map_or(Ok(()), |it| super::copy(it, to));
        if copied.is_err() {
            let _ = child.kill();
        }
        let ended = child.wait().map_err(|it| self.failed(it.to_string()))?;
        copied.map_err(|it| self.failed(it.to_string()))?;
        if ended.success() {
            return Ok(());
        }
        let said = complaint.join().unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(COMPLAINT_BYTES_MAX)..])
            .into_owned();
        let line = said.lines().rev().map(str::trim).find(|it| !it.is_empty()).unwrap_or_default();
        // What was asked for may hold credentials.
        Err(self.failed(format!("{name}: {ended}: {}", line.replace(&self.address, "..."))))
    }
}

/// The length of the last answer, after all redirects.
fn content_length(heads: &str) -> Option<u64> {
    let last = heads.trim_end().rsplit("\r\n\r\n").next()?;
    last.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}

struct Summing<'a, W> {
    to: &'a mut W,
    sum: Sha256,
}

impl<W: Write> Write for Summing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_is_secret() {
        let shown = |address: &str| {
            let (address, kind) = (address.to_string(), FetchKind::Net);
            FetchSource { address, kind, sha256: None }.shown()
        };
        assert_eq!(shown("https://u:p@host:1/a/b?token=x#y"), "https://host:1/a/b");
        assert_eq!(shown("http://host"), "http://host");
        assert_eq!(shown("/opt/x"), "/opt/x");
    }

    #[test]
    fn the_length_is_that_of_the_last_answer() {
        let heads = "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(content_length(heads), Some(7));
        assert_eq!(content_length("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}

//! One look: a command that is run, an HTTP GET, a connection.
//!
//! A command leads a process group of its own, which is gone when the look is over, however it
//! ended. A look never takes longer than its timeout.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use holdfast_model::{CommandInfo, HttpProbe, Probe, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::watch;

use super::super::child::program_of;
use super::super::signal::Signal;
use super::{stopped, Look, Surroundings};

/// How much of an answer is read to find its status, in bytes.
const HEAD_BYTES_MAX: u64 = 16 << 10;
/// How much of what a check's command prints is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 4 << 10;
/// How many characters of the last line are told.
const LINE_CHARS_MAX: usize = 200;
/// How long what a command printed is waited for, once nothing of it runs.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What is looked at, and from where.
#[derive(Debug)]
pub(super) struct Prober {
    pub probe: Probe,
    pub timeout: Option<Duration>,
    pub surroundings: Arc<Surroundings>,
}

/// What was seen with words for people, or only words.
type Outcome = Result<(Seen, String), String>;

impl Prober {
    /// Looks once; `None` when it was told to stop meanwhile.
    pub async fn look(&self, stop: &mut watch::Receiver<bool>) -> Option<Look> {
        let outcome = match &self.probe {
            Probe::Command(command) => self.run_command(command, stop).await?,
            Probe::Http(http) if http.is_tls => self.ask_by_curl(http, stop).await?,
            Probe::Http(http) => self.bounded(ask(http), stop).await?,
            Probe::Tcp { port, is_ipv6 } => {
                self.bounded(connects(local(*is_ipv6, *port)), stop).await?
            }
        };
        Some(match outcome {
            Ok((seen, words)) => Look { seen: Some(seen), words },
            Err(words) => Look { seen: None, words },
        })
    }

    /// `None` when it was told to stop.
    async fn bounded(
        &self,
        look: impl Future<Output = Outcome>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Outcome> {
        tokio::select! {
            biased;
            () = stopped(stop) => None,
            outcome = look => Some(outcome),
            () = elapsed(self.timeout) => Some(Err(self.too_late())),
        }
    }

    fn too_late(&self) -> String {
        format!("no answer within {} s", self.timeout.unwrap_or_default().as_secs_f64())
    }

    async fn run_command(
        &self,
        command: &CommandInfo,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Outcome> {
        let ran = match self.run(command, stop).await? {
            Ok(ran) => ran,
            Err(why) => return Some(Err(why)),
        };
        Some(match (ran.exit.code(), ran.exit.signal()) {
            (Some(code), _) => Ok((
                Seen::ExitCode(code),
                with_line(format!("its command exited with status {code}"), &ran.printed),
            )),
            _ => Err(with_line(format!("its command was ended by {}", ran.exit), &ran.printed)),
        })
    }

    /// As Mesos does it, so that this crate needs no TLS: by the machine's own `curl`.
    async fn ask_by_curl(
        &self,
        http: &HttpProbe,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Outcome> {
        let url = format!("https://{}{}", local(http.is_ipv6, http.port), http.path);
        let arguments =
            ["curl", "-gkqsS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", &url];
        let command = CommandInfo {
            shell: false,
            value: Some("curl".to_owned()),
            arguments: arguments.map(str::to_owned).to_vec(),
            ..CommandInfo::default()
        };
        let ran = match self.run(&command, stop).await? {
            Ok(ran) => ran,
            Err(why) => return Some(Err(why)),
        };
        let status = ran.printed.trim().parse().ok().filter(|_| ran.exit.success());
        Some(match status {
            Some(status) => Ok((Seen::HttpStatus(status), format!("{url} answered {status}"))),
            None => Err(with_line(format!("{url} did not answer"), &ran.printed)),
        })
    }

    /// Runs a command to its end, and ends all that it left. `None` when it was told to stop.
    async fn run(
        &self,
        command: &CommandInfo,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Result<Ran, String>> {
        let mut child = match self.spawn(command) {
            Ok(child) => child,
            Err(why) => return Some(Err(why)),
        };
        let group = child.id();
        let printed = tokio::spawn(read_end(child.stdout.take(), child.stderr.take()));
        let exit = tokio::select! {
            biased;
            () = stopped(stop) => None,
            exit = child.wait() => Some(exit.map_err(|error| format!("its command's end could not be seen: {error}"))),
            () = elapsed(self.timeout) => Some(Err(self.too_late())),
        };
        if let Some(group) = group {
            self.surroundings.signals.send(group, Signal::Kill).await;
        }
        // It has ended, or was just killed.
        let _ = child.start_kill();
        let _ = child.wait().await;
        let printed = tokio::time::timeout(LAST_LINES, printed).await;
        let printed = printed.ok().and_then(Result::ok).unwrap_or_default();
        Some(match exit? {
            Ok(exit) => Ok(Ran { exit, printed }),
            Err(why) => Err(with_line(why, &printed)),
        })
    }

    fn spawn(&self, command: &CommandInfo) -> Result<Child, String> {
        let surroundings = &self.surroundings;
        let mut program = program_of(command)?;
        let variables = surroundings.environment.iter().chain(&command.environment);
        program.envs(variables.map(|(name, value)| (name, value)));
        program.current_dir(&surroundings.directory).process_group(0).kill_on_drop(true);
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = program.as_std().get_program().to_string_lossy().into_owned();
        program.spawn().map_err(|error| format!("cannot start `{name}`: {error}"))
    }
}

/// A command that has ended.
struct Ran {
    exit: ExitStatus,
    /// The end of what it printed; its errors come last.
    printed: String,
}

async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        // tidy: sleep is the point: a timeout is a time
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn with_line(what: String, printed: &str) -> String {
    let line = printed.lines().rev().map(str::trim).find(|it| !it.is_empty());
    let Some(line) = line else { return what };
    let shown: String = line.chars().take(LINE_CHARS_MAX).flat_map(char::escape_debug).collect();
    format!("{what}: {shown}")
}

/// Reads both to the end, and keeps the end of each.
async fn read_end(
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
) -> String {
    let (out, err) = tokio::join!(keep_end(stdout), keep_end(stderr));
    String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&err)
}

async fn keep_end(reader: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 1024]);
    let Some(mut reader) = reader else { return kept };
    while let Ok(count @ 1..) = reader.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        let surplus = kept.len().saturating_sub(OUTPUT_BYTES_MAX);
        kept.drain(..surplus);
    }
    kept
}

fn local(is_ipv6: bool, port: u16) -> SocketAddr {
    let address = match is_ipv6 {
        true => IpAddr::V6(Ipv6Addr::LOCALHOST),
        false => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    SocketAddr::new(address, port)
}

async fn connects(address: SocketAddr) -> Outcome {
    Ok(match TcpStream::connect(address).await {
        Ok(_) => (Seen::Connected(true), format!("{address} takes connections")),
        Err(error) => (Seen::Connected(false), format!("cannot connect to {address}: {error}")),
    })
}

/// An HTTP GET; redirects are not followed, their status counts.
async fn ask(http: &HttpProbe) -> Outcome {
    let address = local(http.is_ipv6, http.port);
    let why =
        |error: std::io::Error| format!("http://{address}{} did not answer: {error}", http.path);
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("cannot connect to {address}: {error}"))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: holdfast-check\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        http.path
    );
    stream.write_all(request.as_bytes()).await.map_err(why)?;
    let mut head = Vec::new();
    let mut reader = stream.take(HEAD_BYTES_MAX);
    loop {
        let count = reader.read_buf(&mut head).await.map_err(why)?;
        if let Some(status) = status_of(&head) {
            return Ok((
                Seen::HttpStatus(status),
                format!("http://{address}{} answered {status}", http.path),
            ));
        }
        if count == 0 {
            return Err(format!("{address} does not speak HTTP"));
        }
    }
}

/// The status in the first line of an answer that is not an interim one, once it is whole.
fn status_of(head: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.as_ref();
    loop {
        let (line, _) = rest.split_once('\n')?;
        let status = line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
        if 200 <= status {
            return Some(status);
        }
        rest = rest.split_once("\r\n\r\n")?.1;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::super::signal::Signals;
    use super::*;

    fn prober(probe: Probe, timeout: Option<Duration>) -> Prober {
        let surroundings = Arc::new(Surroundings {
            directory: std::env::temp_dir(),
            environment: vec![("OF_TASK".to_owned(), "yes".to_owned())],
            signals: Signals::Shell,
        });
        Prober { probe, timeout, surroundings }
    }

    fn shell(line: &str) -> Probe {
        Probe::Command(CommandInfo {
            shell: true,
            value: Some(line.to_owned()),
            ..CommandInfo::default()
        })
    }

    async fn look(probe: Probe, timeout: Option<Duration>) -> Look {
        let stop = watch::Sender::new(false);
        prober(probe, timeout).look(&mut stop.subscribe()).await.unwrap()
    }

    /// A server that answers each connection with these bytes.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    fn http(port: u16) -> Probe {
        let path = "/health".to_owned();
        Probe::Http(HttpProbe { is_tls: false, is_ipv6: false, port, path, statuses: Vec::new() })
    }

    #[tokio::test]
    async fn a_command_is_judged_by_its_exit_status_and_quoted() {
        for (line, seen, words) in [
            ("test $OF_TASK = yes", Some(Seen::ExitCode(0)), "exited with status 0"),
            (
                "echo no >&2; echo 'too bad' >&2; exit 3",
                Some(Seen::ExitCode(3)),
                "status 3: too bad",
            ),
            ("kill -9 $$", None, "signal: 9"),
        ] {
            let look = look(shell(line), Some(Duration::from_secs(60))).await;
            assert_eq!(look.seen, seen, "{line}");
            assert!(look.words.contains(words), "{line}: {}", look.words);
        }
        let absent = Probe::Command(CommandInfo {
            value: Some("/no/such/program".to_owned()),
            ..CommandInfo::default()
        });
        assert!(look(absent, None).await.words.contains("cannot start `/no/such/program`"));
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_a_failure() {
        let hung = look(shell("exec sleep 1000"), Some(Duration::from_millis(50))).await;
        assert_eq!((hung.seen, hung.words.as_str()), (None, "no answer within 0.05 s"));
    }

    #[tokio::test]
    async fn a_command_and_all_it_started_is_gone_when_checking_stops() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let line = format!("exec 3> {}; sleep 1000 & echo up >&3; exec sleep 1000", fifo.display());
        let stop = watch::Sender::new(false);
        let mut listener = stop.subscribe();
        let looking =
            tokio::spawn(async move { prober(shell(&line), None).look(&mut listener).await });
        let mut reader = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
        let mut heard = Vec::new();
        while heard != b"up\n" {
            reader.readable().await.unwrap();
            // Nothing is read, too, while nobody has opened the other end yet.
            let _ = reader.try_read_buf(&mut heard);
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
        assert_eq!(looking.await.unwrap(), None);
        // It ends once nobody holds the other end.
        assert_eq!(reader.read_to_end(&mut heard).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn http_statuses_are_seen_as_they_are() {
        for (answer, seen) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(204)),
            ("HTTP/1.0 503 Busy\r\nContent-Length: 0\r\n\r\n", Some(503)),
            ("HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n", Some(302)),
            ("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n", Some(404)),
            ("220 smtp ready\r\n", None),
        ] {
            let look = look(http(server(answer).await), Some(Duration::from_secs(60))).await;
            assert_eq!(look.seen, seen.map(Seen::HttpStatus), "{answer:?} {}", look.words);
        }
    }

    #[tokio::test]
    async fn who_takes_a_connection_and_says_nothing_is_too_late() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = look(http(port), Some(Duration::from_millis(50))).await;
        assert_eq!((silent.seen, silent.words.as_str()), (None, "no answer within 0.05 s"));
        let tcp = Probe::Tcp { port, is_ipv6: false };
        assert_eq!(look(tcp, None).await.seen, Some(Seen::Connected(true)));
        // A port that is had and not listened on: one that was let go of could be somebody else's by now.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = held.local_addr().unwrap().port();
        let gone = look(Probe::Tcp { port, is_ipv6: false }, None).await;
        assert_eq!(gone.seen, Some(Seen::Connected(false)));
        assert!(gone.words.contains("cannot connect to 127.0.0.1:"), "{}", gone.words);
    }
}

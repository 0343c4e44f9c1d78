//! The switchboard, between the payload of a container inside another and those who are attached to it.
//!
//! It is a few threads of the shim. Those who attach connect to a socket in the container's directory and say how: to hear the output, to
//! send input, or as the session on which the container's life hangs. What is printed goes to the files of the sandbox, unless it is a
//! session's, and to all who listen. A session is waited for before anything is taken from the payload, and for as long as it takes to
//! hear all; anybody else who does not take what is sent is dropped. It never holds more than one piece of output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::nested::through;
use crate::WindowSize;

/// The greatest length of a piece of output or input.
pub const PIECE_BYTES_MAX: usize = 32 << 10;
/// How long somebody who listens may take to accept a piece.
const LISTENER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a session may take to come.
const SESSION_PATIENCE: Duration = Duration::from_secs(60);
/// Listeners of one container.
const LISTENERS_MAX: usize = 32;
const STACK_BYTES: usize = 128 << 10;
const SOCKET: &str = "io";

/// How somebody is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// Hears what is printed from now on.
    Output,
    /// Sends input.
    Input,
    /// Hears everything; the container ends when it goes away.
    Session,
}

/// A piece of what travels over the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Input. An empty one is the end of it, where there is no terminal.
    Stdin,
    /// The terminal's new size: two numbers of two bytes, rows first.
    Window,
    /// What the payload printed; all of it, where there is a terminal.
    Stdout,
    /// What it printed to its second stream.
    Stderr,
}

impl Attachment {
    /// The byte by which it is asked for.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Attachment::Output => b'O',
            Attachment::Input => b'I',
            Attachment::Session => b'S',
        }
    }
}

impl Piece {
    const ALL: [Piece; 4] = [Piece::Stdin, Piece::Window, Piece::Stdout, Piece::Stderr];

    fn byte(self) -> u8 {
        match self {
            Piece::Stdin => b'i',
            Piece::Window => b'w',
            Piece::Stdout => b'o',
            Piece::Stderr => b'e',
        }
    }

    /// The head of a piece of this length.
    pub fn head(self, length: usize) -> [u8; 5] {
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        [self.byte(), a, b, c, d]
    }

    /// Reads a head; `None` when it is none.
    pub fn of_head(head: [u8; 5]) -> Option<(Piece, usize)> {
        let piece = Piece::ALL.into_iter().find(|it| it.byte() == head[0])?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        (length <= PIECE_BYTES_MAX).then_some((piece, length))
    }
}

impl WindowSize {
    /// As it travels.
    pub fn bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.rows.to_be_bytes(), self.columns.to_be_bytes());
        [a, b, c, d]
    }

    fn of(bytes: &[u8]) -> Option<WindowSize> {
        let [a, b, c, d] = *bytes else { return None };
        Some(WindowSize { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) })
    }
}

/// The answer to somebody who attaches.
pub(crate) const WELCOME: u8 = b'+';
/// Somebody else sends input already, or is the session.
pub(crate) const TAKEN: u8 = b'=';
/// There is no such thing here.
pub(crate) const NOTHING: u8 = b'-';

/// The shim's ends of the payload's streams.
pub(crate) struct Ends {
    /// Where input goes.
    pub input: Option<File>,
    /// Where output comes from, and what it is.
    pub outputs: Vec<(Piece, File)>,
    /// The terminal, if it is one.
    pub terminal: Option<OwnedFd>,
}

/// Binds the socket of the container in `directory`, however long that path is.
pub(crate) fn bind(directory: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(through(&File::open(directory)?).join(SOCKET))
}

/// Connects to the socket of the container in `directory`.
pub(crate) fn connect(directory: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(through(&File::open(directory)?).join(SOCKET))
}

/// What the threads share.
struct Board {
    is_session: bool,
    listeners: Mutex<Listeners>,
    changed: Condvar,
    input: Mutex<Option<File>>,
    terminal: Option<OwnedFd>,
    /// Ends the payload.
    end: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Listeners {
    all: Vec<UnixStream>,
    session: Session,
    /// Outputs that have not come to their end.
    open_outputs: usize,
    is_input_taken: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Session {
    #[default]
    Awaited,
    Here,
    Over,
}

/// A switchboard that works.
pub(crate) struct Switchboard(Arc<Board>);

impl Switchboard {
    /// Begins to carry what the payload prints, to files also where some are given. `end` ends the payload.
    pub fn start(
        listener: UnixListener,
        ends: Ends,
        files: Vec<(Piece, File)>,
        is_session: bool,
        end: Box<dyn Fn() + Send + Sync>,
    ) -> io::Result<Switchboard> {
        let listeners = Listeners { open_outputs: ends.outputs.len(), ..Listeners::default() };
        let board = Arc::new(Board {
            is_session,
            listeners: Mutex::new(listeners),
            changed: Condvar::new(),
            input: Mutex::new(ends.input),
            terminal: ends.terminal,
            end,
        });
        let mut files = files;
        for (piece, output) in ends.outputs {
            let file = files.iter().position(|it| it.0 == piece).map(|at| files.swap_remove(at).1);
            let board = board.clone();
            spawn(move || {
                board.carry(piece, output, file);
                board.listeners().open_outputs -= 1;
                board.changed.notify_all();
            })?;
        }
        let (accepting, awaiting) = (board.clone(), board.clone());
        spawn(move || accepting.accept(&listener))?;
        if is_session {
            spawn(move || awaiting.await_session())?;
        }
        Ok(Switchboard(board))
    }

    /// Waits until everything that was printed has been passed on: to a session as long as it is there, to files for `patience`.
    pub fn finish(&self, patience: Duration) -> bool {
        let mut listeners = self.0.listeners();
        while listeners.open_outputs > 0 {
            let (again, waited) = self
                .0
                .changed
                .wait_timeout(listeners, patience)
                .unwrap_or_else(PoisonError::into_inner);
            listeners = again;
            let is_heard = self.0.is_session && listeners.session != Session::Over;
            if waited.timed_out() && listeners.open_outputs > 0 && !is_heard {
                return false;
            }
        }
        for stream in listeners.all.drain(..) {
            // Whoever is gone needs no end.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        true
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("streams".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop)
}

impl Board {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the payload when nobody comes for the session.
    fn await_session(&self) {
        let awaited = |it: &mut Listeners| it.session == Session::Awaited;
        let waited = self.changed.wait_timeout_while(self.listeners(), SESSION_PATIENCE, awaited);
        let (mut listeners, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if listeners.session == Session::Awaited {
            self.session_over(&mut listeners);
        }
    }

    fn session_over(&self, listeners: &mut Listeners) {
        listeners.session = Session::Over;
        self.changed.notify_all();
        (self.end)();
    }

    /// Passes on what comes from one output until its end.
    fn carry(&self, piece: Piece, mut output: File, mut file: Option<File>) {
        if self.is_session {
            let awaited = |it: &mut Listeners| it.session == Session::Awaited;
            drop(self.changed.wait_while(self.listeners(), awaited));
        }
        let mut bytes = vec![0; PIECE_BYTES_MAX];
        loop {
            let count = match output.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A terminal that nobody has open any more says EIO.
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            if file.as_mut().is_some_and(|it| it.write_all(&bytes[..count]).is_err()) {
                file = None; // The one who empties it is gone.
            }
            self.tell(piece, &bytes[..count]);
        }
    }

    fn tell(&self, piece: Piece, bytes: &[u8]) {
        let mut listeners = self.listeners();
        let head = piece.head(bytes.len());
        listeners
            .all
            .retain_mut(|it| it.write_all(&head).and_then(|()| it.write_all(bytes)).is_ok());
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            let (Ok(stream), board) = (stream, self.clone()) else { continue };
            // A machine without a thread left lets nobody attach.
            let _ = spawn(move || board.serve(stream));
        }
    }

    fn serve(&self, mut stream: UnixStream) {
        let mut asked = [0];
        if stream.read_exact(&mut asked).is_err() {
            return;
        }
        match asked[0] {
            b'O' => self.serve_output(stream),
            b'I' => self.serve_input(stream),
            b'S' => self.serve_session(stream),
            _ => drop(stream.write_all(&[NOTHING])),
        }
    }

    fn serve_output(&self, mut stream: UnixStream) {
        let _ = stream.set_write_timeout(Some(LISTENER_PATIENCE));
        let mut listeners = self.listeners();
        let answer = if listeners.all.len() < LISTENERS_MAX { WELCOME } else { TAKEN };
        if stream.write_all(&[answer]).is_ok() && answer == WELCOME {
            listeners.all.push(stream);
        }
    }

    /// Says welcome, is waited for, and ends the payload when it is closed from the other side.
    fn serve_session(&self, mut stream: UnixStream) {
        {
            let mut listeners = self.listeners();
            let answer = match (self.is_session, listeners.session) {
                (true, Session::Awaited) => WELCOME,
                (true, _) => TAKEN,
                (false, _) => NOTHING,
            };
            let copy = stream.try_clone();
            let (true, Ok(copy)) = (stream.write_all(&[answer]).is_ok(), copy) else { return };
            if answer != WELCOME {
                return;
            }
            listeners.session = Session::Here;
            listeners.all.push(copy);
        }
        self.changed.notify_all();
        // Nothing comes on it but its end.
        let mut bytes = [0; 64];
        while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        // Whoever is just writing to it must not go on for ever.
        let _ = stream.shutdown(std::net::Shutdown::Both);
        self.session_over(&mut self.listeners());
    }

    fn serve_input(&self, mut stream: UnixStream) {
        let Some(input) = self.take_input(&mut stream) else { return };
        self.pass_on(&mut stream, input);
        self.listeners().is_input_taken = false;
    }

    /// A copy of the way in, if nobody else has it.
    fn take_input(&self, stream: &mut UnixStream) -> Option<File> {
        let mut listeners = self.listeners();
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = input.as_ref().map(File::try_clone);
        let answer = match (&copy, listeners.is_input_taken) {
            (Some(Ok(_)), false) => WELCOME,
            (Some(_), _) => TAKEN,
            (None, _) => NOTHING,
        };
        let said = stream.write_all(&[answer]).is_ok();
        listeners.is_input_taken |= said && answer == WELCOME;
        copy?.ok().filter(|_| said && answer == WELCOME)
    }

    /// What a payload does not take any more is dropped.
    fn pass_on(&self, stream: &mut UnixStream, input: File) {
        let mut input = Some(input);
        let mut head = [0; 5];
        while stream.read_exact(&mut head).is_ok() {
            let Some((piece, length)) = Piece::of_head(head) else { return };
            let mut bytes = vec![0; length];
            if stream.read_exact(&mut bytes).is_err() {
                return;
            }
            match piece {
                Piece::Window => self.resize(&bytes),
                Piece::Stdin if bytes.is_empty() && self.terminal.is_none() => {
                    input = None;
                    *self.input.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                Piece::Stdin => {
                    if input.as_mut().is_some_and(|it| it.write_all(&bytes).is_err()) {
                        input = None;
                    }
                }
                Piece::Stdout | Piece::Stderr => return,
            }
        }
    }

    fn resize(&self, bytes: &[u8]) {
        if let (Some(terminal), Some(size)) = (&self.terminal, WindowSize::of(bytes)) {
            if let Err(error) = crate::terminal::resize(&terminal.as_fd(), size) {
                eprintln!("the terminal did not take its new size: {error}");
            }
        }
    }
}

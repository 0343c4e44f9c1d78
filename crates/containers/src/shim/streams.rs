//! What a payload's standard streams are connected to, and who carries what they say.
//!
//! Both sides are opened before the first process is forked; ours begins to work once nothing is forked any more. It never opens a file in
//! a sandbox by a path that a payload could have bent.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::isolation::beneath::{open_beneath, open_directory};
use crate::nested::through;
use crate::output::{open_output, OutputEnds, OutputPump, RunningPump};
use crate::record::{ContainerDir, Launch};
use crate::switchboard::{self, Piece, Switchboard};
use crate::{terminal, Inside, LaunchError, OutputLimits};

/// The payload's side.
pub(super) enum Theirs {
    /// Straight to the files of the sandbox.
    Files,
    /// Nothing to read, and pipes to write to.
    Output(OutputEnds),
    /// A pipe for each, with nothing to read where there is no first one.
    Pipes(Option<PipeReader>, PipeWriter, PipeWriter),
    /// A terminal for all.
    Terminal(OwnedFd),
}

/// Our side, not at work yet.
pub(super) enum Ours {
    /// The payload writes to its files itself.
    Nothing,
    /// Into the files.
    Pump(OutputPump),
    /// To those who are attached and, but for a session, into the files.
    Board {
        listener: UnixListener,
        ends: switchboard::Ends,
        files: Option<(OutputPump, OutputEnds)>,
        is_session: bool,
    },
}

/// Our side at work.
pub(super) enum Carried {
    Nothing,
    Pump(RunningPump),
    Board(Switchboard, Option<RunningPump>),
}

/// Opens both sides.
pub(super) fn open(dir: &ContainerDir, launch: &Launch) -> Result<(Ours, Theirs), LaunchError> {
    let (spec, owner) = (&launch.spec, owner(launch));
    let failed = |error| LaunchError::shim("open the output in the sandbox", error);
    match &spec.inside {
        Some(inside) => open_board(dir, launch, inside),
        None if spec.output.max_bytes == 0 => Ok((Ours::Nothing, Theirs::Files)),
        None => {
            let (pump, ends) = open_output(&spec.sandbox, spec.output, owner).map_err(failed)?;
            Ok((Ours::Pump(pump), Theirs::Output(ends)))
        }
    }
}

fn owner(launch: &Launch) -> Option<(u32, u32)> {
    launch.account.as_ref().filter(|it| it.switch).map(|it| (it.uid, it.gid))
}

fn open_board(
    dir: &ContainerDir,
    launch: &Launch,
    inside: &Inside,
) -> Result<(Ours, Theirs), LaunchError> {
    let failed = |error| LaunchError::shim("open the payload's streams", error);
    let files = match inside.is_session {
        true => None,
        false => Some(open_files(launch, &inside.beneath).map_err(failed)?),
    };
    let listener = switchboard::bind(dir.path()).map_err(failed)?;
    let (ends, theirs) = match inside.terminal {
        Some(size) => open_terminal(launch, size),
        None => open_pipes(launch, inside.is_session),
    }
    .map_err(failed)?;
    Ok((Ours::Board { listener, ends, files, is_session: inside.is_session }, theirs))
}

fn open_files(launch: &Launch, beneath: &Path) -> io::Result<(OutputPump, OutputEnds)> {
    let spec = &launch.spec;
    let relative = spec.sandbox.strip_prefix(beneath).map_err(io::Error::other)?;
    let sandbox = open_beneath(&open_directory(beneath)?, relative)?;
    let max_bytes = Some(spec.output.max_bytes).filter(|it| 0 < *it).unwrap_or(u64::MAX);
    let limits = OutputLimits { max_bytes, ..spec.output };
    open_output(&through(&sandbox), limits, owner(launch))
}

fn open_terminal(
    launch: &Launch,
    size: crate::WindowSize,
) -> io::Result<(switchboard::Ends, Theirs)> {
    let around = launch.plan.inside.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
    let made = terminal::make(around.around.pid, size, owner(launch))?;
    if !around.around.is_alive() {
        return Err(io::Error::other("the container around it has ended"));
    }
    let ends = switchboard::Ends {
        input: Some(made.ours.try_clone()?),
        terminal: Some(made.ours.try_clone()?.into()),
        outputs: vec![(Piece::Stdout, made.ours)],
    };
    Ok((ends, Theirs::Terminal(made.theirs)))
}

fn open_pipes(launch: &Launch, reads: bool) -> io::Result<(switchboard::Ends, Theirs)> {
    let (stdout, stdout_end) = io::pipe()?;
    let (stderr, stderr_end) = io::pipe()?;
    let stdin = if reads { Some(io::pipe()?) } else { None };
    if let Some((uid, gid)) = owner(launch) {
        // So that it can open its own streams by name, as `/dev/stdout`.
        for end in [&stdout_end, &stderr_end] {
            std::os::unix::fs::fchown(end, Some(uid), Some(gid))?;
        }
        if let Some((end, _)) = &stdin {
            std::os::unix::fs::fchown(end, Some(uid), Some(gid))?;
        }
    }
    let (stdin_end, input) = stdin.unzip();
    let file = |it: PipeReader| File::from(OwnedFd::from(it));
    let ends = switchboard::Ends {
        input: input.map(|it: PipeWriter| File::from(OwnedFd::from(it))),
        outputs: vec![(Piece::Stdout, file(stdout)), (Piece::Stderr, file(stderr))],
        terminal: None,
    };
    Ok((ends, Theirs::Pipes(stdin_end, stdout_end, stderr_end)))
}

impl Ours {
    /// Sets to work; `end` ends the payload.
    pub(super) fn start(self, end: Box<dyn Fn() + Send + Sync>) -> io::Result<Carried> {
        match self {
            Ours::Nothing => Ok(Carried::Nothing),
            Ours::Pump(pump) => pump.start().map(Carried::Pump),
            Ours::Board { listener, ends, files, is_session } => {
                let (pump, files) = files.unzip();
                let pump = pump.map(OutputPump::start).transpose()?;
                let file = |it: PipeWriter| File::from(OwnedFd::from(it));
                let files: Option<OutputEnds> = files;
                let files = files.map_or_else(Vec::new, |it| {
                    vec![(Piece::Stdout, file(it.stdout)), (Piece::Stderr, file(it.stderr))]
                });
                let board = Switchboard::start(listener, ends, files, is_session, end)?;
                Ok(Carried::Board(board, pump))
            }
        }
    }
}

impl Carried {
    /// Waits until all that was printed is where it belongs; to files not longer than this, as a disk may hang.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        match self {
            Carried::Nothing => true,
            Carried::Pump(pump) => pump.wait(patience),
            Carried::Board(board, pump) => {
                board.finish(patience) && pump.as_ref().is_none_or(|it| it.wait(patience))
            }
        }
    }
}

//! What travels between a container's switchboard and a connection: pieces become messages, and messages pieces.
//!
//! It never holds more than one of them: whoever does not read holds up whoever writes.

use std::os::unix::net::UnixStream as StdStream;

use futures_util::stream;
use holdfast_api::requests::WindowRows;
use holdfast_containers::{Piece, WindowSize, PIECE_BYTES_MAX};
use holdfast_proto::mesos::v1::agent::process_io::{self, control, data};
use holdfast_proto::mesos::v1::agent::ProcessIo;
use holdfast_wire::{ProcessInput, ProcessOutput, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::refusals::http;

fn opened(stream: StdStream) -> Result<UnixStream, Refusal> {
    let opened = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
    opened.map_err(|error| Refusal::internal(format!("the container's socket: {error}")))
}

/// What is printed, until the switchboard closes the connection.
///
/// # Errors
/// When the process has no descriptor left.
pub fn output(stream: StdStream) -> Result<ProcessOutput, Refusal> {
    let stream = opened(stream)?;
    Ok(Box::pin(stream::unfold(stream, |mut stream| async {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.ok()?;
        let (piece, length) = Piece::of_head(head)?;
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.ok()?;
        Some((printed(piece, bytes), stream))
    })))
}

fn printed(piece: Piece, bytes: Vec<u8>) -> ProcessIo {
    let kind = match piece {
        Piece::Stderr => data::Type::Stderr,
        Piece::Stdout | Piece::Stdin | Piece::Window => data::Type::Stdout,
    };
    let data = process_io::Data { r#type: Some(kind.into()), data: Some(bytes) };
    ProcessIo {
        r#type: Some(process_io::Type::Data.into()),
        data: Some(data),
        ..ProcessIo::default()
    }
}

/// Passes on what is sent, until that ends or the container does.
///
/// # Errors
/// 400 for what is no input.
pub async fn pass_on(stream: StdStream, mut input: ProcessInput) -> Result<(), Refusal> {
    let (mut over, mut stream) = opened(stream)?.into_split();
    let mut nothing = [0; 1];
    loop {
        let next = tokio::select! {
            next = input.next() => next?,
            _ = over.read(&mut nothing) => return Ok(()),
        };
        let Some(message) = next else { return Ok(()) };
        let Some((piece, bytes)) = typed(message)? else { continue };
        let parts: Vec<&[u8]> = match bytes.is_empty() {
            true => vec![&[]],
            false => bytes.chunks(PIECE_BYTES_MAX).collect(),
        };
        for part in parts {
            let sent = async {
                stream.write_all(&piece.head(part.len())).await?;
                stream.write_all(part).await
            };
            if sent.await.is_err() {
                return Ok(()); // It has ended.
            }
        }
    }
}

/// What a message asks to be passed on; nothing for a sign of life.
fn typed(message: ProcessIo) -> Result<Option<(Piece, Vec<u8>)>, Refusal> {
    let missing = |field: &str| {
        Refusal::bad_request(format!("process_io.{field}: set it, with what is meant"))
    };
    match message.r#type() {
        process_io::Type::Data => {
            let data = message.data.ok_or_else(|| missing("data"))?;
            match data.r#type() {
                data::Type::Stdin => Ok(Some((Piece::Stdin, data.data.unwrap_or_default()))),
                _ => Err(Refusal::bad_request("process_io.data.type: only STDIN can be sent")),
            }
        }
        process_io::Type::Control => {
            let control = message.control.ok_or_else(|| missing("control"))?;
            match control.r#type() {
                control::Type::Heartbeat => Ok(None),
                control::Type::TtyInfo => {
                    let tty = control.tty_info.ok_or_else(|| missing("control.tty_info"))?;
                    let WindowRows { rows, columns } = WindowRows::parse(&tty).map_err(http)?;
                    Ok(Some((Piece::Window, WindowSize { rows, columns }.bytes().to_vec())))
                }
                control::Type::Unknown => Err(missing("control.type")),
            }
        }
        process_io::Type::Unknown => Err(missing("type")),
    }
}

//! What is typed, on its way to a command in a container: bytes as they come, the end of them, and the terminal's size.
//!
//! Standard input is read on a thread of its own, which nobody waits for: it may wait for ever for somebody to type.

use std::io::Read;

use holdfast_node::own_terminal::WindowSize;
use holdfast_proto::mesos::v1::agent::process_io::{self, control};
use holdfast_proto::mesos::v1::agent::ProcessIo;
use holdfast_proto::mesos::v1::{self, tty_info};
use tokio::sync::mpsc;

use super::task_exec::stdin;

/// How much is read at once.
const PIECE_BYTES: usize = 32 << 10;
/// What a terminal takes for the end of input, at the beginning of a line.
const END_OF_TRANSMISSION: u8 = 4;

/// The way to the command.
pub struct Typed(mpsc::Sender<ProcessIo>);

impl Typed {
    /// Begins to read, if anything is to be read. Where nothing is, and no terminal either, the command hears at once that there is nothing:
    /// it would wait for ever.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn begin(
        sender: mpsc::Sender<ProcessIo>,
        reads: bool,
        has_terminal: bool,
    ) -> std::io::Result<Typed> {
        if reads || !has_terminal {
            let sender = sender.clone();
            let pass = move || match reads {
                true => read(std::io::stdin(), &sender, has_terminal),
                false => read(std::io::empty(), &sender, has_terminal),
            };
            std::thread::Builder::new().name("input".to_owned()).spawn(pass)?;
        }
        Ok(Typed(sender))
    }

    /// Sends one piece. That nobody takes it any more is told by the end of the output.
    pub async fn send(&self, piece: ProcessIo) {
        let _ = self.0.send(piece).await;
    }
}

/// Reads to the end, and passes the end on, too: a terminal is told of it by a letter.
fn read(mut input: impl Read, sender: &mpsc::Sender<ProcessIo>, has_terminal: bool) {
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let count = match input.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(count) => count,
            Err(_) => 0,
        };
        let piece = match (count, has_terminal) {
            (0, true) => vec![END_OF_TRANSMISSION],
            _ => bytes[..count].to_vec(),
        };
        if sender.blocking_send(stdin(piece)).is_err() || count == 0 {
            return;
        }
    }
}

/// The terminal has another size.
pub fn resized(size: WindowSize) -> ProcessIo {
    let window_size = tty_info::WindowSize { rows: size.rows.into(), columns: size.columns.into() };
    let control = process_io::Control {
        r#type: Some(control::Type::TtyInfo.into()),
        tty_info: Some(v1::TtyInfo { window_size: Some(window_size) }),
        ..process_io::Control::default()
    };
    ProcessIo {
        r#type: Some(process_io::Type::Control.into()),
        control: Some(control),
        ..ProcessIo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(input: &[u8], has_terminal: bool) -> Vec<Vec<u8>> {
        let (sender, mut receiver) = mpsc::channel(16);
        read(input, &sender, has_terminal);
        drop(sender);
        std::iter::from_fn(|| receiver.blocking_recv())
            .map(|it| it.data.unwrap().data.unwrap())
            .collect()
    }

    #[test]
    fn input_goes_whole_and_with_its_end() {
        let long = vec![b'x'; PIECE_BYTES + 1];
        let pieces = sent(&long, false);
        assert_eq!(pieces.concat(), long);
        assert_eq!((pieces.len(), pieces.last().unwrap().len()), (3, 0));
        assert_eq!(sent(b"a", true), [b"a".to_vec(), vec![4]]);
        assert_eq!(sent(b"", false), [b"".to_vec()]);
    }
}

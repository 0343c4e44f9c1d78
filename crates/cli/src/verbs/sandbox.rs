//! What a task writes, read from afar: its `stdout` and `stderr` in its sandbox on its agent.
//!
//! Relies on sandboxes being laid out as Mesos lays them out. Never holds more of a file than one piece.

use holdfast_api::rows::TaskRow;
use holdfast_proto::mesos::v1::agent::call::{ReadFile, Type};
use holdfast_proto::mesos::v1::agent::Call;
use holdfast_wire::{ClientError, MesosClient};

use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR};
use crate::output::Console;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stream {
    /// What it prints.
    Stdout,
    /// What it complains about.
    Stderr,
}

impl Stream {
    /// Both.
    pub const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    fn file(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// What was written before an agent that keeps output short began the file anew.
    fn older_file(self) -> String {
        format!("{}.1", self.file())
    }

    fn put(self, console: &Console, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Stdout => console.put_bytes(bytes),
            Stream::Stderr => {
                console.note_bytes(bytes);
                Ok(())
            }
        }
    }
}

/// The files of one task, and how far they were read.
#[derive(Clone, Debug)]
pub struct Sandbox {
    client: MesosClient,
    address: String,
    /// Where the task's files may be, the likelier place first; the first that has them stays alone.
    places: Vec<String>,
    read_bytes: [u64; 2],
    /// Whether a beginning was chosen, or passed.
    begun: [bool; 2],
}

impl Sandbox {
    /// The sandbox of a task in the masters' list.
    ///
    /// # Errors
    /// When its agent's address is not known.
    pub fn of(context: &Context, task: &TaskRow) -> Result<Sandbox, Failure> {
        let Some(address) = &task.agent_address else {
            let cause = format!("nobody knows where agent {} of task `{}` is", task.agent, task.id);
            return Err(Failure::new(EXIT_CONFLICT, cause, "see `holdfast agent list`"));
        };
        let run = format!(
            "{}/frameworks/{}/executors/{}/runs/latest",
            task.agent, task.framework, task.executor
        );
        Ok(Sandbox::at(context, address, run, &task.id))
    }

    /// The sandbox of a task of the executor whose newest run is this, on the agent at `address`.
    pub fn at(context: &Context, address: &str, run: String, task: &str) -> Sandbox {
        Sandbox {
            client: context.master.client().clone(),
            address: address.to_owned(),
            // Tasks of a group have a directory of their own within their executor's.
            places: vec![format!("{run}/tasks/{task}"), run],
            read_bytes: [0, 0],
            begun: [false, false],
        }
    }

    /// Skips all but the last `bytes` of a file.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn skip_to_last(&mut self, stream: Stream, bytes: u64) -> Result<(), Failure> {
        self.begun[stream as usize] = true;
        if let Some((size, _)) = self.read(stream.file(), 0, Some(0)).await? {
            self.read_bytes[stream as usize] = size.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Copies what was written since the last time; `false` when there is no such file (yet).
    ///
    /// # Errors
    /// When the agent does not answer, or nobody reads what is written.
    pub async fn copy(&mut self, stream: Stream, console: &Console) -> anyhow::Result<bool> {
        loop {
            let offset = self.read_bytes[stream as usize];
            let Some((size, data)) = self.read(stream.file(), offset, None).await? else {
                return Ok(false);
            };
            let is_first = !std::mem::replace(&mut self.begun[stream as usize], true);
            if size < offset || is_first {
                let whole = self.copy_older(stream, offset, console).await?;
                if !whole && !is_first {
                    console.note(&format!(
                        "{} became shorter and not all of it was kept; it is shown from its beginning",
                        stream.file()
                    ));
                }
                self.read_bytes[stream as usize] = 0;
                if size < offset {
                    continue;
                }
            }
            if data.is_empty() {
                return Ok(true);
            }
            self.read_bytes[stream as usize] += data.len() as u64;
            stream.put(console, &data)?;
        }
    }

    /// Copies the rest of what was written before the file began anew; `false` when that is not there any more.
    async fn copy_older(
        &mut self,
        stream: Stream,
        mut offset: u64,
        console: &Console,
    ) -> anyhow::Result<bool> {
        loop {
            match self.read(&stream.older_file(), offset, None).await? {
                Some((size, _)) if size < offset => return Ok(false),
                Some((_, data)) if data.is_empty() => return Ok(true),
                Some((_, data)) => {
                    offset += data.len() as u64;
                    stream.put(console, &data)?;
                }
                None => return Ok(false),
            }
        }
    }

    /// A piece of a file and the file's size.
    async fn read(
        &mut self,
        file: &str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        for at in 0..self.places.len() {
            let path = format!("{}/{file}", self.places[at]);
            let read_file = Some(ReadFile { path, offset, length });
            let call = Call { r#type: Some(Type::ReadFile.into()), read_file, ..Call::default() };
            match self.client.agent_operator(&self.address, &call).await {
                Ok(answer) => {
                    self.places = vec![self.places.swap_remove(at)];
                    return Ok(answer.and_then(|it| it.read_file).map(|it| (it.size, it.data)));
                }
                Err(ClientError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(self.unreadable(error)),
            }
        }
        Ok(None)
    }

    fn unreadable(&self, error: ClientError) -> Failure {
        match error {
            ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => {
                let cause = format!(
                    "the agent at {} does not answer, and only it has the task's files",
                    self.address
                );
                Failure::new(EXIT_ERROR, cause, "see how it is: `holdfast agent list`")
            }
            other => Failure::from(other),
        }
    }
}

//! `attach` connects to the payload of a container inside another.
//!
//! It relies on the shim's switchboard. It holds no gate, and never waits for a payload.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::durable::FileError;
use crate::launcher::Launcher;
use crate::record::Condition;
use crate::switchboard::{self, Attachment, NOTHING, TAKEN, WELCOME};

/// How long a shim may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nobody was attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is no such container, or it does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id of the container.
        id: String,
    },
    /// Somebody else is attached so, and only one can be.
    #[error("container {id} has somebody attached already; wait until they are gone")]
    Taken {
        /// The id of the container.
        id: String,
    },
    /// It is not made for this.
    #[error("container {id} has nothing to attach to in this way: it was started without")]
    Nothing {
        /// The id of the container.
        id: String,
    },
    /// Its shim did not answer.
    #[error("container {id} cannot be attached to: {detail}")]
    Broken {
        /// The id of the container.
        id: String,
        /// What went wrong.
        detail: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Launcher {
    /// Connects. What then travels is pieces, each with a [`crate::Piece::head`] before it.
    pub fn attach(&self, id: &str, how: Attachment) -> Result<UnixStream, AttachError> {
        let id = id.to_string();
        if crate::spec_check::check_id(&id).is_err() {
            return Err(AttachError::NotRunning { id });
        }
        let dir = self.dir(&id);
        match dir.condition()? {
            Condition::Running { .. } => {}
            _ => return Err(AttachError::NotRunning { id }),
        }
        let is_inside = dir.launch()?.is_some_and(|it| it.spec.inside.is_some());
        if !is_inside {
            return Err(AttachError::Nothing { id });
        }
        let spoken = switchboard::connect(dir.path()).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&[how.byte()])?;
            let mut answer = [0];
            stream.read_exact(&mut answer)?;
            stream.set_read_timeout(None)?;
            Ok((stream, answer[0]))
        });
        match spoken {
            Ok((stream, WELCOME)) => Ok(stream),
            Ok((_, TAKEN)) => Err(AttachError::Taken { id }),
            Ok((_, NOTHING)) => Err(AttachError::Nothing { id }),
            Ok((_, other)) => {
                Err(AttachError::Broken { id, detail: format!("its shim answered {other}") })
            }
            Err(error) => Err(AttachError::Broken { id, detail: error.to_string() }),
        }
    }
}

//! What a command wants fetched.
//!
//! Relies on descriptions of tasks and executors being kept as received: what is to be fetched is in them. Never fetches.

use holdfast_proto::mesos::v1;

use super::field::Place;
use super::rest::unpack;
use crate::fetch::FetchUri;
use crate::task::{ExecutorInfo, OpaquePayload, TaskInfo};
use crate::validate::Invalid;

/// The most that one command may want fetched.
const URIS_MAX: usize = 1000;

/// What the command of a task wants fetched.
///
/// # Errors
/// [`Invalid`] naming the field, such as `command.uris[0].value`.
pub fn of_task(task: &TaskInfo) -> Result<Vec<FetchUri>, Invalid> {
    of_task_payload(&task.payload)
}

/// As [`of_task`], from a task's description as received.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn of_task_payload(payload: &OpaquePayload) -> Result<Vec<FetchUri>, Invalid> {
    of_command(unpack::<v1::TaskInfo>(payload).command)
}

/// What the command of an executor wants fetched.
///
/// # Errors
/// [`Invalid`] naming the field, such as `command.uris[0].value`.
pub fn of_executor(executor: &ExecutorInfo) -> Result<Vec<FetchUri>, Invalid> {
    of_command(unpack::<v1::ExecutorInfo>(&executor.payload).command)
}

fn of_command(command: Option<v1::CommandInfo>) -> Result<Vec<FetchUri>, Invalid> {
    let uris = command.map(|it| it.uris).unwrap_or_default();
    if URIS_MAX < uris.len() {
        let why = format!("are {}; {URIS_MAX} at most, or an archive of them", uris.len());
        return Err(Invalid::new("command.uris", why));
    }
    let read = |(index, wire): (usize, v1::command_info::Uri)| {
        let uri = FetchUri {
            value: wire.value,
            executable: wire.executable.unwrap_or(false),
            extract: wire.extract.unwrap_or(true),
            cache: wire.cache.unwrap_or(false),
            output_file: wire.output_file,
        };
        uri.check().map(|()| uri).under(format_args!("command.uris[{index}]"))
    };
    uris.into_iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_what_is_to_be_fetched_is_read_or_named() {
        let uri =
            |value: &str| v1::command_info::Uri { value: value.to_owned(), ..Default::default() };
        let task = |uris| {
            let command = v1::CommandInfo { uris, ..Default::default() };
            v1::TaskInfo { command: Some(command), ..Default::default() }.command
        };
        let read = of_command(task(vec![uri("/a/b")])).unwrap();
        assert!(read[0].extract && !read[0].cache && !read[0].executable);
        let bad = of_command(task(vec![uri("/a/b"), uri("b")])).unwrap_err();
        assert_eq!(bad.path, "command.uris[1].value");
        assert_eq!(of_command(task(vec![uri("/a/b"); 1001])).unwrap_err().path, "command.uris");
        assert_eq!(of_command(None), Ok(Vec::new()));
    }
}

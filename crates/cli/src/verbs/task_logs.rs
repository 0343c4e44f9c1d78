//! `task logs`: what a task wrote; its standard output to ours, its standard error to ours.

use std::time::Duration;

use holdfast_api::rows::TaskRow;
use tokio::time::Instant;

use super::choose;
use super::rows::Received;
use super::sandbox::{Sandbox, Stream};
use super::show::TIME_IS_OVER;
use super::task_kill::of_framework;
use super::Context;
use crate::failure::{Failure, EXIT_TIMEOUT};
use crate::sizes::parse_size_mb;

/// How often files are looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Whose files, and which.
#[derive(Clone, Debug, clap::Args)]
pub struct TaskLogsArgs {
    /// The task's id, the beginning of it, or its name; of several with a name the one that lives.
    pub task: String,
    /// Whose, when two frameworks have such a task.
    #[arg(long)]
    pub framework: Option<String>,
    /// Go on until the task has ended.
    #[arg(short, long)]
    pub follow: bool,
    /// Only this one of the two.
    #[arg(long, value_enum)]
    pub only: Option<Stream>,
    /// Begin this much before the end: 1 (MB), 2GiB ...
    #[arg(long, value_parser = parse_size_mb, value_name = "SIZE")]
    pub tail: Option<u64>,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such task, or its agent does not answer.
pub async fn run(context: &Context, args: &TaskLogsArgs) -> anyhow::Result<i32> {
    let tasks = of_framework(context, args.framework.as_deref()).await?;
    let task = choose(&tasks, &args.task)?;
    let streams: Vec<Stream> =
        Stream::BOTH.into_iter().filter(|it| args.only.is_none_or(|only| only == *it)).collect();
    let mut sandbox = Sandbox::of(context, task)?;
    if let Some(tail_mb) = args.tail {
        for stream in &streams {
            sandbox.skip_to_last(*stream, tail_mb.saturating_mul(1 << 20)).await?;
        }
    }
    let until = context.timeout.map(|it| Instant::now() + it);
    let mut again = tokio::time::interval(LOOK_AGAIN);
    loop {
        // Asked before the files are read: what an ended task wrote is all there.
        let whole = !args.follow || has_ended(context, task).await?;
        let over = whole || until.is_some_and(|it| it <= Instant::now());
        let mut found = false;
        for stream in &streams {
            found |= sandbox.copy(*stream, &context.console).await?;
        }
        if over && !found {
            let cause = format!("task `{}` has no files on its agent", task.id);
            return Err(Failure::not_found(
                cause,
                "it may not have started yet, or its sandbox is gone: `holdfast task list -o wide`",
            )
            .into());
        }
        if whole {
            return Ok(0);
        }
        if over {
            context.remark(TIME_IS_OVER);
            return Ok(EXIT_TIMEOUT);
        }
        again.tick().await;
    }
}

/// The task that is meant; one that lives goes before those that ended.
pub fn choose<'a>(
    tasks: &'a [Received<TaskRow>],
    given: &str,
) -> Result<&'a Received<TaskRow>, Failure> {
    let first = choose::choose(tasks, given);
    if first.is_ok() {
        return first;
    }
    let live: Vec<Received<TaskRow>> = tasks.iter().filter(|it| !it.ended).cloned().collect();
    match choose::choose(&live, given) {
        Ok(task) => tasks.iter().find(|it| *it == task).map_or(first, Ok),
        Err(_) => first,
    }
}

async fn has_ended(context: &Context, task: &TaskRow) -> Result<bool, Failure> {
    let tasks = context.master.rows::<TaskRow>().await?;
    let now = tasks.iter().find(|it| it.id == task.id && it.framework == task.framework);
    Ok(now.is_none_or(|it| it.ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn of_several_with_a_name_the_one_that_lives_is_meant() {
        let task = |id: &str, ended: bool| -> Received<TaskRow> {
            testbed::received(json!({ "id": id, "name": "node", "ended": ended }))
        };
        let tasks = [task("a", true), task("b", false), task("c", true)];
        assert_eq!(choose(&tasks, "node").unwrap().id, "b");
        assert_eq!(choose(&tasks, "a").unwrap().id, "a");
        assert_eq!(choose(&[task("a", true), task("b", true)], "node").unwrap_err().code, 1);
        assert_eq!(choose(&tasks, "x").unwrap_err().code, 3);
    }
}

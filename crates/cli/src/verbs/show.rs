//! Showing one thing, once or again and again.
//!
//! Relies on the verb for what there is to know of it. Every format has the same facts: a sheet for people, the rows that it was made of for
//! programs.

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::listing::WatchArgs;
use super::Context;
use crate::failure::{Failure, EXIT_NO_LEADER, EXIT_TIMEOUT};

/// How often it is read again while it is watched.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A thing as it is now.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// All of it, for programs.
    pub value: Value,
    /// All of it, for people.
    pub sheet: String,
}

/// Shows a thing; with --watch, again whenever it has changed, until the time is over.
///
/// # Errors
/// Those of `read`. While it is watched, masters may be away for a while.
pub async fn show<F>(
    context: &Context,
    args: WatchArgs,
    read: impl Fn() -> F,
) -> anyhow::Result<i32>
where
    F: Future<Output = Result<Shown, Failure>>,
{
    let mut shown = read().await?;
    put(context, args, &shown)?;
    if !args.watch {
        return Ok(0);
    }
    let until = context.timeout.map(|it| Instant::now() + it);
    let mut again = tokio::time::interval(LOOK_AGAIN);
    again.tick().await;
    let mut away = false;
    loop {
        again.tick().await;
        if until.is_some_and(|it| it <= Instant::now()) {
            context.remark(TIME_IS_OVER);
            return Ok(EXIT_TIMEOUT);
        }
        match read().await {
            Ok(now) => {
                away = false;
                // How long ago something was changes by itself; a person sees it, a program is told only of what happened.
                if is_refreshed(context) || now.value != shown.value {
                    put(context, args, &now)?;
                }
                shown = now;
            }
            // The next leader goes on where this one stopped.
            Err(failure) if [EXIT_NO_LEADER, EXIT_TIMEOUT].contains(&failure.code) => {
                if !std::mem::replace(&mut away, true) {
                    context.console.note(&format!("{}; still trying", failure.cause));
                }
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// What is said when --timeout ends a verb that goes on by itself.
pub const TIME_IS_OVER: &str = "the time that --timeout gave is over";

fn is_refreshed(context: &Context) -> bool {
    context.console.is_terminal && context.format.is_table() && !context.quiet
}

fn put(context: &Context, args: WatchArgs, shown: &Shown) -> std::io::Result<()> {
    match (context.quiet, context.format.is_table()) {
        (true, _) => context.console.put(&format!("{}\n", shown.id)),
        (false, true) if args.watch && is_refreshed(context) => {
            context.console.put(&format!("\x1b[H\x1b[2J{}", shown.sheet))
        }
        (false, true) => context.console.put(&shown.sheet),
        (false, false) => context.put_value(&shown.value),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::output::Format;
    use crate::verbs::testbed;

    fn sheet() -> Shown {
        Shown { id: "x".to_owned(), value: Value::Null, sheet: "the sheet\n".to_owned() }
    }

    #[tokio::test]
    async fn a_thing_is_shown_again_when_it_has_changed() {
        let (context, data, remarks) = testbed::context("127.0.0.1:1", None);
        let context = Context { format: Format::Json, ..context };
        let looks = Cell::new(0);
        let read = || {
            looks.set(looks.get() + 1);
            std::future::ready(match looks.get() {
                2 => Err(Failure::new(EXIT_NO_LEADER, "nobody leads", "wait")),
                5 => Err(Failure::not_found("it is gone", "x")),
                look => Ok(Shown {
                    id: "x".to_owned(),
                    value: Value::from(look / 4),
                    sheet: String::new(),
                }),
            })
        };
        assert!(show(&context, WatchArgs { watch: true }, read).await.is_err());
        assert_eq!(
            (data.text().as_str(), remarks.text().as_str()),
            ("0\n1\n", "nobody leads; still trying\n")
        );
    }

    #[tokio::test]
    async fn watching_has_an_end_of_its_own() {
        let (context, data, remarks) = testbed::context("127.0.0.1:1", None);
        let context = Context { timeout: Some(Duration::from_millis(1)), ..context };
        let read = || std::future::ready(Ok(sheet()));
        assert_eq!(show(&context, WatchArgs { watch: true }, read).await.unwrap(), EXIT_TIMEOUT);
        assert_eq!(
            (data.text(), remarks.text()),
            ("the sheet\n".to_owned(), format!("{TIME_IS_OVER}\n"))
        );
    }

    #[tokio::test]
    async fn without_watch_it_is_shown_once_and_a_failure_is_told() {
        let (context, data, _) = testbed::context("127.0.0.1:1", None);
        let read = || std::future::ready(Ok(sheet()));
        assert_eq!(show(&context, WatchArgs::default(), read).await.unwrap(), 0);
        let quiet = Context { quiet: true, ..context };
        assert_eq!(show(&quiet, WatchArgs::default(), read).await.unwrap(), 0);
        assert_eq!(data.text(), "the sheet\nx\n");
        let gone = || std::future::ready(Err(Failure::not_found("no", "x")));
        assert!(show(&quiet, WatchArgs { watch: true }, gone).await.is_err());
    }
}

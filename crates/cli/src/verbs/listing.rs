//! Showing a list, once or again and again.
//!
//! Relies on the master for the order of rows. Never hides a row: filters are the verbs' own and said.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::context::{now_ms, Context};
use super::rows::{Listed, Received};
use super::show::TIME_IS_OVER;
use super::watch;
use crate::failure::{Failure, EXIT_NO_LEADER, EXIT_TIMEOUT};
use crate::output::Table;

/// How often a list is read again while it is watched.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A list that the masters serve, for people.
pub struct Listing<T: 'static> {
    /// The rows as a table, at a time in milliseconds since 1970.
    pub table: fn(&[&T], u64) -> Table,
}

/// How a list is read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct WatchArgs {
    /// Go on: on a terminal the table is refreshed, elsewhere there is a line for each change.
    #[arg(short, long)]
    pub watch: bool,
}

impl<T: Listed> Listing<T> {
    /// Shows the rows that `keep` keeps.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn show(
        &self,
        context: &Context,
        args: WatchArgs,
        keep: impl Fn(&T) -> bool,
    ) -> anyhow::Result<i32> {
        let rows = self.rows(context, &keep).await?;
        if args.watch {
            return self.watch(context, rows, keep).await;
        }
        if rows.is_empty() {
            context.remark(&format!("there are no {}", T::WORDS));
        }
        if !(rows.is_empty() && context.format.is_table()) {
            context.console.put(&self.text(context, &rows))?;
        }
        Ok(0)
    }

    async fn rows(
        &self,
        context: &Context,
        keep: &impl Fn(&T) -> bool,
    ) -> Result<Vec<Received<T>>, Failure> {
        let mut rows = context.master.rows::<T>().await?;
        rows.retain(|it| keep(it));
        Ok(rows)
    }

    /// The rows as they shall be written.
    pub fn text(&self, context: &Context, rows: &[Received<T>]) -> String {
        if context.quiet {
            return rows.iter().map(|it| format!("{}\n", it.id())).collect();
        }
        match context.format.is_table() {
            true => self.table(rows).render(context.is_wide(), context.console.colours),
            false => context.format.text(&raw(rows)),
        }
    }

    /// The rows as a table, now.
    pub fn table(&self, rows: &[Received<T>]) -> Table {
        let rows: Vec<&T> = rows.iter().map(|it| &it.row).collect();
        (self.table)(&rows, now_ms())
    }

    async fn watch(
        &self,
        context: &Context,
        first: Vec<Received<T>>,
        keep: impl Fn(&T) -> bool,
    ) -> anyhow::Result<i32> {
        let until = context.timeout.map(|it| Instant::now() + it);
        let refreshed = context.console.is_terminal && context.format.is_table() && !context.quiet;
        let mut again = tokio::time::interval(LOOK_AGAIN);
        let (mut rows, mut away): (Vec<Received<T>>, bool) = (Vec::new(), false);
        let mut next = Some(first);
        loop {
            if let Some(new) = next.take() {
                let changes = watch::changes(&rows, &new);
                if refreshed {
                    context.console.put(&format!("\x1b[H\x1b[2J{}", self.text(context, &new)))?;
                } else {
                    let lines: String = changes
                        .iter()
                        .map(|it| it.line(T::ID, context.format, context.quiet))
                        .collect();
                    context.console.put(&lines)?;
                }
                rows = new;
            }
            again.tick().await;
            if until.is_some_and(|it| it <= Instant::now()) {
                context.remark(TIME_IS_OVER);
                return Ok(EXIT_TIMEOUT);
            }
            match self.rows(context, &keep).await {
                Ok(new) => (next, away) = (Some(new), false),
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
}

/// The rows as they were sent.
pub fn raw<T>(rows: &[Received<T>]) -> Value {
    rows.iter().map(|it| it.raw.clone()).collect()
}

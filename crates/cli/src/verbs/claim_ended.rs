//! `claim list --ended`: claims that are no more, how each ended and by whom, as far as anybody said.
//!
//! Relies on the masters, who remember a bounded number of them; they are read page by page. Never says that nobody ended a claim: where it
//! is not known, that is said.

use holdfast_api::rows::EndedClaimRow;
use serde_json::Value;

use super::claim_list::{holder_of, ClaimFilter};
use super::context::now_ms;
use super::rows::{Listed, Received};
use super::Context;
use crate::failure::{Failure, EXIT_ERROR};
use crate::output::{amounts, human, ids, Column, Table};

/// How many rows are asked for at once.
const PAGE_ROWS: usize = 1_000;

/// Reads ended claims page by page, oldest first.
pub struct EndedPages<'a> {
    context: &'a Context,
    pairs: Vec<(&'static str, String)>,
    after: u64,
    is_over: bool,
}

impl<'a> EndedPages<'a> {
    /// Those that these filters of the API name.
    pub fn new(context: &'a Context, pairs: Vec<(&'static str, String)>) -> EndedPages<'a> {
        EndedPages { context, pairs, after: 0, is_over: false }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// When no master answers or it refuses, or a row cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Received<EndedClaimRow>>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let (after, limit) = (self.after.to_string(), PAGE_ROWS.to_string());
        let mut pairs: Vec<(&str, &str)> =
            self.pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pairs.extend([("after", after.as_str()), ("limit", limit.as_str())]);
        let page = self.context.master.get(EndedClaimRow::PAGE, &pairs).await?;
        let Value::Array(rows) = page else {
            return Err(Failure::new(
                EXIT_ERROR,
                "the master's `ended-claims` are no list",
                "is it the same version as this program?",
            ));
        };
        self.is_over = rows.len() < PAGE_ROWS;
        let read = |it| Received::read(EndedClaimRow::PAGE, it);
        let rows: Vec<Received<EndedClaimRow>> =
            rows.into_iter().map(read).collect::<Result<_, _>>()?;
        self.after = rows.last().map_or(self.after, |it| it.number);
        Ok(Some(rows))
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`EndedPages::next`].
    pub async fn all(mut self) -> Result<Vec<Received<EndedClaimRow>>, Failure> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn run(context: &Context, filter: &ClaimFilter) -> anyhow::Result<i32> {
    let mut rows = EndedPages::new(context, filter.pairs(context).await?).all().await?;
    rows.retain(|it| filter.wants_kind(it.kind));
    if rows.is_empty() {
        context.remark("no claim that has ended is remembered");
    }
    if context.quiet {
        let ids: String = rows.iter().map(|it| format!("{}\n", it.id)).collect();
        context.console.put(&ids)?;
    } else if !context.format.is_table() {
        context.put_value(&super::listing::raw(&rows))?;
    } else if !rows.is_empty() {
        let rows: Vec<&EndedClaimRow> = rows.iter().map(|it| &it.row).collect();
        let table = table(&rows, now_ms());
        context.console.put(&table.render(context.is_wide(), context.console.colours))?;
    }
    Ok(0)
}

/// How a claim ended, in a few words.
pub fn how(row: &EndedClaimRow) -> String {
    let how = row.how.as_deref().unwrap_or("not known: its agent no longer has it");
    match &row.reason {
        Some(reason) => format!("{how} with its agent: {reason}"),
        None => how.to_owned(),
    }
}

fn table(rows: &[&EndedClaimRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::left("CLAIM ID").wide(),
        Column::left("KIND"),
        Column::left("ROLE"),
        Column::left("VOLUME").optional(),
        Column::left("RESOURCE"),
        Column::right("AMOUNT"),
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("HELD BY"),
        Column::left("ENDED"),
        Column::left("HOW"),
        Column::left("BY"),
        Column::left("DATA").optional(),
        Column::left("MADE").wide(),
        Column::left("DISK").wide(),
        Column::left("DISK PATH").wide(),
        Column::left("PRINCIPAL").wide(),
        Column::left("LABELS").wide(),
        Column::right("GENERATION").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        let labels = row.labels.join(", ");
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.kind.into(),
            row.role.as_str().into(),
            row.volume.as_deref().unwrap_or_default().into(),
            row.resource.as_str().into(),
            amounts::of(&row.resource, row.amount).into(),
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            holder_of(row.framework.as_deref(), row.kind).into(),
            human::ago(now_ms, row.ended_ms).into(),
            how(row).into(),
            human::or_dash(row.by.as_deref()).into(),
            row.data.map(|it| it.word()).unwrap_or_default().into(),
            human::ago(now_ms, row.created_ms).into(),
            human::or_dash(row.disk.as_deref()).into(),
            human::or_dash(row.disk_root.as_deref()).into(),
            human::or_dash(row.principal.as_deref()).into(),
            human::or_dash(Some(labels.as_str())).into(),
            row.generation.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    #[test]
    fn the_table() {
        let told = testbed::row(json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "volume": "data-0", "amount": 2048.0,
            "how": "given up", "by": "ops", "reason": null, "data": "not touched", "ended_ms": 30_000
        }));
        let noticed = testbed::row(
            json!({ "id": "bbbbbbbb-4151-6172-8393-a4b5c6d7e8f9", "amount": 5.0, "ended_ms": 60_000 }),
        );
        let text = "\
ID        KIND         ROLE  VOLUME  RESOURCE  AMOUNT  AGENT  HOST  HELD BY   ENDED    HOW                                    BY   DATA
aaaaaaaa  volume       db    data-0  disk       2 GiB  a      h     operator  30s ago  given up                               ops  not touched
bbbbbbbb  reservation  db            disk       5 MiB  a      h     the role  0s ago   not known: its agent no longer has it  -
";
        assert_eq!(table(&[&told, &noticed], 60_000).render(false, false), text);
    }
}

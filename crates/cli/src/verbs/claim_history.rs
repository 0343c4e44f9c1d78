//! `claim history`: all that is remembered of one claim, whether it is still there or has ended, also while its agent is away.
//!
//! Relies on the masters' memory. Never guesses between two claims that bore one name: they are listed.

use std::collections::BTreeSet;

use holdfast_api::rows::{ClaimKind, ClaimRow, EndedClaimRow, EventRow};
use serde_json::json;

use super::claim_ended::{how, EndedPages};
use super::claim_list;
use super::claim_list::holder_of;
use super::context::now_ms;
use super::rows::Received;
use super::sheet::Sheet;
use super::Context;
use crate::failure::{Failure, EXIT_ERROR};
use crate::output::{amounts, human, ids, Column, Table};

/// Which claim.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimHistoryArgs {
    /// Its id, the beginning of it, or the volume's name; it may have ended.
    pub claim: String,
}

/// Whether a claim of this id, and if it is a volume of this name, is meant.
type Way<'a> = &'a dyn Fn(&str, Option<&str>) -> bool;

/// All that is known of claims that may be meant.
struct Found {
    living: Vec<Received<ClaimRow>>,
    ended: Vec<Received<EndedClaimRow>>,
}

impl Found {
    fn ids(&self) -> BTreeSet<&str> {
        let living = self.living.iter().map(|it| it.id.as_str());
        living.chain(self.ended.iter().map(|it| it.id.as_str())).collect()
    }

    /// Those for which the same is true of their id and, if they are volumes, their name.
    fn narrowed(&self, is_meant: impl Fn(&str, Option<&str>) -> bool) -> BTreeSet<String> {
        let living = self.living.iter().map(|it| (it.id.as_str(), it.volume.as_deref()));
        let ended = self.ended.iter().map(|it| (it.id.as_str(), it.volume.as_deref()));
        let all = living.chain(ended);
        all.filter(|(id, name)| is_meant(id, *name)).map(|(id, _)| id.to_owned()).collect()
    }

    fn retain(&mut self, ids: &BTreeSet<String>) {
        self.living.retain(|it| ids.contains(&it.id));
        self.ended.retain(|it| ids.contains(&it.id));
    }
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, or no claim, or more than one, is meant.
pub async fn run(context: &Context, args: &ClaimHistoryArgs) -> anyhow::Result<i32> {
    let found = find(context, &args.claim).await?;
    if context.quiet {
        let ids: String = found.ids().iter().map(|it| format!("{it}\n")).collect();
        context.console.put(&ids)?;
    } else if context.format.is_table() {
        let sheet = sheet(&found, now_ms(), context.is_wide());
        context.console.put(&sheet.text())?;
        if let Some(gap) = gap(&events(&found)) {
            context.remark(gap);
        }
    } else {
        let ended: Vec<_> = found.ended.iter().map(|it| it.raw.clone()).collect();
        let living: Vec<_> = found.living.iter().map(|it| it.raw.clone()).collect();
        context.put_value(&json!({ "living": living, "ended": ended }))?;
    }
    Ok(0)
}

/// The claim that is meant: by its whole id, else by its name, else by the beginning of its id.
async fn find(context: &Context, given: &str) -> Result<Found, Failure> {
    let living = context.master.rows::<ClaimRow>().await?;
    let about = vec![("about", given.to_owned())];
    let ended = EndedPages::new(context, about).all().await?;
    let mut found = Found { living, ended };
    let ways: [Way<'_>; 3] = [&|id, _| id == given, &|_, name| name == Some(given), &|id, _| {
        !given.is_empty() && id.starts_with(given)
    }];
    for way in ways {
        let meant = found.narrowed(way);
        if meant.is_empty() {
            continue;
        }
        found.retain(&meant);
        return match meant.len() {
            1 => Ok(found),
            _ => Err(ambiguous(&found, given)),
        };
    }
    Err(Failure::not_found(
        format!(
            "no claim `{given}` is remembered, neither one that is there nor one that has ended"
        ),
        "see `holdfast claim list` and `holdfast claim list --ended`",
    ))
}

fn ambiguous(found: &Found, given: &str) -> Failure {
    let now = now_ms();
    let living = found.living.iter().map(|it| {
        let what = it.volume.as_deref().unwrap_or("reservation");
        (it.id.clone(), format!("{} ({what}, role {}, {})", it.id, it.role, it.state))
    });
    let ended = found.ended.iter().map(|it| {
        let what = it.volume.as_deref().unwrap_or("reservation");
        let when = human::ago(now, it.ended_ms);
        (it.id.clone(), format!("{} ({what}, role {}, ended {when})", it.id, it.role))
    });
    let mut seen = BTreeSet::new();
    let lines: Vec<String> =
        living.chain(ended).filter(|(id, _)| seen.insert(id.clone())).map(|(_, it)| it).collect();
    let cause =
        format!("`{given}` could be any of {} claims:\n    {}", lines.len(), lines.join("\n    "));
    Failure::new(EXIT_ERROR, cause, "name one by its id")
}

/// What happened to it, wherever it was, oldest first.
fn events(found: &Found) -> Vec<&EventRow> {
    let living = found.living.iter().flat_map(|it| &it.history);
    let mut events: Vec<&EventRow> =
        found.ended.iter().flat_map(|it| &it.history).chain(living).collect();
    events.sort_by_key(|it| (it.at_ms, it.generation));
    events.dedup();
    events
}

/// A claim keeps its first event and its newest.
fn gap(events: &[&EventRow]) -> Option<&'static str> {
    let has_gap = events.windows(2).any(|it| it[0].generation + 1 < it[1].generation);
    has_gap.then_some(
        "of this history the first event and the newest are kept; some in between are not",
    )
}

fn sheet(found: &Found, now_ms: u64, wide: bool) -> Sheet {
    let mut sheet = Sheet::default();
    for it in &found.ended {
        end_sheet(&mut sheet, it, now_ms);
    }
    for it in &found.living {
        let state = it.fault.as_ref().map_or_else(
            || it.state.word().to_owned(),
            |why| format!("{}: {why}", it.state.word()),
        );
        sheet
            .line("what", what(it.kind, it.volume.as_deref()))
            .line("claim", &it.id)
            .line("holds", format!("{} {}", it.resource, amounts::of(&it.resource, it.amount)))
            .line("role", &it.role)
            .line("held by", claim_list::holder(it))
            .line("agent", format!("{} ({}, {})", it.agent, it.hostname, it.agent_state))
            .line("disk", it.disk.as_deref().unwrap_or_default())
            .line("state", state);
    }
    sheet.table("History", &table(&events(found)), wide, false);
    sheet
}

fn what(kind: ClaimKind, volume: Option<&str>) -> String {
    volume.map_or_else(|| kind.word().to_owned(), |it| format!("volume {it}"))
}

fn end_sheet(sheet: &mut Sheet, it: &EndedClaimRow, now_ms: u64) {
    let when = human::ago(now_ms, it.ended_ms);
    let ended = match &it.by {
        Some(by) => format!("{} by {by}, {when}", how(it)),
        None => format!("{}; noticed {when}", how(it)),
    };
    sheet
        .line("what", what(it.kind, it.volume.as_deref()))
        .line("claim", &it.id)
        .line("held", format!("{} {}", it.resource, amounts::of(&it.resource, it.amount)))
        .line("role", &it.role)
        .line("held by", holder_of(it.framework.as_deref(), it.kind))
        .line("agent", format!("{} ({})", ids::short(&it.agent), it.hostname))
        .line("disk", it.disk.as_deref().unwrap_or_default())
        .line("ended", ended)
        .line("data", it.data.map(|it| it.word()).unwrap_or_default());
}

fn table(events: &[&EventRow]) -> Table {
    let mut table = Table::new(&[
        Column::left("WHEN"),
        Column::right("GENERATION"),
        Column::left("WHAT"),
        Column::left("OPERATION"),
        Column::left("BY"),
    ]);
    for event in events {
        table.push(vec![
            human::ctx(event.at_ms).into(),
            event.generation.into(),
            event.what.as_str().into(),
            human::or_dash(event.operation.as_deref()).into(),
            event.by.as_str().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    fn event(
        at_ms: u64,
        generation: u64,
        what: &str,
        operation: Option<&str>,
    ) -> serde_json::Value {
        json!({ "at_ms": at_ms, "generation": generation, "what": what, "by": "ops", "operation": operation })
    }

    #[test]
    fn the_history_of_one_that_has_ended() {
        let ended = testbed::received(json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "volume": "data-0", "amount": 2048.0,
            "disk": "d", "how": "destroyed", "by": "ops", "reason": null, "data": "in the trash", "ended_ms": 3000,
            "history": [event(1000, 1, "created", Some("CREATE")), event(3000, 3, "destroyed", Some("DESTROY"))]
        }));
        let found = Found { living: Vec::new(), ended: vec![ended] };
        let text = "\
what     volume data-0
claim    aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9
held     disk 2 GiB
role     db
held by  operator
agent    a (h)
disk     d
ended    destroyed by ops, 3s ago
data     in the trash

History
  WHEN                  GENERATION  WHAT       OPERATION  BY
  1970-01-01 00:00:01Z           1  created    CREATE     ops
  1970-01-01 00:00:03Z           3  destroyed  DESTROY    ops
";
        assert_eq!(sheet(&found, 6000, false).text(), text);
        assert!(gap(&events(&found)).is_some(), "the second event is not known");
    }

    #[test]
    fn one_name_of_several_is_no_answer() {
        let living = testbed::received(json!({ "id": "a", "volume": "v" }));
        let ended = testbed::received(json!({ "id": "b", "volume": "v", "ended_ms": 1 }));
        let failure = ambiguous(&Found { living: vec![living], ended: vec![ended] }, "v");
        assert_eq!(failure.code, EXIT_ERROR);
        assert!(failure
            .cause
            .contains("any of 2 claims:\n    a (v, role db, ready)\n    b (v, role db, ended "));
    }
}

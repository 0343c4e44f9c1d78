//! `claim list --at`: what was claimed at some time, as far as that is remembered.
//!
//! Relies on the masters for what is remembered. Never lets an answer with gaps pass for a whole one.

use holdfast_api::rows::{ClaimsAt, PastClaimRow};
use serde_json::Value;

use super::claim_list::{holder_of, ClaimFilter};
use super::context::now_ms;
use super::rows::Received;
use super::Context;
use crate::failure::Failure;
use crate::moments::parse_moment;
use crate::output::{amounts, human, ids, Column, Table};

/// Runs the verb.
///
/// # Errors
/// When no master answers, or the time is none, or there is no such agent.
pub async fn run(context: &Context, filter: &ClaimFilter, at: &str) -> anyhow::Result<i32> {
    let at_ms = parse_moment(at, now_ms())
        .map_err(|why| Failure::usage(why, "see `holdfast claim list --help`"))?;
    let agent = filter.agent(context).await?;
    let answer = context.master.get("claims-at", &[("at", &at_ms.to_string())]).await?;
    let mut answer = Received::<ClaimsAt>::read("claims-at", answer)?;
    let keep = |it: &PastClaimRow| {
        agent.as_ref().is_none_or(|agent| *agent == it.agent)
            && filter.wants_role(&it.role)
            && filter.wants_kind(it.kind)
    };
    let kept: Vec<bool> = answer.row.claims.iter().map(keep).collect();
    if let Some(Value::Array(claims)) = answer.raw.get_mut("claims") {
        let mut kept = kept.iter();
        claims.retain(|_| kept.next().copied().unwrap_or_default());
    }
    answer.row.claims.retain(keep);
    put(context, &answer)?;
    if let Some(gap) = gap(&answer.row) {
        context.remark(&gap);
    }
    Ok(0)
}

fn put(context: &Context, answer: &Received<ClaimsAt>) -> anyhow::Result<()> {
    let claims = &answer.row.claims;
    if context.quiet {
        let ids: String = claims.iter().map(|it| format!("{}\n", it.id)).collect();
        context.console.put(&ids)?;
    } else if !context.format.is_table() {
        context.put_value(&answer.raw)?;
    } else if claims.is_empty() {
        context.remark(&format!("no claim of {} is known", human::ctx(answer.row.at_ms)));
    } else {
        let table = table(claims);
        context.console.put(&table.render(context.is_wide(), context.console.colours))?;
    }
    Ok(())
}

/// What of that time may be missing.
fn gap(answer: &ClaimsAt) -> Option<String> {
    let since = human::ctx(answer.known_since_ms);
    (!answer.complete).then(|| {
        format!("this may not be all: claims that ended before {since} are not all remembered")
    })
}

fn table(rows: &[PastClaimRow]) -> Table {
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
        Column::left("MADE"),
        Column::left("LAST CHANGE BEFORE"),
        Column::left("ENDED"),
        Column::left("DISK PATH").wide(),
    ]);
    let all: Vec<&str> = rows.iter().map(|it| it.id.as_str()).collect();
    for (row, short) in rows.iter().zip(ids::short_all(&all)) {
        let amount = row.amount.map(|it| amounts::of(&row.resource, it));
        let last = row.last.as_ref().map(|it| format!("{} by {}", it.what, it.by));
        let ended = row.ended_ms.map(human::ctx);
        table.push(vec![
            short.into(),
            row.id.as_str().into(),
            row.kind.into(),
            row.role.as_str().into(),
            row.volume.as_deref().unwrap_or_default().into(),
            row.resource.as_str().into(),
            amount.as_deref().unwrap_or("not known").into(),
            ids::short(&row.agent).into(),
            row.hostname.as_str().into(),
            holder_of(row.framework.as_deref(), row.kind).into(),
            human::ctx(row.created_ms).into(),
            human::or_dash(last.as_deref()).into(),
            human::or_dash(ended.as_deref()).into(),
            human::or_dash(row.disk_root.as_deref()).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_and_what_may_be_missing() {
        let row = json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "volume": "data-0", "role": "db",
            "resource": "disk", "amount": null, "agent": "S0", "hostname": "h1", "disk_root": "/d", "framework": null,
            "created_ms": 1000, "ended_ms": 61_000,
            "last": { "at_ms": 1000, "generation": 1, "what": "created", "by": "ops", "operation": "CREATE" }
        });
        let answer =
            json!({ "at_ms": 5_000, "known_since_ms": 60_000, "complete": false, "claims": [row] });
        let answer = Received::<ClaimsAt>::read("claims-at", answer).unwrap().row;
        let text = "\
ID        KIND    ROLE  VOLUME  RESOURCE     AMOUNT  AGENT  HOST  HELD BY   MADE                  LAST CHANGE BEFORE  ENDED
aaaaaaaa  volume  db    data-0  disk      not known  S0     h1    operator  1970-01-01 00:00:01Z  created by ops      1970-01-01 00:01:01Z
";
        assert_eq!(table(&answer.claims).render(false, false), text);
        assert_eq!(
            gap(&answer).as_deref(),
            Some("this may not be all: claims that ended before 1970-01-01 00:01:00Z are not all remembered")
        );
    }
}

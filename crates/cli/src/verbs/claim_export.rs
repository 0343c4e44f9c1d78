//! `claim export`: every claim that is there and every one that is remembered as ended, as JSON lines.
//!
//! The first line says when it was made and from when on all that has ended is in it; each other one is a row of the masters' own API
//! (`claims`, `ended-claims`) with the field `record` before it, which says of which list. Relies on ended claims coming in pages, so that
//! what is written needs little memory. Never rounds, never leaves a field out.

use holdfast_api::rows::{ClaimRow, ClaimsAt};
use serde_json::{json, Value};

use super::claim_ended::EndedPages;
use super::claim_list::ClaimFilter;
use super::context::now_ms;
use super::rows::Received;
use super::Context;

/// Which claims.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimExportArgs {
    #[command(flatten)]
    which: ClaimFilter,
}

/// Runs the verb.
///
/// # Errors
/// When no master answers, there is no such agent, or nobody reads what is written.
pub async fn run(context: &Context, args: &ClaimExportArgs) -> anyhow::Result<i32> {
    let pairs = args.which.pairs(context).await?;
    let agent = args.which.agent(context).await?;
    let known = context.master.get("claims-at", &[("at", "0")]).await?;
    let known = Received::<ClaimsAt>::read("claims-at", known)?;
    let head = json!({ "made_ms": now_ms(), "known_since_ms": known.known_since_ms });
    put(context, "export", [head])?;
    let mut ended = EndedPages::new(context, pairs);
    while let Some(page) = ended.next().await? {
        let wanted = page.into_iter().filter(|it| args.which.wants_kind(it.kind));
        put(context, "ended-claim", wanted.map(|it| it.raw))?;
    }
    // Last, so that one that ends meanwhile is in it at least once.
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| {
        agent.as_ref().is_none_or(|agent| *agent == it.agent)
            && args.which.wants_role(&it.role)
            && args.which.wants_kind(it.kind)
    });
    put(context, "claim", claims.into_iter().map(|it| it.raw))?;
    Ok(0)
}

/// A line for each row.
fn put(
    context: &Context,
    record: &str,
    rows: impl IntoIterator<Item = Value>,
) -> std::io::Result<()> {
    let mut text = String::new();
    for mut row in rows {
        row["record"] = json!(record);
        text += &format!("{row}\n");
    }
    context.console.put(&text)
}

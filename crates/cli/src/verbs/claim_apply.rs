//! `claim apply`: several changes of the claims of one agent, all or none, from a file; a plan that `--plan --out` wrote, or one by hand.
//!
//! Relies on the master for what they come to, and on master and agent for whether the claims are still as the file expects. Never gives
//! anything back or destroys anything that nobody agreed to.

use std::io::Read;
use std::path::PathBuf;

use holdfast_api::rows::{ChangeDocument, ClaimRow};
use serde_json::Value;

use super::change::{confirm, put_plan, DestroyArgs};
use super::claim_list::CLAIMS;
use super::conditions::send;
use super::reservation_create::is_news;
use super::Context;
use crate::failure::Failure;

/// Which changes.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimApplyArgs {
    /// A plan, or operations by hand (JSON or YAML: agent, operations); `-` reads them from the standard input.
    pub file: PathBuf,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

impl ClaimApplyArgs {
    /// The plan in a file.
    pub fn of(file: PathBuf, plan: bool, yes: bool) -> ClaimApplyArgs {
        let mut destroy = DestroyArgs { yes, ..DestroyArgs::default() };
        destroy.plan.plan = plan;
        ClaimApplyArgs { file, destroy }
    }
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why; nothing was changed then.
pub async fn run(context: &Context, args: &ClaimApplyArgs) -> anyhow::Result<i32> {
    let document = read(args)?;
    let plan = send(context, "plan", &document).await?;
    if args.destroy.plan.plan {
        return put_plan(context, &plan);
    }
    let names = names(&plan);
    let agent = &document.agent;
    let what = format!("{} on agent {agent}", names.join(", "));
    if names.iter().any(|it| GIVES_BACK.contains(&it.as_str())) {
        let takes = plan.get("takes").and_then(Value::as_str).unwrap_or_default();
        confirm(context, &format!("Carry out {what}, which takes {takes}?"), args.destroy)?;
    }
    let before = context.master.rows::<ClaimRow>().await?;
    send(context, "apply", &document).await?;
    let mut rows = context.master.rows::<ClaimRow>().await?;
    rows.retain(|it| it.agent == *agent && is_news(&before, it));
    context.remark(&format!("{what}: all done and durable"));
    context.console.put(&CLAIMS.text(context, &rows))?;
    Ok(0)
}

/// What somebody may miss afterwards.
const GIVES_BACK: [&str; 3] = ["UNRESERVE", "DESTROY", "SHRINK_VOLUME"];

fn names(plan: &Value) -> Vec<String> {
    let list = plan.get("operations").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

fn read(args: &ClaimApplyArgs) -> Result<ChangeDocument, Failure> {
    let name = args.file.display();
    let unread = |it: std::io::Error| {
        Failure::usage(
            format!("{name} cannot be read: {it}"),
            "name a file that --plan --out wrote",
        )
    };
    let text = match args.file.to_str() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(unread)?;
            text
        }
        _ => std::fs::read_to_string(&args.file).map_err(unread)?,
    };
    parse(&text).map_err(|why| {
        let cause = format!("{name} holds no changes: {why}");
        Failure::usage(cause, "see `holdfast volume create ... --plan --out FILE` for an example")
    })
}

/// A document, or the answer of `--plan -o json`, which holds one.
fn parse(text: &str) -> Result<ChangeDocument, String> {
    let value: Value = serde_yaml_ng::from_str(text).map_err(|it| it.to_string())?;
    let document = match value.get("apply") {
        Some(document) => document.clone(),
        None => value,
    };
    serde_json::from_value(document).map_err(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_bare_or_out_of_a_plan_as_json_or_yaml() {
        let bare = r#"{ "agent": "a", "if_generation": 3, "operations": [{ "type": "RESERVE" }] }"#;
        let document = parse(bare).unwrap();
        assert_eq!((document.agent.as_str(), document.if_generation), ("a", Some(3)));
        assert_eq!(
            parse(&format!("{{ \"action\": \"RESERVE\", \"apply\": {bare} }}")),
            Ok(document)
        );
        let yaml = parse("agent: a\nif_claims: { c: 4 }\noperations:\n- type: CREATE\n").unwrap();
        assert_eq!((yaml.if_claims["c"], yaml.operations.len(), yaml.force), (4, 1, false));
    }

    #[test]
    fn a_field_that_is_missing_or_unknown_is_named() {
        for (text, word) in [
            ("{}", "missing field `agent`"),
            ("agent: a", "missing field `operations`"),
            ("agent: a\noperations: []\nif_generaton: 3", "unknown field `if_generaton`"),
            ("agent: [", "line"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}

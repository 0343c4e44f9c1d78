//! `ledger check`: whether every record of a ledger can be proven, byte for byte, in both copies.

use holdfast_store::{check, Depth, MirrorState};
use serde_json::json;

use super::{calm, failure, LedgerArgs};
use crate::failure::EXIT_ERROR;
use crate::verbs::Context;

/// Runs the verb; exits with 1 when there is damage.
///
/// # Errors
/// When there is no ledger, or it cannot be read.
pub fn run(context: &Context, args: &LedgerArgs) -> anyhow::Result<i32> {
    let report = calm(check(&args.place(), Depth::Records).map_err(|it| failure(&it))?);
    let is_sound = report.is_sound();
    if context.format.is_table() {
        if !context.quiet {
            context.console.put(&format!("{report}\n"))?;
        }
        context.remark(if is_sound {
            "sound"
        } else {
            "NOT sound: keep this directory as it is, and see what can be brought back"
        });
    } else {
        let mirror = match &report.mirror {
            MirrorState::InUse => "in use".to_owned(),
            MirrorState::Missing => "missing".to_owned(),
            MirrorState::Whole(sequence) => format!("whole at commit {sequence}"),
            MirrorState::Interrupted => "interrupted".to_owned(),
            MirrorState::Damaged(why) => format!("damaged: {why}"),
        };
        context.put_value(&json!({
            "ledger": report.identity.as_ref().map(ToString::to_string),
            "sound": is_sound,
            "commit": report.sequence.0,
            "term": report.term,
            "records": report.counts,
            "books": mirror,
            "lost_commits": report.lost.map(|(from, to)| json!({ "from": from, "to": to })),
            "in_use": report.in_use,
            "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?;
    }
    Ok(if is_sound { 0 } else { EXIT_ERROR })
}

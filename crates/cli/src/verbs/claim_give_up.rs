//! `claim give-up`: end claims whose disk is dead, so that their space and their names are free again.
//!
//! Only for what is not there or not whole; whatever is, is refused by the master and by the agent. No bytes are touched: if the old
//! disk comes back, they lie on it as before, and belong to nobody. Never without a typed word of somebody (or -y, for scripts).

use holdfast_api::rows::{ClaimKind, ClaimRow, ClaimStanding, DiskRow};
use serde_json::json;

use super::change::{confirm_by_name, put_plan, DestroyArgs};
use super::choose::choose;
use super::claim_list::holder;
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_NOT_FOUND};
use crate::output::amounts;

/// Which claims.
#[derive(Clone, Debug, clap::Args)]
pub struct ClaimGiveUpArgs {
    /// Their ids, the beginnings of them, or the volumes' names.
    #[arg(required_unless_present = "disk", conflicts_with = "disk")]
    pub claims: Vec<String>,
    /// All volumes of this disk: its id, the beginning of it, or its path.
    #[arg(long)]
    pub disk: Option<String>,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why; what was given up before that stays given up.
pub async fn run(context: &Context, args: &ClaimGiveUpArgs) -> anyhow::Result<i32> {
    let claims = context.master.rows::<ClaimRow>().await?;
    let chosen = match &args.disk {
        Some(given) => on_disk(context, &claims, given).await?,
        None => {
            let chosen = args.claims.iter().map(|it| choose(&claims, it));
            chosen.collect::<Result<Vec<_>, Failure>>()?
        }
    };
    chosen.iter().try_for_each(|it| check(it))?;
    if args.destroy.plan.plan {
        let lines: Vec<String> = chosen.iter().map(|it| describe(it)).collect();
        return put_plan(context, &json!({ "action": "GIVE_UP", "gives_up": lines }));
    }
    let (question, word) = question(&chosen);
    confirm_by_name(context, &question, &word, args.destroy)?;
    for row in chosen {
        context.master.post("give-up", &[("agent", &row.agent), ("claim", &row.id)]).await?;
        context.remark(&format!("{} is given up; its bytes were not touched", name(row)));
    }
    Ok(0)
}

/// The volumes on a disk; of two disks at one path, the one that carries some.
async fn on_disk<'a>(
    context: &Context,
    claims: &'a [Received<ClaimRow>],
    given: &str,
) -> Result<Vec<&'a Received<ClaimRow>>, Failure> {
    let disks = context.master.rows::<DiskRow>().await?;
    let id = choose(&disks, given)?.id.clone();
    let there = |it: &&Received<ClaimRow>| {
        it.kind == ClaimKind::Volume && it.disk.as_deref() == Some(id.as_str())
    };
    let volumes: Vec<_> = claims.iter().filter(there).collect();
    if volumes.is_empty() {
        let cause = format!("disk {id} carries no volumes");
        return Err(Failure::new(EXIT_NOT_FOUND, cause, "see `holdfast claim list -o wide`"));
    }
    Ok(volumes)
}

/// Only what cannot be used can be given up, and only when nobody uses it.
fn check(row: &ClaimRow) -> Result<(), Failure> {
    if let Some(tasks) = row.used_by() {
        let cause = format!("{} is used by task {tasks}", name(row));
        return Err(Failure::new(EXIT_CONFLICT, cause, "end the task first: `holdfast task kill`"));
    }
    if row.state == ClaimStanding::Missing {
        return Ok(());
    }
    let cause =
        format!("{} is {}, and only what is missing can be given up", name(row), row.state.word());
    let hint = "if its data may go: `holdfast volume destroy`, or `holdfast reservation remove`";
    Err(Failure::new(EXIT_CONFLICT, cause, hint))
}

fn name(row: &ClaimRow) -> String {
    match &row.volume {
        Some(volume) => format!("volume `{volume}` ({})", row.id),
        None => format!("reservation {}", row.id),
    }
}

fn describe(row: &ClaimRow) -> String {
    let disk = row.disk.as_deref().map(|it| format!(", disk {it}")).unwrap_or_default();
    format!(
        "{}: {} {} of role {} on {}{disk}; held by {}; {}",
        name(row),
        row.resource,
        amounts::of(&row.resource, row.amount),
        row.role,
        row.hostname,
        holder(row),
        row.fault.as_deref().unwrap_or("missing"),
    )
}

/// What is asked, and the word that agrees.
fn question(chosen: &[&Received<ClaimRow>]) -> (String, String) {
    let lines: Vec<String> = chosen.iter().map(|it| format!("  {}\n", describe(it))).collect();
    let word = match chosen {
        [one] => one.volume.clone().unwrap_or_else(|| one.id.clone()),
        several => format!("{} claims", several.len()),
    };
    let question = format!(
        "Give up for good:\n{}If the disk comes back, its data belong to nobody.",
        lines.concat()
    );
    (question, word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    fn row(state: &str, task: Option<&str>) -> Received<ClaimRow> {
        testbed::received(json!({
            "id": "aaaaaaaa-4151-6172-8393-a4b5c6d7e8f9", "kind": "volume", "state": state,
            "fault": "it bears no label", "volume": "data-0", "role": "db", "resource": "disk",
            "amount": 10.0, "hostname": "h1", "disk": "d", "task": task
        }))
    }

    #[test]
    fn only_what_is_missing_and_not_in_use_is_given_up() {
        assert!(check(&row("missing", None)).is_ok());
        let failure = check(&row("ready", None)).unwrap_err();
        assert!(failure.code == EXIT_CONFLICT && failure.cause.contains("is ready"), "{failure}");
        let failure = check(&row("missing", Some("t1"))).unwrap_err();
        assert!(failure.cause.contains("used by task t1"), "{failure}");
    }

    #[test]
    fn one_is_agreed_to_by_its_name_and_several_by_their_number() {
        let row = row("missing", None);
        assert_eq!(question(&[&row]).1, "data-0");
        let (text, word) = question(&[&row, &row]);
        assert_eq!(word, "2 claims");
        assert!(text.contains("held by operator; it bears no label"), "{text}");
    }
}

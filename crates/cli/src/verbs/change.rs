//! Changing something: planned on request, asked about when it could hurt, done, and told.
//!
//! Relies on the master for whether it can be done. Never destroys anything that nobody agreed to: the default answer is no.

use holdfast_api::rows::{ClaimKind, ClaimRow, QuotaRow, TakenRow};
use holdfast_model::convert::operator;
use holdfast_model::OperatorCall;
use holdfast_proto::json;
use serde_json::Value;

use super::context::now_ms;
use super::volume_destroy::holder;
use super::Context;
use crate::failure::{Failure, EXIT_ERROR, EXIT_NOT_PLACED};
use crate::output::amounts;

/// How a change is made.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PlanArgs {
    /// Only show what would change; exits with 2 when something would.
    #[arg(long)]
    pub plan: bool,
}

/// How something is ended.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DestroyArgs {
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Shows what an order would change; the exit code says that something would.
///
/// # Errors
/// When it could not be done.
pub async fn plan(context: &Context, order: &OperatorCall) -> anyhow::Result<i32> {
    let plan = ask(context, order).await?;
    put_plan(context, &plan)
}

/// What an order would change.
///
/// # Errors
/// When it could not be done.
pub async fn ask(context: &Context, order: &OperatorCall) -> Result<Value, Failure> {
    let call = json::to_string(&operator::to_proto(order).expect("it is one of the Mesos API"));
    context.master.get("plan", &[("call", &call)]).await
}

/// Shows a plan that has changes.
///
/// # Errors
/// When nobody reads it.
pub fn put_plan(context: &Context, plan: &Value) -> anyhow::Result<i32> {
    put_words(context, plan, &words(plan))
}

/// Shows a plan that has changes, in words of its own.
///
/// # Errors
/// When nobody reads it.
pub fn put_words(context: &Context, plan: &Value, words: &str) -> anyhow::Result<i32> {
    match context.format.is_table() {
        true => context.console.put(words)?,
        false => context.put_value(plan)?,
    }
    context.remark("nothing was changed: this is a plan");
    Ok(EXIT_NOT_PLACED)
}

/// Asks whether to go on.
///
/// # Errors
/// When the answer is anything but yes, or nobody can answer.
pub fn confirm(context: &Context, question: &str, args: DestroyArgs) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    match context.console.ask(&format!("{question} [y/N] ")) {
        Some(answer) if ["y", "yes"].contains(&answer.to_lowercase().as_str()) => Ok(()),
        Some(_) => Err(Failure::new(
            EXIT_ERROR,
            "nothing was done: the answer was not yes",
            "answer y, or add -y",
        )),
        None => Err(Failure::usage(
            format!("{question} Nobody can answer here, and nothing was done"),
            "add -y if you mean it",
        )),
    }
}

/// Asks for the name of what holds data, so that nobody gives it up by a habit of the hand.
///
/// # Errors
/// When the answer is anything but that name, or nobody can answer.
pub fn confirm_by_name(
    context: &Context,
    question: &str,
    name: &str,
    args: DestroyArgs,
) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    match context.console.ask(&format!("{question} Type its name to go on: ")) {
        Some(answer) if answer == name => Ok(()),
        Some(_) => Err(Failure::new(
            EXIT_ERROR,
            "nothing was done: the answer was not its name",
            format!("answer {name}, or add -y"),
        )),
        None => Err(Failure::usage(
            format!("{question} Nobody can answer here, and nothing was done"),
            "add -y if you mean it",
        )),
    }
}

/// A plan as lines: each field a line, lists below.
fn words(plan: &Value) -> String {
    let mut text = String::new();
    for (name, value) in plan.as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        match value {
            Value::Object(document) if name == "apply" => text.push_str(&made_on(document)),
            Value::Null if name == "apply" => {}
            Value::Array(list) if list.is_empty() => text.push_str(&format!("{name}: nothing\n")),
            Value::Array(list) => {
                text.push_str(&format!("{name}:\n"));
                text.extend(list.iter().map(|it| format!("  {}\n", word(it))));
            }
            Value::String(one) => text.push_str(&format!("{name}: {one}\n")),
            other => text.push_str(&format!("{name}: {other}\n")),
        }
    }
    text
}

/// The generations that a plan was made on.
fn made_on(document: &serde_json::Map<String, Value>) -> String {
    let mut text = String::new();
    if let Some(generation) = document.get("if_generation") {
        text.push_str(&format!("made on: generation {generation} of the agent's claims\n"));
    }
    let claims = document.get("if_claims").and_then(Value::as_object).into_iter().flatten();
    for (claim, generation) in claims {
        text.push_str(&format!("made on: generation {generation} of claim {claim}\n"));
    }
    text
}

/// One of a list: a text, a claim, or what is taken of one.
fn word(one: &Value) -> String {
    if let Some(text) = one.as_str() {
        return text.to_owned();
    }
    if let Ok(claim) = serde_json::from_value::<ClaimRow>(one.clone()) {
        let what = match (claim.kind, claim.volume) {
            (ClaimKind::Volume, Some(name)) => format!("volume {name}"),
            _ => "reservation".to_owned(),
        };
        let amount = amounts::of(&claim.resource, claim.amount);
        return format!("{what} of role {}, {amount}, claim {}", claim.role, claim.id);
    }
    if let Ok(quota) = serde_json::from_value::<QuotaRow>(one.clone()) {
        let QuotaRow { role, guarantees, limits, has } = quota;
        let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        let [guarantees, limits, has] = [guarantees, limits, has].map(or_none);
        return format!("role {role}: guarantee {guarantees}, limit {limits}, has {has}");
    }
    match serde_json::from_value::<TakenRow>(one.clone()) {
        Ok(taken) => {
            let by = taken.holder.map(|it| holder(&it, now_ms()));
            let by = by.unwrap_or_else(|| "the role".to_owned());
            format!("{} of claim {}, held by {by}", taken.takes, taken.claim)
        }
        Err(_) => one.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    #[test]
    fn claims_of_a_plan_are_named_in_a_line_each() {
        let fields = serde_json::json!({ "kind": "volume", "volume": "data-0", "amount": 64.0 });
        let row = testbed::received::<ClaimRow>(fields).raw;
        let text = words(&serde_json::json!({ "claims": [row] }));
        assert_eq!(text, "claims:\n  volume data-0 of role db, 64 MiB, claim c\n");
    }

    #[test]
    fn only_yes_is_yes() {
        for (typed, agreed) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yess\n", false),
            ("sure\n", false),
        ] {
            let (context, ..) = testbed::context("127.0.0.1:1", Some(typed));
            let answer = confirm(&context, "really?", DestroyArgs::default());
            assert_eq!(
                answer.as_ref().map_err(|it| it.code),
                if agreed { Ok(&()) } else { Err(EXIT_ERROR) },
                "{typed:?}"
            );
        }
        let (context, _, remarks) = testbed::context("127.0.0.1:1", None);
        assert_eq!(confirm(&context, "really?", DestroyArgs::default()).unwrap_err().code, 64);
        assert!(
            confirm(&context, "really?", DestroyArgs { yes: true, ..Default::default() }).is_ok()
        );
        assert_eq!(remarks.text(), "");
    }

    #[test]
    fn data_go_only_by_their_name() {
        for (typed, agreed) in [
            ("data-0\n", true),
            ("y\n", false),
            ("yes\n", false),
            ("\n", false),
            ("", false),
            ("data-00\n", false),
        ] {
            let (context, ..) = testbed::context("127.0.0.1:1", Some(typed));
            let answer = confirm_by_name(&context, "really?", "data-0", DestroyArgs::default());
            assert_eq!(
                answer.as_ref().map_err(|it| it.code),
                if agreed { Ok(&()) } else { Err(EXIT_ERROR) },
                "{typed:?}"
            );
        }
        let (context, ..) = testbed::context("127.0.0.1:1", None);
        assert_eq!(
            confirm_by_name(&context, "really?", "v", DestroyArgs::default()).unwrap_err().code,
            64
        );
        assert!(confirm_by_name(
            &context,
            "really?",
            "v",
            DestroyArgs { yes: true, ..Default::default() }
        )
        .is_ok());
    }

    #[test]
    fn plans_are_read_by_people() {
        let plan = serde_json::json!({ "action": "TEARDOWN", "ends_tasks": ["a", "b"], "leaves_unclaimed": [] });
        assert_eq!(
            words(&plan),
            "action: TEARDOWN\nends tasks:\n  a\n  b\nleaves unclaimed: nothing\n"
        );
    }
}

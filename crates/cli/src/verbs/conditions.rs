//! Changes of claims that are made only while nothing has changed: by a generation, or as they were planned.
//!
//! Relies on the master and the agent for whether it has: they look where the change is written down. Never looks itself.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, FromArgMatches};
use holdfast_api::change::{self, How};
use holdfast_api::rows::ChangeDocument;
use holdfast_model::{AgentId, ClaimAction, ClaimId, Expected, ExpectedClaim};
use serde_json::Value;

use super::claim_apply::ClaimApplyArgs;
use super::Context;
use crate::failure::{Failure, EXIT_ERROR};

/// When a change is made, and where its plan goes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConditionArgs {
    /// Only if the claim is still at this generation; where something new is made, or no claim is named, if the agent's claims are.
    #[arg(long, value_name = "N")]
    pub if_generation: Option<u64>,
    /// With --plan: also write the plan to this file, to be carried out by `claim apply`.
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub out: Option<PathBuf>,
}

impl ConditionArgs {
    /// Writes a plan to the file that was named for it.
    ///
    /// # Errors
    /// When it cannot be written, or is none that can be carried out by itself.
    pub fn write(&self, context: &Context, plan: &Value) -> Result<(), Failure> {
        let Some(path) = &self.out else { return Ok(()) };
        let failed = |why: String| {
            let cause = format!("the plan was not written to {}: {why}", path.display());
            Failure::new(EXIT_ERROR, cause, "name another file with --out")
        };
        let document = plan.get("apply").filter(|it| it.is_object());
        let document = document.ok_or_else(|| failed("the master sent none".to_owned()))?;
        let text = format!("{document:#}\n");
        std::fs::write(path, text).map_err(|it| failed(it.to_string()))?;
        context.remark(&format!(
            "written to {0}; `holdfast claim apply {0}` carries it out, unless the claims have changed by then",
            path.display()
        ));
        Ok(())
    }
}

/// What a change expects: of the claim that it is about, or of all claims of the agent.
pub fn expected(generation: u64, claim: Option<ClaimId>) -> Expected {
    match claim {
        Some(claim) => Expected { agent: None, claims: vec![ExpectedClaim { claim, generation }] },
        None => Expected { agent: Some(generation), claims: Vec::new() },
    }
}

/// Makes changes together, if the claims are as expected; returns once they are durable.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn apply(
    context: &Context,
    agent: &AgentId,
    steps: &[ClaimAction],
    expected: &Expected,
) -> Result<(), Failure> {
    send(context, "apply", &change::write(agent, steps, expected, How::default())).await.map(drop)
}

/// Sends a document.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn send(
    context: &Context,
    name: &str,
    document: &ChangeDocument,
) -> Result<Value, Failure> {
    let text = serde_json::to_string(document).expect("a document is JSON");
    context.master.post_document(name, text).await
}

/// A verb as it is asked for, or the plan that it is to carry out.
#[derive(Clone, Debug)]
pub enum OrPlan<T> {
    /// As it is asked for.
    Asked(T),
    /// A file with a plan.
    Planned(ClaimApplyArgs),
}

const APPLY: &str = "apply";

impl<T: FromArgMatches> FromArgMatches for OrPlan<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.get_one::<PathBuf>(APPLY) {
            None => T::from_arg_matches(matches).map(OrPlan::Asked),
            Some(file) => {
                let given = |name| matches.try_get_one::<bool>(name).ok().flatten() == Some(&true);
                Ok(OrPlan::Planned(ClaimApplyArgs::of(file.clone(), given("plan"), given("yes"))))
            }
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = OrPlan::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: clap::Args> clap::Args for OrPlan<T> {
    fn augment_args(command: Command) -> Command {
        let command = T::augment_args(command);
        let others = command.get_arguments().map(|it| it.get_id().clone());
        let others: Vec<_> = others.filter(|it| it != "plan" && it != "yes").collect();
        let groups: Vec<_> = command.get_groups().map(|it| it.get_id().clone()).collect();
        let apply = Arg::new(APPLY)
            .long(APPLY)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .conflicts_with_all(others)
            .help("Carry out the plan in this file, which --plan --out wrote, unless the claims have changed");
        let without = |it: Arg| match it.is_required_set() {
            true => it.required(false).required_unless_present(APPLY),
            false => it,
        };
        let command = command.mut_args(without).arg(apply);
        // A group that has to be there is there with the file, too.
        groups.into_iter().fold(command, |command, group| {
            command.mut_group(group, |it| match it.is_required_set() {
                true => it.arg(APPLY),
                false => it,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Args)]
    #[group(id = "size", required = true, multiple = false, args = ["by", "to"])]
    struct Resize {
        name: String,
        #[arg(long)]
        by: Option<u64>,
        #[arg(long)]
        to: Option<u64>,
        #[command(flatten)]
        condition: ConditionArgs,
        #[arg(long)]
        plan: bool,
    }

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        asked: OrPlan<Resize>,
    }

    fn parse(line: &str) -> Result<OrPlan<Resize>, clap::Error> {
        use clap::Parser;
        Line::try_parse_from(line.split(' ')).map(|it| it.asked)
    }

    #[test]
    fn a_verb_is_asked_for_in_full_or_by_a_plan() {
        let asked = parse("x v --by 3 --if-generation 4").unwrap();
        let OrPlan::Asked(resize) = asked else { panic!("{asked:?}") };
        assert_eq!((resize.name.as_str(), resize.by, resize.to), ("v", Some(3), None));
        assert_eq!((resize.condition.if_generation, resize.plan), (Some(4), false));
        let planned = parse("x --apply f.json --plan").unwrap();
        let OrPlan::Planned(args) = planned else { panic!("{planned:?}") };
        assert_eq!((args.file, args.destroy.plan.plan), (PathBuf::from("f.json"), true));
        for wrong in [
            "x",
            "x v",
            "x v --by 3 --to 4",
            "x v --apply f",
            "x --apply f --by 3",
            "x v --by 3 --out f",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_generation_is_that_of_the_claim_or_of_all() {
        let claim = ClaimId(uuid::Uuid::nil());
        assert_eq!(expected(3, Some(claim)).claims, [ExpectedClaim { claim, generation: 3 }]);
        assert_eq!(expected(3, None).agent, Some(3));
    }
}

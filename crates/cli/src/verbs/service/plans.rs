//! `service plans`: the plans of a service, or one of them, step by step.

use holdfast_sdk::net::rows::PlanRow;

use super::find::find;
use crate::failure::Failure;
use crate::output::{Cell, Column, Table};
use crate::verbs::listing::WatchArgs;
use crate::verbs::show::{show, Shown};
use crate::verbs::Context;

/// Whose, and which.
#[derive(Clone, Debug, clap::Args)]
pub struct PlansArgs {
    /// The service: its name, or the id of its framework.
    pub service: String,
    /// Only this plan: deploy, update, replace ...
    pub plan: Option<String>,
    /// How it is read.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Runs the verb.
///
/// # Errors
/// When there is no such service or plan, or it does not answer.
pub async fn run(context: &Context, args: &PlansArgs) -> anyhow::Result<i32> {
    show(context, args.watch, || async {
        let service = find(context, &args.service).await?;
        let mut rows = service.get::<Vec<PlanRow>>("/v1/plans").await?.row;
        rows.retain(|it| args.plan.as_ref().is_none_or(|plan| *plan == it.name));
        if let (Some(plan), true) = (&args.plan, rows.is_empty()) {
            return Err(Failure::not_found(
                format!("service `{}` has no plan `{plan}`", service.name),
                format!("see `holdfast service plans {}`", service.name),
            ));
        }
        let id = rows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join("\n");
        let sheet = table(&rows).render(context.is_wide(), context.console.colours);
        let value = serde_json::to_value(&rows).expect("rows are JSON");
        Ok(Shown { id, value, sheet })
    })
    .await
}

/// Plans with their phases and steps, a line each.
pub fn table(rows: &[PlanRow]) -> Table {
    let mut table = Table::new(&[
        Column::left("PLAN"),
        Column::left("PHASE"),
        Column::left("STEP"),
        Column::left("STATE"),
        Column::left("WHY").optional(),
    ]);
    for plan in rows {
        let why = plan.why.as_deref().unwrap_or_default();
        table.push(vec![
            plan.name.as_str().into(),
            "".into(),
            "".into(),
            Cell::state(&plan.state),
            why.into(),
        ]);
        for phase in &plan.phases {
            let name = format!("{} ({})", phase.name, phase.strategy);
            table.push(vec![
                "".into(),
                name.into(),
                "".into(),
                Cell::state(&phase.state),
                "".into(),
            ]);
            for step in &phase.steps {
                table.push(vec![
                    "".into(),
                    "".into(),
                    step.name.as_str().into(),
                    Cell::state(&step.state),
                    step.why.as_deref().unwrap_or_default().into(),
                ]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sdk::net::rows::{PhaseRow, StepRow};

    #[test]
    fn a_plan_is_a_tree() {
        let step = |name: &str, state: &str| StepRow {
            name: name.to_owned(),
            state: state.to_owned(),
            why: None,
        };
        let phase = PhaseRow {
            name: "node".to_owned(),
            strategy: "serial".to_owned(),
            state: "IN_PROGRESS".to_owned(),
            steps: vec![step("node-0", "COMPLETE"), step("node-1", "PENDING")],
        };
        let plan = PlanRow {
            name: "deploy".to_owned(),
            state: "WAITING".to_owned(),
            why: Some("paused by ops".to_owned()),
            phases: vec![phase],
        };
        let text = "\
PLAN    PHASE          STEP    STATE        WHY
deploy                         WAITING      paused by ops
        node (serial)          IN_PROGRESS
                       node-0  COMPLETE
                       node-1  PENDING
";
        assert_eq!(table(&[plan]).render(false, false), text);
    }
}

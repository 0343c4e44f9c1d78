//! `quota set` and `quota remove`: what a role is guaranteed of the cluster, and what it may have at most.

use holdfast_api::rows::QuotaRow;
use holdfast_model::convert::quota::amounts;
use holdfast_model::quota::check_all;
use holdfast_model::{OperatorCall, Quantities, Quota};

use super::change::{plan, PlanArgs};
use super::quota_list::QUOTAS;
use super::{holdings, Context};
use crate::failure::Failure;

/// Whose quota, and what it is from now on.
#[derive(Clone, Debug, clap::Args)]
pub struct QuotaSetArgs {
    /// A top-level role; its quota counts for all roles below it.
    pub role: String,
    /// What is kept free for it: `cpus:4;mem:8192` (mem and disk in MB). What is not named is not guaranteed.
    #[arg(long, value_name = "AMOUNTS")]
    pub guarantee: Option<String>,
    /// What it may have at most, what is reserved for it included. What is not named is not limited.
    #[arg(long, value_name = "AMOUNTS")]
    pub limit: Option<String>,
    /// Also if the cluster has less than is guaranteed, or the role has more than its limit: it is then offered no more until it has less.
    #[arg(long)]
    pub force: bool,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Whose quota is taken away.
#[derive(Clone, Debug, clap::Args)]
pub struct QuotaRemoveArgs {
    /// The role.
    pub role: String,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Runs `quota set`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn set(context: &Context, args: &QuotaSetArgs) -> anyhow::Result<i32> {
    let guarantees = given("--guarantee", args.guarantee.as_deref())?;
    let limits = given("--limit", args.limit.as_deref())?;
    let quota = Quota { guarantees, limits };
    if quota.is_default() {
        let (cause, attempt) = (
            "neither --guarantee nor --limit is given",
            "give one of them, or use `holdfast quota remove`",
        );
        return Err(Failure::usage(cause, attempt).into());
    }
    update(context, (&args.role, quota), args.force, args.plan).await
}

/// Runs `quota remove`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn remove(context: &Context, args: &QuotaRemoveArgs) -> anyhow::Result<i32> {
    update(context, (&args.role, Quota::default()), false, args.plan).await
}

async fn update(
    context: &Context,
    (role, quota): (&str, Quota),
    force: bool,
    args: PlanArgs,
) -> anyhow::Result<i32> {
    let role = holdings::role(role)?;
    let quotas = vec![(role.clone(), quota.clone())];
    check_all(&quotas).map_err(|it| Failure::usage(it.why, "see `holdfast quota set --help`"))?;
    let order = OperatorCall::Quota { quotas, force };
    if args.plan {
        return plan(context, &order).await;
    }
    context.master.order(&order).await?;
    if quota.is_default() {
        context.remark(&format!("role `{role}` has no quota any more"));
        return Ok(0);
    }
    let mut rows = context.master.rows::<QuotaRow>().await?;
    rows.retain(|it| it.role == role.as_str());
    context.remark(&format!("the quota of role `{role}` is set and durable"));
    context.console.put(&QUOTAS.text(context, &rows))?;
    Ok(0)
}

/// The amounts behind a flag.
fn given(flag: &str, text: Option<&str>) -> Result<Quantities, Failure> {
    let Some(text) = text else { return Ok(Quantities::new()) };
    let resources = holdings::typed(text)?;
    amounts(resources).map_err(|it| {
        Failure::usage(format!("{flag}: {}", it.why), "give names and numbers: cpus:4;mem:8192")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Scalar;

    #[test]
    fn amounts_are_names_and_numbers() {
        let both = given("--limit", Some("cpus:1.5;mem:512")).unwrap();
        assert_eq!((both["cpus"], both["mem"]), (Scalar::thousandths(1_500), Scalar::whole(512)));
        assert!(given("--limit", Some("ports:[1-9]"))
            .unwrap_err()
            .cause
            .contains("ports is no number"));
        assert_eq!(given("--limit", None).unwrap(), Quantities::new());
    }
}

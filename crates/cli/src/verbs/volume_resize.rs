//! `volume grow` and `volume shrink`: the same volume, with its data, and another size.
//!
//! A volume grows by disk that is reserved as it is, on its own disk, also while a task uses it; what it gives back goes there. Never below
//! what it uses, as far as its agent has measured that.

use holdfast_api::rows::{ClaimKind, ClaimRow, ClaimStanding};
use holdfast_model::{
    AgentId, ClaimAction, ClaimId, OperatorCall, PersistenceId, Resource, Resources, Scalar, Value,
};

use super::change::{ask, put_plan, PlanArgs};
use super::choose::choose;
use super::claim_list::CLAIMS;
use super::conditions::{apply, expected, ConditionArgs};
use super::{holdings, Context};
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::human;
use crate::sizes::parse_size_mb;

/// Which volume, and how large it shall be.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "size", required = true, multiple = false, args = ["by", "to"])]
pub struct VolumeResizeArgs {
    /// Its claim's id, the beginning of it, or its name.
    pub volume: String,
    /// By how much: 512 (MB), 10GiB ...
    #[arg(long, value_parser = parse_size_mb, value_name = "SIZE")]
    pub by: Option<u64>,
    /// To what size.
    #[arg(long, value_parser = parse_size_mb, value_name = "SIZE")]
    pub to: Option<u64>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// When it is done.
    #[command(flatten)]
    pub condition: ConditionArgs,
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// `volume grow`.
    Grow,
    /// `volume shrink`.
    Shrink,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(
    context: &Context,
    args: &VolumeResizeArgs,
    resize: Resize,
) -> anyhow::Result<i32> {
    let mut claims = context.master.rows::<ClaimRow>().await?;
    claims.retain(|it| it.kind == ClaimKind::Volume && it.state != ClaimStanding::Destroying);
    let row = choose(&claims, &args.volume)?;
    let name = row.volume.as_deref().unwrap_or_default();
    let total = holdings::total(&context.master, &row.agent).await?;
    let volume = find(&total, row)?;
    let Some(by) = by(volume.value.quantity(), args, resize)? else {
        context.remark(&format!("volume `{name}` has that size already; nothing was changed"));
        return Ok(0);
    };
    let action = match resize {
        Resize::Grow => {
            let addition = Resource { value: Value::Scalar(by), ..volume.without_volume() };
            ClaimAction::Grow { volume, addition }
        }
        Resize::Shrink => ClaimAction::Shrink { volume, subtract: by },
    };
    let agent = AgentId::parse(&row.agent)?;
    let order = OperatorCall::Claim { agent: agent.clone(), action: action.clone() };
    if args.plan.plan {
        let plan = ask(context, &order).await?;
        args.condition.write(context, &plan)?;
        return put_plan(context, &plan);
    }
    match args.condition.if_generation {
        None => context.master.order(&order).await?,
        Some(it) => {
            let expected = expected(it, Some(ClaimId::parse(&row.id)?));
            apply(context, &agent, &[action], &expected).await?;
        }
    }
    let mut rows = context.master.rows::<ClaimRow>().await?;
    rows.retain(|it| it.id == row.id);
    let done = if resize == Resize::Grow { "has grown" } else { "has shrunk" };
    context.remark(&format!("volume `{name}` ({}) {done}: done and durable", row.id));
    context.console.put(&CLAIMS.text(context, &rows))?;
    Ok(0)
}

/// The volume as its agent has it.
fn find(total: &Resources, row: &ClaimRow) -> Result<Resource, Failure> {
    let name = row.volume.as_deref().unwrap_or_default();
    let id = PersistenceId::made(name.to_owned());
    let found = total.volumes_named(&id).find(|it| it.role().as_str() == row.role);
    found.and_then(|it| total.one(it)).ok_or_else(|| {
        Failure::new(
            EXIT_CONFLICT,
            format!("volume `{name}` cannot be used now on agent {}", row.agent),
            "`holdfast claim where` says why",
        )
    })
}

/// By how many megabytes; `None` when it has that size.
fn by(size: Scalar, args: &VolumeResizeArgs, resize: Resize) -> Result<Option<Scalar>, Failure> {
    let whole = |mb: u64| Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX));
    let by = match (args.by, args.to, resize) {
        (Some(by), _, _) => whole(by),
        (None, to, Resize::Grow) => whole(to.unwrap_or_default()).minus(size),
        (None, to, Resize::Shrink) => size.minus(whole(to.unwrap_or_default())),
    };
    if Scalar::ZERO <= by {
        return Ok(Some(by).filter(|it| Scalar::ZERO < *it));
    }
    let mb = |it: Scalar| human::size_mb(u64::try_from(it.as_whole()).unwrap_or(0));
    let wanted = mb(whole(args.to.unwrap_or_default()));
    let (than, other) = match resize {
        Resize::Grow => ("more", "shrink"),
        Resize::Shrink => ("less", "grow"),
    };
    Err(Failure::usage(
        format!("volume `{}` has {}, which is {than} than {wanted}", args.volume, mb(size)),
        format!("`holdfast volume {other}` if you mean it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::EXIT_USAGE;

    #[test]
    fn a_size_says_by_how_much_and_never_goes_the_other_way() {
        let args = |by, to| VolumeResizeArgs {
            volume: "data-0".to_owned(),
            by,
            to,
            plan: PlanArgs::default(),
            condition: ConditionArgs::default(),
        };
        let size = Scalar::whole(100);
        let said = |by_mb, to_mb, resize| {
            by(size, &args(by_mb, to_mb), resize).map(|it| it.map(Scalar::as_whole))
        };
        assert_eq!(said(Some(20), None, Resize::Grow).unwrap(), Some(20));
        assert_eq!(said(Some(20), None, Resize::Shrink).unwrap(), Some(20));
        assert_eq!(said(None, Some(150), Resize::Grow).unwrap(), Some(50));
        assert_eq!(said(None, Some(30), Resize::Shrink).unwrap(), Some(70));
        for resize in [Resize::Grow, Resize::Shrink] {
            assert_eq!(said(None, Some(100), resize).unwrap(), None);
        }
        for (to, resize, hint) in [(30, Resize::Grow, "shrink"), (150, Resize::Shrink, "grow")] {
            let failure = said(None, Some(to), resize).unwrap_err();
            assert_eq!(failure.code, EXIT_USAGE);
            assert!(failure.hint.contains(hint), "{failure}");
        }
    }
}

//! `volume create`: make a persistent volume on disk that is reserved already.

use holdfast_api::rows::{AgentRow, DiskRow};
use holdfast_model::{
    ClaimAction, PersistenceId, Resource, Resources, Role, Scalar, Source, Value,
};

use super::change::PlanArgs;
use super::choose::choose;
use super::conditions::ConditionArgs;
use super::reservation_create::create;
use super::{holdings, Context};
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::human;
use crate::sizes::parse_size_mb;

/// Which volume, where.
#[derive(Clone, Debug, clap::Args)]
pub struct VolumeCreateArgs {
    /// Its name; unique for its role on its agent.
    pub name: String,
    /// Where: an agent's id, short form or host.
    #[arg(long)]
    pub agent: String,
    /// For whom; the disk must be reserved for the same role.
    #[arg(long)]
    pub role: String,
    /// How big: 512 (MB), 10GiB ...
    #[arg(long, value_parser = parse_size_mb, value_name = "SIZE")]
    pub size: u64,
    /// On which disk: its id or path; any that fits when not given.
    #[arg(long)]
    pub disk: Option<String>,
    /// Where tasks will see it, in their sandbox.
    #[arg(long, default_value = "data", value_name = "PATH")]
    pub container_path: String,
    /// By whom.
    #[arg(long)]
    pub principal: Option<String>,
    /// Several tasks of the role may use it at once. Only frameworks with the capability SHARED_RESOURCES are offered it.
    #[arg(long)]
    pub shared: bool,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// When it is done.
    #[command(flatten)]
    pub condition: ConditionArgs,
}

/// Runs the verb.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn run(context: &Context, args: &VolumeCreateArgs) -> anyhow::Result<i32> {
    let role = holdings::role(&args.role)?;
    let name = PersistenceId::parse(&args.name)
        .map_err(|it| Failure::usage(it.to_string(), "choose a name such as data-0"))?;
    let agents = context.master.rows::<AgentRow>().await?;
    let agent = choose(&agents, &args.agent)?;
    let disk = match &args.disk {
        None => None,
        Some(given) => {
            let mut disks = context.master.rows::<DiskRow>().await?;
            disks.retain(|it| it.agent == agent.id);
            Some(holdings::source(choose(&disks, given)?))
        }
    };
    let total = holdings::total(&context.master, &agent.id).await?;
    let place = place(&total, &role, args.size, disk.as_ref())?;
    let mut volume = place.volume(name, &args.container_path, args.principal.as_deref());
    volume.identity.shared = args.shared;
    create(context, &agent.id, ClaimAction::Create(vec![volume]), (args.plan, &args.condition))
        .await
}

/// The reserved disk that shall carry it: of those that can, the one with the least to spare.
fn place(
    total: &Resources,
    role: &Role,
    size_mb: u64,
    disk: Option<&Option<Source>>,
) -> Result<Resource, Failure> {
    let size = Value::Scalar(Scalar::whole(i64::try_from(size_mb).unwrap_or(i64::MAX)));
    let ours = total.entries().filter(|(identity, _)| {
        identity.role() == *role && disk.is_none_or(|it| *it == identity.source)
    });
    let fitting = ours.filter(|(identity, _)| holdings::can_carry(total, identity, &size));
    match fitting.min_by_key(|(_, amount)| amount.value.quantity()) {
        Some((identity, _)) => {
            Ok(Resource { identity: identity.clone(), value: size, mount: None, creator: None })
        }
        None => Err(lacking(total, role, size_mb)),
    }
}

fn lacking(total: &Resources, role: &Role, size_mb: u64) -> Failure {
    let reserved =
        total.filter(|it| it.name == "disk" && it.persistence.is_none() && it.role() == *role);
    let there = if reserved.is_empty() { "none".to_owned() } else { reserved.to_string() };
    let cause = format!(
        "no disk that is reserved for {role} there can carry {}; reserved: {there}",
        human::size_mb(size_mb)
    );
    let hint = format!("`holdfast reservation create --agent AGENT --role {role} disk:{size_mb}`; a mount disk is only given as a whole");
    Failure::new(EXIT_CONFLICT, cause, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_where_least_is_left_over() {
        let role = Role::parse("db").unwrap();
        let disk = |mb| Resource::scalar("disk", Scalar::whole(mb));
        let reserved = |it: Resource| it.reserved(holdings::reservation(role.clone(), None, &[]));
        let total: Resources = [
            disk(900),
            reserved(disk(100)),
            reserved(disk(50).on(Source::path("/p"))),
            reserved(disk(20).on(Source::mount("/m"))),
        ]
        .iter()
        .collect();
        let root = |size, disk: Option<&Option<Source>>| {
            place(&total, &role, size, disk)
                .map(|it| it.identity.source.as_ref().and_then(|it| it.root.clone()))
        };
        assert_eq!(root(30, None).unwrap(), Some("/p".to_owned()));
        assert_eq!(root(60, None).unwrap(), None);
        assert_eq!(
            root(20, None).unwrap(),
            Some("/m".to_owned()),
            "a mount disk fits exactly or not"
        );
        assert_eq!(root(19, Some(&Some(Source::mount("/m")))).unwrap_err().code, EXIT_CONFLICT);
        assert_eq!(root(19, Some(&None)).unwrap(), None);
        let failure = root(101, None).unwrap_err();
        assert!(failure.cause.contains("can carry 101 MiB; reserved: disk(db)"), "{failure}");
        assert!(place(&total, &Role::parse("web").unwrap(), 1, None)
            .unwrap_err()
            .cause
            .ends_with("reserved: none"));
    }
}

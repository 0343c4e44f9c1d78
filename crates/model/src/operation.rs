//! Operations on the resources of one agent: their rules, and what they turn into what.
//!
//! Masters apply these rules to what they believe an agent has, agents to what they own. Never looks at who may do what.

mod resize;
mod together;

use std::collections::BTreeSet;

pub use self::together::{Expected, ExpectedClaim, Together, STEPS_MAX};
use crate::id::TaskId;
use crate::resource::{Identity, Mode, Reservation, ReservationKind, Resource};
use crate::resources::Resources;
use crate::role::Role;
use crate::task::{ExecutorInfo, TaskInfo};
use crate::validate::{check_resource, Invalid};
use crate::value::Scalar;

/// One operation of an ACCEPT, or of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The name that the framework gave it; `None` when it wants no feedback.
    pub id: Option<String>,
    /// What to do.
    pub action: Action,
}

/// What an operation does.
#[allow(
    clippy::large_enum_variant,
    reason = "operations are few, and live only until they are settled"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Change what is claimed.
    Claim(ClaimAction),
    /// Start tasks, each by itself.
    Launch(Vec<TaskInfo>),
    /// Start tasks together in one executor, all or none.
    LaunchGroup(ExecutorInfo, Vec<TaskInfo>),
    /// An operation of the API that Holdfast does not do, by its name there.
    Unsupported(&'static str),
    /// An operation that could not be read; the others of its ACCEPT stand.
    Unreadable(Unreadable),
}

/// What is known of an operation, or of a task of a LAUNCH, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The field, and what is wrong with it.
    pub why: Invalid,
    /// The tasks that are not launched for it, as their framework calls them, which may break the rules for ids. None when it was no
    /// launch.
    pub tasks: Vec<TaskId>,
    /// Whether these tasks are a group.
    pub group: bool,
}

/// A change of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAction {
    /// Push a reservation, or with a `source` replace the stack above a static reservation (operators only).
    Reserve {
        /// The resources as they shall be.
        resources: Vec<Resource>,
        /// The resources as they are; an empty list means `resources` less their innermost reservation.
        source: Vec<Resource>,
    },
    /// Pop a reservation.
    Unreserve(Vec<Resource>),
    /// Make volumes of reserved disk.
    Create(Vec<Resource>),
    /// Give volumes back to reserved disk; their data go to the trash.
    Destroy(Vec<Resource>),
    /// Make a volume larger, by disk of its own reservation beside it. It stays the same volume, with its data.
    Grow {
        /// The volume as it is.
        volume: Resource,
        /// What comes to it.
        addition: Resource,
    },
    /// Make a volume smaller; what it gives goes back to its reservation. It stays the same volume, with its data.
    Shrink {
        /// The volume as it is.
        volume: Resource,
        /// How much of it goes, in megabytes.
        subtract: Scalar,
    },
    /// Several of them, all or none (operators only).
    Together(Together),
}

/// What an operation takes and what it gives; the quantities are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The resources that it takes.
    pub consumed: Resources,
    /// The resources that it gives for them.
    pub converted: Resources,
}

/// Who asks for an operation, as far as its rules need to know.
#[derive(Clone, Copy, Debug)]
pub enum Asker<'a> {
    /// A framework. What is reserved for a role above its own is offered to it, too; it may use that, and take nothing of it away.
    Framework {
        /// The roles of the framework.
        roles: &'a [Role],
        /// The framework's principal, if it was authenticated.
        principal: Option<&'a str>,
        /// Volumes that it made itself, without allocations; they may lie on disk of a role above its own.
        made: &'a [Identity],
    },
    /// An operator, who may take from any role.
    Operator {
        /// The operator's principal, if it was authenticated.
        principal: Option<&'a str>,
    },
}

impl ClaimAction {
    /// The name of its type in the API.
    pub fn name(&self) -> &'static str {
        match self {
            ClaimAction::Reserve { .. } => "RESERVE",
            ClaimAction::Unreserve(_) => "UNRESERVE",
            ClaimAction::Create(_) => "CREATE",
            ClaimAction::Destroy(_) => "DESTROY",
            ClaimAction::Grow { .. } => "GROW_VOLUME",
            ClaimAction::Shrink { .. } => "SHRINK_VOLUME",
            ClaimAction::Together(it) => it.name(),
        }
    }

    /// The resources that it names; of a change of size, the volume; of several together none, since each step names its own.
    pub fn resources(&self) -> &[Resource] {
        match self {
            ClaimAction::Reserve { resources, .. } => resources,
            ClaimAction::Unreserve(resources)
            | ClaimAction::Create(resources)
            | ClaimAction::Destroy(resources) => resources,
            ClaimAction::Grow { volume, .. } | ClaimAction::Shrink { volume, .. } => {
                std::slice::from_ref(volume)
            }
            ClaimAction::Together(_) => &[],
        }
    }

    /// The volumes that it gives up or changes; they have to be there, and nobody else may be at work on them.
    pub fn volumes_touched(&self) -> &[Resource] {
        match self {
            ClaimAction::Destroy(_) | ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } => {
                self.resources()
            }
            ClaimAction::Reserve { .. }
            | ClaimAction::Unreserve(_)
            | ClaimAction::Create(_)
            | ClaimAction::Together(_) => &[],
        }
    }

    /// Its steps: those that are to be made together, or it alone.
    pub fn steps(&self) -> &[ClaimAction] {
        match self {
            ClaimAction::Together(it) => &it.steps,
            one => std::slice::from_ref(one),
        }
    }

    /// The same with every resource (and source) replaced.
    pub fn map(&self, change: impl Fn(&Resource) -> Resource) -> ClaimAction {
        self.map_each(&change)
    }

    fn map_each(&self, change: &dyn Fn(&Resource) -> Resource) -> ClaimAction {
        let all = |list: &[Resource]| list.iter().map(change).collect::<Vec<_>>();
        match self {
            ClaimAction::Reserve { resources, source } => {
                ClaimAction::Reserve { resources: all(resources), source: all(source) }
            }
            ClaimAction::Unreserve(list) => ClaimAction::Unreserve(all(list)),
            ClaimAction::Create(list) => ClaimAction::Create(all(list)),
            ClaimAction::Destroy(list) => ClaimAction::Destroy(all(list)),
            ClaimAction::Grow { volume, addition } => {
                ClaimAction::Grow { volume: change(volume), addition: change(addition) }
            }
            ClaimAction::Shrink { volume, subtract } => {
                ClaimAction::Shrink { volume: change(volume), subtract: *subtract }
            }
            ClaimAction::Together(it) => ClaimAction::Together(Together {
                steps: it.steps.iter().map(|step| step.map_each(change)).collect(),
                ..it.clone()
            }),
        }
    }

    /// Checks everything that can be known without looking at an agent.
    ///
    /// # Errors
    /// [`Invalid`] naming the resource and the rule.
    pub fn check(&self, asker: Asker<'_>) -> Result<(), Invalid> {
        if let ClaimAction::Together(it) = self {
            return it.check(asker);
        }
        let list = self.resources();
        if list.is_empty() {
            return Err(Invalid::new(
                "resources",
                format!("{} needs at least one resource", self.name()),
            ));
        }
        if list.windows(2).any(|pair| pair[0].identity.provider != pair[1].identity.provider) {
            return Err(Invalid::new(
                "resources",
                "one operation may name resources of one provider only",
            ));
        }
        for (index, resource) in list.iter().enumerate() {
            let check = check_resource(resource).and_then(|()| self.check_one(resource, asker));
            check.map_err(|it| match self {
                ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } => it,
                _ => it.within(format!("resources[{index}]")),
            })?;
        }
        if let ClaimAction::Grow { volume, addition } = self {
            resize::check_addition(volume, addition)?;
        }
        self.check_source(asker)
    }

    fn check_one(&self, resource: &Resource, asker: Asker<'_>) -> Result<(), Invalid> {
        if resource.value.is_empty() {
            return Err(Invalid::new(
                "scalar.value",
                "there is nothing to do for an empty amount; give more than 0",
            ));
        }
        if let Asker::Operator { .. } = asker {
            if resource.identity.allocation.is_some() {
                return Err(Invalid::new(
                    "allocation_info",
                    "an operator's resources must not be allocated",
                ));
            }
        }
        match self {
            ClaimAction::Reserve { .. } => check_reserve(resource, asker),
            ClaimAction::Unreserve(_) => check_unreserve(resource, asker),
            ClaimAction::Create(_) => check_create(resource, asker),
            ClaimAction::Destroy(_) if resource.identity.persistence.is_none() => {
                Err(Invalid::new(
                    "disk.persistence",
                    "this is no persistent volume; only those can be destroyed",
                ))
            }
            ClaimAction::Destroy(_) => check_owner(resource, asker),
            ClaimAction::Grow { .. } => {
                resize::check_volume(resource)?;
                check_owner(resource, asker)
            }
            ClaimAction::Shrink { subtract, .. } => {
                resize::check_volume(resource)?;
                resize::check_subtract(resource, *subtract)?;
                check_owner(resource, asker)
            }
            ClaimAction::Together(_) => Ok(()), // Its steps are checked.
        }
    }

    fn check_source(&self, asker: Asker<'_>) -> Result<(), Invalid> {
        let ClaimAction::Reserve { resources, source } = self else { return Ok(()) };
        if source.is_empty() {
            return Ok(());
        }
        if let Asker::Framework { .. } = asker {
            return Err(Invalid::new(
                "source",
                "re-reservation by `source` is for operators; UNRESERVE first",
            ));
        }
        for (index, resource) in source.iter().enumerate() {
            check_resource(resource).map_err(|it| it.within(format!("source[{index}]")))?;
            if resource.identity.allocation.is_some() {
                let path = format!("source[{index}].allocation_info");
                return Err(Invalid::new(path, "an operator's resources must not be allocated"));
            }
            if resource.identity.persistence.is_some() {
                return Err(Invalid::new(
                    format!("source[{index}]"),
                    "a persistent volume keeps its reservation; DESTROY it first",
                ));
            }
        }
        let uniform = |list: &[Resource]| {
            list.windows(2)
                .all(|pair| pair[0].identity.reservations == pair[1].identity.reservations)
        };
        if !uniform(source)
            || !uniform(resources)
            || sum_of(source, Vec::clear) != sum_of(resources, Vec::clear)
        {
            return Err(Invalid::new("source", "source and resources must be the same amounts, each under one stack of reservations"));
        }
        let only_static =
            |stack: &mut Vec<Reservation>| stack.retain(|it| it.kind == ReservationKind::Static);
        if sum_of(source, only_static) != sum_of(resources, only_static) {
            return Err(Invalid::new(
                "source",
                "static reservations belong to the agent's configuration; source and resources must have the same one at the bottom, or none",
            ));
        }
        Ok(())
    }

    /// What it takes and gives.
    pub fn conversion(&self) -> Conversion {
        let collect = |list: &[Resource]| list.iter().collect::<Resources>();
        let map = |list: &[Resource], f: fn(&Resource) -> Resource| {
            list.iter().map(f).collect::<Resources>()
        };
        match self {
            ClaimAction::Reserve { resources, source } if source.is_empty() => Conversion {
                consumed: map(resources, Resource::popped),
                converted: collect(resources),
            },
            ClaimAction::Reserve { resources, source } => {
                Conversion { consumed: collect(source), converted: collect(resources) }
            }
            ClaimAction::Unreserve(list) => {
                Conversion { consumed: collect(list), converted: map(list, Resource::popped) }
            }
            ClaimAction::Create(list) => Conversion {
                consumed: map(list, Resource::without_volume),
                converted: collect(list),
            },
            ClaimAction::Destroy(list) => Conversion {
                consumed: collect(list),
                converted: map(list, Resource::without_volume),
            },
            ClaimAction::Grow { volume, addition } => resize::grown(volume, addition),
            ClaimAction::Shrink { volume, subtract } => resize::shrunk(volume, *subtract),
            ClaimAction::Together(it) => it.conversion(),
        }
    }

    /// Applies it to `resources`.
    ///
    /// # Errors
    /// [`Invalid`] when what it takes is not there; `resources` are then as before.
    pub fn apply(&self, resources: &mut Resources) -> Result<Conversion, Invalid> {
        let conversion = self.check_on(resources)?;
        resources.subtract_all(&conversion.consumed);
        resources.add_all(&conversion.converted);
        Ok(conversion)
    }

    /// As [`ClaimAction::apply`], without doing it.
    ///
    /// # Errors
    /// [`Invalid`] when what it needs is not there, or a name is taken.
    pub fn check_on(&self, resources: &Resources) -> Result<Conversion, Invalid> {
        let conversion = match self {
            ClaimAction::Grow { volume, addition } => {
                resize::grown(&resize::volume_there(volume, resources)?, addition)
            }
            ClaimAction::Shrink { volume, subtract } => {
                resize::shrunk(&resize::volume_there(volume, resources)?, *subtract)
            }
            ClaimAction::Together(it) => return it.check_on(resources),
            _ => self.conversion(),
        };
        if !resources.contains(&conversion.consumed) {
            let missing = conversion.consumed.iter().find(|it| !resources.contains_one(it));
            let near = missing.as_ref().map(|it| resources.near_miss(it)).unwrap_or_default();
            let missing =
                missing.map_or_else(|| conversion.consumed.to_string(), |it| it.to_string());
            return Err(Invalid::new(
                "resources",
                format!("{} needs {missing}, which is not available there{near}", self.name()),
            ));
        }
        if let ClaimAction::Create(list) = self {
            check_unique(list, resources)?;
        }
        Ok(conversion)
    }
}

/// The sum of a list with each stack of reservations changed.
fn sum_of(list: &[Resource], change: impl Fn(&mut Vec<Reservation>)) -> Resources {
    let changed = |it: &Resource| {
        let mut changed = it.clone();
        change(&mut changed.identity.reservations);
        changed
    };
    list.iter().map(changed).collect()
}

/// A volume's name is unique within its agent and role, across all disks.
fn check_unique(list: &[Resource], existing: &Resources) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for (index, new) in list.iter().enumerate() {
        let Some(id) = &new.identity.persistence else { continue };
        let role = new.identity.role();
        let taken = existing.volumes_named(id).any(|it| it.role() == role);
        if taken || !seen.insert((role, id)) {
            return Err(Invalid::new(
                format!("volumes[{index}].disk.persistence.id"),
                format!(
                    "role `{}` already has a volume `{id}` on this agent; choose another id",
                    new.identity.role()
                ),
            ));
        }
    }
    Ok(())
}

fn check_reserve(resource: &Resource, asker: Asker<'_>) -> Result<(), Invalid> {
    let identity = &resource.identity;
    let Some(last) = identity.reservations.last().filter(|it| it.kind == ReservationKind::Dynamic)
    else {
        return Err(Invalid::new(
            "reservations",
            "the innermost reservation must be DYNAMIC and name a role",
        ));
    };
    if identity.revocable {
        return Err(Invalid::new("revocable", "revocable resources cannot be reserved"));
    }
    if identity.persistence.is_some() {
        return Err(Invalid::new(
            "disk.persistence",
            "a persistent volume keeps its reservation; DESTROY it first",
        ));
    }
    check_principal("reservations.principal", last.principal.as_deref(), asker)?;
    let Asker::Framework { roles, .. } = asker else { return Ok(()) };
    if identity.allocation.as_ref() != Some(&last.role) {
        return Err(Invalid::new(
            "reservations.role",
            format!("reserve for the role that the offer was made to, not `{}`", last.role),
        ));
    }
    if !roles.contains(&last.role) {
        return Err(Invalid::new(
            "reservations.role",
            format!("the framework has no role `{}`", last.role),
        ));
    }
    Ok(())
}

fn check_unreserve(resource: &Resource, asker: Asker<'_>) -> Result<(), Invalid> {
    if !resource.identity.is_dynamic() {
        return Err(Invalid::new(
            "reservations",
            "only dynamic reservations can be undone; static ones belong to the agent's configuration",
        ));
    }
    if resource.identity.persistence.is_some() {
        return Err(Invalid::new(
            "disk.persistence",
            "a persistent volume lies on it; DESTROY the volume first",
        ));
    }
    check_owner(resource, asker)
}

/// B33: being offered what is reserved for a role above is no right to take it away.
fn check_owner(resource: &Resource, asker: Asker<'_>) -> Result<(), Invalid> {
    let Asker::Framework { roles, made, .. } = asker else { return Ok(()) };
    let role = resource.identity.role();
    if roles.contains(&role) || made.contains(&resource.identity.unallocated()) {
        return Ok(());
    }
    let why = format!("`{role}` is no role of the framework; ask an operator, or a framework of that role, to take it away");
    Err(Invalid::new("reservations.role", why))
}

fn check_create(resource: &Resource, asker: Asker<'_>) -> Result<(), Invalid> {
    if resource.identity.persistence.is_none() {
        return Err(Invalid::new("disk.persistence", "CREATE needs `disk.persistence.id`"));
    }
    if resource.identity.source.as_ref().is_some_and(|it| it.root.is_none()) {
        return Err(Invalid::new("disk.source", "a volume cannot lie on BLOCK or RAW"));
    }
    if resource.mount.as_ref().is_some_and(|mount| mount.mode == Mode::ReadOnly) {
        return Err(Invalid::new(
            "disk.volume.mode",
            "create the volume as RW; a task may mount it RO",
        ));
    }
    if resource.value.quantity() < Scalar::whole(1) {
        return Err(Invalid::new("scalar.value", "a volume needs at least 1 MB"));
    }
    check_principal("disk.persistence.principal", resource.creator.as_deref(), asker)
}

fn check_principal(path: &str, given: Option<&str>, asker: Asker<'_>) -> Result<(), Invalid> {
    let (Asker::Framework { principal, .. } | Asker::Operator { principal }) = asker;
    match principal {
        Some(caller) if given != Some(caller) => {
            let given = given.unwrap_or("none");
            Err(Invalid::new(
                path,
                format!("is {given}; it must be the caller's own principal, `{caller}`"),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PersistenceId;
    use crate::labels::Labels;
    use crate::resource::Source;

    pub(super) fn role(text: &str) -> Role {
        Role::parse(text).unwrap()
    }

    pub(super) fn dynamic(name: &str) -> Reservation {
        Reservation {
            kind: ReservationKind::Dynamic,
            role: role(name),
            principal: None,
            labels: Labels::default(),
        }
    }

    fn disk(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb))
    }

    pub(super) fn volume(mb: i64, id: &str) -> Resource {
        disk(mb).reserved(dynamic("db")).volume(PersistenceId::parse(id).unwrap(), "data", None)
    }

    #[test]
    fn reserve_create_destroy_unreserve_come_back_to_the_start() {
        let start: Resources =
            [disk(100), Resource::scalar("cpus", Scalar::whole(4))].iter().collect();
        let mut now = start.clone();
        let steps = [
            ClaimAction::Reserve {
                resources: vec![disk(60).reserved(dynamic("db"))],
                source: Vec::new(),
            },
            ClaimAction::Create(vec![volume(50, "a")]),
            ClaimAction::Destroy(vec![volume(50, "a")]),
            ClaimAction::Unreserve(vec![disk(60).reserved(dynamic("db"))]),
        ];
        for step in &steps {
            step.check(Asker::Operator { principal: None }).unwrap();
            let before = now.quantities();
            step.apply(&mut now).unwrap();
            assert_eq!(now.quantities(), before, "{} changes no quantity", step.name());
        }
        assert_eq!(now, start);
    }

    #[test]
    fn a_volume_name_is_unique_per_role_and_agent_across_disks() {
        let mut now: Resources = [
            disk(100).reserved(dynamic("db")),
            disk(100).on(Source::path("/d1")).reserved(dynamic("db")),
        ]
        .iter()
        .collect();
        ClaimAction::Create(vec![volume(50, "a")]).apply(&mut now).unwrap();
        let mut elsewhere = volume(10, "a");
        elsewhere.identity.source = Some(Source::path("/d1"));
        let refused = ClaimAction::Create(vec![elsewhere]).apply(&mut now).unwrap_err();
        assert_eq!(refused.path, "volumes[0].disk.persistence.id");
    }

    #[test]
    fn a_mount_disk_is_taken_whole() {
        let whole = disk(100).on(Source::mount("/d1"));
        let mut now: Resources = [whole.clone()].iter().collect();
        let half = ClaimAction::Reserve {
            resources: vec![disk(50).on(Source::mount("/d1")).reserved(dynamic("db"))],
            source: Vec::new(),
        };
        assert!(half.apply(&mut now).is_err());
        let all = ClaimAction::Reserve {
            resources: vec![whole.reserved(dynamic("db"))],
            source: Vec::new(),
        };
        all.apply(&mut now).unwrap();
    }

    #[test]
    fn nothing_is_reserved_out_of_thin_air() {
        let mut now: Resources = [disk(100)].iter().collect();
        let before = now.clone();
        let refused = ClaimAction::Reserve {
            resources: vec![disk(101).reserved(dynamic("db"))],
            source: Vec::new(),
        }
        .apply(&mut now);
        assert!(refused.unwrap_err().why.contains("not available"));
        assert_eq!(now, before);
    }

    #[test]
    fn a_volume_keeps_its_reservation() {
        let operator = Asker::Operator { principal: None };
        assert!(ClaimAction::Unreserve(vec![volume(1, "a")]).check(operator).is_err());
        let refine = volume(1, "a").reserved(dynamic("db/one"));
        assert!(ClaimAction::Reserve { resources: vec![refine], source: Vec::new() }
            .check(operator)
            .is_err());
    }

    fn fixed(name: &str) -> Reservation {
        Reservation { kind: ReservationKind::Static, ..dynamic(name) }
    }

    fn stacked(mut resource: Resource, stack: &[Reservation]) -> Resource {
        resource.identity.reservations = stack.to_vec();
        resource
    }

    fn re_reserve(from: &[Reservation], to: &[Reservation]) -> ClaimAction {
        ClaimAction::Reserve {
            resources: vec![stacked(disk(10), to)],
            source: vec![stacked(disk(10), from)],
        }
    }

    #[test]
    fn a_source_is_moved_up_down_and_across_the_tree_of_roles() {
        let (db, refined, other) =
            (vec![dynamic("db")], vec![dynamic("db"), dynamic("db/x")], vec![dynamic("other")]);
        let (under, deeper) =
            (vec![fixed("s"), dynamic("s/x")], vec![fixed("s"), dynamic("s/x"), dynamic("s/x/y")]);
        let moves = [
            (&db, &other),
            (&db, &refined),
            (&refined, &db),
            (&refined, &other),
            (&under, &deeper),
            (&deeper, &under),
            (&vec![], &refined),
            (&vec![fixed("s")], &deeper),
        ];
        for (from, to) in moves {
            let action = re_reserve(from, to);
            action.check(Asker::Operator { principal: None }).unwrap();
            let mut now: Resources = [stacked(disk(25), from)].iter().collect();
            let base = now.base();
            action.apply(&mut now).unwrap();
            assert_eq!(
                now,
                [stacked(disk(15), from), stacked(disk(10), to)].iter().collect(),
                "{from:?} to {to:?}"
            );
            assert_eq!(now.base(), base, "what the machine has is not changed by a reservation");
        }
    }

    #[test]
    fn a_static_reservation_cannot_be_moved_by_a_source() {
        let refused =
            |action: ClaimAction| action.check(Asker::Operator { principal: None }).unwrap_err();
        let (a, b) = (vec![fixed("a")], vec![dynamic("b")]);
        let moves = [
            (a.clone(), b.clone()),
            (vec![fixed("a"), dynamic("a/x")], b.clone()),
            (vec![fixed("a"), dynamic("a/x")], vec![fixed("b"), dynamic("b/x")]),
            (b.clone(), vec![fixed("a"), dynamic("a/x")]),
            (vec![], vec![fixed("a"), dynamic("a/x")]),
        ];
        for (from, to) in moves {
            let refused = refused(re_reserve(&from, &to));
            assert!(
                refused.path == "source" && refused.why.contains("agent's configuration"),
                "{from:?} to {to:?}: {refused}"
            );
        }
        assert_eq!(
            refused(re_reserve(&b, &a)).path,
            "resources[0].reservations",
            "a static reservation is made by no operation"
        );
    }

    #[test]
    fn a_source_is_the_same_amounts_each_under_one_stack() {
        let operator = Asker::Operator { principal: None };
        let (db, other) =
            (|mb| disk(mb).reserved(dynamic("db")), |mb| disk(mb).reserved(dynamic("other")));
        let with = |resources: Vec<Resource>, source: Vec<Resource>| {
            ClaimAction::Reserve { resources, source }.check(operator)
        };
        assert!(with(vec![other(10), other(20)], vec![db(30)]).is_ok());
        for (resources, source) in [
            (vec![other(10)], vec![db(11)]),
            (vec![other(10)], vec![db(10).on(Source::path("/d"))]),
            (vec![other(10), db(10)], vec![disk(20)]),
            (vec![other(20)], vec![db(10), disk(10)]),
        ] {
            assert_eq!(with(resources, source).unwrap_err().path, "source");
        }
        assert_eq!(with(vec![other(1)], vec![volume(1, "a")]).unwrap_err().path, "source[0]");
        assert_eq!(
            with(vec![other(1)], vec![db(1).allocated_to(&role("db"))]).unwrap_err().path,
            "source[0].allocation_info"
        );
        let framework = Asker::Framework { roles: &[role("other")], principal: None, made: &[] };
        let mine = ClaimAction::Reserve {
            resources: vec![other(1).allocated_to(&role("other"))],
            source: vec![db(1)],
        };
        assert_eq!(mine.check(framework).unwrap_err().path, "source");
    }

    #[test]
    fn b33_a_framework_takes_away_only_what_is_reserved_for_its_own_roles_or_made_by_itself() {
        let made = [volume(1, "mine").identity];
        let framework = |name: &str, action: ClaimAction| {
            action.check(Asker::Framework {
                roles: &[role("web"), role(name)],
                principal: None,
                made: &made,
            })
        };
        let actions = || {
            [
                ClaimAction::Unreserve(vec![disk(1).reserved(dynamic("db"))]),
                ClaimAction::Destroy(vec![volume(1, "a")]),
            ]
        };
        for action in actions() {
            assert!(framework("db", action.clone()).is_ok());
            for name in ["db/x", "dbs", "other"] {
                let refused = framework(name, action.clone()).unwrap_err();
                assert!(
                    refused.path == "resources[0].reservations.role"
                        && refused.why.contains("`db` is no role"),
                    "{name}: {refused}"
                );
            }
            assert!(
                action.check(Asker::Operator { principal: None }).is_ok(),
                "operators may do both"
            );
        }
        let refined = disk(1).reserved(dynamic("db")).reserved(dynamic("db/x"));
        assert!(
            framework("db/x", ClaimAction::Unreserve(vec![refined.clone()])).is_ok(),
            "its own level comes off"
        );
        assert!(
            framework("db", ClaimAction::Unreserve(vec![refined])).is_err(),
            "nor does a parent undo what its child reserved"
        );
        let mine = volume(1, "mine").allocated_to(&role("db/x"));
        assert!(
            framework("db/x", ClaimAction::Destroy(vec![mine])).is_ok(),
            "it made the volume on its parent's disk itself"
        );
    }

    #[test]
    fn the_principal_is_the_callers() {
        let mut theirs = disk(1).reserved(dynamic("db"));
        theirs.identity.reservations[0].principal = Some("bob".to_owned());
        let action = ClaimAction::Reserve { resources: vec![theirs], source: Vec::new() };
        assert!(action.check(Asker::Operator { principal: Some("alice") }).is_err());
        assert!(action.check(Asker::Operator { principal: Some("bob") }).is_ok());
        assert!(action.check(Asker::Operator { principal: None }).is_ok());
    }
}

//! An operator makes an orphan, a whole volume that no claim stands for, that of a claim again, or has it moved to the trash of its disk; or
//! makes a directory with data a volume.
//!
//! The agent, which has the disk, decides: it looks at the volume, and knows how much of its space is its own already. Nothing is believed
//! before it has told. What the label does not say (who pays for the space) is found here. Never has a volume claimed twice: one that another
//! agent has a claim of is refused, and that agent named.

use holdfast_model::{
    Action, AdoptedFrom, AgentId, Asker, ClaimAction, ClaimId, DiskId, DiskKind, DiskReport,
    Expected, Filling, Identity, Invalid, LabelledVolume, Labels, MasterChange, MasterLedger,
    Operation, OperationUuid, Order, Ownership, PendingOperation, PersistenceId, Reservation,
    ReservationKind, Resource, Resources, Role, Scalar, Source, Together, Value, VolumeAdoption,
};

use super::operator_claim::{check_health, Force, Wish};
use crate::flows::operations::check_names;
use crate::flows::ownership::check_taken;
use crate::flows::telling::order;
use crate::parts::agents::AgentState;
use crate::parts::operations::InFlight;
use crate::{Belief, Config, Refusal, RequestId, Step};

/// What an adoption comes to.
pub(crate) struct Adoption {
    /// A reservation of the space, if none of the role is there, then the volume; and which orphan it is.
    pub(crate) together: Together,
    ownership: Ownership,
}

/// Has it done. The answer comes when the agent has done it.
///
/// # Errors
/// [`Refusal`] saying what stands in its way.
pub(super) fn adopt_volume(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    adoption: &VolumeAdoption,
) -> Result<(), Refusal> {
    let operations = belief.operations.of_agent(agent).filter(|(_, it)| it.settled.is_none());
    let under_way = operations.map(|(_, it)| &it.action);
    let there = (agent, belief.agents.get(agent));
    let known = (step.config, step.out.ledger());
    let Adoption { together, ownership } =
        plan_adoption(known, there, adoption, under_way, principal)?;
    let uuid = OperationUuid(step.ids.fresh());
    let action = ClaimAction::Together(together.clone());
    let operation = Operation { id: None, action: Action::Claim(action.clone()) };
    let in_flight = InFlight {
        framework: None,
        id: None,
        agent: agent.clone(),
        action,
        request: Some(request),
        settled: None,
    };
    belief.operations.put(uuid, in_flight);
    let ownership = Some(ownership);
    let adopt = match &adoption.from {
        AdoptedFrom::Orphan(_) => Order::AdoptVolume { uuid, together, ownership },
        AdoptedFrom::Directory(_) => Order::AdoptDirectory { uuid, together, ownership },
    };
    order(step, &mut belief.agents, agent, adopt);
    let pending = PendingOperation { uuid, framework: None, agent: agent.clone(), operation };
    step.out.commit(vec![MasterChange::Pending(pending)]);
    Ok(())
}

/// Says what it comes to, and does nothing. `under_way` are the actions that the agent has not settled yet.
///
/// # Errors
/// As for [`adopt_volume`].
pub(crate) fn plan_adoption<'a>(
    (config, ledger): (&Config, &MasterLedger),
    (agent, state): (&AgentId, Option<&AgentState>),
    adoption: &VolumeAdoption,
    under_way: impl Iterator<Item = &'a ClaimAction>,
    principal: Option<&str>,
) -> Result<Adoption, Refusal> {
    let state = known(agent, state)?;
    let disk = disk_of(agent, state, adoption.disk)?;
    let orphan = match &adoption.from {
        AdoptedFrom::Orphan(id) => Some(orphan_on(ledger, (agent, state), disk, *id)?),
        AdoptedFrom::Directory(_) => None,
    };
    let (role, name, size_mb) = described(state, disk, adoption, orphan)?;
    let (space, is_reserved) = space_for(state, disk, &role, size_mb, principal);
    let creator = orphan.map_or(principal, |it| it.principal.as_deref());
    let mut volume = space.clone().volume(name, &adoption.container_path, creator);
    volume.identity.shared = orphan.is_some_and(|it| it.shared);
    check_space(ledger, agent, disk, &space, is_reserved)?;
    let mut steps = Vec::new();
    if !is_reserved {
        steps.push(ClaimAction::Reserve { resources: vec![space], source: Vec::new() });
    }
    let create = ClaimAction::Create(vec![volume]);
    check_names(ledger, (agent, state), &create).map_err(|it| Refusal::Conflict(it.to_string()))?;
    check_name(agent, state, &create)?;
    steps.push(create);
    let filling = Box::new(match (&adoption.from, orphan) {
        (AdoptedFrom::Directory(path), _) => Filling::Directory(path.clone()),
        (AdoptedFrom::Orphan(id), orphan) => {
            Filling::Orphan { volume: *id, generation: orphan.map_or(0, |it| it.generation) }
        }
    });
    let by = principal.unwrap_or("operator").to_owned();
    let together = Together { by, steps, expected: Expected::default(), filling: Some(filling) };
    let action = ClaimAction::Together(together.clone());
    // Whoever adopts it need not be who made it.
    action.check(Asker::Operator { principal: None }).map_err(Refusal::Invalid)?;
    let wish = Wish { action: &action, force: Force::No, claim: None };
    let ownership = wish.ownership(config, ledger, agent);
    check_taken(ledger, agent, (&action, None), &ownership, under_way)
        .map_err(|(_, why)| Refusal::Conflict(why))?;
    Ok(Adoption { together, ownership })
}

/// What the volume is to be: as its label says, if it has one, where nothing else is said.
fn described(
    state: &AgentState,
    disk: &DiskReport,
    adoption: &VolumeAdoption,
    orphan: Option<&LabelledVolume>,
) -> Result<(Role, PersistenceId, Scalar), Refusal> {
    let needed = |field: &str| {
        let why = "is needed for a directory, which has no label that says it";
        Refusal::Invalid(Invalid::new(field.to_owned(), why))
    };
    let role = match (&adoption.role, orphan) {
        (Some(role), _) => role.clone(),
        (None, Some(it)) => Role::parse(&it.role).map_err(|why| unfit_label(it, &why))?,
        (None, None) => return Err(needed("role")),
    };
    let name = match (&adoption.name, orphan) {
        (Some(name), _) => name.clone(),
        (None, Some(it)) => {
            PersistenceId::parse(&it.persistence).map_err(|why| unfit_label(it, &why))?
        }
        (None, None) => return Err(needed("name")),
    };
    let labelled_mb = orphan.map(|it| it.size_mb);
    let size = size_of(state, disk, adoption.size_mb, labelled_mb)?;
    Ok((role, name, size.ok_or_else(|| needed("size_mb"))?))
}

fn known<'a>(agent: &AgentId, state: Option<&'a AgentState>) -> Result<&'a AgentState, Refusal> {
    let state = state.ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
    check_health((agent, state))?;
    Ok(state)
}

/// A disk that can be used.
fn disk_of<'a>(
    agent: &AgentId,
    state: &'a AgentState,
    id: DiskId,
) -> Result<&'a DiskReport, Refusal> {
    let Some(disk) = state.disks().iter().find(|it| it.disk.id == id) else {
        let why = format!("agent {agent} has no disk {id}; see its disks");
        return Err(Refusal::NotFound(why));
    };
    match &disk.fault {
        None => Ok(disk),
        Some(fault) => Err(Refusal::Conflict(format!(
            "disk {id} on agent {agent} cannot be used now: {fault}"
        ))),
    }
}

/// An orphan on a disk, if no claim stands for it anywhere.
fn orphan_on<'a>(
    ledger: &MasterLedger,
    (agent, state): (&AgentId, &AgentState),
    disk: &'a DiskReport,
    id: ClaimId,
) -> Result<&'a LabelledVolume, Refusal> {
    if let Some((other, claim)) = ledger.volume_claims(id).next() {
        let why = match other == agent {
            true => format!("volume {id} is claimed already, as {}", claim.resource),
            false => format!(
                "volume {id} is claimed as {} on agent {other}, where its disk was or is: if the disk is here now, `holdfast disk adopt {}` brings its claims along; if that claim's bytes are lost, give it up first",
                claim.resource, disk.disk.id
            ),
        };
        return Err(Refusal::Conflict(why));
    }
    let moves = ledger.moves.values().find(|it| it.disk == disk.disk.id);
    if let Some(moved) = moves.filter(|it| it.to != *agent) {
        let why = format!("disk {} is just being moved to agent {}", disk.disk.id, moved.to);
        return Err(Refusal::Conflict(why));
    }
    if state.trash().volumes().contains_key(&id) {
        let why = format!(
            "volume {id} lies in the trash of agent {agent}; bring it back with `holdfast volume undelete {id}`"
        );
        return Err(Refusal::Conflict(why));
    }
    match disk.orphans.iter().find(|it| it.id == id) {
        Some(it) if it.generation == 0 => Err(Refusal::Conflict(format!(
            "agent {agent} runs a version that cannot adopt volumes; upgrade it"
        ))),
        Some(it) => Ok(it),
        None => Err(Refusal::NotFound(no_orphan(disk, id))),
    }
}

fn no_orphan(disk: &DiskReport, id: ClaimId) -> String {
    let more = match disk.more_orphans {
        0 => String::new(),
        more => format!(" ({more} more are there than are listed; those are listed once others are adopted or removed)"),
    };
    format!(
        "there is no whole volume {id} on disk {} that no claim stands for{more}; one whose label is damaged, or of another cluster, is none: see `holdfast disk show {}`",
        disk.disk.id, disk.disk.id
    )
}

fn unfit_label(orphan: &LabelledVolume, why: &Invalid) -> Refusal {
    let why = format!(
        "the label of volume {} says `{}` of role `{}`, which cannot be claimed: {why}; name another name and role",
        orphan.id, orphan.persistence, orphan.role
    );
    Refusal::Conflict(why)
}

/// The size of its claim; a disk that is only given whole has one volume, of its size.
fn size_of(
    state: &AgentState,
    disk: &DiskReport,
    asked: Option<u64>,
    labelled: Option<u64>,
) -> Result<Option<Scalar>, Refusal> {
    let whole = |mb: u64| Scalar::whole(i64::try_from(mb).unwrap_or(i64::MAX));
    if disk.disk.kind != DiskKind::Mount {
        return Ok(asked.or(labelled).map(whole));
    }
    let is_it = |it: &Identity| disk.disk.carries(it);
    let there = state.machine().resources.entries().find(|(it, _)| is_it(it));
    let size = there.map_or_else(|| whole(disk.disk.size_mb), |(_, it)| it.value.quantity());
    match asked {
        Some(asked) if whole(asked) != size => Err(Refusal::Invalid(Invalid::new(
            "size_mb",
            format!("is {asked}, and disk {} is only given whole: {size} MB", disk.disk.id),
        ))),
        _ => Ok(Some(size)),
    }
}

/// The reserved disk that shall carry it, and whether it is reserved already: what the role has there, or else what nobody has claimed.
fn space_for(
    state: &AgentState,
    disk: &DiskReport,
    role: &Role,
    size: Scalar,
    principal: Option<&str>,
) -> (Resource, bool) {
    let value = Value::Scalar(size);
    let fits = |(identity, amount): &(&Identity, &holdfast_model::resources::Amount)| {
        let is_its = identity.persistence.is_none() && identity.role() == *role;
        let is_enough = match identity.is_exclusive() {
            true => amount.value == value,
            false => size <= amount.value.quantity(),
        };
        disk.disk.carries(identity) && identity.is_reserved() && is_its && is_enough
    };
    let reserved = state.total().entries().find(fits);
    if let Some((identity, _)) = reserved {
        let identity = identity.clone();
        return (Resource { identity, value, mount: None, creator: None }, true);
    }
    (reserved_space(disk.disk.source(), role, size, principal), false)
}

fn reserved_space(
    source: Option<Source>,
    role: &Role,
    size: Scalar,
    principal: Option<&str>,
) -> Resource {
    let disk = Resource::scalar("disk", size);
    let disk = match source {
        Some(source) => disk.on(source),
        None => disk,
    };
    disk.reserved(Reservation {
        kind: ReservationKind::Dynamic,
        role: role.clone(),
        principal: principal.map(str::to_owned),
        labels: Labels::default(),
    })
}

/// What is claimed of a disk is nobody else's.
fn check_space(
    ledger: &MasterLedger,
    agent: &AgentId,
    disk: &DiskReport,
    space: &Resource,
    is_reserved: bool,
) -> Result<(), Refusal> {
    if is_reserved {
        return Ok(());
    }
    let claims = || ledger.claims_of(agent).filter(|it| disk.disk.carries(&it.resource.identity));
    let claimed = claims().fold(Scalar::ZERO, |sum, it| sum.plus(it.resource.value.quantity()));
    let size = Scalar::whole(i64::try_from(disk.disk.size_mb).unwrap_or(i64::MAX));
    let is_whole = disk.disk.kind == DiskKind::Mount && Scalar::ZERO < claimed;
    if !is_whole && (space.value.quantity() <= size.minus(claimed) || size == Scalar::ZERO) {
        return Ok(()); // The agent knows how much of it is there.
    }
    let holders: Vec<String> = claims().take(5).map(|it| it.resource.to_string()).collect();
    let by = if holders.is_empty() { String::new() } else { format!(" by {}", holders.join(", ")) };
    Err(Refusal::Conflict(format!(
        "{} MB are needed on disk {}, which has {size} MB, of which {claimed} MB are claimed{by}; adopt it with a smaller size, or give something up",
        space.value.quantity(),
        disk.disk.id
    )))
}

/// A role's volumes on an agent have names of their own.
fn check_name(agent: &AgentId, state: &AgentState, create: &ClaimAction) -> Result<(), Refusal> {
    for volume in create.resources() {
        let (role, total): (Role, &Resources) = (volume.identity.role(), state.total());
        let Some(name) = &volume.identity.persistence else { continue };
        if let Some(other) = total.volumes_named(name).find(|it| it.role() == role) {
            let there = total.get(other).map(|it| it.value.quantity());
            let mb = there.unwrap_or(Scalar::ZERO);
            return Err(Refusal::Conflict(format!(
                "role `{role}` already has a volume `{name}` on agent {agent} ({mb} MB); adopt it under another name"
            )));
        }
    }
    Ok(())
}

/// Has an orphan moved to the trash of its disk. The answer comes once that is written down at the agent.
///
/// # Errors
/// [`Refusal`] saying what stands in its way.
pub(super) fn remove_orphan(
    step: &mut Step,
    belief: &mut Belief,
    (request, principal): (RequestId, Option<&str>),
    agent: &AgentId,
    orphan: ClaimId,
) -> Result<(), Refusal> {
    let state = belief.agents.get(agent);
    let Removal { disk, resource } = plan_removal(step.out.ledger(), (agent, state), orphan)?;
    let uuid = OperationUuid(step.ids.fresh());
    let by = principal.unwrap_or("operator").to_owned();
    let resource = Box::new(resource);
    let remove = Order::RemoveOrphan { uuid, volume: orphan, disk, resource, by };
    belief.operations.await_disk((uuid, remove.kind()), agent.clone(), request);
    order(step, &mut belief.agents, agent, remove);
    Ok(())
}

/// What the removal of an orphan comes to.
pub(crate) struct Removal {
    disk: DiskId,
    /// What its claim would hold, if it is brought back.
    pub(crate) resource: Resource,
}

/// Says what it comes to, and does nothing.
///
/// # Errors
/// As for [`remove_orphan`].
pub(crate) fn plan_removal(
    ledger: &MasterLedger,
    (agent, state): (&AgentId, Option<&AgentState>),
    id: ClaimId,
) -> Result<Removal, Refusal> {
    let state = known(agent, state)?;
    let has_it = |it: &&DiskReport| it.orphans.iter().any(|it| it.id == id);
    let Some(disk) = state.disks().iter().find(has_it) else {
        let why = format!("agent {agent} has no disk with a whole volume {id} that no claim stands for; see `holdfast disk show`");
        return Err(Refusal::NotFound(why));
    };
    let disk = disk_of(agent, state, disk.disk.id)?;
    let orphan = orphan_on(ledger, (agent, state), disk, id)?;
    let role = Role::parse(&orphan.role).map_err(|it| unfit_label(orphan, &it))?;
    let name = PersistenceId::parse(&orphan.persistence).map_err(|it| unfit_label(orphan, &it))?;
    let size = size_of(state, disk, None, Some(orphan.size_mb))?;
    let size = size.expect("a label says a size");
    let space = reserved_space(disk.disk.source(), &role, size, None);
    let mut resource = space.volume(name, "data", orphan.principal.as_deref());
    resource.identity.shared = orphan.shared;
    Ok(Removal { disk: disk.disk.id, resource })
}

//! Requests of the native API: a name and its parameters.

use holdfast_model::convert::operator;
use holdfast_model::convert::text;
use holdfast_model::{
    plain_root, AddedDisk, AdoptedFrom, AgentId, CallerIdentity, ClaimAction, ClaimId,
    DiskAdoption, DiskId, Expected, FrameworkId, Instant, MachineId, NodeId, OperatorCall,
    PersistenceId, Quota, Role, TaskId, VolumeAdoption, Window,
};
use holdfast_proto::json;

use super::MasterCommand;
use crate::change::{self, Change, How};
use crate::native::{self, EndedWanted, NativeAnswer, Question};
use crate::rows::{ChangeDone, KillAccepted, TrashDone};
use crate::{authorize, Action, MasterView, Object, Parameters, Refusal};

/// A request that may be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeRequest {
    /// Show something.
    Read(NativeRead),
    /// Ask the core, and once it agreed give this answer.
    Ask(MasterCommand, NativeAnswer),
}

/// What can be read from a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeRead {
    /// Agents.
    Agents,
    /// Agents that are gone.
    GoneAgents,
    /// What marking an agent gone would do.
    GonePlan(AgentId),
    /// What draining an agent would do, and whether it is marked gone then.
    DrainPlan(AgentId, Option<u64>, bool),
    /// Disks.
    Disks,
    /// Disks that are moved from one agent to another.
    DiskMoves,
    /// Claims.
    Claims,
    /// Claims that have ended.
    EndedClaims(EndedWanted),
    /// What was claimed at a time.
    ClaimsAt(Instant),
    /// Frameworks.
    Frameworks,
    /// Tasks.
    Tasks,
    /// Offers.
    Offers,
    /// Roles.
    Roles,
    /// Roles that have quota.
    Quotas,
    /// Machines with planned downtime.
    Machines,
    /// What planning this downtime, and no other, would do.
    SchedulePlan(Vec<Window>),
    /// What taking machines down would do, or, if not, bringing them up.
    ModePlan(Vec<MachineId>, bool),
    /// Why.
    Explain(Question),
    /// What a framework of this role that is not there yet could be offered.
    Outlook(Role),
    /// Whether a change of claims would work if this caller asked for it, and what it takes and gives.
    ClaimPlan(CallerIdentity, AgentId, ClaimAction),
    /// The same for the end of one claim, and who holds it; whether by force.
    EndPlan(CallerIdentity, AgentId, ClaimId, bool),
    /// The same for several changes together, and how the claims have to be; whether by force, and which claim is meant.
    ApplyPlan(CallerIdentity, AgentId, Vec<ClaimAction>, Expected, How),
    /// What the removal of a framework would do.
    TeardownPlan(FrameworkId),
    /// What setting the quota of roles would do; whether by force.
    QuotaPlan(Vec<(Role, Quota)>, bool),
    /// Destroyed volumes.
    Trash,
    /// What bringing a destroyed volume back would take and give.
    UndeletePlan(AgentId, ClaimId),
    /// What the adoption of an orphan would take and give if this caller asked for it.
    AdoptionPlan(CallerIdentity, AgentId, VolumeAdoption),
    /// What would be kept of an orphan that is removed.
    RemovalPlan(AgentId, ClaimId),
    /// What the recovery of an agent would do; and of which ledger, where there are several.
    RecoverPlan(AgentId, Option<NodeId>),
}

impl NativeRequest {
    /// Reads `/holdfast/v1/{name}`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown name, [`Refusal::Invalid`] for a parameter that is missing or wrong,
    /// [`Refusal::MustBePosted`] for a change that is only asked for, [`Refusal::Forbidden`].
    pub fn parse(
        caller: &CallerIdentity,
        posted: bool,
        name: &str,
        parameters: Parameters<'_>,
    ) -> Result<NativeRequest, Refusal> {
        if let Some((does, change)) = change_named(name) {
            if !posted {
                return Err(Refusal::MustBePosted(format!("POST it: it {does}")));
            }
            return change(caller, parameters);
        }
        let read = match name {
            "agents" => NativeRead::Agents,
            "gone-agents" => NativeRead::GoneAgents,
            "disks" => NativeRead::Disks,
            "disk-moves" => NativeRead::DiskMoves,
            "claims" => NativeRead::Claims,
            "ended-claims" => NativeRead::EndedClaims(EndedWanted::read(parameters)?),
            "claims-at" => NativeRead::ClaimsAt(moment(parameters)?),
            "frameworks" => NativeRead::Frameworks,
            "tasks" => NativeRead::Tasks,
            "offers" => NativeRead::Offers,
            "roles" => NativeRead::Roles,
            "quotas" => NativeRead::Quotas,
            "machines" => NativeRead::Machines,
            "trash" => NativeRead::Trash,
            "explain" => NativeRead::Explain(question(parameters)?),
            "outlook" => NativeRead::Outlook(Role::parse(parameters.needed("role")?)?),
            "plan" => return plan(caller, parameters),
            "undelete-plan" => {
                let (agent, claim) = trashed(parameters)?;
                NativeRead::UndeletePlan(agent, claim)
            }
            "recover-plan" => {
                let (agent, ledger) = lost(parameters)?;
                NativeRead::RecoverPlan(agent, ledger)
            }
            "adopt-volume-plan" => {
                let (agent, adoption) = volume_adoption(parameters)?;
                NativeRead::AdoptionPlan(caller.clone(), agent, adoption)
            }
            "remove-orphan-plan" => {
                let (agent, orphan) = orphan(parameters)?;
                NativeRead::RemovalPlan(agent, orphan)
            }
            _ => {
                return Err(Refusal::NotFound(format!(
                    "there is no `/holdfast/v1/{name}`; there are agents, gone-agents, disks, disk-moves, claims, ended-claims, claims-at, frameworks, tasks, offers, roles, quotas, machines, trash, explain, outlook, kill, apply, end-claim, give-up, undelete, purge, add-disk, remove-disk, adopt-disk, cancel-move, adopt-volume, remove-orphan, recover-agent, mark-agent-gone, deactivate-agent, reactivate-agent, drain-agent, plan, undelete-plan, adopt-volume-plan, remove-orphan-plan, recover-plan"
                )))
            }
        };
        read.authorized(caller).map(NativeRequest::Read)
    }
}

/// Reads the request for a change.
type Reads = fn(&CallerIdentity, Parameters<'_>) -> Result<NativeRequest, Refusal>;

/// What a change of this name does, which is why it must be posted, and how it is read; `None` when it changes nothing.
fn change_named(name: &str) -> Option<(&'static str, Reads)> {
    Some(match name {
        "kill" => ("ends a task", kill),
        "give-up" => ("ends a claim", give_up),
        "end-claim" => ("ends a claim", end_claim),
        "apply" => ("changes claims", apply),
        "adopt-volume" => ("changes claims", adopt_volume),
        "remove-orphan" => ("moves data to the trash", remove_orphan),
        "recover-agent" => ("changes an agent's ledger", recover_agent),
        "deactivate-agent" => ("offers nothing of an agent", deactivate_agent),
        "reactivate-agent" => ("offers an agent again", reactivate_agent),
        "drain-agent" => ("ends what runs on an agent", drain_agent),
        "mark-agent-gone" => ("ends what an agent has", mark_agent_gone),
        "add-disk" => ("changes an agent's disks", add_disk),
        "remove-disk" => ("changes an agent's disks", remove_disk),
        "adopt-disk" => ("changes an agent's disks", adopt_disk),
        "cancel-move" => ("changes an agent's disks", cancel_move),
        "undelete" => ("takes space", undelete),
        "purge" => ("removes data for good", purge),
        _ => return None,
    })
}

/// A time, in milliseconds since 1970.
fn moment(parameters: Parameters<'_>) -> Result<Instant, Refusal> {
    let given = parameters.needed("at")?;
    let wrong =
        || Refusal::Invalid(format!("at: `{given}` is no time; give milliseconds since 1970"));
    given.parse().map(Instant).map_err(|_| wrong())
}

fn question(parameters: Parameters<'_>) -> Result<Question, Refusal> {
    let about = parameters.needed("about")?.to_owned();
    let wanted = match parameters.get("resources") {
        Some(given) => Some(text::resources(given, &Role::any())?.into_iter().collect()),
        None => None,
    };
    Ok(Question { about, wanted })
}

fn kill(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let framework = FrameworkId::parse(parameters.needed("framework")?)?;
    let task = TaskId::parse(parameters.needed("task")?)?;
    let command = MasterCommand::authorized(caller, OperatorCall::Kill(framework, task))?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Kill(KillAccepted { accepted: true })))
}

/// A destroyed volume, by its agent and the claim that it had.
fn trashed(parameters: Parameters<'_>) -> Result<(AgentId, ClaimId), Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    Ok((agent, ClaimId::parse(parameters.needed("claim")?)?))
}

fn undelete(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let (agent, claim) = trashed(parameters)?;
    let command = MasterCommand::authorized(caller, OperatorCall::Undelete { agent, claim })?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Trash(TrashDone { done: true })))
}

fn purge(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let (agent, claim) = trashed(parameters)?;
    let command = MasterCommand::authorized(caller, OperatorCall::PurgeTrash { agent, claim })?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Trash(TrashDone { done: true })))
}

/// Several changes of an agent's claims, all or none; the body is the document.
fn apply(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let document = parameters.get("document").ok_or_else(|| {
        Refusal::Invalid(
            "the body is empty; send the changes as JSON: agent, operations".to_owned(),
        )
    })?;
    let Change { agent, steps, expected, how: How { force, claim } } = change::read(document)?;
    let call = OperatorCall::Apply { agent, steps, expected, force, claim };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

fn end_claim(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let (agent, claim, force) = which_claim(parameters)?;
    let if_generation = match parameters.get("if_generation") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Refusal::Invalid(format!("if_generation: `{text}` is no number; give 0 or more"))
        })?),
    };
    let call = OperatorCall::EndClaim { agent, claim, force, if_generation };
    let done = NativeAnswer::Done(ChangeDone { done: true });
    Ok(NativeRequest::Ask(MasterCommand::authorized(caller, call)?, done))
}

fn give_up(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let (agent, claim, _) = which_claim(parameters)?;
    let call = OperatorCall::GiveUp { agent, claim };
    let done = NativeAnswer::Done(ChangeDone { done: true });
    Ok(NativeRequest::Ask(MasterCommand::authorized(caller, call)?, done))
}

/// A disk for a running agent: `agent`, `path`, `type` (path or mount), and `size_mb` if it shall not be measured.
fn add_disk(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let kind = parameters.needed("type")?;
    let disk = AddedDisk::parse(kind, parameters.needed("path")?, parameters.get("size_mb"))?;
    let command = MasterCommand::authorized(caller, OperatorCall::AddDisk { agent, disk })?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// A disk that is at another path now: `agent`, `disk` (its uuid), `path` (where it is), and `size_mb` if it shall not be as it was. When
/// it was another agent's, `from` names that, and `force=true` with a `reason` passes it over while it is away.
fn adopt_disk(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let disk = DiskId::parse(parameters.needed("disk")?).map_err(|it| it.within("disk"))?;
    let (path, size_mb) = (parameters.needed("path")?, parameters.get("size_mb"));
    let adoption = DiskAdoption::parse(disk, path, size_mb)?;
    let from = parameters.get("from").map(AgentId::parse).transpose()?;
    let call = match from.filter(|it| *it != agent) {
        None => OperatorCall::AdoptDisk { agent, adoption },
        Some(from) => {
            let reason = reason(parameters)?;
            OperatorCall::MoveDisk { from, to: agent, adoption, reason }
        }
    };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// A disk that shall not be moved after all: `disk` (its uuid) and `from`, the agent that has its claims. The agent that was asked to take it
/// over is passed over, while it is away, with `force=true` and a `reason`.
fn cancel_move(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let from = AgentId::parse(parameters.needed("from")?).map_err(|it| it.within("from"))?;
    let disk = DiskId::parse(parameters.needed("disk")?).map_err(|it| it.within("disk"))?;
    let call = OperatorCall::CancelMove { disk, from, reason: reason(parameters)? };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// An orphan: `agent`, and `volume` (its uuid).
fn orphan(parameters: Parameters<'_>) -> Result<(AgentId, ClaimId), Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let volume = ClaimId::parse(parameters.needed("volume")?).map_err(|it| it.within("volume"))?;
    Ok((agent, volume))
}

/// What shall be adopted on an `agent`: an orphan, `volume`, or a directory, `path`; its `disk`; and what shall be otherwise than its label says,
/// or must be said of a directory: `role`, `name`, `size_mb`; where tasks see it is `container_path`, or else `data`.
fn volume_adoption(parameters: Parameters<'_>) -> Result<(AgentId, VolumeAdoption), Refusal> {
    let (agent, from) = match parameters.get("path") {
        None => {
            let (agent, orphan) = orphan(parameters)?;
            (agent, AdoptedFrom::Orphan(orphan))
        }
        Some(_) if parameters.get("volume").is_some() => {
            let why = "volume: an orphan is named, or a directory by its `path`, and not both";
            return Err(Refusal::Invalid(why.to_owned()));
        }
        Some(path) => {
            let agent = AgentId::parse(parameters.needed("agent")?)?;
            let path = plain_root(path).map_err(|it| it.within("path"))?;
            (agent, AdoptedFrom::Directory(path))
        }
    };
    let disk = DiskId::parse(parameters.needed("disk")?).map_err(|it| it.within("disk"))?;
    let size_mb = match parameters.get("size_mb") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Refusal::Invalid(format!("size_mb: `{text}` is no number; give MB, 1 or more"))
        })?),
    };
    let role = parameters.get("role").map(Role::parse).transpose();
    let name = parameters.get("name").map(PersistenceId::parse).transpose();
    let adoption = VolumeAdoption {
        disk,
        from,
        role: role.map_err(|it| it.within("role"))?,
        name: name.map_err(|it| it.within("name"))?,
        size_mb,
        container_path: parameters.get("container_path").unwrap_or("data").to_owned(),
    };
    Ok((agent, adoption))
}

fn adopt_volume(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let (agent, adoption) = volume_adoption(parameters)?;
    let call = OperatorCall::AdoptVolume { agent, adoption };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// An agent whose ledger was lost: `agent`, and `ledger` where several call themselves that agent.
fn lost(parameters: Parameters<'_>) -> Result<(AgentId, Option<NodeId>), Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let ledger = parameters.get("ledger").map(NodeId::parse).transpose();
    Ok((agent, ledger.map_err(|it| it.within("ledger"))?))
}

/// Gives an agent its claims back: as for its plan, and `plan`, the name of that.
fn recover_agent(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let (agent, node) = lost(parameters)?;
    let plan = parameters.needed("plan")?.to_owned();
    let call = OperatorCall::RecoverAgent { agent, node, plan };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// One change of an agent that is asked for.
fn of_agent(caller: &CallerIdentity, call: OperatorCall) -> Result<NativeRequest, Refusal> {
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

fn deactivate_agent(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    of_agent(caller, OperatorCall::DeactivateAgent(agent))
}

/// `agent`, and `cancel_drain=true` if a drain that is under way ends, too.
fn reactivate_agent(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let cancel_drain = is_set(parameters, "cancel_drain")?;
    of_agent(caller, OperatorCall::ReactivateAgent { agent, cancel_drain })
}

/// `agent`; `max_grace_ms`, the most time that a task gets; and `mark_gone=true` if the agent is marked gone then.
fn drain_agent(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let max_grace_ms = match parameters.get("max_grace_ms") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Refusal::Invalid(format!("max_grace_ms: `{text}` is no number; give 0 or more"))
        })?),
    };
    let mark_gone = is_set(parameters, "mark_gone")?;
    of_agent(caller, OperatorCall::DrainAgent { agent, max_grace_ms, mark_gone })
}

/// An agent will not come back: `agent`, and why, `reason`.
fn mark_agent_gone(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let reason = parameters.get("reason").map(str::trim).filter(|it| !it.is_empty());
    of_agent(caller, OperatorCall::MarkAgentGone { agent, reason: reason.map(str::to_owned) })
}

fn remove_orphan(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let (agent, orphan) = orphan(parameters)?;
    let call = OperatorCall::RemoveOrphan { agent, orphan };
    let command = MasterCommand::authorized(caller, call)?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Trash(TrashDone { done: true })))
}

/// Why something is done by force; none when it is not.
fn reason(parameters: Parameters<'_>) -> Result<Option<String>, Refusal> {
    let given = parameters.get("reason").map(str::trim).filter(|it| !it.is_empty());
    match (is_forced(parameters)?, given) {
        (true, Some(reason)) => Ok(Some(reason.to_owned())),
        (true, None) => {
            let why = "reason: it is needed with `force=true`; say how it is known that nothing uses the disk any more";
            Err(Refusal::Invalid(why.to_owned()))
        }
        (false, Some(_)) => {
            Err(Refusal::Invalid("reason: it is given with `force=true` only".to_owned()))
        }
        (false, None) => Ok(None),
    }
}

fn is_forced(parameters: Parameters<'_>) -> Result<bool, Refusal> {
    is_set(parameters, "force")
}

fn is_set(parameters: Parameters<'_>, name: &str) -> Result<bool, Refusal> {
    match parameters.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let why = format!("{name}: `{other}` is neither true nor false");
            Err(Refusal::Invalid(why))
        }
    }
}

fn remove_disk(
    caller: &CallerIdentity,
    parameters: Parameters<'_>,
) -> Result<NativeRequest, Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let root = plain_root(parameters.needed("path")?)?;
    let command = MasterCommand::authorized(caller, OperatorCall::RemoveDisk { agent, root })?;
    Ok(NativeRequest::Ask(command, NativeAnswer::Done(ChangeDone { done: true })))
}

/// A claim, and whether it is to end by force.
fn which_claim(parameters: Parameters<'_>) -> Result<(AgentId, ClaimId, bool), Refusal> {
    let agent = AgentId::parse(parameters.needed("agent")?)?;
    let claim = ClaimId::parse(parameters.needed("claim")?)?;
    Ok((agent, claim, is_forced(parameters)?))
}

/// Whether a change would work; `call` is the operator call as JSON. Or whether a claim can be ended, which is then named as it is to
/// `end-claim`.
fn plan(caller: &CallerIdentity, parameters: Parameters<'_>) -> Result<NativeRequest, Refusal> {
    if parameters.get("claim").is_some() {
        let (agent, claim, force) = which_claim(parameters)?;
        let plan = NativeRead::EndPlan(caller.clone(), agent, claim, force);
        return plan.authorized(caller).map(NativeRequest::Read);
    }
    if let Some(document) = parameters.get("document") {
        let Change { agent, steps, expected, how } = change::read(document)?;
        let plan = NativeRead::ApplyPlan(caller.clone(), agent, steps, expected, how);
        return plan.authorized(caller).map(NativeRequest::Read);
    }
    let call = json::from_slice(parameters.needed("call")?.as_bytes())
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
    match operator::from_proto(call)? {
        Some(OperatorCall::Claim { agent, action }) => {
            let plan = NativeRead::ClaimPlan(caller.clone(), agent, action);
            plan.authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::Teardown(framework)) => {
            NativeRead::TeardownPlan(framework).authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::DrainAgent { agent, max_grace_ms, mark_gone }) => {
            let plan = NativeRead::DrainPlan(agent, max_grace_ms, mark_gone);
            plan.authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::MarkAgentGone { agent, .. }) => {
            NativeRead::GonePlan(agent).authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::Schedule(windows)) => {
            NativeRead::SchedulePlan(windows).authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::MachinesDown(ids)) => {
            NativeRead::ModePlan(ids, true).authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::MachinesUp(ids)) => {
            NativeRead::ModePlan(ids, false).authorized(caller).map(NativeRequest::Read)
        }
        Some(OperatorCall::Quota { quotas, force }) => {
            NativeRead::QuotaPlan(quotas, force).authorized(caller).map(NativeRequest::Read)
        }
        _ => Err(Refusal::Invalid(
            "type: only RESERVE_RESOURCES, UNRESERVE_RESOURCES, CREATE_VOLUMES, DESTROY_VOLUMES, GROW_VOLUME, SHRINK_VOLUME, UPDATE_QUOTA, DRAIN_AGENT, MARK_AGENT_GONE, UPDATE_MAINTENANCE_SCHEDULE, START_MAINTENANCE, STOP_MAINTENANCE and TEARDOWN can be planned"
                .to_owned(),
        )),
    }
}

impl NativeRead {
    fn authorized(self, caller: &CallerIdentity) -> Result<NativeRead, Refusal> {
        let object = match &self {
            NativeRead::Agents
            | NativeRead::GoneAgents
            | NativeRead::Machines
            | NativeRead::SchedulePlan(_)
            | NativeRead::ModePlan(..) => Object::Agents,
            NativeRead::Disks | NativeRead::DiskMoves => Object::Disks,
            NativeRead::Claims | NativeRead::EndedClaims(_) | NativeRead::ClaimsAt(_) => {
                Object::Claims
            }
            NativeRead::Frameworks => Object::Frameworks,
            NativeRead::Tasks => Object::Tasks,
            NativeRead::Offers | NativeRead::Outlook(_) => Object::Offers,
            NativeRead::Roles | NativeRead::Quotas | NativeRead::QuotaPlan(..) => Object::Roles,
            NativeRead::Trash => Object::Claims,
            NativeRead::UndeletePlan(agent, _)
            | NativeRead::AdoptionPlan(_, agent, _)
            | NativeRead::RemovalPlan(agent, _)
            | NativeRead::RecoverPlan(agent, _)
            | NativeRead::DrainPlan(agent, ..)
            | NativeRead::GonePlan(agent) => Object::Agent(agent),
            NativeRead::Explain(question) => Object::Named(&question.about),
            NativeRead::ClaimPlan(_, agent, _)
            | NativeRead::EndPlan(_, agent, ..)
            | NativeRead::ApplyPlan(_, agent, ..) => Object::Agent(agent),
            NativeRead::TeardownPlan(framework) => Object::Framework(framework),
        };
        authorize(caller, Action::View, object)?;
        Ok(self)
    }

    /// The answer, from what the master is like `now`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is about something that does not exist.
    pub fn answer(&self, view: &MasterView, now: Instant) -> Result<NativeAnswer, Refusal> {
        Ok(match self {
            NativeRead::Agents => NativeAnswer::Agents(native::agents(view)),
            NativeRead::GoneAgents => NativeAnswer::GoneAgents(native::gone_agents(view)),
            NativeRead::DrainPlan(agent, max_grace_ms, mark_gone) => NativeAnswer::Plan(Box::new(
                native::drain_plan(view, agent, *max_grace_ms, *mark_gone)?,
            )),
            NativeRead::GonePlan(agent) => {
                NativeAnswer::Plan(Box::new(native::gone_plan(view, agent)?))
            }
            NativeRead::Disks => NativeAnswer::Disks(native::disks(view)),
            NativeRead::DiskMoves => NativeAnswer::DiskMoves(native::disk_moves(view)),
            NativeRead::Claims => NativeAnswer::Claims(native::claims(view)),
            NativeRead::EndedClaims(wanted) => {
                NativeAnswer::EndedClaims(native::ended_claims(view, wanted))
            }
            NativeRead::ClaimsAt(at) => NativeAnswer::ClaimsAt(native::claims_at(view, *at)),
            NativeRead::Frameworks => NativeAnswer::Frameworks(native::frameworks(view)),
            NativeRead::Tasks => NativeAnswer::Tasks(native::tasks(view)),
            NativeRead::Offers => NativeAnswer::Offers(native::offers(view)),
            NativeRead::Roles => NativeAnswer::Roles(native::roles(view)),
            NativeRead::Quotas => NativeAnswer::Quotas(native::quotas(view)),
            NativeRead::QuotaPlan(quotas, force) => {
                NativeAnswer::Plan(Box::new(native::quota_plan(view, quotas, *force)?))
            }
            NativeRead::Machines => NativeAnswer::Machines(native::machines(view)),
            NativeRead::SchedulePlan(windows) => {
                NativeAnswer::Plan(Box::new(native::schedule_plan(view, windows)?))
            }
            NativeRead::ModePlan(ids, down) => {
                NativeAnswer::Plan(Box::new(native::mode_plan(view, ids, *down)?))
            }
            NativeRead::Trash => NativeAnswer::TrashRows(native::trash(view)),
            NativeRead::UndeletePlan(agent, claim) => {
                NativeAnswer::Plan(Box::new(native::undelete_plan(view, agent, *claim)?))
            }
            NativeRead::AdoptionPlan(caller, agent, adoption) => {
                NativeAnswer::Plan(Box::new(native::adoption_plan(view, caller, agent, adoption)?))
            }
            NativeRead::RemovalPlan(agent, orphan) => {
                NativeAnswer::Plan(Box::new(native::removal_plan(view, agent, *orphan)?))
            }
            NativeRead::RecoverPlan(agent, ledger) => {
                NativeAnswer::Plan(Box::new(native::recover_plan(view, agent, *ledger)?))
            }
            NativeRead::Explain(question) => {
                NativeAnswer::Explained(Box::new(native::explain(view, now, question)?))
            }
            NativeRead::Outlook(role) => NativeAnswer::Outlook(native::outlook(view, now, role)),
            NativeRead::ClaimPlan(caller, agent, action) => {
                NativeAnswer::Plan(Box::new(native::claim_plan(view, caller, agent, action)?))
            }
            NativeRead::EndPlan(caller, agent, claim, force) => NativeAnswer::Plan(Box::new(
                native::end_plan(view, caller, (agent, *claim), *force)?,
            )),
            NativeRead::ApplyPlan(caller, agent, steps, expected, how) => NativeAnswer::Plan(
                Box::new(native::apply_plan(view, caller, agent, (steps, expected), *how)?),
            ),
            NativeRead::TeardownPlan(framework) => {
                NativeAnswer::Plan(Box::new(native::teardown_plan(view, framework)?))
            }
        })
    }
}

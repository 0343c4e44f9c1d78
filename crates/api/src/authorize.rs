//! Who may do what: the one place that every read and every change goes through.
//!
//! Relies on the process for the caller's identity. Everything is allowed so far, since nobody is authenticated; rules go here, and
//! nowhere else. A request is authorized when it is parsed ([`crate::requests`]), so that one that was not cannot exist.

use std::fmt;

use holdfast_model::{AgentId, CallerIdentity, ExecutorId, FrameworkId, Role, TaskId};

use crate::Refusal;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Read what is there.
    View,
    /// Read a file or list a folder.
    ReadFile,
    /// Subscribe as a framework with a role.
    RegisterFramework,
    /// Speak for a framework that is subscribed.
    ActAsFramework,
    /// Connect as an agent.
    RegisterAgent,
    /// Speak for an executor.
    ActAsExecutor,
    /// Remove a framework.
    TeardownFramework,
    /// End a task.
    KillTask,
    /// Start, end and speak with containers inside those of tasks.
    EnterContainer,
    /// Reserve resources of an agent.
    Reserve,
    /// Undo a reservation.
    Unreserve,
    /// Create volumes on an agent.
    CreateVolume,
    /// Destroy volumes of an agent.
    DestroyVolume,
    /// Make volumes of an agent larger or smaller.
    ResizeVolume,
    /// Bring destroyed volumes of an agent back.
    UndeleteVolume,
    /// Remove destroyed volumes of an agent for good.
    PurgeVolume,
    /// Give agents disks, or take them away.
    ChangeDisks,
    /// Give an agent back what its ledger has lost.
    RecoverAgent,
    /// Have nothing of an agent offered, or have it offered again.
    DeactivateAgent,
    /// End what runs on an agent.
    DrainAgent,
    /// Say that an agent will not come back.
    MarkAgentGone,
    /// Plan downtime of machines.
    PlanMaintenance,
    /// Take machines down, or bring them up.
    Maintain,
    /// Set how much a process logs.
    SetLogLevel,
    /// Set the weight of a role.
    UpdateWeight,
    /// Set the quota of a role.
    UpdateQuota,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object<'a> {
    /// The master itself, and its log.
    Master,
    /// Everything at once.
    Cluster,
    /// All agents.
    Agents,
    /// One agent.
    Agent(&'a AgentId),
    /// All disks.
    Disks,
    /// All claims.
    Claims,
    /// All frameworks.
    Frameworks,
    /// One framework.
    Framework(&'a FrameworkId),
    /// All tasks.
    Tasks,
    /// One task of a framework.
    Task(&'a FrameworkId, &'a TaskId),
    /// All executors.
    Executors,
    /// One executor of a framework.
    Executor(&'a FrameworkId, &'a ExecutorId),
    /// All offers.
    Offers,
    /// All operations.
    Operations,
    /// All roles.
    Roles,
    /// One role.
    Role(&'a Role),
    /// The weights of roles.
    Weights,
    /// A file, by the path that the caller gave.
    File(&'a str),
    /// Whatever has this name.
    Named(&'a str),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::View => "see",
            Action::ReadFile => "read",
            Action::RegisterFramework => "register a framework for",
            Action::ActAsFramework => "speak for",
            Action::RegisterAgent => "connect as one of the",
            Action::ActAsExecutor => "speak for",
            Action::TeardownFramework => "remove",
            Action::KillTask => "end",
            Action::EnterContainer => "enter containers of",
            Action::Reserve => "reserve resources of",
            Action::Unreserve => "unreserve resources of",
            Action::CreateVolume => "create volumes on",
            Action::DestroyVolume => "destroy volumes of",
            Action::ResizeVolume => "resize volumes of",
            Action::UndeleteVolume => "bring back volumes of",
            Action::PurgeVolume => "remove destroyed volumes of",
            Action::ChangeDisks => "change the disks of",
            Action::RecoverAgent => "recover",
            Action::DeactivateAgent => "deactivate or reactivate",
            Action::DrainAgent => "drain",
            Action::MarkAgentGone => "mark as gone",
            Action::PlanMaintenance => "plan downtime of",
            Action::Maintain => "take down or bring up",
            Action::SetLogLevel => "set the level of the log of",
            Action::UpdateWeight => "set the weight of",
            Action::UpdateQuota => "set the quota of",
        })
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Master => f.write_str("the master"),
            Object::Cluster => f.write_str("the cluster"),
            Object::Agents => f.write_str("agents"),
            Object::Agent(id) => write!(f, "agent {id}"),
            Object::Disks => f.write_str("disks"),
            Object::Claims => f.write_str("claims"),
            Object::Frameworks => f.write_str("frameworks"),
            Object::Framework(id) => write!(f, "framework {id}"),
            Object::Tasks => f.write_str("tasks"),
            Object::Task(framework, id) => write!(f, "task `{id}` of framework {framework}"),
            Object::Executors => f.write_str("executors"),
            Object::Executor(framework, id) => {
                write!(f, "executor `{id}` of framework {framework}")
            }
            Object::Offers => f.write_str("offers"),
            Object::Operations => f.write_str("operations"),
            Object::Roles => f.write_str("roles"),
            Object::Role(role) => write!(f, "role `{role}`"),
            Object::Weights => f.write_str("weights"),
            Object::File(path) => write!(f, "`{path}`"),
            Object::Named(name) => write!(f, "`{name}`"),
        }
    }
}

/// The caller may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{caller} may not {action} {object}; ask the operator of this cluster")]
pub struct Denied {
    caller: CallerIdentity,
    action: Action,
    object: String,
}

impl Denied {
    /// This caller may not do this.
    pub fn new(caller: &CallerIdentity, action: Action, object: Object<'_>) -> Denied {
        Denied { caller: caller.clone(), action, object: object.to_string() }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Refusal {
        Refusal::Forbidden(denied.to_string())
    }
}

/// Whether a caller may do something to something.
///
/// # Errors
/// [`Denied`]; never so far.
pub fn authorize(
    _caller: &CallerIdentity,
    _action: Action,
    _object: Object<'_>,
) -> Result<(), Denied> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_do_everything_so_far() {
        let ops = CallerIdentity::Principal("ops".to_owned());
        for caller in [CallerIdentity::Anonymous, ops] {
            assert_eq!(authorize(&caller, Action::View, Object::Cluster), Ok(()));
            assert_eq!(authorize(&caller, Action::KillTask, Object::Named("t")), Ok(()));
        }
    }

    #[test]
    fn a_denial_says_who_and_what() {
        let (framework, task) =
            (FrameworkId::made("f-1".to_owned()), TaskId::made("db-0".to_owned()));
        let ops = CallerIdentity::Principal("ops".to_owned());
        let denied = Denied::new(&ops, Action::KillTask, Object::Task(&framework, &task));
        let text =
            "`ops` may not end task `db-0` of framework f-1; ask the operator of this cluster";
        assert_eq!(Refusal::from(denied), Refusal::Forbidden(text.to_owned()));
        let nobody = CallerIdentity::Anonymous;
        let denied = Denied::new(&nobody, Action::UpdateWeight, Object::Role(&Role::any()));
        let text = "an anonymous caller may not set the weight of role `*`; ask the operator of this cluster";
        assert_eq!(denied.to_string(), text);
    }
}

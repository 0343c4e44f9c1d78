//! Requests, parsed and authorized: what comes out may be carried out.
//!
//! A read names what is asked for and is answered from a view; a change becomes commands for the core, which carry who asked. Never
//! looks at a view: whether something exists is said by the answer or by the core.

mod agent;
mod executor;
mod form;
mod native;
mod nested;
mod operator;
mod page;
mod scheduler;

use holdfast_model::{AgentId, CallerIdentity, ClaimAction, OperatorCall};

pub use agent::{agent_page, AgentRead, Needs};
pub use executor::{executor_request, ExecutorRequest};
pub use form::Form;
pub use native::{NativeRead, NativeRequest};
pub use nested::{nested_input, NestedLaunch, NestedRequest, NestedStream, WindowRows};
pub use operator::{OperatorRead, OperatorRequest};
pub use page::{Page, PageRequest};
pub use scheduler::{check_update, scheduler_call, subscription, FrameworkCommand, NotSubscribed};

use crate::{authorize, Action, Denied, Object, Refusal};

/// What the master's core is asked to do, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterCommand {
    /// Who asks.
    pub caller: CallerIdentity,
    /// What.
    pub call: OperatorCall,
}

impl MasterCommand {
    /// A command that this caller may give.
    fn authorized(caller: &CallerIdentity, call: OperatorCall) -> Result<MasterCommand, Refusal> {
        match &call {
            OperatorCall::Claim { agent, action } => may_change(caller, agent, action.steps()),
            OperatorCall::Apply { agent, steps, .. } => may_change(caller, agent, steps),
            OperatorCall::AdoptVolume { agent, .. } => {
                authorize(caller, Action::Reserve, Object::Agent(agent))?;
                authorize(caller, Action::CreateVolume, Object::Agent(agent))
            }
            OperatorCall::RemoveOrphan { agent, .. } => {
                authorize(caller, Action::DestroyVolume, Object::Agent(agent))
            }
            OperatorCall::Undelete { agent, .. } => {
                authorize(caller, Action::UndeleteVolume, Object::Agent(agent))
            }
            OperatorCall::PurgeTrash { agent, .. } => {
                authorize(caller, Action::PurgeVolume, Object::Agent(agent))
            }
            OperatorCall::AddDisk { agent, .. }
            | OperatorCall::AdoptDisk { agent, .. }
            | OperatorCall::RemoveDisk { agent, .. } => {
                authorize(caller, Action::ChangeDisks, Object::Agent(agent))
            }
            OperatorCall::RecoverAgent { agent, .. } => {
                authorize(caller, Action::RecoverAgent, Object::Agent(agent))
            }
            OperatorCall::DeactivateAgent(agent) | OperatorCall::ReactivateAgent { agent, .. } => {
                authorize(caller, Action::DeactivateAgent, Object::Agent(agent))
            }
            OperatorCall::DrainAgent { agent, mark_gone, .. } => {
                authorize(caller, Action::DrainAgent, Object::Agent(agent))?;
                match mark_gone {
                    true => authorize(caller, Action::MarkAgentGone, Object::Agent(agent)),
                    false => Ok(()),
                }
            }
            OperatorCall::MarkAgentGone { agent, .. } => {
                authorize(caller, Action::MarkAgentGone, Object::Agent(agent))
            }
            OperatorCall::MoveDisk { from, to, .. } => {
                authorize(caller, Action::ChangeDisks, Object::Agent(from))?;
                authorize(caller, Action::ChangeDisks, Object::Agent(to))
            }
            OperatorCall::CancelMove { from, .. } => {
                authorize(caller, Action::ChangeDisks, Object::Agent(from))
            }
            // Whoever may destroy what an agent has may undo its reservations, too; which of the two it is, the core finds out.
            OperatorCall::EndClaim { agent, .. } | OperatorCall::GiveUp { agent, .. } => {
                authorize(caller, Action::Unreserve, Object::Agent(agent))?;
                authorize(caller, Action::DestroyVolume, Object::Agent(agent))
            }
            OperatorCall::Schedule(_) => authorize(caller, Action::PlanMaintenance, Object::Agents),
            OperatorCall::MachinesDown(_) | OperatorCall::MachinesUp(_) => {
                authorize(caller, Action::Maintain, Object::Agents)
            }
            OperatorCall::Teardown(framework) => {
                authorize(caller, Action::TeardownFramework, Object::Framework(framework))
            }
            OperatorCall::Kill(framework, task) => {
                authorize(caller, Action::KillTask, Object::Task(framework, task))
            }
            OperatorCall::Weight(role, _) => {
                authorize(caller, Action::UpdateWeight, Object::Role(role))
            }
            OperatorCall::Quota { quotas, .. } => quotas.iter().try_for_each(|(role, _)| {
                authorize(caller, Action::UpdateQuota, Object::Role(role))
            }),
        }?;
        Ok(MasterCommand { caller: caller.clone(), call })
    }
}

/// Each change is one that this caller may make.
fn may_change(
    caller: &CallerIdentity,
    agent: &AgentId,
    steps: &[ClaimAction],
) -> Result<(), Denied> {
    steps
        .iter()
        .filter_map(claim_action)
        .try_for_each(|it| authorize(caller, it, Object::Agent(agent)))
}

fn claim_action(action: &ClaimAction) -> Option<Action> {
    Some(match action {
        ClaimAction::Reserve { .. } => Action::Reserve,
        ClaimAction::Unreserve(_) => Action::Unreserve,
        ClaimAction::Create(_) => Action::CreateVolume,
        ClaimAction::Destroy(_) => Action::DestroyVolume,
        ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } => Action::ResizeVolume,
        ClaimAction::Together(_) => return None, // Its steps are asked about; no step holds steps.
    })
}

#[cfg(test)]
mod tests;

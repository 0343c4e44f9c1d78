//! What can be read from an agent.

use holdfast_model::CallerIdentity;
use holdfast_proto::mesos::v1::agent::call::Type;
use holdfast_proto::mesos::v1::agent::response::Type as Answered;
use holdfast_proto::mesos::v1::agent::{Call, Response};

use crate::{agent, authorize, Action, AgentView, Object, Refusal};

/// What an operator can read from an agent's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentRead {
    /// GET_AGENT.
    Agent,
    /// GET_TASKS.
    Tasks,
}

impl AgentRead {
    /// Reads a call of the operator API.
    ///
    /// # Errors
    /// [`Refusal::NotServed`] for a call that is not served, [`Refusal::Forbidden`].
    pub fn parse(caller: &CallerIdentity, call: &Call) -> Result<AgentRead, Refusal> {
        let (read, object) = match call.r#type() {
            Type::GetAgent => (AgentRead::Agent, Object::Agents),
            Type::GetTasks => (AgentRead::Tasks, Object::Tasks),
            other => {
                return Err(Refusal::NotServed(format!(
                    "{} is not served yet by this agent",
                    other.as_str_name()
                )))
            }
        };
        authorize(caller, Action::View, object)?;
        Ok(read)
    }

    /// The answer, from what the agent is like now.
    pub fn answer(self, view: &AgentView) -> Response {
        let mut answer = Response::default();
        let kind = match self {
            AgentRead::Agent => {
                answer.get_agent = Some(agent::machine(view));
                Answered::GetAgent
            }
            AgentRead::Tasks => {
                answer.get_tasks = Some(agent::tasks(view));
                Answered::GetTasks
            }
        };
        answer.r#type = Some(kind.into());
        answer
    }
}

/// Lets a caller see the agent's page.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub fn agent_page(caller: &CallerIdentity) -> Result<(), Refusal> {
    Ok(authorize(caller, Action::View, Object::Agents)?)
}

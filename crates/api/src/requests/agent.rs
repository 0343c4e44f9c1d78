//! What can be read from an agent.

use holdfast_model::CallerIdentity;
use holdfast_proto::mesos::v1::agent::call::Type;
use holdfast_proto::mesos::v1::agent::response::{GetResourceProviders, Type as Answered};
use holdfast_proto::mesos::v1::agent::{Call, Response};

use crate::agent::{AgentFacts, Surroundings};
use crate::{agent, authorize, Action, AgentView, Object, Refusal};

/// What an operator can read from an agent's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentRead {
    /// GET_AGENT.
    Agent,
    /// GET_TASKS.
    Tasks,
    /// GET_FLAGS.
    Flags,
    /// GET_STATE.
    State,
    /// GET_FRAMEWORKS.
    Frameworks,
    /// GET_EXECUTORS.
    Executors,
    /// GET_OPERATIONS.
    Operations,
    /// GET_CONTAINERS.
    Containers {
        /// Also those inside others.
        show_nested: bool,
    },
    /// GET_RESOURCE_PROVIDERS: an agent's disks are its own, so there are none.
    ResourceProviders,
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
            Type::GetFlags => (AgentRead::Flags, Object::Agents),
            Type::GetState => (AgentRead::State, Object::Tasks),
            Type::GetFrameworks => (AgentRead::Frameworks, Object::Agents),
            Type::GetExecutors => (AgentRead::Executors, Object::Tasks),
            Type::GetOperations => (AgentRead::Operations, Object::Agents),
            Type::GetContainers => {
                // Nothing here stands alone, so that `show_standalone` adds nothing.
                let asked = call.get_containers.as_ref();
                let show_nested = asked.and_then(|it| it.show_nested).unwrap_or(false);
                (AgentRead::Containers { show_nested }, Object::Tasks)
            }
            Type::GetResourceProviders => (AgentRead::ResourceProviders, Object::Agents),
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

    /// Whether the answer needs what the process finds of this kind of thing.
    pub fn needs(self) -> Needs {
        Needs {
            containers: matches!(self, AgentRead::Containers { .. }),
            sandboxes: matches!(
                self,
                AgentRead::State | AgentRead::Frameworks | AgentRead::Executors
            ),
        }
    }

    /// The answer, from what the agent is like now.
    pub fn answer(self, view: &AgentView, facts: &AgentFacts, found: &Surroundings) -> Response {
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
            AgentRead::Flags => {
                answer.get_flags = Some(agent::flags(facts));
                Answered::GetFlags
            }
            AgentRead::State => {
                answer.get_state = Some(agent::state(view, found));
                Answered::GetState
            }
            AgentRead::Frameworks => {
                answer.get_frameworks = Some(agent::frameworks(view, found));
                Answered::GetFrameworks
            }
            AgentRead::Executors => {
                answer.get_executors = Some(agent::executors(view, found));
                Answered::GetExecutors
            }
            AgentRead::Operations => {
                answer.get_operations = Some(agent::operations(view));
                Answered::GetOperations
            }
            AgentRead::Containers { show_nested } => {
                answer.get_containers =
                    Some(agent::all_containers(view, facts, found, show_nested));
                Answered::GetContainers
            }
            AgentRead::ResourceProviders => {
                answer.get_resource_providers = Some(GetResourceProviders::default());
                Answered::GetResourceProviders
            }
        };
        answer.r#type = Some(kind.into());
        answer
    }
}

/// What the process has to look up for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// What the containers use.
    pub containers: bool,
    /// Which sandboxes are kept.
    pub sandboxes: bool,
}

/// Lets a caller see the agent's page.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub fn agent_page(caller: &CallerIdentity) -> Result<(), Refusal> {
    Ok(authorize(caller, Action::View, Object::Agents)?)
}

//! Calls of the Mesos v1 operator API on a master.

use holdfast_model::convert::operator::from_proto;
use holdfast_model::OperatorCall;
use holdfast_model::{CallerIdentity, Invalid, Role, Scalar};
use holdfast_proto::mesos::v1::master::call::{Type, UpdateWeights};
use holdfast_proto::mesos::v1::master::response::{
    GetFlags, GetMaintenanceSchedule, GetMaintenanceStatus, GetQuota, Type as Answered,
};
use holdfast_proto::mesos::v1::master::{Call, Response};
use holdfast_proto::mesos::v1::Flag;

use super::MasterCommand;
use crate::v1::{self, MasterFacts};
use crate::{authorize, Action, MasterView, Object, Refusal};

/// A call that may be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorRequest {
    /// Show something.
    Read(OperatorRead),
    /// Change something: one command after the other, each once the one before was carried out.
    Change(Vec<MasterCommand>),
}

/// What an operator can read from a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorRead {
    /// GET_STATE.
    State,
    /// GET_AGENTS.
    Agents,
    /// GET_FRAMEWORKS.
    Frameworks,
    /// GET_TASKS.
    Tasks,
    /// GET_EXECUTORS.
    Executors,
    /// GET_ROLES.
    Roles,
    /// GET_WEIGHTS.
    Weights,
    /// GET_OPERATIONS.
    Operations,
    /// GET_MASTER.
    Master,
    /// GET_FLAGS.
    Flags,
    /// GET_QUOTA.
    Quota,
    /// GET_MAINTENANCE_SCHEDULE.
    MaintenanceSchedule,
    /// GET_MAINTENANCE_STATUS.
    MaintenanceStatus,
}

impl OperatorRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming the field, [`Refusal::Forbidden`], [`Refusal::NotFound`] for a file, or [`Refusal::NotServed`] for a
    /// call of another kind.
    pub fn parse(caller: &CallerIdentity, call: Call) -> Result<OperatorRequest, Refusal> {
        let kind = call.r#type();
        let read = match kind {
            Type::GetState => OperatorRead::State,
            Type::GetAgents => OperatorRead::Agents,
            Type::GetFrameworks => OperatorRead::Frameworks,
            Type::GetTasks => OperatorRead::Tasks,
            Type::GetExecutors => OperatorRead::Executors,
            Type::GetRoles => OperatorRead::Roles,
            Type::GetWeights => OperatorRead::Weights,
            Type::GetOperations => OperatorRead::Operations,
            Type::GetMaster => OperatorRead::Master,
            Type::GetFlags => OperatorRead::Flags,
            Type::GetQuota => OperatorRead::Quota,
            Type::GetMaintenanceSchedule => OperatorRead::MaintenanceSchedule,
            Type::GetMaintenanceStatus => OperatorRead::MaintenanceStatus,
            Type::ReadFile => {
                return Err(no_file(caller, "read_file", call.read_file.map(|it| it.path)))
            }
            Type::ListFiles => {
                return Err(no_file(caller, "list_files", call.list_files.map(|it| it.path)))
            }
            Type::UpdateWeights => return weights(caller, call.update_weights),
            _ => {
                let order = from_proto(call)?.ok_or_else(|| unserved(kind))?;
                let command = MasterCommand::authorized(caller, order)?;
                return Ok(OperatorRequest::Change(vec![command]));
            }
        };
        authorize(caller, Action::View, read.object())?;
        Ok(OperatorRequest::Read(read))
    }
}

fn unserved(kind: Type) -> Refusal {
    Refusal::NotServed(format!("{} is not served yet by this master", kind.as_str_name()))
}

/// A master shows no files of its own.
fn no_file(caller: &CallerIdentity, field: &str, path: Option<String>) -> Refusal {
    let Some(path) = path else {
        return Refusal::Invalid(format!("{field}: is missing"));
    };
    if let Err(denied) = authorize(caller, Action::ReadFile, Object::File(&path)) {
        return denied.into();
    }
    Refusal::NotFound(format!(
        "there is no file `{path}` on this master; sandboxes are on the agents"
    ))
}

fn weights(
    caller: &CallerIdentity,
    update: Option<UpdateWeights>,
) -> Result<OperatorRequest, Refusal> {
    let update = update.ok_or_else(|| Refusal::Invalid("update_weights: is missing".to_owned()))?;
    let mut commands = Vec::new();
    for (index, info) in update.weight_infos.iter().enumerate() {
        let within = |it: Invalid| it.within(format!("update_weights.weight_infos[{index}]"));
        let role = Role::parse(info.role()).map_err(within)?;
        let weight = Scalar::from_f64(info.weight).filter(|it| Scalar::ZERO < *it);
        let weight = weight.ok_or_else(|| {
            within(Invalid::new("weight", "must be a number greater than 0.0005"))
        })?;
        commands.push(MasterCommand::authorized(caller, OperatorCall::Weight(role, weight))?);
    }
    Ok(OperatorRequest::Change(commands))
}

impl OperatorRead {
    fn object(self) -> Object<'static> {
        match self {
            OperatorRead::State => Object::Cluster,
            OperatorRead::Agents => Object::Agents,
            OperatorRead::Frameworks => Object::Frameworks,
            OperatorRead::Tasks => Object::Tasks,
            OperatorRead::Executors => Object::Executors,
            OperatorRead::Roles => Object::Roles,
            OperatorRead::Weights => Object::Weights,
            OperatorRead::Operations => Object::Operations,
            OperatorRead::Master | OperatorRead::Flags => Object::Master,
            OperatorRead::Quota => Object::Roles,
            OperatorRead::MaintenanceSchedule | OperatorRead::MaintenanceStatus => Object::Agents,
        }
    }

    /// The answer, from what the master is like now.
    pub fn answer(self, view: &MasterView, facts: &MasterFacts) -> Response {
        let mut answer = Response::default();
        let kind = match self {
            OperatorRead::State => {
                answer.get_state = Some(v1::state(view));
                Answered::GetState
            }
            OperatorRead::Agents => {
                answer.get_agents = Some(v1::agents(view));
                Answered::GetAgents
            }
            OperatorRead::Frameworks => {
                answer.get_frameworks = Some(v1::frameworks(view));
                Answered::GetFrameworks
            }
            OperatorRead::Tasks => {
                answer.get_tasks = Some(v1::tasks(view));
                Answered::GetTasks
            }
            OperatorRead::Executors => {
                answer.get_executors = Some(v1::executors(view));
                Answered::GetExecutors
            }
            OperatorRead::Roles => {
                answer.get_roles = Some(v1::roles(view));
                Answered::GetRoles
            }
            OperatorRead::Weights => {
                answer.get_weights = Some(v1::weights(view));
                Answered::GetWeights
            }
            OperatorRead::Operations => {
                answer.get_operations = Some(v1::operations(view));
                Answered::GetOperations
            }
            OperatorRead::Master => {
                answer.get_master = Some(v1::master(facts));
                Answered::GetMaster
            }
            OperatorRead::Flags => {
                let flag = |(name, value): (&String, &String)| Flag {
                    name: name.clone(),
                    value: Some(value.clone()),
                };
                answer.get_flags = Some(GetFlags { flags: facts.flags.iter().map(flag).collect() });
                Answered::GetFlags
            }
            OperatorRead::Quota => {
                answer.get_quota = Some(GetQuota { status: v1::quota(view) });
                Answered::GetQuota
            }
            OperatorRead::MaintenanceSchedule => {
                answer.get_maintenance_schedule =
                    Some(GetMaintenanceSchedule { schedule: v1::schedule(view) });
                Answered::GetMaintenanceSchedule
            }
            OperatorRead::MaintenanceStatus => {
                answer.get_maintenance_status =
                    Some(GetMaintenanceStatus { status: v1::maintenance_status(view) });
                Answered::GetMaintenanceStatus
            }
        };
        answer.r#type = Some(kind.into());
        answer
    }
}

//! The operator calls of the Mesos v1 API on a master. Reading looks at the mind; changing asks it, and
//! answers once the change is durable at its agent (where Mesos answers "accepted").

use holdfast_model::convert::operator::from_proto;
use holdfast_model::{Invalid, OperatorCall, Role, Scalar};
use holdfast_proto::mesos::v1::master::call::{ReadFile, Type, UpdateWeights};
use holdfast_proto::mesos::v1::master::response::Type as Answered;
use holdfast_proto::mesos::v1::master::{response, Call, Response};
use holdfast_wire::{Caller, Refusal};

use super::api::{invalid, LeaderApi};
use super::shell::Seen;
use super::views;

/// Answers a call; `None` = nothing but success.
///
/// # Errors
/// A refusal with the status that Mesos gives.
pub async fn answer(
    api: &LeaderApi,
    caller: &Caller,
    call: Call,
) -> Result<Option<Response>, Refusal> {
    let kind = call.r#type();
    match kind {
        Type::ReserveResources
        | Type::UnreserveResources
        | Type::CreateVolumes
        | Type::DestroyVolumes
        | Type::Teardown => change(api, caller, call).await,
        Type::UpdateWeights => weigh(api, caller, call.update_weights).await,
        Type::GetState => {
            look(api, Answered::GetState, |shell, to| {
                to.get_state = Some(views::state(&shell.core))
            })
            .await
        }
        Type::GetAgents => {
            look(api, Answered::GetAgents, |shell, to| {
                to.get_agents = Some(views::agents(&shell.core))
            })
            .await
        }
        Type::GetFrameworks => {
            look(api, Answered::GetFrameworks, |shell, to| {
                to.get_frameworks = Some(views::frameworks(&shell.core))
            })
            .await
        }
        Type::GetTasks => {
            look(api, Answered::GetTasks, |shell, to| {
                to.get_tasks = Some(views::tasks(&shell.core))
            })
            .await
        }
        Type::GetExecutors => {
            look(api, Answered::GetExecutors, |shell, to| {
                to.get_executors = Some(views::executors(&shell.core))
            })
            .await
        }
        Type::GetRoles => {
            look(api, Answered::GetRoles, |shell, to| {
                to.get_roles = Some(views::roles(&shell.core))
            })
            .await
        }
        Type::GetWeights => {
            look(api, Answered::GetWeights, |shell, to| {
                to.get_weights = Some(views::weights(&shell.core))
            })
            .await
        }
        Type::GetOperations => {
            look(api, Answered::GetOperations, |shell, to| {
                to.get_operations = Some(views::operations(&shell.core))
            })
            .await
        }
        Type::GetMaster => {
            let info = api.gauges.master_info.clone();
            let get_master = Some(response::GetMaster {
                master_info: Some(info),
                start_time: Some(api.gauges.started_s),
                elected_time: Some(api.gauges.started_s),
            });
            Ok(Some(Response {
                r#type: Some(Answered::GetMaster.into()),
                get_master,
                ..Response::default()
            }))
        }
        Type::ReadFile => read_file(api, call.read_file),
        _ => Err(Refusal::not_implemented(format!(
            "{} is not served yet by this master",
            kind.as_str_name()
        ))),
    }
}

async fn look(
    api: &LeaderApi,
    kind: Answered,
    fill: impl FnOnce(&Seen, &mut Response) + Send + 'static,
) -> Result<Option<Response>, Refusal> {
    let response = api.look(move |shell| {
        let mut response = Response { r#type: Some(kind.into()), ..Response::default() };
        fill(shell, &mut response);
        response
    });
    response.await.map(Some)
}

async fn change(api: &LeaderApi, caller: &Caller, call: Call) -> Result<Option<Response>, Refusal> {
    match from_proto(call).map_err(invalid)? {
        Some(call) => api.ask(caller, call).await.map(|()| None),
        None => Err(Refusal::not_implemented("this call is not served by a master")),
    }
}

async fn weigh(
    api: &LeaderApi,
    caller: &Caller,
    update: Option<UpdateWeights>,
) -> Result<Option<Response>, Refusal> {
    let update = update.ok_or_else(|| Refusal::bad_request("update_weights: is missing"))?;
    let mut calls = Vec::new();
    for (index, info) in update.weight_infos.iter().enumerate() {
        let within =
            |it: Invalid| invalid(it.within(format!("update_weights.weight_infos[{index}]")));
        let role = Role::parse(info.role()).map_err(within)?;
        let weight = Scalar::from_f64(info.weight).filter(|it| Scalar::ZERO < *it);
        let weight = weight.ok_or_else(|| {
            within(Invalid::new("weight", "must be a number greater than 0.0005"))
        })?;
        calls.push(OperatorCall::Weight(role, weight));
    }
    for call in calls {
        api.ask(caller, call).await?;
    }
    Ok(None)
}

/// The only file that a master shows is its own log, if it writes one.
fn read_file(api: &LeaderApi, call: Option<ReadFile>) -> Result<Option<Response>, Refusal> {
    let call = call.ok_or_else(|| Refusal::bad_request("read_file: is missing"))?;
    let path = api.gauges.log_file.as_ref().filter(|_| call.path == "/master/log");
    let path = path.ok_or_else(|| {
        Refusal::not_found(format!(
            "there is no file `{}` on this master; sandboxes are on the agents",
            call.path
        ))
    })?;
    let chunk = crate::files::read_chunk(path, call.offset, call.length)?;
    let read_file = Some(response::ReadFile { size: chunk.size_bytes, data: chunk.data });
    Ok(Some(Response { r#type: Some(Answered::ReadFile.into()), read_file, ..Response::default() }))
}

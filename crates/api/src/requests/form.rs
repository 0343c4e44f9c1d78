//! Changes that are asked for by the forms of the time before the v1 API.
//!
//! A form becomes the call of the operator API that says the same, so that both are checked and carried out alike. The words with which
//! something that is missing or unknown is refused are Mesos's, because clients look for them.

use holdfast_model::CallerIdentity;
use holdfast_proto::json;
use holdfast_proto::mesos::v1;
use serde::de::DeserializeOwned;
use v1::master::call::{
    CreateVolumes, DestroyVolumes, RemoveQuota, ReserveResources, SetQuota, StartMaintenance,
    StopMaintenance, Teardown, Type, UnreserveResources, UpdateMaintenanceSchedule, UpdateWeights,
};
use v1::master::Call;

use super::{MasterCommand, OperatorRequest};
use crate::{Parameters, Refusal};

/// A form, by its path and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `POST /teardown`.
    Teardown,
    /// `POST /reserve`.
    Reserve,
    /// `POST /unreserve`.
    Unreserve,
    /// `POST /create-volumes`.
    CreateVolumes,
    /// `POST /destroy-volumes`.
    DestroyVolumes,
    /// `PUT /weights`; the body is JSON.
    UpdateWeights,
    /// `POST /quota`.
    SetQuota,
    /// `DELETE /quota/ROLE`.
    RemoveQuota,
    /// `POST /maintenance/schedule`; the body is JSON.
    MaintenanceSchedule,
    /// `POST /machine/down`; the body is JSON.
    MachineDown,
    /// `POST /machine/up`; the body is JSON.
    MachineUp,
}

/// What the body of `/machine/down` and `/machine/up` is.
const MACHINES: &str = "an array of {\"hostname\", \"ip\"}";

impl Form {
    /// Reads a form: its fields, and the body as `document` where that is JSON. What comes out is to be done in this order.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming what is wrong, [`Refusal::Forbidden`], or [`Refusal::NotServed`].
    #[allow(deprecated, reason = "SET_QUOTA and REMOVE_QUOTA are what these forms mean")]
    pub fn parse(
        self,
        caller: &CallerIdentity,
        fields: Parameters<'_>,
    ) -> Result<Vec<MasterCommand>, Refusal> {
        let mut call = Call::default();
        let kind = match self {
            Form::Teardown => {
                let framework_id = v1::FrameworkId { value: needed(fields, "frameworkId")? };
                call.teardown = Some(Teardown { framework_id });
                Type::Teardown
            }
            Form::Reserve => {
                let (agent_id, resources) = (agent(fields)?, list(fields, "resources")?);
                let source = match fields.get("source") {
                    None => Vec::new(),
                    Some(_) => list(fields, "source")?,
                };
                call.reserve_resources = Some(ReserveResources { agent_id, source, resources });
                Type::ReserveResources
            }
            Form::Unreserve => {
                let (agent_id, resources) = (agent(fields)?, list(fields, "resources")?);
                call.unreserve_resources = Some(UnreserveResources { agent_id, resources });
                Type::UnreserveResources
            }
            Form::CreateVolumes => {
                let (agent_id, volumes) = (agent(fields)?, list(fields, "volumes")?);
                call.create_volumes = Some(CreateVolumes { agent_id, volumes });
                Type::CreateVolumes
            }
            Form::DestroyVolumes => {
                let (agent_id, volumes) = (agent(fields)?, list(fields, "volumes")?);
                call.destroy_volumes = Some(DestroyVolumes { agent_id, volumes });
                Type::DestroyVolumes
            }
            Form::UpdateWeights => {
                let weight_infos = document(fields, "an array of {\"role\", \"weight\"}")?;
                call.update_weights = Some(UpdateWeights { weight_infos });
                Type::UpdateWeights
            }
            Form::SetQuota => {
                let quota_request = document(fields, "an object of role, guarantee and force")?;
                call.set_quota = Some(SetQuota { quota_request });
                Type::SetQuota
            }
            Form::RemoveQuota => {
                let role = needed(fields, "role")?;
                call.remove_quota = Some(RemoveQuota { role });
                Type::RemoveQuota
            }
            Form::MaintenanceSchedule => {
                let schedule = document(fields, "a maintenance schedule")?;
                call.update_maintenance_schedule = Some(UpdateMaintenanceSchedule { schedule });
                Type::UpdateMaintenanceSchedule
            }
            Form::MachineDown => {
                let machines = document(fields, MACHINES)?;
                call.start_maintenance = Some(StartMaintenance { machines });
                Type::StartMaintenance
            }
            Form::MachineUp => {
                let machines = document(fields, MACHINES)?;
                call.stop_maintenance = Some(StopMaintenance { machines });
                Type::StopMaintenance
            }
        };
        call.r#type = Some(kind.into());
        match OperatorRequest::parse(caller, call)? {
            OperatorRequest::Change(commands) => Ok(commands),
            OperatorRequest::Read(_) => Ok(Vec::new()), // No form asks for something.
        }
    }

    /// What the core refused, as a form says it: what is unknown was named wrongly.
    pub fn refused(self, refusal: Refusal) -> Refusal {
        match (self, refusal) {
            (Form::Teardown, Refusal::NotFound(why)) => {
                Refusal::Invalid(format!("No framework found with specified ID: {why}"))
            }
            (_, Refusal::NotFound(why)) => {
                Refusal::Invalid(format!("No agent found with specified ID: {why}"))
            }
            (_, other) => other,
        }
    }
}

fn needed(fields: Parameters<'_>, name: &str) -> Result<String, Refusal> {
    let missing =
        || Refusal::Invalid(format!("Missing '{name}' query parameter in the request body"));
    fields.owned(name).filter(|it| !it.is_empty()).ok_or_else(missing)
}

fn agent(fields: Parameters<'_>) -> Result<v1::AgentId, Refusal> {
    Ok(v1::AgentId { value: needed(fields, "slaveId")? })
}

fn list(fields: Parameters<'_>, name: &str) -> Result<Vec<v1::Resource>, Refusal> {
    let text = needed(fields, name)?;
    json::from_slice(text.as_bytes()).map_err(|error| {
        Refusal::Invalid(format!(
            "Error in parsing '{name}' query parameter in the request body: {name}{}: {}; give a JSON array of resources",
            error.path, error.message
        ))
    })
}

fn document<T: DeserializeOwned>(fields: Parameters<'_>, what: &str) -> Result<T, Refusal> {
    let text = fields.get("document").unwrap_or_default();
    json::from_slice(text.as_bytes()).map_err(|error| {
        Refusal::Invalid(format!(
            "Failed to parse the request body as JSON: {}: {}; give {what}",
            error.path, error.message
        ))
    })
}

#[cfg(test)]
mod tests {
    use holdfast_model::{ClaimAction, OperatorCall};

    use super::*;

    fn parsed(form: Form, pairs: &[(&str, &str)]) -> Result<Vec<OperatorCall>, Refusal> {
        let get = |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1);
        let commands = form.parse(&CallerIdentity::Anonymous, Parameters(&get))?;
        Ok(commands.into_iter().map(|it| it.call).collect())
    }

    const DISK: &str = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":10},"reservations":[{"type":"DYNAMIC","role":"db"}]}]"#;

    #[test]
    fn b83_forms_are_calls_of_the_operator_api() {
        let calls = parsed(Form::Reserve, &[("slaveId", "S0"), ("resources", DISK)]).unwrap();
        let [OperatorCall::Claim { agent, action: ClaimAction::Reserve { resources, source } }] =
            calls.as_slice()
        else {
            panic!("{calls:?}")
        };
        assert_eq!((agent.as_str(), resources.len(), source.len()), ("S0", 1, 0));
        let calls = parsed(Form::Unreserve, &[("slaveId", "S0"), ("resources", DISK)]).unwrap();
        assert!(matches!(
            calls.as_slice(),
            [OperatorCall::Claim { action: ClaimAction::Unreserve(_), .. }]
        ));
        let calls = parsed(Form::Teardown, &[("frameworkId", "f-0")]).unwrap();
        assert!(matches!(calls.as_slice(), [OperatorCall::Teardown(id)] if id.as_str() == "f-0"));
        let weights = r#"[{"role":"a","weight":2.5},{"role":"b","weight":1}]"#;
        assert_eq!(parsed(Form::UpdateWeights, &[("document", weights)]).unwrap().len(), 2);
    }

    #[test]
    fn i17_quota_is_set_and_removed_by_forms() {
        let request =
            r#"{"role":"a","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":2}}]}"#;
        let set = parsed(Form::SetQuota, &[("document", request)]).unwrap();
        let removed = parsed(Form::RemoveQuota, &[("role", "a")]).unwrap();
        for (calls, is_none) in [(set, false), (removed, true)] {
            let [OperatorCall::Quota { quotas, force: false }] = calls.as_slice() else {
                panic!("{calls:?}")
            };
            assert_eq!((quotas[0].0.as_str(), quotas[0].1.is_default()), ("a", is_none));
        }
        assert!(parsed(Form::SetQuota, &[("document", "{}")]).is_err());
        assert!(parsed(Form::RemoveQuota, &[]).is_err());
    }

    #[test]
    fn b84_what_is_missing_or_wrong_is_named() {
        let why = |form, pairs: &[_]| parsed(form, pairs).unwrap_err().to_string();
        let missing = |name| format!("Missing '{name}' query parameter in the request body");
        assert_eq!(why(Form::Teardown, &[]), missing("frameworkId"));
        assert_eq!(why(Form::Reserve, &[("resources", DISK)]), missing("slaveId"));
        assert_eq!(why(Form::Unreserve, &[("slaveId", "S0")]), missing("resources"));
        assert_eq!(why(Form::CreateVolumes, &[("slaveId", "S0")]), missing("volumes"));
        let text = why(Form::DestroyVolumes, &[("slaveId", "S0"), ("volumes", "{")]);
        assert!(text.starts_with("Error in parsing 'volumes' query parameter"), "{text}");
        let text = why(Form::UpdateWeights, &[("document", r#"[{"role":"a","weight":-1}]"#)]);
        assert!(text.contains("weight_infos[0].weight"), "{text}");
    }

    #[test]
    fn i7_downtime_is_planned_begun_and_ended_by_forms() {
        let window = r#"{"windows":[{"machine_ids":[{"hostname":"h"}],"unavailability":{"start":{"nanoseconds":1}}}]}"#;
        let calls = parsed(Form::MaintenanceSchedule, &[("document", window)]).unwrap();
        assert!(matches!(calls.as_slice(), [OperatorCall::Schedule(it)] if it.len() == 1));
        let calls = parsed(Form::MaintenanceSchedule, &[("document", "{}")]).unwrap();
        assert!(matches!(calls.as_slice(), [OperatorCall::Schedule(it)] if it.is_empty()));
        let machines = [("document", r#"[{"hostname":"h"}]"#)];
        let calls = parsed(Form::MachineDown, &machines).unwrap();
        assert!(matches!(calls.as_slice(), [OperatorCall::MachinesDown(it)] if it.len() == 1));
        let calls = parsed(Form::MachineUp, &machines).unwrap();
        assert!(matches!(calls.as_slice(), [OperatorCall::MachinesUp(it)] if it.len() == 1));
        let why = parsed(Form::MachineDown, &[("document", "[]")]).unwrap_err().to_string();
        assert!(why.contains("List of machines is empty"), "{why}");
    }

    #[test]
    fn b84_an_unknown_agent_or_framework_is_a_wrong_call() {
        let unknown = || Refusal::NotFound("there is none".to_owned());
        let said = |form: Form| form.refused(unknown());
        assert_eq!(
            said(Form::Reserve),
            Refusal::Invalid("No agent found with specified ID: there is none".to_owned())
        );
        assert!(said(Form::Teardown).to_string().starts_with("No framework found"));
        let busy = Refusal::Conflict("busy".to_owned());
        assert_eq!(Form::Reserve.refused(busy.clone()), busy);
    }
}

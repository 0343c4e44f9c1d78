//! What a leading master answers: a request is parsed, a change is asked of the core, and a read is rendered from a view of it.
//!
//! Everything that is said is said by `holdfast_api`. Nothing here knows what an agent or a framework is.

use holdfast_api::requests::{Form, NativeRequest, OperatorRequest, Page, PageRequest};
use holdfast_api::Parameters;
use holdfast_proto::mesos::v1::master::call::Type;
use holdfast_proto::mesos::v1::master::{Call, Response};
use holdfast_wire::{Caller, JsonText, MasterForm, MasterPage, Query, Refusal};

use super::api::LeaderApi;
use crate::core_loop::now;
use crate::refusals::{http, identity};

impl LeaderApi {
    /// Answers a call of the operator API; `None` = nothing but success. A change is answered once it is durable at its agent (where
    /// Mesos answers "accepted").
    ///
    /// # Errors
    /// A refusal with the status that Mesos gives.
    pub async fn operator(&self, caller: &Caller, call: Call) -> Result<Option<Response>, Refusal> {
        // To Mesos, a call that names what is unknown is a wrong one, unless it marks an agent gone.
        let has_404 = call.r#type() == Type::MarkAgentGone;
        let refused = |it: Refusal| if has_404 { it } else { it.unknown_is_bad_request() };
        match OperatorRequest::parse(&identity(caller), call).map_err(http)? {
            OperatorRequest::Read(read) => {
                let facts = self.facts.clone();
                self.read(move |view| read.answer(view, &facts)).await.map(Some)
            }
            OperatorRequest::Change(commands) => {
                for command in commands {
                    self.ask(command).await.map_err(refused)?;
                }
                Ok(None)
            }
        }
    }

    /// Answers a legacy page.
    ///
    /// # Errors
    /// 400 for a wrong parameter.
    pub async fn page(
        &self,
        caller: &Caller,
        page: MasterPage,
        query: &Query,
    ) -> Result<JsonText, Refusal> {
        let page = match page {
            MasterPage::State => Page::State,
            MasterPage::StateSummary => Page::StateSummary,
            MasterPage::Slaves => Page::Slaves,
            MasterPage::Frameworks => Page::Frameworks,
            MasterPage::Tasks => Page::Tasks,
            MasterPage::Roles => Page::Roles,
            MasterPage::Weights => Page::Weights,
            MasterPage::Flags => Page::Flags,
            MasterPage::Quota => Page::Quota,
            MasterPage::MaintenanceSchedule => Page::MaintenanceSchedule,
            MasterPage::MaintenanceStatus => Page::MaintenanceStatus,
            MasterPage::Registry => Page::Registry,
            MasterPage::FilesDebug => Page::FilesDebug,
        };
        let get = |name: &str| query.get(name);
        let request =
            PageRequest::parse(&identity(caller), page, Parameters(&get)).map_err(http)?;
        let facts = self.facts.clone();
        self.read(move |view| JsonText::of(&request.answer(view, &facts))).await
    }

    /// Carries out a form of the time before the v1 API.
    ///
    /// # Errors
    /// 400 for what is wrong or unknown, 409 for what does not fit, 501 for what is not served yet.
    pub async fn act(
        &self,
        caller: &Caller,
        form: MasterForm,
        fields: &Query,
    ) -> Result<(), Refusal> {
        let form = form_of(form);
        let get = |name: &str| fields.get(name);
        for command in form.parse(&identity(caller), Parameters(&get)).map_err(http)? {
            self.ask_for(command).await?.map_err(|refused| http(form.refused(refused)))?;
        }
        Ok(())
    }

    /// Answers `/holdfast/v1/{name}`.
    ///
    /// # Errors
    /// 404 for an unknown name or thing; for changes, as the operator API.
    pub async fn native(
        &self,
        caller: &Caller,
        posted: bool,
        name: &str,
        query: &Query,
    ) -> Result<JsonText, Refusal> {
        let get = |name: &str| query.get(name);
        let request = NativeRequest::parse(&identity(caller), posted, name, Parameters(&get));
        match request.map_err(http)? {
            NativeRequest::Read(read) => {
                let answer = move |view: &_| read.answer(view, now()).map(|it| JsonText::of(&it));
                self.read(answer).await?.map_err(http)
            }
            NativeRequest::Ask(command, answer) => {
                self.ask(command).await?;
                Ok(JsonText::of(&answer))
            }
        }
    }
}

fn form_of(form: MasterForm) -> Form {
    match form {
        MasterForm::Teardown => Form::Teardown,
        MasterForm::Reserve => Form::Reserve,
        MasterForm::Unreserve => Form::Unreserve,
        MasterForm::CreateVolumes => Form::CreateVolumes,
        MasterForm::DestroyVolumes => Form::DestroyVolumes,
        MasterForm::UpdateWeights => Form::UpdateWeights,
        MasterForm::SetQuota => Form::SetQuota,
        MasterForm::RemoveQuota => Form::RemoveQuota,
        MasterForm::MaintenanceSchedule => Form::MaintenanceSchedule,
        MasterForm::MachineDown => Form::MachineDown,
        MasterForm::MachineUp => Form::MachineUp,
    }
}

//! Requests of the legacy pages.

use holdfast_model::CallerIdentity;

use crate::legacy::{self, Listed, PageAnswer, TasksWanted};
use crate::v1::{self, MasterFacts};
use crate::{authorize, Action, MasterView, Object, Parameters, Refusal};

/// A page, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/state`.
    State,
    /// `/state-summary`.
    StateSummary,
    /// `/slaves`.
    Slaves,
    /// `/frameworks`.
    Frameworks,
    /// `/tasks`.
    Tasks,
    /// `/roles`.
    Roles,
    /// `/weights`.
    Weights,
    /// `/flags`.
    Flags,
    /// `/quota`.
    Quota,
    /// `/maintenance/schedule`.
    MaintenanceSchedule,
    /// `/maintenance/status`.
    MaintenanceStatus,
    /// `/registrar(1)/registry`.
    Registry,
    /// `/files/debug`.
    FilesDebug,
}

/// A page that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageRequest {
    /// Everything.
    State,
    /// Agents and frameworks.
    Summary,
    /// Agents, or the one of this id.
    Slaves(Option<String>),
    /// Frameworks, or the one of this id.
    Frameworks(Option<String>),
    /// Tasks.
    Tasks(TasksWanted),
    /// Roles.
    Roles,
    /// Weights that are not 1.
    Weights,
    /// Settings.
    Flags,
    /// What roles are guaranteed and limited to: nothing yet.
    Quota,
    /// Planned downtime.
    Schedule,
    /// Machines with planned downtime.
    Maintenance,
    /// What the masters must not forget.
    Registry,
    /// Files that are shown: none.
    Files,
}

impl PageRequest {
    /// Reads the parameters of a page.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a wrong parameter, [`Refusal::Forbidden`].
    pub fn parse(
        caller: &CallerIdentity,
        page: Page,
        parameters: Parameters<'_>,
    ) -> Result<PageRequest, Refusal> {
        let only = |name: &str| parameters.owned(name);
        let (object, request) = match page {
            Page::State => (Object::Cluster, PageRequest::State),
            Page::StateSummary => (Object::Cluster, PageRequest::Summary),
            Page::Slaves => (Object::Agents, PageRequest::Slaves(only("slave_id"))),
            Page::Frameworks => (Object::Frameworks, PageRequest::Frameworks(only("framework_id"))),
            Page::Tasks => (Object::Tasks, PageRequest::Tasks(TasksWanted::read(parameters)?)),
            Page::Roles => (Object::Roles, PageRequest::Roles),
            Page::Weights => (Object::Weights, PageRequest::Weights),
            Page::Flags => (Object::Master, PageRequest::Flags),
            Page::Quota => (Object::Roles, PageRequest::Quota),
            Page::MaintenanceSchedule => (Object::Agents, PageRequest::Schedule),
            Page::MaintenanceStatus => (Object::Agents, PageRequest::Maintenance),
            Page::Registry => (Object::Master, PageRequest::Registry),
            Page::FilesDebug => (Object::Master, PageRequest::Files),
        };
        authorize(caller, Action::View, object)?;
        Ok(request)
    }

    /// What the page says now.
    pub fn answer(&self, view: &MasterView, facts: &MasterFacts) -> PageAnswer {
        match self {
            PageRequest::State => PageAnswer::State(Box::new(legacy::state(view, facts))),
            PageRequest::Summary => PageAnswer::Summary(Box::new(legacy::summary(view, facts))),
            PageRequest::Slaves(only) => PageAnswer::Agents(legacy::Agents {
                recovered_slaves: legacy::expected_agents(view),
                slaves: legacy::full_agents(view, only.as_deref()),
            }),
            PageRequest::Frameworks(only) => PageAnswer::Frameworks(legacy::Frameworks {
                completed_frameworks: legacy::completed_frameworks(view, only.as_deref()),
                frameworks: legacy::frameworks(view, only.as_deref()),
                unregistered_frameworks: [],
            }),
            PageRequest::Tasks(wanted) => {
                PageAnswer::Listed(Listed::Tasks(legacy::tasks(view, wanted)))
            }
            PageRequest::Roles => PageAnswer::Listed(Listed::Roles(legacy::roles(view))),
            PageRequest::Weights => PageAnswer::Weights(v1::weights(view).weight_infos),
            PageRequest::Flags => PageAnswer::Flags { flags: facts.flags.clone() },
            PageRequest::Quota => PageAnswer::Quota(v1::quota(view)),
            PageRequest::Schedule => PageAnswer::Schedule(v1::schedule(view)),
            PageRequest::Maintenance => PageAnswer::Maintenance(v1::maintenance_status(view)),
            PageRequest::Registry => PageAnswer::Registry(Box::new(legacy::registry(view, facts))),
            PageRequest::Files => PageAnswer::Files {},
        }
    }
}

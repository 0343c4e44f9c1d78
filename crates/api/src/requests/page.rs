//! Requests of the legacy pages.

use holdfast_model::CallerIdentity;

use crate::legacy::{self, Listed, PageAnswer, TasksWanted};
use crate::v1::MasterFacts;
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
    /// `/flags`.
    Flags,
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
}

impl PageRequest {
    /// Reads the parameters of a page.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a wrong parameter, [`Refusal::NotServed`] for a page that is not served yet, [`Refusal::Forbidden`].
    pub fn parse(
        caller: &CallerIdentity,
        page: Page,
        parameters: Parameters<'_>,
    ) -> Result<PageRequest, Refusal> {
        let only = || parameters.owned("framework_id").or_else(|| parameters.owned("slave_id"));
        let (object, request) = match page {
            Page::State => (Object::Cluster, PageRequest::State),
            Page::StateSummary => (Object::Cluster, PageRequest::Summary),
            Page::Slaves => (Object::Agents, PageRequest::Slaves(only())),
            Page::Frameworks => (Object::Frameworks, PageRequest::Frameworks(only())),
            Page::Tasks => (Object::Tasks, PageRequest::Tasks(TasksWanted::read(parameters)?)),
            Page::Roles => (Object::Roles, PageRequest::Roles),
            Page::Flags => {
                return Err(Refusal::NotServed("flags are not served yet".to_owned()));
            }
        };
        authorize(caller, Action::View, object)?;
        Ok(request)
    }

    /// What the page says now.
    pub fn answer(&self, view: &MasterView, facts: &MasterFacts) -> PageAnswer {
        match self {
            PageRequest::State => PageAnswer::State(Box::new(legacy::state(view, facts))),
            PageRequest::Summary => PageAnswer::Summary(Box::new(legacy::summary(view, facts))),
            PageRequest::Slaves(only) => {
                PageAnswer::Listed(Listed::Slaves(legacy::agents(view, only.as_deref())))
            }
            PageRequest::Frameworks(only) => {
                PageAnswer::Listed(Listed::Frameworks(legacy::frameworks(view, only.as_deref())))
            }
            PageRequest::Tasks(wanted) => {
                PageAnswer::Listed(Listed::Tasks(legacy::tasks(view, wanted)))
            }
            PageRequest::Roles => PageAnswer::Listed(Listed::Roles(legacy::roles(view))),
        }
    }
}

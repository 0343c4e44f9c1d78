//! The master's endpoints from before the v1 API by which something is changed.
//!
//! It relies on the API trait for what a form means. A form that is done is answered without a
//! body: 202 where Mesos only accepts it (B83), else 200.

use std::sync::Arc;

use http::{Method, Request, StatusCode};

use super::{legacy, unless_leading, Endpoint, MasterApi, MasterForm, MasterPage};
use crate::answer::{self, Answer};
use crate::body::{self, Body};
use crate::connection::Connection;
use crate::query::{self, Query};
use crate::refusal::Refusal;

/// What an endpoint does with each method.
#[derive(Clone, Copy)]
pub(super) struct Forms {
    page: Option<MasterPage>,
    put: Option<MasterForm>,
    post: Option<MasterForm>,
    delete: Option<MasterForm>,
    allowed: &'static str,
    body: BodyKind,
}

/// What the body of a form is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    /// `a=1&b=2`.
    Fields,
    /// JSON.
    Document,
}

const fn posted(form: MasterForm, body: BodyKind) -> Forms {
    Forms { page: None, put: None, post: Some(form), delete: None, allowed: "POST", body }
}

pub(super) const TEARDOWN: Forms = posted(MasterForm::Teardown, BodyKind::Fields);
pub(super) const RESERVE: Forms = posted(MasterForm::Reserve, BodyKind::Fields);
pub(super) const UNRESERVE: Forms = posted(MasterForm::Unreserve, BodyKind::Fields);
pub(super) const CREATE_VOLUMES: Forms = posted(MasterForm::CreateVolumes, BodyKind::Fields);
pub(super) const DESTROY_VOLUMES: Forms = posted(MasterForm::DestroyVolumes, BodyKind::Fields);
pub(super) const MACHINE_DOWN: Forms = posted(MasterForm::MachineDown, BodyKind::Document);
pub(super) const MACHINE_UP: Forms = posted(MasterForm::MachineUp, BodyKind::Document);
pub(super) const MAINTENANCE_SCHEDULE: Forms = Forms {
    page: Some(MasterPage::MaintenanceSchedule),
    allowed: "GET, POST",
    ..posted(MasterForm::MaintenanceSchedule, BodyKind::Document)
};
pub(super) const WEIGHTS: Forms = Forms {
    page: Some(MasterPage::Weights),
    put: Some(MasterForm::UpdateWeights),
    post: None,
    delete: None,
    allowed: "GET, PUT",
    body: BodyKind::Document,
};
pub(super) const QUOTA: Forms = Forms {
    page: Some(MasterPage::Quota),
    put: None,
    post: Some(MasterForm::SetQuota),
    delete: Some(MasterForm::RemoveQuota),
    allowed: "GET, POST, DELETE",
    body: BodyKind::Document,
};

impl Forms {
    fn of(&self, method: &Method) -> Option<MasterForm> {
        match *method {
            Method::PUT => self.put,
            Method::POST => self.post,
            Method::DELETE => self.delete,
            _ => None,
        }
    }
}

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    forms: Forms,
    request: Request<Body>,
) -> Answer {
    if let (Some(page), &Method::GET | &Method::HEAD) = (forms.page, request.method()) {
        return legacy::answer(api, connection, Endpoint::Page(page), request).await;
    }
    let Some(form) = forms.of(request.method()) else {
        return answer::method_not_allowed(forms.allowed, request.method());
    };
    if let Some(answer) = unless_leading(api, &request) {
        return answer;
    }
    match carry_out(api, connection, (form, forms.body), request).await {
        Ok(()) => answer::empty(status(form)),
        Err(refusal) => answer::refusal(&refusal),
    }
}

async fn carry_out(
    api: &Arc<dyn MasterApi>,
    connection: &Connection,
    (form, kind): (MasterForm, BodyKind),
    request: Request<Body>,
) -> Result<(), Refusal> {
    let path = query::decode(request.uri().path(), false);
    let bytes = body::read(&connection.shared, request.into_body()).await?;
    let text = String::from_utf8(bytes.into())
        .map_err(|_| Refusal::bad_request("the body is no UTF-8 text"))?;
    let fields = match kind {
        BodyKind::Fields => Query::parse(&text),
        BodyKind::Document => {
            let role = path.split_once("/quota/").map(|(_, role)| role.to_owned());
            Query::default().with("document", Some(text)).with("role", role)
        }
    };
    api.act(&connection.caller(), form, &fields).await
}

/// B83: what is an agent's work is accepted.
fn status(form: MasterForm) -> StatusCode {
    match form {
        MasterForm::Reserve
        | MasterForm::Unreserve
        | MasterForm::CreateVolumes
        | MasterForm::DestroyVolumes => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    }
}

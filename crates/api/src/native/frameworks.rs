//! `/holdfast/v1/frameworks`: a row for each framework, removed ones too.
//!
//! Relies on a published view; never scans all tasks for each of them.

use holdfast_model::convert::framework as convert;
use holdfast_model::{FrameworkId, FrameworkRecord};

use crate::groups::{counts, live_tasks};
use crate::rows::{FrameworkRow, FrameworkStanding};
use crate::MasterView;

/// Frameworks, removed ones too.
pub fn frameworks(view: &MasterView) -> Vec<FrameworkRow> {
    let tasks = counts(live_tasks(view).map(|it| &it.framework));
    let offers = counts(view.offers().values().map(|it| &it.offer.framework));
    let claims = view.ledger().claims.values().filter(|it| it.is_volume());
    let volumes = counts(claims.filter_map(|it| it.framework.as_ref()));
    let row = |(id, record): (&FrameworkId, &FrameworkRecord)| FrameworkRow {
        id: id.to_string(),
        name: record.info.name.clone(),
        state: framework_standing(view, id, record),
        roles: record.info.roles.iter().map(ToString::to_string).collect(),
        principal: record.info.principal.clone(),
        tasks: tasks.get(id).copied().unwrap_or(0),
        offers: offers.get(id).copied().unwrap_or(0),
        volumes: volumes.get(id).copied().unwrap_or(0),
        failover_timeout_ms: record.info.failover_timeout_ms,
        deadline_ms: record.deadline.map(|it| it.0),
        registered_ms: record.registered.0,
        webui_url: convert::to_proto(&record.info).webui_url,
    };
    view.ledger().frameworks.iter().map(row).collect()
}

/// Whether a framework is there.
pub(super) fn framework_standing(
    view: &MasterView,
    id: &FrameworkId,
    record: &FrameworkRecord,
) -> FrameworkStanding {
    let is_connected = view.frameworks().get(id).is_some_and(|it| it.link().is_some());
    match is_connected {
        _ if record.removed => FrameworkStanding::Removed,
        true => FrameworkStanding::Connected,
        false => FrameworkStanding::Away,
    }
}

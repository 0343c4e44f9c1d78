//! `/holdfast/v1/disk-moves`: a row for each disk that is moved from one agent to another, as long as an agent has something to do about it.

use holdfast_model::{DiskMove, MoveState};

use super::hostname;
use crate::rows::{DiskMoveRow, DiskMoveState};
use crate::MasterView;

/// All of them.
pub fn disk_moves(view: &MasterView) -> Vec<DiskMoveRow> {
    view.ledger().moves.values().map(|it| row(view, it)).collect()
}

fn row(view: &MasterView, it: &DiskMove) -> DiskMoveRow {
    let asked = it.asked();
    DiskMoveRow {
        id: it.disk.to_string(),
        from: it.from.to_string(),
        from_hostname: hostname(view, &it.from),
        from_root: it.from_root.clone(),
        to: it.to.to_string(),
        to_hostname: hostname(view, &it.to),
        root: it.root.clone(),
        state: match it.state {
            MoveState::Fencing => DiskMoveState::Fencing,
            MoveState::Taking => DiskMoveState::Taking,
            MoveState::Lifting => DiskMoveState::Lifting,
            MoveState::Moved => DiskMoveState::Moved,
            MoveState::Cancelling => DiskMoveState::Cancelling,
            MoveState::Recalling => DiskMoveState::Recalling,
        },
        waits_for: asked.to_string(),
        waits_for_hostname: hostname(view, asked),
        is_connected: view.agents().get(asked).is_some_and(|it| it.link().is_some()),
        claims: it.claims.len(),
        since_ms: (it.since.0 != 0).then_some(it.since.0),
        by: it.by.clone(),
        reason: it.reason.clone(),
        cancelled_by: it.cancelled_by.clone(),
        cancel_reason: it.cancel_reason.clone(),
    }
}

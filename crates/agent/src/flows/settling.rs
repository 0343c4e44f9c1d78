//! Operations on claims: RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME, SHRINK_VOLUME. Each is written down before its work
//! begins and again when it is done, and told until the telling is acknowledged.
//!
//! Relies on `claims` for what may be done. Never says FINISHED before the bytes are where they belong.

use holdfast_model::{
    Action, AgentChange, Claim, ClaimAction, ClaimState, OperationRecord, OperationState, Ownership,
};

use crate::bookkeeping::records::label;
use crate::bookkeeping::telling::tell_operation;
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{MasterLink, Volumes};

/// Does an operation that was found to apply.
pub(crate) fn carry_out(
    step: &mut Step<'_>,
    volumes: &mut Volumes,
    master: &mut MasterLink,
    mut operation: OperationRecord,
    by: &str,
) {
    let Action::Claim(action) = operation.operation.action.clone() else {
        panic!("operation {} does not act on claims", operation.uuid)
    };
    let ownership = operation.ownership.clone().unwrap_or_else(Ownership::unsaid);
    let asker = (operation.uuid, operation.framework.as_ref());
    let changes = step.claim_changes(&action, asker, &ownership, by);
    let changes = changes.expect("what is carried out was found to apply");
    operation.claims = changes.kept.iter().chain(&changes.ended).map(|it| it.id).collect();
    operation.endings.clone_from(&changes.ended);
    let resized = changes.kept.iter().find(|it| it.is_volume()).and_then(label);
    let resized = resized.map(Effect::ResizeVolume);
    let work: Vec<Effect> = changes.kept.iter().filter_map(work_on).collect();
    let mut batch: Vec<AgentChange> = changes.kept.into_iter().map(AgentChange::Claim).collect();
    batch.extend(changes.ended.into_iter().map(|it| AgentChange::ClaimGone(it.id)));
    step.commit(batch);
    match action {
        ClaimAction::Together(_) => {
            panic!("changes that are made together have a way of their own")
        }
        ClaimAction::Reserve { .. } | ClaimAction::Unreserve(_) => {
            settle(step, master, operation, OperationState::Finished, None);
        }
        ClaimAction::Grow { .. } | ClaimAction::Shrink { .. } => {
            settle(step, master, operation, OperationState::Finished, None);
            step.extend(resized);
        }
        ClaimAction::Create(_) | ClaimAction::Destroy(_) => {
            for effect in &work {
                if let Effect::MakeVolume(label) = effect {
                    volumes.begin_making(label.claim);
                }
            }
            step.commit(vec![AgentChange::Operation(operation)]);
            step.extend(work);
        }
    }
}

/// Writes an outcome down, then tells it.
pub(crate) fn settle(
    step: &mut Step<'_>,
    master: &mut MasterLink,
    operation: OperationRecord,
    state: OperationState,
    message: Option<String>,
) {
    let uuid = operation.uuid;
    let status = Some(step.fresh_status());
    let settled = OperationRecord { state, message, status, ..operation };
    step.commit(vec![AgentChange::Operation(settled)]);
    tell_operation(step, master, uuid);
    master.note_settled(uuid);
}

fn work_on(claim: &Claim) -> Option<Effect> {
    match claim.state {
        ClaimState::Making => label(claim).map(Effect::MakeVolume),
        ClaimState::Destroying => label(claim).map(Effect::TrashVolume),
        ClaimState::Ready => None,
    }
}

//! What is on its way: what an operation gives is there once its agent has written it down, and is offered to nobody before.
//!
//! The later operations and tasks of the same ACCEPT may build on it, since the agent does them in order; everybody else waits until all
//! operations of that ACCEPT are settled. So a destroyed volume's space is never used while its bytes lie there, what a framework claims is
//! never offered to another one before it is known whose it is, and what was claimed together is offered together. Relies on agents
//! settling every operation; what is withheld ends with that.

use std::collections::BTreeSet;

use holdfast_model::{ClaimAction, OperationUuid, Resource, Resources};

use crate::state::AgentState;

/// What is in an agent's total and not to be offered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Until these operations are settled.
    pub until: BTreeSet<OperationUuid>,
    /// What, without allocations.
    pub what: Resources,
}

impl AgentState {
    /// Notes that `action` (without allocations) was sent as `uuid`, one of a `group`, and just applied to the total. `free` is what was
    /// free before.
    pub(crate) fn withhold(
        &mut self,
        group: OperationUuid,
        uuid: OperationUuid,
        action: &ClaimAction,
        free: Resources,
    ) {
        let conversion = action.conversion();
        self.draw(free, &conversion.consumed);
        let withheld = self.withheld.entry(group).or_default();
        withheld.until.insert(uuid);
        withheld.what.add_all(&conversion.converted);
    }

    /// What `taken` (without allocations) needs beyond what was free before comes from what is on its way.
    pub(crate) fn draw(&mut self, mut free: Resources, taken: &Resources) {
        for resource in taken.iter() {
            let mut rest = rest_of(&resource, &free);
            free.subtract(&resource);
            for Withheld { what, .. } in self.withheld.values_mut() {
                let Some(needed) = rest else { break };
                rest = rest_of(&needed, what);
                what.subtract(&needed);
            }
        }
    }

    /// The operation is settled: what waited for nothing else is free.
    pub(crate) fn free_settled(&mut self, uuid: &OperationUuid) {
        self.withheld.retain(|_, it| {
            it.until.remove(uuid);
            !it.until.is_empty()
        });
    }
}

/// What of `needed` is not in `there`.
fn rest_of(needed: &Resource, there: &Resources) -> Option<Resource> {
    if there.contains_one(needed) {
        return None;
    }
    let rest = match there.get(&needed.identity) {
        Some(amount) if !needed.identity.is_exclusive() => needed.value.minus(&amount.value),
        _ => needed.value.clone(),
    };
    Some(Resource { value: rest, ..needed.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bed::{amount, disk, reserve, reserved, volume};
    use holdfast_model::{Instant, Ranges, Value};
    use uuid::Uuid;

    fn sum(list: &[Resource]) -> Resources {
        list.iter().collect()
    }

    fn sent(state: &mut AgentState, number: u128, action: ClaimAction) {
        let free = state.free();
        action.apply(&mut state.total).unwrap();
        state.withhold(uuid(number / 10), uuid(number), &action, free);
    }

    fn uuid(number: u128) -> OperationUuid {
        OperationUuid(Uuid::from_u128(number))
    }

    fn withheld(state: &AgentState) -> Resources {
        state.withheld.values().flat_map(|it| it.what.iter().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_an_operation_gives_is_free_when_it_is_settled() {
        let mut state = AgentState::away(Instant(0));
        state.total = sum(&[disk(100)]);
        sent(&mut state, 10, reserve(&[reserved(60)]));
        assert_eq!(state.free(), sum(&[disk(40)]));
        state.free_settled(&uuid(10));
        assert_eq!(state.free(), sum(&[disk(40), reserved(60)]));
        assert!(state.withheld.is_empty());
    }

    #[test]
    fn later_operations_draw_on_earlier_ones() {
        let mut state = AgentState::away(Instant(0));
        state.total = sum(&[disk(100), reserved(10)]);
        sent(&mut state, 10, reserve(&[reserved(60)]));
        sent(&mut state, 20, ClaimAction::Create(vec![volume("v", 30)])); // 10 of it were free.
        assert_eq!(
            (state.free(), withheld(&state)),
            (sum(&[disk(40)]), sum(&[reserved(40), volume("v", 30)]))
        );
        sent(&mut state, 30, ClaimAction::Destroy(vec![volume("v", 30)]));
        sent(&mut state, 40, ClaimAction::Unreserve(vec![reserved(70)]));
        assert_eq!(withheld(&state), sum(&[disk(70)]));
        state.free_settled(&uuid(40));
        assert_eq!(state.free(), sum(&[disk(110)]));
    }

    #[test]
    fn what_was_asked_together_is_free_together() {
        let mut state = AgentState::away(Instant(0));
        state.total = sum(&[disk(100), volume("v", 30)]);
        sent(&mut state, 11, ClaimAction::Destroy(vec![volume("v", 30)]));
        sent(&mut state, 12, ClaimAction::Unreserve(vec![reserved(30)]));
        sent(&mut state, 13, reserve(&[reserved(50)]));
        state.free_settled(&uuid(13));
        state.free_settled(&uuid(12));
        assert_eq!(state.free(), sum(&[disk(50)]), "the volume's bytes are not in the trash yet");
        state.free_settled(&uuid(11));
        assert_eq!(state.free(), sum(&[disk(80), reserved(50)]));
    }

    #[test]
    fn what_a_task_uses_is_withheld_no_more() {
        let mut state = AgentState::away(Instant(0));
        let ports =
            |begin, end| Resource::unreserved("ports", Value::Ranges(Ranges::new([(begin, end)])));
        state.total = sum(&[disk(100), ports(1, 10), amount("cpus", 4)]);
        sent(&mut state, 10, reserve(&[reserved(60)]));
        let task = sum(&[reserved(50), ports(2, 3), amount("cpus", 1)]);
        state.draw(state.free(), &task);
        state.held.add_all(&task);
        let rest = Resource::unreserved("ports", Value::Ranges(Ranges::new([(1, 1), (4, 10)])));
        assert_eq!(state.free(), sum(&[disk(40), rest, amount("cpus", 3)]));
        assert_eq!(withheld(&state), sum(&[reserved(10)]));
    }
}

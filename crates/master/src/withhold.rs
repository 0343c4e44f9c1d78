//! Space on its way: what an operation gives only once its agent is done with it, and which is offered to nobody before.
//!
//! A destroyed volume's space is given back when its bytes are in the trash. The later operations of the same ACCEPT may build on it, since
//! the agent does them in order; everybody else waits. Relies on agents settling every operation; what is withheld ends with that.

use holdfast_model::{ClaimAction, OperationUuid, Resource, Resources, Scalar, Value};

use crate::state::AgentState;

impl AgentState {
    /// Notes what `action` (without allocations), just applied to the total, does to what is on its way. `free` is what was free before.
    pub(crate) fn withhold(&mut self, uuid: OperationUuid, action: &ClaimAction, mut free: Resources) {
        for (taken, given) in steps(action) {
            self.pass_on(&mut free, &taken, &given);
        }
        if let ClaimAction::Destroy(volumes) = action {
            for volume in volumes {
                self.withheld.values_mut().for_each(|it| it.subtract(volume));
            }
            let coming = self.withheld.entry(uuid).or_default();
            volumes.iter().for_each(|it| coming.add(&it.without_volume()));
        }
        self.withheld.retain(|_, it| !it.is_empty());
    }

    /// Of `taken`, what was not free must come from what is on its way; that much of `given` is on its way too.
    fn pass_on(&mut self, free: &mut Resources, taken: &Resource, given: &Resource) {
        if taken.identity.is_exclusive() {
            if free.contains_one(taken) {
                return free.subtract(taken);
            }
            if let Some(coming) = self.withheld.values_mut().find(|it| it.contains_one(taken)) {
                coming.subtract(taken);
                coming.add(given);
            }
            return;
        }
        let Value::Scalar(needed) = taken.value else { return free.subtract(taken) };
        let had = free.get(&taken.identity).map(|it| it.value.quantity()).unwrap_or_default().min(needed);
        free.subtract(&part(taken, had));
        let mut short = needed.minus(had);
        for coming in self.withheld.values_mut() {
            let there = coming.get(&taken.identity).map(|it| it.value.quantity()).unwrap_or_default().min(short);
            if there <= Scalar::ZERO {
                continue;
            }
            coming.subtract(&part(taken, there));
            if given.identity.is_exclusive() {
                return coming.add(given); // A volume is there whole or not at all.
            }
            coming.add(&part(given, there));
            short = short.minus(there);
        }
    }
}

/// What each step of an action takes and gives. A DESTROY passes nothing on: all that it gives is on its way.
fn steps(action: &ClaimAction) -> Vec<(Resource, Resource)> {
    match action {
        ClaimAction::Reserve { resources, source } if source.is_empty() => resources.iter().map(|it| (it.popped(), it.clone())).collect(),
        ClaimAction::Reserve { resources, source } => {
            let stack = resources.first().map(|it| it.identity.reservations.clone()).unwrap_or_default();
            let moved = |it: &Resource| {
                let mut moved = it.clone();
                moved.identity.reservations.clone_from(&stack);
                moved
            };
            source.iter().map(|it| (it.clone(), moved(it))).collect()
        }
        ClaimAction::Unreserve(list) => list.iter().map(|it| (it.clone(), it.popped())).collect(),
        ClaimAction::Create(list) => list.iter().map(|it| (it.without_volume(), it.clone())).collect(),
        ClaimAction::Destroy(_) => Vec::new(),
    }
}

fn part(of: &Resource, amount: Scalar) -> Resource {
    Resource { value: Value::Scalar(amount), ..of.clone() }
}

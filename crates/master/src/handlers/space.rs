//! An agent says that there is more or less of its disks to be claimed than it said before.
//!
//! Relies on the agent's own word for what it has before any claim is laid on it; what is claimed is no matter here. Where that does not fit
//! with what is believed to be unclaimed, or some of it is kept for claims that do not fit, the agent is asked for everything.

use holdfast_model::{AgentId, Resources, SpaceNews};

use super::adopt::rescind_unfounded;
use super::move_disk::pass_over_space;
use crate::flows::resync::resync;
use crate::parts::agents::AgentHealth;
use crate::{Belief, Step};

pub(super) fn space_changed(
    step: &mut Step,
    belief: &mut Belief,
    id: &AgentId,
    mut news: SpaceNews,
) {
    pass_over_space(step, id, &mut news);
    let state = belief.agents.at(id);
    if *state.health() != AgentHealth::Well {
        return; // The report that is awaited says it, too.
    }
    let base: Resources = news.resources.into_iter().collect();
    let (mut lost, mut gained) = (state.machine().resources.clone(), base.clone());
    lost.subtract_all(&base);
    gained.subtract_all(&state.machine().resources);
    let mut total = state.total().clone();
    if state.has_misfits() || !total.contains(&lost) {
        return resync(step, belief, id);
    }
    total.subtract_all(&lost);
    total.add_all(&gained);
    belief.agents.set_total(id, total);
    belief.agents.at_mut(id).describe_space(base, news.disks, news.full);
    rescind_unfounded(step, belief, id);
    belief.allocator.touch(id);
}

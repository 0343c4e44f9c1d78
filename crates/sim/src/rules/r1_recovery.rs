//! R1: recovery is idempotent: whatever crash interrupts it, starting again leads to the same ledger.
//!
//! Relies on the agent's mind, which is pure: it is started again and again on copies. Never touches the agent of the world.

use holdfast_agent::{Agent, Config, Effect, Found, Input};
use holdfast_model::{AgentChange, AgentLedger, ContainerId, Instant, Moment, TaskRecord};

use crate::difference::difference;
use crate::rng::Rng;

/// Starts an agent on `ledger`, and again after a crash at each of its commits; the ledgers must agree.
///
/// # Errors
/// A sentence that says where they differ.
pub(crate) fn recover_twice(
    config: &Config,
    ledger: &AgentLedger,
    found: &[(ContainerId, Found)],
    now: Instant,
    ids: &Rng,
) -> Result<(), String> {
    let commits = recover(config, ledger, found, now, ids);
    let mut whole = ledger.clone();
    commits.iter().flatten().for_each(|change| whole.apply(change));
    let whole = plain(whole);
    let mut partial = ledger.clone();
    for done in 0..=commits.len() {
        if 0 < done {
            commits[done - 1].iter().for_each(|change| partial.apply(change));
        }
        let mut again = partial.clone();
        recover(config, &partial, found, now, ids).iter().flatten().for_each(|change| again.apply(change));
        let again = plain(again);
        if again != whole {
            let (all, where_) = (commits.len(), difference(&whole, &again));
            return Err(format!("a recovery that crashed after {done} of {all} commits ends in another ledger: {where_}"));
        }
    }
    Ok(())
}

fn recover(config: &Config, ledger: &AgentLedger, found: &[(ContainerId, Found)], now: Instant, ids: &Rng) -> Vec<Vec<AgentChange>> {
    let mut agent = Agent::recover(config.clone(), ledger.clone());
    let mut ids = ids.clone();
    let effects = agent.handle(&mut Moment { now, ids: &mut ids }, Input::Started(found.to_vec()));
    let commit = |effect| match effect {
        Effect::Commit(changes) => Some(changes),
        _ => None,
    };
    effects.into_iter().filter_map(commit).collect()
}

/// The ledger without what may differ from one recovery to the next: fresh names and counts of commits.
fn plain(mut ledger: AgentLedger) -> AgentLedger {
    ledger.identity.version = 0;
    let blank = |task: &mut TaskRecord| {
        task.updates.iter_mut().chain(&mut task.latest).for_each(|it| {
            it.uuid = None;
            it.message = None;
        });
    };
    ledger.tasks.values_mut().for_each(blank);
    ledger.operations.values_mut().for_each(|it| it.status = None);
    ledger
}

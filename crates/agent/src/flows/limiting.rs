//! Volumes that were found to use more than their size: told once, and their writers stopped where the disk's limit says so. Volumes of
//! which nothing was found are looked at again: what somebody took away or unmounted is not called ready for long.
//!
//! Relies on measurements: a soft limit prevents nothing, and acts once for each of them. Never touches a byte of a volume.

use holdfast_model::{AgentLedger, Claim, ExecutorKey, OverSize, Reason, TaskState};

use super::ending::destroy;
use crate::bookkeeping::limits::{excess, writes_to, Excess};
use crate::bookkeeping::looks::check_again;
use crate::bookkeeping::Step;
use crate::parts::{Containers, Disks, Phase, TerminationReason};

/// Looks at the volumes of the disks that were measured since this was called last.
pub(crate) fn look_at_measured(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
) {
    for disk in disks.take_to_enforce() {
        for missed in disks.unmeasured_on(disk, step.ledger()) {
            check_again(step, disks, missed);
        }
        for claim in disks.volumes_on(disk, step.ledger()) {
            let excess = excess(disks, &claim);
            let was_over = disks.note_over_size(claim.id, excess.is_some());
            let name = &claim.resource;
            match (was_over, excess) {
                (false, Some(it)) => {
                    step.log(format!("{name}: {}; {}", it.text(), what_follows(it.over)))
                }
                (true, None) => step.log(format!("{name}: it is within its size again")),
                _ => {}
            }
            if let Some(it) = excess.filter(|it| it.over == OverSize::Stop) {
                stop_writers(step, containers, &claim, &it);
            }
        }
    }
}

fn what_follows(over: OverSize) -> &'static str {
    match over {
        OverSize::Report => "the limit is soft, and this is only told",
        OverSize::Refuse => "the limit is soft: no task that would write to it is launched until it is within its size",
        OverSize::Stop => "the limit is soft: tasks that may write to it are stopped, and none is launched until it is within its size",
    }
}

/// Destroys the containers that may write to a volume.
fn stop_writers(step: &mut Step<'_>, containers: &mut Containers, claim: &Claim, excess: &Excess) {
    let why = format!(
        "{} is over its size: {}; remove some of it, or ask for a larger volume",
        claim.resource,
        excess.text()
    );
    for key in writers(step.ledger(), claim) {
        let live = containers.of_mut(&key);
        if !matches!(live.phase(), Phase::Starting | Phase::Running | Phase::Ending) {
            continue; // It has no volume yet, or none for long.
        }
        let termination = TerminationReason::new(TaskState::Failed, Reason::DiskLimit, why.clone());
        live.note_termination(Some(termination));
        step.log(format!("executor `{}` of framework {} is ended: {why}", key.1, key.0));
        destroy(step, containers, &key);
    }
}

/// The executors with a live task that may write to a volume, or that may themselves.
fn writers(ledger: &AgentLedger, claim: &Claim) -> Vec<ExecutorKey> {
    let identity = &claim.resource.identity;
    let tasks = ledger.tasks_with(identity).filter(|it| !it.state.is_terminal());
    let tasks = tasks.filter(|it| writes_to(ledger, &it.info.resources, claim));
    let own = ledger.executors_with(identity);
    let own = own.filter(|it| writes_to(ledger, &it.info.resources, claim));
    let mut keys: Vec<ExecutorKey> =
        tasks.map(|it| it.executor_key()).chain(own.map(|it| it.key())).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Effect;
    use crate::testbed::{Bed, DB_VOLUME};
    use crate::Input;
    use holdfast_model::{ClaimId, Mode, Resource, VolumeLimit};

    #[test]
    fn a_volume_of_which_nothing_was_measured_is_looked_at_and_comes_back_by_itself() {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        let (id, other) = (bed.claim(DB_VOLUME).id, ClaimId(uuid::Uuid::from_u128(404)));
        let checks =
            |bed: &Bed| bed.seen.iter().filter(|it| matches!(it, Effect::CheckVolume(_))).count();
        let before = checks(&bed);
        bed.measured(VolumeLimit::Image, &[(id, 1)]);
        bed.settle();
        assert_eq!(checks(&bed), before, "it was found");
        bed.volumes.remove(&id); // Somebody has unmounted it, or taken it away.
        bed.measured(VolumeLimit::Image, &[(other, 1)]);
        bed.settle();
        assert!(bed.agent.disks.volumes().fault(id).is_some());
        bed.volumes.insert(id);
        bed.measured(VolumeLimit::Image, &[]);
        bed.settle();
        assert!(bed.agent.disks.volumes().fault(id).is_none());
        let checked = checks(&bed);
        bed.input(Input::Opened(bed.machine.clone()));
        bed.settle();
        assert_eq!(checks(&bed), checked, "a look that is no new measurement says nothing new");
    }

    fn bed() -> (Bed, Resource) {
        let mut bed = Bed::registered();
        bed.reserve_and_create();
        bed.launch_command("writer", &[bed.volume()]);
        bed.launch_command("neighbour", &[]);
        bed.settle();
        let volume = bed.volume();
        (bed, volume)
    }

    /// The volume of 60 MB on /d1 was found to use so much.
    fn found(bed: &mut Bed, over: OverSize, mb: u64) {
        let id = bed.claim(DB_VOLUME).id;
        bed.measured(VolumeLimit::Soft(over), &[(id, mb)]);
    }

    fn lines(bed: &Bed, words: &str) -> usize {
        let is_it = |it: &&Effect| matches!(it, Effect::Log(line) if line.contains(words));
        bed.seen.iter().filter(is_it).count()
    }

    #[test]
    fn a_volume_over_its_size_is_told_once_and_nothing_else_happens() {
        let (mut bed, _) = bed();
        found(&mut bed, OverSize::Report, 60);
        assert_eq!(lines(&bed, "its size is"), 0);
        found(&mut bed, OverSize::Report, 70);
        found(&mut bed, OverSize::Report, 71);
        assert_eq!(lines(&bed, "it was found to use 70.0 MB, its size is 60.0 MB"), 1);
        assert_eq!(lines(&bed, "its size is"), 1);
        found(&mut bed, OverSize::Report, 50);
        assert_eq!(lines(&bed, "within its size again"), 1);
        bed.settle();
        assert_eq!(bed.task_state("writer"), Some(TaskState::Running));
    }

    #[test]
    fn a_volume_over_its_size_is_refused_to_new_writers_until_it_is_within_it() {
        let (mut bed, volume) = bed();
        let container = bed.container_of("writer");
        bed.exit(container, 0);
        bed.settle();
        found(&mut bed, OverSize::Refuse, 70);
        bed.launch_command("t1", std::slice::from_ref(&volume));
        bed.settle();
        assert_eq!(bed.task_state("t1"), Some(TaskState::Failed));
        let status = bed.last_status("t1");
        assert_eq!(status.reason, Some(Reason::DiskLimit as i32));
        assert!(status.message.unwrap().contains("use 70.0 MB, its size is 60.0 MB; remove some"));
        let mut reader = volume.clone();
        reader.mount.as_mut().unwrap().mode = Mode::ReadOnly;
        bed.launch_command("reader", &[reader]);
        bed.settle();
        assert_eq!(bed.task_state("reader"), Some(TaskState::Running), "what reads may go on");
        bed.exit(bed.container_of("reader"), 0);
        bed.settle();
        found(&mut bed, OverSize::Refuse, 60);
        bed.launch_command("t2", &[volume]);
        bed.settle();
        assert_eq!(bed.task_state("t2"), Some(TaskState::Running));
    }

    #[test]
    fn who_may_write_to_a_volume_over_its_size_is_stopped_and_nobody_else() {
        let (mut bed, volume) = bed();
        found(&mut bed, OverSize::Stop, 70);
        bed.settle();
        assert_eq!(bed.task_state("writer"), Some(TaskState::Failed));
        let status = bed.last_status("writer");
        assert_eq!(status.reason, Some(Reason::DiskLimit as i32));
        let why = status.message.unwrap();
        assert!(why.contains("70.0 MB") && why.contains("its size is 60.0 MB"), "{why}");
        assert_eq!(bed.task_state("neighbour"), Some(TaskState::Running));
        assert!(bed.find_claim(DB_VOLUME).is_some() && bed.agent.faults().is_empty());
        bed.launch_command("again", &[volume]);
        bed.settle();
        assert_eq!(bed.task_state("again"), Some(TaskState::Failed), "it would be stopped again");
    }

    #[test]
    fn a_disk_without_a_limit_stops_and_tells_nobody() {
        let (mut bed, _) = bed();
        let id = bed.claim(DB_VOLUME).id;
        bed.measured(VolumeLimit::None, &[(id, 70)]);
        bed.settle();
        assert_eq!(
            (bed.task_state("writer"), lines(&bed, "its size is")),
            (Some(TaskState::Running), 0)
        );
    }
}

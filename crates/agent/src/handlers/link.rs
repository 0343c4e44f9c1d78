//! The link to the master: who may order, what is obeyed, and what is told again on a new link.
//!
//! Only the newest link counts. A master has to prove with its welcome that it is of our cluster; before
//! that, its term means nothing. Of one cluster, only the greatest term is obeyed.

use holdfast_model::{
    AgentChange, AgentId, AgentIdentity, ClusterId, LeaveStage, LinkId, OperationUuid, Order, Term,
    ToAgent, ToMaster,
};

use super::adopt_disk;
use super::disk_changes;
use super::executors::message_executor;
use super::give_up::give_up;
use super::kill::{kill, shut_down, shut_down_executor, shut_down_framework};
use super::leave_disk::{leave, users_of_claims};
use super::operations::{acknowledge_operation, apply, Ordered};
use super::recover_ledger::recover;
use super::remove_orphan;
use super::take_disk::{cancel_take, take};
use super::together::apply_together;
use super::trash::{purge, undelete};
use super::updates::acknowledge_task;
use crate::bookkeeping::looks::open_disks;
use crate::bookkeeping::telling::{resend_all, stop_resending, tell_used};
use crate::bookkeeping::Step;
use crate::contract::Effect;
use crate::parts::{
    Admission, Alarm, Containers, Disks, LeavingDisk, MasterLink, ReportWish, Tasks, Waiting,
};

pub(crate) fn master_linked(step: &mut Step<'_>, master: &mut MasterLink, link: LinkId) {
    if master.is_outdated(link) {
        step.log(format!("link {} to a master is not the newest; it is closed", link.0));
        return step.push(Effect::CloseMaster(link));
    }
    hang_up(step, master);
    master.connect(link);
    master.want_report(ReportWish::Now { when: "the link to the master was renewed" });
}

pub(crate) fn master_lost(step: &mut Step<'_>, master: &mut MasterLink, link: LinkId) {
    if master.link() == Some(link) {
        disconnect(step, master);
    }
}

fn hang_up(step: &mut Step<'_>, master: &mut MasterLink) {
    let link = disconnect(step, master);
    step.extend(link.map(Effect::CloseMaster));
}

fn disconnect(step: &mut Step<'_>, master: &mut MasterLink) -> Option<LinkId> {
    stop_resending(step);
    step.alarms_mut().clear(&Alarm::News);
    master.disconnect()
}

pub(crate) fn master_said(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    (link, message): (LinkId, ToAgent),
) {
    let (message, welcomed) = match master.hear(link, message) {
        Admission::Message { message, welcomed } => (message, welcomed),
        Admission::Early => return,
        Admission::Stale => {
            let line = format!("an order on link {}, which is not the newest, is ignored", link.0);
            return step.log(line);
        }
        Admission::TooMany(max) => {
            step.log(format!("the master gave {max} orders without a welcome; its link is closed"));
            return hang_up(step, master);
        }
    };
    match message.order {
        Order::Registered(agent, cluster) => {
            for order in registered(step, disks, master, message.term, (agent, cluster)) {
                obey(step, disks, containers, tasks, master, waiting, order);
            }
        }
        Order::Recover { uuid: _, recovery, by } if !welcomed => {
            let given = (message.term, *recovery, by.as_str());
            recover(step, disks, containers, tasks, master, waiting, given);
            hang_up(step, master); // It introduces itself anew, as what it is now.
        }
        Order::ShutDown { agent, cluster, reason } => {
            match why_not_shut_down(&step.ledger().identity, message.term, (agent, cluster)) {
                Some(why) => step.log(why),
                None => shut_down(step, containers, tasks, master, waiting, &reason),
            }
        }
        Order::Refused(why) => {
            step.log(format!("the master does not take this agent: {why}"));
            hang_up(step, master);
        }
        _ if welcomed => obey(step, disks, containers, tasks, master, waiting, message),
        Order::Ping { number, .. } => step.push(Effect::ToMaster(link, ToMaster::Pong(number))),
        Order::Resync => master.want_report(asked_for()),
        order => panic!("{order:?} does not wait for the welcome"),
    }
}

/// Why an order to end everything is not meant for this agent. It may come before any welcome, so it says itself whom it is for.
fn why_not_shut_down(
    ours: &AgentIdentity,
    term: Term,
    (agent, cluster): (AgentId, ClusterId),
) -> Option<String> {
    if term < ours.term {
        let known = ours.term;
        return Some(format!(
            "an order of a deposed master is ignored: term {term}, {known} is known"
        ));
    }
    let is_ours = ours.agent.as_ref() == Some(&agent) && ours.cluster == Some(cluster);
    (!is_ours).then(|| format!("an order for agent {agent} of cluster {cluster} is ignored"))
}

fn asked_for() -> ReportWish {
    ReportWish::Now { when: "the master asked for a report" }
}

/// The master says that it is of our cluster, and who this agent is. Answers with the orders that came too early.
fn registered(
    step: &mut Step<'_>,
    disks: &mut Disks,
    master: &mut MasterLink,
    term: Term,
    (agent, cluster): (AgentId, ClusterId),
) -> Vec<ToAgent> {
    let ours = step.ledger().identity.clone();
    let stranger = ours
        .cluster
        .filter(|it| *it != cluster)
        .map(|it| format!("of cluster {cluster}, this agent's disks are of {it}"));
    let renaming = ours
        .agent
        .as_ref()
        .filter(|it| **it != agent)
        .map(|it| format!("calls this agent {agent}, it is {it}"));
    if let Some(why) = stranger.or(renaming) {
        step.log(format!("refused a master that is {why}; point the agent at its own masters"));
        hang_up(step, master);
        return Vec::new();
    }
    if term < ours.term && !step.config().is_planted("agent-ignores-terms") {
        step.log(format!(
            "the welcome of a deposed master is ignored: term {term}, {} is known",
            ours.term
        ));
        return Vec::new();
    }
    let first = ours.agent.is_none();
    let identity = AgentIdentity {
        agent: Some(agent),
        cluster: Some(cluster),
        term: term.max(ours.term),
        ..ours.clone()
    };
    if identity != ours {
        step.commit(vec![AgentChange::Identity(identity)]);
    }
    if first {
        open_disks(step, disks);
    }
    let early = master.welcome();
    stop_resending(step); // A welcome on a link that was welcomed before starts the resending anew.
    resend_all(step, master);
    tell_used(step, disks, master, true);
    early
}

/// Does what a leader of our cluster orders.
fn obey(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    message: ToAgent,
) {
    let ours = step.ledger().identity.clone();
    if message.term < ours.term && !step.config().is_planted("agent-ignores-terms") {
        return step.log(format!(
            "an order of a deposed master is ignored: term {}, {} is known",
            message.term, ours.term
        ));
    }
    if ours.term < message.term {
        step.commit(vec![AgentChange::Identity(AgentIdentity { term: message.term, ..ours })]);
    }
    match message.order {
        // Done by the caller.
        Order::Registered(..) | Order::Refused(_) | Order::ShutDown { .. } => {}
        Order::Recover { .. } => {
            step.log("a master that has welcomed this agent has nothing to give back to it")
        }
        Order::Unknown => {
            step.log("an order that this version does not know is passed over; the master is newer")
        }
        Order::Apply { framework, role, by, operations, ownership } => {
            let ordered = Ordered { framework, role, by, operations, ownership };
            apply(step, disks, containers, tasks, master, waiting, ordered)
        }
        Order::Undelete { uuid, claim, by } => {
            undelete(step, disks, containers, master, waiting, (uuid, claim, &by))
        }
        Order::PurgeTrash { claim, by } => purge(step, claim, &by),
        // What one of them adopts is said in the operation itself.
        Order::ApplyTogether { uuid, together, ownership }
        | Order::AdoptVolume { uuid, together, ownership }
        | Order::AdoptDirectory { uuid, together, ownership } => {
            let what = (together, ownership);
            apply_together(step, disks, containers, master, waiting, uuid, what)
        }
        Order::GiveUp { uuid, claim, by } => {
            give_up(step, disks, containers, master, (uuid, claim), &by)
        }
        Order::LeaveDisk { uuid, disk, to, stage, by, reason } => {
            let leaving = (uuid, stage, LeavingDisk { disk, to, by, reason });
            leave_disk(step, disks, containers, tasks, master, waiting, leaving)
        }
        order @ (Order::AddDisk { .. }
        | Order::AdoptDisk { .. }
        | Order::TakeDisk { .. }
        | Order::CancelTake { .. }
        | Order::RemoveDisk { .. }
        | Order::RemoveOrphan { .. }) => obey_about_disks(step, disks, master, order),
        Order::Kill { framework, task, grace_ms } => {
            kill(step, containers, tasks, master, waiting, (framework, task), grace_ms)
        }
        Order::ShutdownExecutor(framework, executor) => {
            let key = (framework, executor);
            shut_down_executor(step, containers, tasks, master, waiting, &key)
        }
        Order::ShutdownFramework(framework) => {
            shut_down_framework(step, containers, tasks, master, waiting, framework)
        }
        Order::AcknowledgeTask(framework, task, status) => {
            acknowledge_task(step, containers, tasks, master, &(framework, task), status)
        }
        Order::AcknowledgeOperation(it, status) => acknowledge_operation(step, it, status),
        Order::ExecutorMessage(framework, executor, data) => {
            message_executor(step, containers, &(framework, executor), data)
        }
        Order::Ping { number, acknowledged } => {
            step.note_acknowledged(acknowledged);
            let link = master.welcomed();
            step.extend(link.map(|link| Effect::ToMaster(link, ToMaster::Pong(number))));
        }
        Order::Resync => master.want_report(asked_for()),
    }
}

/// What is answered by a word of its own, and not as an operation.
fn obey_about_disks(step: &mut Step<'_>, disks: &mut Disks, master: &mut MasterLink, order: Order) {
    match order {
        Order::AddDisk { uuid, disk, by } => {
            disk_changes::add(step, disks, master, (uuid, disk), by)
        }
        Order::AdoptDisk { uuid, adoption, by } => {
            adopt_disk::adopt(step, disks, master, (uuid, adoption), by)
        }
        Order::TakeDisk { uuid, taking, by } => take(step, disks, master, (uuid, *taking), by),
        Order::CancelTake { uuid, disk, claims, by } => {
            cancel_take(step, disks, master, (uuid, disk), &claims, &by)
        }
        Order::RemoveDisk { uuid, root, by } => {
            disk_changes::remove(step, disks, master, (uuid, &root), &by)
        }
        Order::RemoveOrphan { uuid, volume, disk, resource, by } => {
            remove_orphan::remove(step, disks, master, (uuid, volume, disk), *resource, &by)
        }
        other => unreachable!("{other:?} is no order about disks"),
    }
}

/// A disk is another agent's, or is to be. What still runs here on claims that the other one has is ended first.
fn leave_disk(
    step: &mut Step<'_>,
    disks: &mut Disks,
    containers: &mut Containers,
    tasks: &mut Tasks,
    master: &mut MasterLink,
    waiting: &mut Waiting,
    (uuid, stage, leaving): (OperationUuid, LeaveStage, LeavingDisk),
) {
    if stage == LeaveStage::End {
        for key in users_of_claims(step, containers, leaving.disk) {
            shut_down_executor(step, containers, tasks, master, waiting, &key);
        }
    }
    leave(step, disks, containers, master, (uuid, stage), leaving)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{cluster, Bed};
    use holdfast_model::ToMaster;

    #[test]
    fn the_first_welcome_names_the_agent_and_opens_its_disks() {
        let mut bed = Bed::fresh();
        bed.start();
        bed.link(1);
        let report = bed.reports().pop().unwrap();
        assert!(report.cluster.is_none() && report.machine.resources.is_empty());
        bed.order(Order::Registered(AgentId::made("a1".to_owned()), cluster(1)));
        assert_eq!(bed.agent.ledger().identity.cluster, Some(cluster(1)));
        bed.settle();
        let report = bed.reports().pop().unwrap();
        assert_eq!(
            (report.cluster, report.orders_seen, report.disks.len()),
            (Some(cluster(1)), 1, 3)
        );
        assert!(!report.machine.resources.is_empty());
    }

    #[test]
    fn another_cluster_is_refused_and_its_term_means_nothing() {
        let mut bed = Bed::registered();
        let before = bed.agent.ledger().clone();
        bed.link(2);
        bed.order_in(99, Order::Registered(AgentId::made("a1".to_owned()), cluster(2)));
        assert!(bed.seen.contains(&Effect::CloseMaster(LinkId(2))));
        bed.link(3);
        bed.order_in(99, Order::Registered(AgentId::made("other".to_owned()), cluster(1)));
        assert!(bed.seen.contains(&Effect::CloseMaster(LinkId(3))));
        assert_eq!(*bed.agent.ledger(), before);
    }

    #[test]
    fn a_deposed_master_is_ignored_and_a_greater_term_is_written_down_first() {
        let mut bed = Bed::registered();
        bed.order_in(7, Order::Ping { number: 1, acknowledged: 0 });
        assert_eq!(bed.agent.ledger().identity.term, Term(7));
        let commit = bed.seen.iter().rposition(|it| matches!(it, Effect::Commit { .. }));
        let pong =
            bed.seen.iter().rposition(|it| matches!(it, Effect::ToMaster(_, ToMaster::Pong(1))));
        assert!(commit.is_some() && commit < pong);
        bed.order_in(6, Order::Ping { number: 2, acknowledged: 0 });
        assert!(!bed.seen.iter().any(|it| matches!(it, Effect::ToMaster(_, ToMaster::Pong(2)))));
    }

    #[test]
    fn only_the_newest_link_counts() {
        let mut bed = Bed::registered();
        bed.link(5);
        assert!(bed.seen.contains(&Effect::CloseMaster(LinkId(1))));
        bed.input(crate::Input::MasterLost(LinkId(1)));
        bed.input(crate::Input::MasterLinked(LinkId(4)));
        assert!(bed.seen.contains(&Effect::CloseMaster(LinkId(4))));
        let reports = bed.reports().len();
        bed.order(Order::Resync);
        assert_eq!(bed.reports().len(), reports + 1);
        assert_eq!(bed.reports().pop().unwrap().orders_seen, 1);
    }

    #[test]
    fn an_unknown_order_counts_as_seen_and_does_nothing() {
        let mut bed = Bed::registered();
        let before = bed.agent.ledger().clone();
        bed.order(Order::Unknown);
        assert_eq!(*bed.agent.ledger(), before);
        bed.order(Order::Resync);
        assert_eq!(bed.reports().pop().unwrap().orders_seen, 3, "welcome, unknown, resync");
    }

    #[test]
    fn orders_before_the_welcome_wait_for_it() {
        let mut bed = Bed::registered();
        bed.launch_command("t1", &[]);
        bed.link(2);
        bed.order(Order::ShutdownFramework(crate::testbed::framework_id()));
        assert_eq!(bed.agent.ledger().tasks.len(), 1);
        bed.order(Order::Registered(AgentId::made("a1".to_owned()), cluster(1)));
        bed.settle();
        assert!(bed.agent.ledger().executors.is_empty());
    }
}

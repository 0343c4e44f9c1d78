//! The link to the master: who may order, what is obeyed, and what is told again on a new link.
//!
//! Only the newest link counts. A master has to prove with its welcome that it is of our cluster; before
//! that, its term means nothing. Of one cluster, only the greatest term is obeyed.

use holdfast_model::{
    AgentChange, AgentId, AgentIdentity, ClusterId, LinkId, Order, StepContext, Term, ToAgent,
    ToMaster,
};

use crate::alarms::Alarm;
use crate::soft::MasterLink;
use crate::step::Effect;
use crate::Agent;

/// How many orders may come before the welcome.
const EARLY_ORDERS_MAX: usize = 4096;

impl Agent {
    pub(crate) fn master_linked(&mut self, ctx: &mut StepContext<'_>, link: LinkId) {
        if self.soft.newest_link.is_some_and(|newest| link <= newest) {
            self.log(format!("link {} to a master is not the newest; it is closed", link.0));
            return self.effects.push(Effect::CloseMaster(link));
        }
        if let Some(old) = self.soft.master.take() {
            self.effects.push(Effect::CloseMaster(old.link));
        }
        self.stop_resending();
        self.soft.newest_link = Some(link);
        self.soft.master = Some(MasterLink {
            link,
            orders_seen: 0,
            welcomed: false,
            early: Vec::new(),
            untold: false,
        });
        self.report(ctx, "the link to the master was renewed");
    }

    pub(crate) fn master_lost(&mut self, link: LinkId) {
        if self.soft.master.as_ref().is_some_and(|it| it.link == link) {
            self.soft.master = None;
            self.stop_resending();
        }
    }

    fn hang_up(&mut self) {
        if let Some(master) = self.soft.master.take() {
            self.effects.push(Effect::CloseMaster(master.link));
            self.stop_resending();
        }
    }

    fn stop_resending(&mut self) {
        self.soft.alarms.clear_all(|it| matches!(it, Alarm::Update(_) | Alarm::Operation(_)));
        self.soft.alarms.clear(&Alarm::News);
        self.soft.reported_pending.clear();
    }

    pub(crate) fn master_said(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        message: ToAgent,
    ) {
        let Some(master) = self.soft.master.as_mut().filter(|it| it.link == link) else {
            return self
                .log(format!("an order on link {}, which is not the newest, is ignored", link.0));
        };
        if !matches!(message.order, Order::Ping(_)) {
            master.orders_seen += 1;
        }
        match message.order {
            Order::Registered(agent, cluster) => self.registered(ctx, message.term, agent, cluster),
            Order::Refused(why) => {
                self.log(format!("the master does not take this agent: {why}"));
                self.hang_up();
            }
            _ if master.welcomed => self.obey(ctx, message),
            Order::Ping(number) => {
                self.effects.push(Effect::ToMaster(link, ToMaster::Pong(number)))
            }
            Order::Resync => self.report(ctx, "the master asked for a report"),
            _ if EARLY_ORDERS_MAX <= master.early.len() => {
                self.log(format!("the master gave {EARLY_ORDERS_MAX} orders without a welcome; its link is closed"));
                self.hang_up();
            }
            _ => master.early.push(message),
        }
    }

    fn registered(
        &mut self,
        ctx: &mut StepContext<'_>,
        term: Term,
        agent: AgentId,
        cluster: ClusterId,
    ) {
        let ours = self.ledger.identity.clone();
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
            self.log(format!("refused a master that is {why}; point the agent at its own masters"));
            return self.hang_up();
        }
        if term < ours.term && !self.is_planted("agent-ignores-terms") {
            return self.log(format!(
                "the welcome of a deposed master is ignored: term {term}, {} is known",
                ours.term
            ));
        }
        let first = ours.cluster.is_none();
        let identity = AgentIdentity {
            agent: Some(agent),
            cluster: Some(cluster),
            term: term.max(ours.term),
            ..ours.clone()
        };
        if identity != ours {
            self.commit(vec![AgentChange::Identity(identity)]);
        }
        if first {
            self.open_disks();
        }
        let Some(master) = self.soft.master.as_mut() else { return };
        master.welcomed = true;
        let (early, untold) =
            (std::mem::take(&mut master.early), std::mem::take(&mut master.untold));
        // A welcome on a link that was welcomed before starts the resending anew.
        self.soft.alarms.clear_all(|it| matches!(it, Alarm::Update(_) | Alarm::Operation(_)));
        self.resend_all(ctx);
        if untold {
            self.report_news(ctx);
        }
        for message in early {
            self.obey(ctx, message);
        }
    }

    /// Does what a leader of our cluster orders.
    fn obey(&mut self, ctx: &mut StepContext<'_>, message: ToAgent) {
        let ours = self.ledger.identity.clone();
        if message.term < ours.term && !self.is_planted("agent-ignores-terms") {
            return self.log(format!(
                "an order of a deposed master is ignored: term {}, {} is known",
                message.term, ours.term
            ));
        }
        if ours.term < message.term {
            self.commit(vec![AgentChange::Identity(AgentIdentity { term: message.term, ..ours })]);
        }
        match message.order {
            Order::Registered(..) | Order::Refused(_) => {} // Done by the caller.
            Order::Unknown => self.log(
                "an order that this version does not know is passed over; the master is newer"
                    .to_owned(),
            ),
            Order::Apply { framework, role, by, operations } => {
                self.apply(ctx, framework, role, by, operations)
            }
            Order::Kill { framework, task, grace_ms } => {
                self.kill(ctx, (framework, task), grace_ms)
            }
            Order::ShutdownExecutor(framework, executor) => {
                self.shut_down_executor(ctx, &(framework, executor))
            }
            Order::ShutdownFramework(framework) => self.shut_down_framework(ctx, framework),
            Order::AcknowledgeTask(framework, task, status) => {
                self.acknowledge_task(ctx, (framework, task), status)
            }
            Order::AcknowledgeOperation(operation, status) => {
                self.acknowledge_operation(operation, status)
            }
            Order::ExecutorMessage(framework, executor, data) => {
                self.message_executor(&(framework, executor), data)
            }
            Order::Ping(number) => {
                self.tell_master(ToMaster::Pong(number));
            }
            Order::Resync => self.report(ctx, "the master asked for a report"),
        }
    }
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
        bed.order_in(7, Order::Ping(1));
        assert_eq!(bed.agent.ledger().identity.term, Term(7));
        let commit = bed.seen.iter().rposition(|it| matches!(it, Effect::Commit(_)));
        let pong =
            bed.seen.iter().rposition(|it| matches!(it, Effect::ToMaster(_, ToMaster::Pong(1))));
        assert!(commit.is_some() && commit < pong);
        bed.order_in(6, Order::Ping(2));
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

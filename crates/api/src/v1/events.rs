//! SUBSCRIBE of the operator API: everything as it stands, then what changes, in the events of Mesos.
//!
//! Relies on [`crate::events`] for what changed. An agent is removed for these events once it cannot be reached, and added when it is back,
//! as Mesos has it; claims, offers and resources have no events there.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use holdfast_master::TaskView;
use holdfast_model::convert::{framework, status};
use holdfast_model::{AgentId, FrameworkId, Presence, TaskKey};
use holdfast_proto::mesos::v1::master::event::{
    AgentAdded, AgentRemoved, FrameworkAdded, FrameworkRemoved, FrameworkUpdated, Subscribed,
    TaskAdded, TaskUpdated, Type,
};
use holdfast_proto::mesos::v1::master::response::{
    get_agents::Agent, get_frameworks::Framework, GetAgents, GetFrameworks,
};
use holdfast_proto::mesos::v1::master::Event;

use super::{agent_id, agents, framework_id, frameworks, state, task};
use crate::events::{changes, ClusterEvent};
use crate::MasterView;

/// The first event of a stream.
pub fn subscribed(view: &MasterView, heartbeat_ms: u64) -> Event {
    let subscribed = Some(Subscribed {
        get_state: Some(state(view)),
        heartbeat_interval_seconds: Some(heartbeat_ms as f64 / 1000.0),
    });
    Event { subscribed, ..of(Type::Subscribed) }
}

/// What a subscriber that knows the old view is told of the new one.
pub fn events(old: &MasterView, new: &MasterView) -> Vec<Event> {
    let news = News { old, new, rows: Rows::default() };
    changes(old, new).iter().filter_map(|change| news.event(change)).collect()
}

fn of(kind: Type) -> Event {
    Event { r#type: Some(kind.into()), ..Event::default() }
}

/// Rows of the new view, which are made once for all events that need one.
#[derive(Default)]
struct Rows<'a> {
    agents: OnceCell<GetAgents>,
    frameworks: OnceCell<GetFrameworks>,
    completed: OnceCell<BTreeMap<TaskKey, &'a TaskView>>,
}

struct News<'a> {
    old: &'a MasterView,
    new: &'a MasterView,
    rows: Rows<'a>,
}

impl News<'_> {
    fn event(&self, change: &ClusterEvent) -> Option<Event> {
        match change {
            ClusterEvent::AgentAdded(id) | ClusterEvent::AgentChanged(id) => self.agent(id),
            ClusterEvent::AgentRemoved(id) => is_here(self.old, id).then(|| agent_removed(id)),
            ClusterEvent::FrameworkAdded(id) => {
                let framework_added = Some(FrameworkAdded { framework: self.framework(id)? });
                Some(Event { framework_added, ..of(Type::FrameworkAdded) })
            }
            ClusterEvent::FrameworkUpdated(id) => {
                let framework_updated = Some(FrameworkUpdated { framework: self.framework(id)? });
                Some(Event { framework_updated, ..of(Type::FrameworkUpdated) })
            }
            ClusterEvent::FrameworkRemoved(id) => self.framework_removed(id),
            ClusterEvent::TaskAdded(key) => {
                let task_added = Some(TaskAdded { task: task(self.task(key)?) });
                Some(Event { task_added, ..of(Type::TaskAdded) })
            }
            ClusterEvent::TaskUpdated(key, _) => self.task_updated(key),
            ClusterEvent::ClaimChanged(..)
            | ClusterEvent::ClaimGone(..)
            | ClusterEvent::OfferMade(_)
            | ClusterEvent::OfferEnded(_)
            | ClusterEvent::TaskForgotten(_) => None,
        }
    }

    /// It came, came back, or can no longer be reached; anything else of it has no event.
    fn agent(&self, id: &AgentId) -> Option<Event> {
        match (is_here(self.old, id), is_here(self.new, id)) {
            (false, true) => {
                let rows = &self.rows.agents.get_or_init(|| agents(self.new)).agents;
                let row = rows.iter().find(|row| agent_of(row) == Some(id.as_str()))?;
                let agent_added = Some(AgentAdded { agent: row.clone() });
                Some(Event { agent_added, ..of(Type::AgentAdded) })
            }
            (true, false) => Some(agent_removed(id)),
            _ => None,
        }
    }

    fn framework(&self, id: &FrameworkId) -> Option<Framework> {
        let rows = &self.rows.frameworks.get_or_init(|| frameworks(self.new)).frameworks;
        let id = framework_id(id);
        rows.iter().find(|row| row.framework_info.id.as_ref() == Some(&id)).cloned()
    }

    fn framework_removed(&self, id: &FrameworkId) -> Option<Event> {
        let record = |view: &MasterView| view.ledger().frameworks.get(id).cloned();
        let record = record(self.new).or_else(|| record(self.old))?;
        let framework_info = framework::to_proto(&record.info);
        let framework_removed = Some(FrameworkRemoved { framework_info });
        Some(Event { framework_removed, ..of(Type::FrameworkRemoved) })
    }

    fn task(&self, key: &TaskKey) -> Option<&TaskView> {
        self.new.tasks().get(key).or_else(|| {
            let key_of = |it: &TaskView| (it.framework.clone(), it.id.clone());
            let completed = self
                .rows
                .completed
                .get_or_init(|| self.new.completed_tasks().map(|it| (key_of(it), it)).collect());
            completed.get(key).copied()
        })
    }

    /// Nobody has said anything of a task that is just being launched.
    fn task_updated(&self, key: &TaskKey) -> Option<Event> {
        let task = self.task(key)?;
        let task_updated = Some(TaskUpdated {
            framework_id: framework_id(&key.0),
            status: status::to_proto(task.latest.as_ref()?),
            state: task.state as i32,
        });
        Some(Event { task_updated, ..of(Type::TaskUpdated) })
    }
}

fn agent_of(row: &Agent) -> Option<&str> {
    row.agent_info.id.as_ref().map(|it| it.value.as_str())
}

fn agent_removed(id: &AgentId) -> Event {
    let agent_removed = Some(AgentRemoved { agent_id: agent_id(id) });
    Event { agent_removed, ..of(Type::AgentRemoved) }
}

/// Whether this leader has heard of the agent, and does not think that it cannot be reached.
fn is_here(view: &MasterView, id: &AgentId) -> bool {
    let admitted = view.ledger().agents.get(id).is_some_and(|it| it.presence == Presence::Admitted);
    admitted && view.agents().get(id).is_some_and(|it| !super::is_expected(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{report, Bed};
    use holdfast_model::{Instant, LinkId, TaskId, TaskState, TaskStatus};

    fn kinds(old: &Bed, new: &Bed) -> Vec<Type> {
        events(&old.view(), &new.view()).iter().map(Event::r#type).collect()
    }

    #[test]
    fn the_first_event_is_everything_as_it_stands() {
        let view = Bed::usual().view();
        let first = subscribed(&view, 15_000).subscribed.unwrap();
        assert_eq!(first.heartbeat_interval_seconds, Some(15.0));
        assert_eq!(first.get_state, Some(state(&view)));
    }

    #[test]
    fn an_agent_its_framework_and_their_tasks_come() {
        use Type::{AgentAdded, FrameworkUpdated, TaskAdded, TaskUpdated};
        let (before, after) = (Bed::elected(), Bed::usual());
        let expected =
            [AgentAdded, FrameworkUpdated, TaskAdded, TaskUpdated, TaskAdded, TaskUpdated];
        assert_eq!(kinds(&before, &after), expected);
        let told = events(&before.view(), &after.view());
        let agent = &told[0].agent_added.as_ref().unwrap().agent;
        assert_eq!((agent_of(agent), agent.active), (Some("S0"), true));
        let task = &told[2].task_added.as_ref().unwrap().task;
        assert_eq!((task.task_id.value.as_str(), task.agent_id.value.as_str()), ("db-0", "S0"));
        let updated = told[5].task_updated.as_ref().unwrap();
        assert_eq!(updated.status.task_id.value, "db-1");
        assert_eq!(updated.state, TaskState::Failed as i32);
    }

    #[test]
    fn a_task_that_ends_is_told_with_its_status() {
        let (before, mut after) = (Bed::usual(), Bed::usual());
        let id = TaskId::made("db-0".to_owned());
        let mut ended = report();
        ended.orders_seen = 1;
        ended.tasks[0].state = TaskState::Finished;
        ended.tasks[0].latest = Some(TaskStatus::new(id, TaskState::Finished, Instant(9000)));
        after.report(ended);
        let told = events(&before.view(), &after.view());
        let update = told.iter().find_map(|it| it.task_updated.as_ref()).unwrap();
        assert_eq!(update.status.state, TaskState::Finished as i32);
        assert_eq!(update.framework_id.value, "f-0");
    }

    #[test]
    fn a_framework_that_leaves_is_updated_and_what_has_no_event_is_not_told() {
        let (before, mut after) = (Bed::usual(), Bed::usual());
        after.input(holdfast_master::Input::FrameworkLost(LinkId(2)));
        assert_eq!(kinds(&before, &after), [Type::FrameworkUpdated]);
        assert_eq!(kinds(&before, &before), []);
    }
}

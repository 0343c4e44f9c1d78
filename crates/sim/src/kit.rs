//! The test kit of framework authors: a service on a simulated cluster, with real masters' and
//! agents' cores, simulated time and drivers, and no process at all. A minute of the cluster's life
//! takes milliseconds.
//!
//! ```
//! use holdfast_sim::kit::Kit;
//! use holdfast_sim::services::Records;
//!
//! let mut kit = Kit::new(3, Records::new("db", "db", 2, 200));
//! kit.run_until_content(60_000);
//! let before = kit.members();
//! kit.kill_agent(0, 2_000);
//! kit.run_ms(1_000);
//! kit.run_until_content(60_000);
//! assert_eq!(kit.volumes(&before), kit.volumes(&kit.members()));
//! ```
//!
//! Every rule is checked after every step. It never succeeds silently: what does not come about
//! panics with the trace.

use holdfast_sdk::pods::{Answer, Lost, Refused, Request, ServiceKeeper};
use holdfast_sdk::spec::ServiceSpec;

use crate::agenda::{ExecutorAction, Node};
use crate::frameworks::Performer;
use crate::keepers::{AnyHooks, AnyKeeper, HooksAgain};
use crate::shape::Shape;
use crate::trace::Detail;
use crate::world::World;

/// A service on a simulated cluster.
pub struct Kit {
    world: World,
}

/// A member of the service, as its own ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The number of the member.
    pub index: u32,
    /// The task, while it may be alive.
    pub task: Option<String>,
    /// The agent that has its volume.
    pub agent: Option<String>,
    /// The volume of the member.
    pub volume: Option<String>,
}

impl Kit {
    /// One master, so many agents with two disks each, and the service about to start.
    pub fn new(agents: usize, service: impl Performer + 'static) -> Kit {
        let shape = Shape { agents, ..Shape::still() };
        let mut world = World::new(1, shape, Some(Vec::new()), vec![Box::new(service)]);
        world.trace.detail = Detail::Plot;
        Kit { world }
    }

    /// One master, so many agents with two disks each, and a service of pods about to start.
    pub fn of_pods(agents: usize, spec: ServiceSpec, hooks: impl HooksAgain + 'static) -> Kit {
        let shape = Shape { agents, ..Shape::still() };
        let mut world = World::new(1, shape, Some(Vec::new()), Vec::new());
        world.trace.detail = Detail::Plot;
        world.add_pods(spec, Box::new(hooks), Lost::Ask);
        Kit { world }
    }

    /// The keeper of a service of pods, while its scheduler runs.
    pub fn service(&self) -> Option<&ServiceKeeper<AnyHooks>> {
        match self.world.frameworks[0].keeper.as_ref()? {
            AnyKeeper::Pods(it) => Some(it),
            AnyKeeper::Members(_) => None,
        }
    }

    /// Asks something of a service of pods.
    ///
    /// # Errors
    /// Why it is refused.
    ///
    /// # Panics
    /// When its scheduler is down.
    pub fn ask(&mut self, request: Request) -> Result<Answer, Refused> {
        self.world.command(0, "kit", request).expect("the scheduler is down and answers nobody")
    }

    /// Lets time pass until this holds of the service.
    ///
    /// # Panics
    /// When that takes longer than `within_ms`; tells what happened.
    pub fn run_until(
        &mut self,
        within_ms: u64,
        mut holds: impl FnMut(&ServiceKeeper<AnyHooks>) -> bool,
    ) {
        let end = self.world.elapsed_ms() + within_ms;
        while !self.service().is_some_and(&mut holds) {
            assert!(
                self.world.elapsed_ms() < end,
                "it does not come about within {within_ms} ms\n{}",
                self.trace()
            );
            self.run_ms(100);
        }
    }

    /// Lets so many milliseconds pass.
    ///
    /// # Panics
    /// When a rule is broken.
    pub fn run_ms(&mut self, ms: u64) {
        self.world.run_until(self.world.elapsed_ms() + ms);
        if let Some(violation) = &self.world.violation {
            panic!("rule {} is broken: {}\n{}", violation.rule, violation.why, self.trace());
        }
    }

    /// Lets time pass until every member runs.
    ///
    /// # Panics
    /// When that takes longer than `within_ms`; tells what happened.
    pub fn run_until_content(&mut self, within_ms: u64) {
        let end = self.world.elapsed_ms() + within_ms;
        while !self.is_content() {
            assert!(
                self.world.elapsed_ms() < end,
                "not every member runs within {within_ms} ms\n{}",
                self.trace()
            );
            self.run_ms(100);
        }
    }

    /// Whether every member's task was seen running.
    pub fn is_content(&self) -> bool {
        self.world.frameworks[0].keeper.as_ref().is_some_and(AnyKeeper::is_content)
    }

    /// The members.
    pub fn members(&self) -> Vec<MemberView> {
        let members = self.world.frameworks[0].ledger.members.values();
        let view = |it: &holdfast_sdk::Member| MemberView {
            index: it.index,
            task: it.run.as_ref().map(|it| it.task.to_string()),
            agent: it.agent.as_ref().map(ToString::to_string),
            volume: it.volume.as_ref().map(ToString::to_string),
        };
        members.map(view).collect()
    }

    /// Each member's agent and volume.
    pub fn volumes(&self, members: &[MemberView]) -> Vec<(Option<String>, Option<String>)> {
        members.iter().map(|it| (it.agent.clone(), it.volume.clone())).collect()
    }

    /// Kills an agent's process; it is back after `down_ms`. Its containers live on.
    pub fn kill_agent(&mut self, agent: usize, down_ms: u64) {
        self.world.kill(Node::Machine(agent), Some(down_ms));
    }

    /// Takes a machine's power; it is back after `down_ms`, without its containers.
    pub fn reboot(&mut self, agent: usize, down_ms: u64) {
        self.world.reboot(agent, Some(down_ms));
    }

    /// Kills the scheduler; it is back after `down_ms`, with its ledger.
    pub fn kill_scheduler(&mut self, down_ms: u64) {
        self.world.kill(Node::Framework(0), Some(down_ms));
    }

    /// Kills the master; it is back after `down_ms`, with its ledger.
    pub fn kill_master(&mut self, down_ms: u64) {
        self.world.kill(Node::Master(0), Some(down_ms));
    }

    /// Kills the containers of an agent.
    pub fn kill_containers(&mut self, agent: usize) {
        for (machine, id) in self.world.living() {
            if machine == agent {
                self.world.act(machine, id, ExecutorAction::Exit(137));
            }
        }
    }

    /// The trace, one event a line.
    pub fn trace(&self) -> String {
        self.world.trace.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Records;

    #[test]
    fn a_service_comes_back_to_its_volumes_whatever_dies() {
        let mut kit = Kit::new(3, Records::new("db", "db", 3, 200));
        kit.run_until_content(60_000);
        let before = kit.volumes(&kit.members());
        for blow in [
            Kit::kill_agent as fn(&mut Kit, usize, u64),
            Kit::reboot,
            |kit, _, ms| kit.kill_scheduler(ms),
            |kit, _, ms| kit.kill_master(ms),
            |kit, at, _| kit.kill_containers(at),
        ] {
            blow(&mut kit, 1, 2_000);
            kit.run_ms(5_000);
            kit.run_until_content(120_000);
            assert_eq!(kit.volumes(&kit.members()), before);
        }
    }

    #[test]
    #[should_panic(expected = "not every member runs")]
    fn what_cannot_come_about_is_said() {
        Kit::new(1, Records::new("db", "db", 2, 200)).run_until_content(20_000);
    }
}

//! The master's numbers, under Mesos's names where Mesos has one. They are copied out of the mind about
//! once a second, so that whoever scrapes never makes it wait.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_master::{AgentHealth, Master};
use holdfast_model::{Presence, TaskState};
use holdfast_proto::mesos::v1::MasterInfo;
use holdfast_wire::Metric;

/// What was read last.
#[derive(Clone)]
pub struct Gauges {
    latest: Arc<Mutex<Vec<Metric>>>,
    /// When the process began to lead, in seconds since 1970.
    pub started_s: f64,
    /// Who this master is.
    pub master_info: MasterInfo,
    /// Where it logs, if into a file.
    pub log_file: Option<PathBuf>,
}

impl Gauges {
    /// Nothing read yet.
    pub fn new(master_info: MasterInfo, log_file: Option<PathBuf>) -> Gauges {
        Gauges {
            latest: Arc::default(),
            started_s: crate::core_loop::now().0 as f64 / 1000.0,
            master_info,
            log_file,
        }
    }

    /// What was read last, with the time that has passed.
    pub fn read(&self) -> Vec<Metric> {
        let mut metrics = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let up = crate::core_loop::now().0 as f64 / 1000.0 - self.started_s;
        metrics.push(Metric::gauge(
            "master/uptime_secs",
            "How long this master has led, in seconds.",
            up,
        ));
        metrics
    }

    /// Keeps what was read.
    pub fn store(&self, metrics: Vec<Metric>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }
}

/// Reads the mind.
#[expect(clippy::too_many_lines, reason = "its parts become answers of the crate `api`")]
pub fn read(core: &Master) -> Vec<Metric> {
    let count = |n: usize| n as f64;
    let agents = |which: fn(&AgentHealth) -> bool| {
        count(core.agents().values().filter(|it| which(&it.health)).count())
    };
    let connected = count(core.frameworks().values().filter(|it| it.link.is_some()).count());
    let unreachable =
        core.ledger().agents.values().filter(|it| it.presence == Presence::Unreachable).count();
    let mut metrics = vec![
        Metric::gauge(
            "master/elected",
            "Whether this master leads.",
            if core.term().is_some() { 1.0 } else { 0.0 },
        ),
        Metric::gauge(
            "master/slaves_active",
            "Agents that are offered.",
            agents(|it| *it == AgentHealth::Well),
        ),
        Metric::gauge(
            "master/slaves_connected",
            "Agents that are connected.",
            count(core.agents().values().filter(|it| it.link.is_some()).count()),
        ),
        Metric::gauge(
            "master/slaves_disconnected",
            "Agents that are expected and not connected.",
            agents(|it| matches!(it, AgentHealth::Away(_))),
        ),
        Metric::gauge(
            "holdfast/agents_fenced",
            "Agents that have lost data or belong elsewhere.",
            agents(|it| matches!(it, AgentHealth::Fenced(_))),
        ),
        Metric::gauge(
            "master/slaves_unreachable",
            "Agents that did not come back in time.",
            count(unreachable),
        ),
        Metric::gauge("master/frameworks_active", "Frameworks that are connected.", connected),
        Metric::gauge("master/frameworks_connected", "Frameworks that are connected.", connected),
        Metric::gauge(
            "master/frameworks_disconnected",
            "Frameworks that may come back.",
            count(core.frameworks().len()) - connected,
        ),
        Metric::gauge(
            "master/outstanding_offers",
            "Offers that were not answered yet.",
            count(core.offers().len()),
        ),
        Metric::gauge(
            "allocator/mesos/offer_filters/active",
            "Refusals that hold.",
            count(core.filters_len()),
        ),
        Metric::gauge(
            "holdfast/operations_in_flight",
            "Operations not yet settled or acknowledged.",
            count(core.operations().len()),
        ),
    ];
    let volumes = core.ledger().claims.values().filter(|it| it.is_volume()).count();
    let all = core.ledger().claims.len();
    metrics.push(
        Metric::gauge("holdfast/claims", "Claims by kind.", count(volumes)).label("kind", "volume"),
    );
    metrics.push(
        Metric::gauge("holdfast/claims", "Claims by kind.", count(all - volumes))
            .label("kind", "reservation"),
    );
    tasks(core, &mut metrics);
    amounts(core, &mut metrics);
    metrics
}

fn tasks(core: &Master, metrics: &mut Vec<Metric>) {
    for state in TaskState::ALL {
        let name =
            format!("master/tasks_{}", state.name().trim_start_matches("TASK_").to_lowercase());
        let there = core
            .tasks()
            .values()
            .chain(core.completed_tasks())
            .filter(|it| it.state == state)
            .count();
        metrics.push(Metric::gauge(name, "Tasks that are known in this state.", there as f64));
    }
}

fn amounts(core: &Master, metrics: &mut Vec<Metric>) {
    for name in ["cpus", "mem", "disk", "gpus"] {
        let total = core.totals().get(name).map_or(0.0, |it| it.to_f64());
        let used = core
            .tasks()
            .values()
            .filter(|it| !it.state.is_terminal())
            .fold(0.0, |sum, it| sum + it.resources.quantity(name).to_f64());
        let percent = if total > 0.0 { used / total } else { 0.0 };
        metrics.push(Metric::gauge(
            format!("master/{name}_total"),
            "What all connected agents have.",
            total,
        ));
        metrics.push(Metric::gauge(format!("master/{name}_used"), "What tasks use.", used));
        metrics.push(Metric::gauge(
            format!("master/{name}_percent"),
            "The share that tasks use, from 0 to 1.",
            percent,
        ));
    }
}

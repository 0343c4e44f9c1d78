//! The agent as a process: open the ledger, find the containers, let the core recover, serve executors,
//! keep a link to the master.
//!
//! Its containers outlive it: a new process over the same directory finds them again. It never touches
//! a volume but through `volumes`, and never a process but through `containers`.

mod api;
mod containers;
pub(crate) mod disks;
mod fetching;
mod gc;
mod isolation;
mod keyed_queues;
mod machine;
mod master_link;
mod metrics;
mod nested;
mod room;
mod sandboxes;
mod shell;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use holdfast_agent::{Agent, Config, Input};
use holdfast_api::agent::AgentFacts;
use holdfast_model::convert::ledger;
use holdfast_model::{AgentLedger, NodeId};
use holdfast_quorum::Masters;
use holdfast_store::Store;
use holdfast_wire::{Limits, Routes, Server};
use tokio_util::sync::CancellationToken;

use self::api::AgentServer;
use self::containers::Containers;
use self::disks::Disks;
use self::machine::MachinePlan;
use self::metrics::Gauges;
use self::shell::AgentShell;
use crate::core_loop::{self, Inbox, Shell as _};
use crate::links::Links;
use crate::settings::agent::AgentSettings;
use crate::views::Views;

/// Runs an agent until it is told to stop. Its containers go on.
///
/// # Errors
/// When its settings are wrong, it cannot listen, or its ledger cannot be opened or proven.
pub async fn run(settings: AgentSettings, stop: CancellationToken) -> anyhow::Result<()> {
    anyhow::ensure!(
        !settings.disk_timeout.is_zero(),
        "--disk-timeout: 0 leaves a disk no time to answer; write for instance 5s"
    );
    // Tasks of all users pass through it on the way to their sandboxes.
    crate::files::make_dir(&settings.dir, 0o711)
        .with_context(|| format!("cannot make {}", settings.dir.display()))?;
    let dir = settings
        .dir
        .canonicalize()
        .with_context(|| format!("cannot find {}", settings.dir.display()))?;
    let mut store = crate::ledger_file::open_with_reserve(
        &dir.join("ledger"),
        "agent",
        room::reserve_file(&dir),
    )?;
    let known = recall(&store)?;
    let limits = Limits { browsers: settings.browsers(), ..Limits::default() };
    let server = Server::bind(SocketAddr::new(settings.ip, settings.port), limits).await?;
    let address = server.address();
    let plan = MachinePlan::read(&settings, &dir, address).context("what this machine offers")?;
    let ledger = match known {
        Some(ledger) => ledger,
        None => begin(&mut store, &plan, &settings)?,
    };
    let (inbox, work) = Inbox::new();
    let containers = Containers::open(&dir, address, &settings, &plan.disks, inbox.clone())?;
    containers.sandboxes().close_left_open();
    let found = containers.recover(&ledger)?;
    let disk_times = (settings.disk_timeout, settings.trash_retention);
    let mut disks = plan.disks.clone();
    let added = ledger.added_disks.values();
    disks.extend(added.map(|it| machine::DiskPlan::of_added(it, plan.limit)));
    let hiding = isolation::Hiding::new(&dir, disks, settings.hide.clone(), containers.clone());
    hiding.hide();
    let shell = AgentShell {
        core: Agent::recover(config(&settings), ledger),
        store,
        masters: Default::default(),
        executors: Links::default(),
        disks: Disks::start(
            plan,
            disk_times,
            settings.disk_helpers,
            Arc::new(move |disk| hiding.add(disk)),
            inbox.clone(),
        )?,
        containers: containers.clone(),
    };
    let (views, gauges) = (Views::new(shell.view()), Gauges::new());
    let facts = facts(&settings, address);
    let api = AgentServer::new(&shell, inbox.clone(), views.clone(), gauges.clone(), facts);
    let masters = shell.masters.clone();
    let running = core_loop::spawn("agent", shell, work, views.clone())
        .context("cannot start the agent's thread")?;
    inbox.tell(Input::Started(found)).await;
    crate::address_file::write(settings.address_file.as_deref(), &address.to_string())?;
    let named = Masters::watch(&settings.master).context("--master")?;
    tracing::info!("agent serves at {address}; its masters are {named}");
    containers.keep_room(&dir, &stop);
    tokio::spawn(gauges.keep(views, stop.clone()));
    tokio::spawn(master_link::keep(named, masters, inbox, stop.clone()));
    server.serve(Routes::Agent(Arc::new(api)), stop).await;
    running.end(crate::ledger_file::CLOSE_PATIENCE).await;
    Ok(())
}

/// What this agent knows of itself.
fn facts(settings: &AgentSettings, address: SocketAddr) -> AgentFacts {
    let only_master = match settings.master.as_slice() {
        [one] => one.rsplit_once(':').map(|(host, _)| host.to_owned()),
        _ => None,
    };
    AgentFacts {
        version: crate::version::info(),
        started_s: core_loop::now().0 as f64 / 1000.0,
        flags: settings.flags(),
        hostname: settings.hostname.clone().unwrap_or_else(|| address.ip().to_string()),
        ip: address.ip().to_string(),
        port: address.port(),
        master_hostname: only_master,
        sandboxes: String::new(),
    }
}

/// The ledger, if there was one.
fn recall(store: &holdfast_store::DurableStore) -> anyhow::Result<Option<AgentLedger>> {
    let records = store.records().map(|it| (it.tree, it.key, it.value));
    ledger::agent::fold(records).context("the agent's ledger cannot be read")
}

/// A new ledger. Where the disks were used before, the one that knew them is lost: that is written down first, so that nobody takes this
/// agent for a new one.
fn begin(
    store: &mut holdfast_store::DurableStore,
    plan: &MachinePlan,
    settings: &AgentSettings,
) -> anyhow::Result<AgentLedger> {
    let mut ledger = AgentLedger::new(NodeId(uuid::Uuid::new_v4()));
    let (helpers, timeout) = (settings.disk_helpers, settings.disk_timeout);
    ledger.identity.cluster = disks::peek::former_cluster(&plan.disks, helpers, timeout);
    if let Some(cluster) = ledger.identity.cluster {
        tracing::error!("the disks of this agent were used before, by cluster {cluster}, but its ledger is new: the one that knew them is gone; nothing is labelled, made or started here before it is brought back (stop the agent, and put it or an export of it in place of the new one), or an operator applies `holdfast agent recover`");
    }
    let identity = holdfast_model::AgentChange::Identity(ledger.identity.clone());
    for batch in
        crate::ledger_file::batches(std::iter::once([ledger::agent::encode(&identity)].into_iter()))
    {
        store.commit(0, &batch)?;
    }
    Ok(ledger)
}

fn config(settings: &AgentSettings) -> Config {
    let ms =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Config {
        registration_timeout_ms: ms(settings.executor_registration_timeout),
        reregistration_timeout_ms: ms(settings.executor_reregistration_timeout),
        trash_retention_ms: ms(settings.trash_retention),
        version: crate::version::MESOS_VERSION.to_owned(),
        ..Config::default()
    }
}

//! The master as a process: listen, wait for leadership, open the ledger, let the core lead.
//!
//! It relies on `quorum` for leadership and for its journal. It never answers for the cluster before it leads,
//! and never leads without having read everything that its predecessors wrote.

mod answers;
mod api;
mod event_stream;
mod front;
mod metrics;
mod shell;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use holdfast_api::v1::MasterFacts;
use holdfast_master::{Config, Input, Master};
use holdfast_model::convert::{ledger, scheduler, text};
use holdfast_model::Term;
use holdfast_proto::mesos::v1::{Address, MasterInfo};
use holdfast_quorum::{Journal, Leadership, Lease, LocalJournal, LocalLeadership};
use holdfast_wire::{Limits, Routes, Server};
use tokio_util::sync::CancellationToken;

use self::api::LeaderApi;
use self::event_stream::EventStream;
use self::front::Front;
use self::shell::{MasterShell, Seen};
use crate::core_loop::{self, Inbox, Shell as _};
use crate::links::Links;
use crate::settings::master::MasterSettings;
use crate::views::Views;

/// How often metrics are copied out of the core.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// Runs a master until it is told to stop.
///
/// # Errors
/// When it cannot listen, or its ledger cannot be opened or proven.
pub async fn run(settings: MasterSettings, stop: CancellationToken) -> anyhow::Result<()> {
    let config = config(&settings)?;
    holdfast_allocator::by_name(&settings.allocation_policy).map_err(anyhow::Error::msg)?;
    crate::files::make_dir(&settings.dir, 0o700)
        .with_context(|| format!("cannot make {}", settings.dir.display()))?;
    let limits = Limits::default();
    let leadership = LocalLeadership::new(&settings.dir)?;
    let front = Front::new(leadership.clone());
    let at = SocketAddr::new(settings.ip, settings.port);
    let bound = match Server::bind(at, limits.clone()).await {
        Ok(server) => Some(server),
        Err(error) if is_taken(&error) && settings.port != 0 => {
            tracing::info!(
                "{at} is taken, by the leader perhaps: this master will listen there when it leads"
            );
            None
        }
        Err(error) => return Err(error.into()),
    };
    let early = bound.map(|server| serve(server, &front, &stop));
    let Some(lease) = lead(leadership, &stop).await? else { return Ok(()) };
    front.recover();
    let serving = match early {
        Some(serving) => serving,
        None => serve(Server::bind(at, limits.clone()).await?, &front, &stop),
    };
    let (lease, running) =
        start_leading(&settings, config, &limits, lease, (&front, serving.listens), &stop).await?;
    serving.task.await.context("the server ended badly")?;
    running.end(crate::ledger_file::CLOSE_PATIENCE).await;
    // The loop may still write.
    lease.leave_to_the_end();
    Ok(())
}

/// A port that is answered.
struct Serving {
    listens: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

fn serve(server: Server, front: &Front, stop: &CancellationToken) -> Serving {
    let (listens, front, stop) = (server.address(), front.clone(), stop.clone());
    tracing::info!("listening at {listens}");
    let task =
        tokio::spawn(async move { server.serve(Routes::Master(Arc::new(front)), stop).await });
    Serving { listens, task }
}

fn is_taken(error: &holdfast_wire::BindError) -> bool {
    error.source.kind() == std::io::ErrorKind::AddrInUse
}

/// Reads the ledger, lets the core lead, and opens the API.
async fn start_leading(
    settings: &MasterSettings,
    config: Config,
    limits: &Limits,
    mut lease: Box<dyn Lease>,
    (front, listens): (&Front, SocketAddr),
    stop: &CancellationToken,
) -> anyhow::Result<(Box<dyn Lease>, core_loop::Running)> {
    let address = settings.advertise.clone().unwrap_or_else(|| listens.to_string());
    let store = crate::ledger_file::open(&settings.dir.join("ledger"), "master")?;
    let journal = LocalJournal::take_over(store, &mut *lease)?;
    let term = Term(lease.term());
    let records = journal.records().map(|it| (it.tree, it.key, it.value));
    let ledger = ledger::master::fold(records).context("the master's ledger cannot be read")?;
    let policy =
        holdfast_allocator::by_name(&settings.allocation_policy).map_err(anyhow::Error::msg)?;
    let info = master_info(&address, listens);
    let heartbeat_ms = u64::try_from(limits.heartbeat_interval.as_millis())?;
    let welcome = scheduler::Welcome { heartbeat_ms, master: Some(info.clone()) };
    let shell = MasterShell {
        core: Master::new(config, policy, ledger),
        journal: Box::new(journal),
        agents: Links::default(),
        frameworks: Links::default(),
        waiting: Default::default(),
        sessions: Default::default(),
        welcome,
    };
    let ((inbox, work), views) = (Inbox::new(), Views::new(shell.view()));
    let started_s = core_loop::now().0 as f64 / 1000.0;
    let api = LeaderApi {
        inbox: inbox.clone(),
        views: views.clone(),
        agents: shell.agents.clone(),
        frameworks: shell.frameworks.clone(),
        waiting: shell.waiting.clone(),
        sessions: shell.sessions.clone(),
        address: address.clone(),
        next_request: Default::default(),
        gauges: metrics::Gauges::new(started_s),
        events: EventStream::start(views.clone(), heartbeat_ms),
        facts: Arc::new(MasterFacts {
            info,
            version: crate::version::info(),
            started_s,
            flags: settings.flags(),
        }),
    };
    let running = core_loop::spawn("master", shell, work, views.clone())
        .context("cannot start the master's thread")?;
    inbox.tell(Input::Elected(term)).await;
    tokio::spawn(copy_metrics(views, api.gauges.clone(), stop.clone()));
    front.open(Arc::new(api));
    crate::address_file::write(settings.address_file.as_deref(), &address)?;
    lease.announce(&address)?;
    tracing::info!("master leads in term {term} at {address}");
    Ok((lease, running))
}

/// Waits until this process leads. `None` when it was told to stop before.
async fn lead(
    leadership: LocalLeadership,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Box<dyn Lease>>> {
    if let Some(leader) = leadership.leader()? {
        tracing::info!("standing by; the leader is at {}, or was", leader.address);
    }
    let campaign = tokio::task::spawn_blocking(move || leadership.campaign());
    tokio::select! {
        lease = campaign => Ok(Some(lease.context("the campaign ended badly")??)),
        () = stop.cancelled() => Ok(None),
    }
}

fn config(settings: &MasterSettings) -> anyhow::Result<Config> {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let offer_timeout_ms = Some(ms(settings.offer_timeout)).filter(|it| 0 < *it);
    Ok(Config {
        offer_timeout_ms,
        ping_interval_ms: ms(settings.agent_ping_timeout).max(100),
        agent_timeout_ms: ms(settings.agent_timeout),
        ended_claims_max: settings.ended_claims_max,
        mesos_ownership: settings.mesos_ownership,
        min_allocatable: text::smallest_offers(&settings.min_allocatable)
            .context("--min-allocatable")?,
        ..Config::default()
    })
}

fn master_info(address: &str, listening: SocketAddr) -> MasterInfo {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let port = port.parse().unwrap_or_else(|_| listening.port());
    let octets = match listening.ip() {
        std::net::IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()), // Mesos keeps network order in a native number.
        std::net::IpAddr::V6(_) => 0,
    };
    MasterInfo {
        id: uuid::Uuid::new_v4().to_string(),
        ip: octets,
        port: u32::from(port),
        pid: Some(format!("master@{}:{port}", listening.ip())),
        hostname: Some(host.to_owned()),
        version: Some(crate::version::MESOS_VERSION.to_owned()),
        address: Some(Address {
            hostname: Some(host.to_owned()),
            ip: Some(listening.ip().to_string()),
            port: i32::from(port),
        }),
        ..Default::default()
    }
}

async fn copy_metrics(views: Views<Seen>, gauges: metrics::Gauges, stop: CancellationToken) {
    let mut every = tokio::time::interval(METRICS_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let read = views.read(|seen| holdfast_api::metrics::master(&seen.core));
        if let Ok(read) = read.await {
            gauges.store(read);
        }
    }
}

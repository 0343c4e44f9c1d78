//! The master as a process: listen, wait for leadership, open the ledger, let the core lead.
//!
//! It relies on `quorum` for leadership and for its journal. It never answers for the cluster before it leads,
//! and never leads without having read everything that its predecessors wrote.

mod answers;
mod api;
mod begin_anew;
mod counted;
mod event_stream;
mod failover;
mod front;
mod link_to_leader;
mod metrics;
mod place;
mod shell;
mod timed;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use holdfast_api::v1::MasterFacts;
use holdfast_master::{Config, Input, Master};
use holdfast_model::convert::{ledger, scheduler, text};
use holdfast_model::Term;
use holdfast_proto::mesos::v1::{Address, MasterInfo};
use holdfast_quorum::Leadership as _;
use holdfast_wire::{Limits, Routes, Server};
use tokio_util::sync::CancellationToken;

pub use self::begin_anew::begin_anew;

use self::api::LeaderApi;
use self::event_stream::EventStream;
use self::failover::Failover;
use self::front::Front;
use self::place::{Place, Seat};
use self::shell::{MasterShell, Seen};
use self::timed::Works;
use crate::core_loop::{self, Inbox, Shell as _};
use crate::counts::Counts;
use crate::links::Links;
use crate::settings::master::MasterSettings;
use crate::views::Views;

/// How often metrics are copied out of the core.
const METRICS_EVERY: Duration = Duration::from_secs(1);
/// How long a master that stood by takes to leave, at most.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs a master until it is told to stop.
///
/// # Errors
/// When it cannot listen, or its ledger cannot be opened or proven.
pub async fn run(settings: MasterSettings, stop: CancellationToken) -> anyhow::Result<()> {
    let config = config(&settings)?;
    holdfast_allocator::by_name(&settings.allocation_policy).map_err(anyhow::Error::msg)?;
    let ensemble = settings.ensemble()?;
    crate::files::make_dir(&settings.dir, 0o700)
        .with_context(|| format!("cannot make {}", settings.dir.display()))?;
    let limits = Limits { browsers: settings.browsers(), ..Limits::default() };
    let at = SocketAddr::new(settings.ip, settings.port);
    let bound = match Server::bind(at, limits.clone()).await {
        Ok(server) => Some(server),
        Err(error) if is_taken(&error) && settings.port != 0 && ensemble.is_none() => {
            tracing::info!(
                "{at} is taken, by the leader perhaps: this master will listen there when it leads"
            );
            None
        }
        Err(error) => return Err(error.into()),
    };
    let place = match (ensemble, &bound) {
        (Some(ensemble), Some(server)) => {
            let listens = server.address();
            let address = advertised(&settings, listens);
            let info = master_info(&address, listens.port(), place::reachable(&address, listens)?);
            Place::ensemble(&settings, ensemble, &info)?
        }
        _ => Place::directory(&settings)?,
    };
    let front = Front::new(place.clone());
    let early = bound.map(|server| serve(server, &front, &stop));
    if let (Some(serving), Place::Ensemble(_)) = (&early, &place) {
        // It answers already, and says who leads.
        let address = advertised(&settings, serving.listens);
        crate::address_file::write(settings.address_file.as_deref(), &address)?;
    }
    let Some(seat) = lead(place, &stop).await? else { return Ok(()) };
    let elected = std::time::Instant::now();
    front.recover();
    let serving = match early {
        Some(serving) => serving,
        None => serve(Server::bind(at, limits.clone()).await?, &front, &stop),
    };
    let (seat, running) =
        start_leading(&settings, config, &limits, seat, (&front, serving.listens, elected), &stop)
            .await?;
    serving.task.await.context("the server ended badly")?;
    running.end(crate::ledger_file::CLOSE_PATIENCE).await;
    // The loop may still write.
    tokio::task::spawn_blocking(move || seat.leave_to_the_end()).await?;
    Ok(())
}

/// The address under which others reach this master, `host:port`.
fn advertised(settings: &MasterSettings, listens: SocketAddr) -> String {
    settings.advertise.clone().unwrap_or_else(|| listens.to_string())
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
    mut seat: Seat,
    (front, listens, elected): (&Front, SocketAddr, std::time::Instant),
    stop: &CancellationToken,
) -> anyhow::Result<(Seat, core_loop::Running)> {
    let address = advertised(settings, listens);
    let (works, began) = (Works::default(), std::time::Instant::now());
    let (journal, stored_bytes) = seat.take_over()?;
    let term = Term(seat.lease().term());
    seat.lease().on_loss(Box::new(|why| {
        // Nothing may be offered, ordered or answered any more. What was promised is in the journal, which the next leader reads.
        tracing::error!("{why}; stopping, so that another master can lead; start this one again, and it stands by");
        std::process::exit(crate::exit_codes::EXIT_DEPOSED);
    }));
    let records = journal.records().map(|it| (it.tree, it.key, it.value));
    let ledger = ledger::master::fold(records).context("the master's ledger cannot be read")?;
    works.fetched(began.elapsed());
    let policy =
        holdfast_allocator::by_name(&settings.allocation_policy).map_err(anyhow::Error::msg)?;
    let ip = place::reachable(&address, listens).unwrap_or(listens.ip());
    let info = master_info(&address, listens.port(), ip);
    let heartbeat_ms = u64::try_from(limits.heartbeat_interval.as_millis())?;
    let welcome = scheduler::Welcome { heartbeat_ms, master: Some(info.clone()) };
    let failover = Failover::new(elected, settings.agent_timeout, &ledger);
    let shell = MasterShell {
        core: Master::new(config, works.policy(policy), ledger),
        journal: works.journal(journal),
        agents: Links::default(),
        frameworks: Links::default(),
        waiting: Default::default(),
        sessions: Default::default(),
        welcome,
        raised: None,
        failover: failover.clone(),
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
        gauges: metrics::Gauges::new(started_s, stored_bytes, (failover.clone(), works)),
        counts: Counts::new(counted::COUNTED),
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
    failover.leads();
    crate::address_file::write(settings.address_file.as_deref(), &address)?;
    seat.lease().announce(&address)?;
    tracing::info!("master leads in term {term} at {address}");
    Ok((seat, running))
}

/// Waits until this process leads. `None` when it was told to stop before.
async fn lead(place: Place, stop: &CancellationToken) -> anyhow::Result<Option<Seat>> {
    match &place {
        Place::Directory(leadership, _) => {
            if let Some(leader) = leadership.leader()? {
                tracing::info!("standing by; the leader is at {}, or was", leader.address);
            }
        }
        Place::Ensemble(_) => {
            tracing::info!("standing by, until the ensemble lets this master lead")
        }
    }
    let campaigning = place.clone();
    let mut campaign = tokio::task::spawn_blocking(move || campaigning.campaign());
    tokio::select! {
        seat = &mut campaign => return Ok(Some(seat.context("the campaign ended badly")??)),
        () = stop.cancelled() => {}
    }
    place.leadership().withdraw();
    if let Place::Ensemble(_) = place {
        // The others need not wait for the end of this one's session.
        let _ = tokio::time::timeout(FAREWELL, campaign).await;
    }
    Ok(None)
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

/// What clients are told of this master, which they reach at `address`, and at this IP address.
fn master_info(address: &str, listening: u16, ip: IpAddr) -> MasterInfo {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let port = port.parse().unwrap_or(listening);
    let octets = match ip {
        IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()), // Mesos keeps network order in a native number.
        IpAddr::V6(_) => 0,
    };
    MasterInfo {
        id: uuid::Uuid::new_v4().to_string(),
        ip: octets,
        port: u32::from(port),
        pid: Some(format!("master@{ip}:{port}")),
        hostname: Some(host.to_owned()),
        version: Some(crate::version::MESOS_VERSION.to_owned()),
        address: Some(Address {
            hostname: Some(host.to_owned()),
            ip: Some(ip.to_string()),
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

//! An agent with a new ledger looks whether its disks were used before: then its ledger was lost, and it must not pass for a new agent.
//!
//! Relies on a helper process for each disk, as everything else does, so that a disk that hangs is passed over. Never writes anything.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use holdfast_model::{ClusterId, DiskKind};

use super::worker::{start_process, start_thread, Starter, Worker};
use crate::agent_process::machine::DiskPlan;
use crate::disk_worker::protocol::{Answer, Kind, Request};
use crate::settings::agent::DiskHelpers;

/// The cluster that the agent's own directory, or else a disk that carries volumes, was used by.
pub fn former_cluster(
    disks: &[DiskPlan],
    helpers: DiskHelpers,
    timeout: Duration,
) -> Option<ClusterId> {
    let starter: Starter = match helpers {
        DiskHelpers::Processes => std::sync::Arc::new(start_process),
        DiskHelpers::Threads => std::sync::Arc::new(start_thread),
    };
    disks.iter().find_map(|disk| match peek(disk, &starter, timeout) {
        Ok(cluster) => cluster,
        Err(why) => {
            let root = disk.root.display();
            tracing::warn!("it is not known whether disk {root} was used before: {why}");
            None
        }
    })
}

/// Ends a helper. One that hangs is not waited for by anybody else.
fn let_end(mut worker: Worker) {
    worker.kill();
    let wait = move || {
        while !worker.has_ended() {
            // tidy: sleep is the point: the end of a process that may hang is looked for now and then
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    if let Err(error) = super::spawn("disk-peek", wait) {
        tracing::debug!("nobody waits for the end of a helper: {error}");
    }
}

fn peek(
    disk: &DiskPlan,
    starter: &Starter,
    timeout: Duration,
) -> Result<Option<ClusterId>, String> {
    let kind = match disk.kind {
        DiskKind::Root => Kind::Root,
        DiskKind::Path => Kind::Path,
        DiskKind::Mount => Kind::Mount,
    };
    let mut worker = Worker::start(starter, &disk.root).map_err(|it| it.to_string())?;
    let request = Request::Peek { kind, root: disk.root.as_os_str().as_bytes().to_vec() };
    let answer = worker.ask(&request, "looking at it", timeout, || false);
    let_end(worker);
    match answer.map_err(|it| it.to_string())? {
        Answer::Peeked(Ok(Some((label, carries_volumes)))) => {
            let is_evidence = disk.kind == DiskKind::Root || carries_volumes;
            let cluster = Some(label.cluster_uuid).filter(|it| is_evidence && !it.is_nil());
            Ok(cluster.map(ClusterId))
        }
        Answer::Peeked(Ok(None)) => Ok(None),
        Answer::Peeked(Err(why)) => Err(why),
        other => Err(format!("its helper process gave no proper answer: {other:?}")),
    }
}

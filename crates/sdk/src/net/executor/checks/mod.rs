//! The health check and the check of one task, made beside it.
//!
//! Each is a loop of its own that asks its `course` when to look and what follows. They run in the
//! executor, so in the task's container: as its user, with its files, limits and network. They never
//! outlive [`Checks::stop`], and nothing that they started does.

mod course;
mod probing;

use std::path::PathBuf;
use std::sync::Arc;

use holdfast_model::{TaskChecks, TaskStatus, Timing};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::signal::Signals;
use course::{CheckCourse, Course, HealthCourse, Look};

pub(super) use course::News;

/// Where the commands of checks run, and how they are ended.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub directory: PathBuf,
    pub environment: Vec<(String, String)>,
    pub signals: Signals,
}

/// The checks that run beside a task. Dropping it stops them without waiting.
#[derive(Debug)]
pub(super) struct Checks {
    loops: JoinSet<()>,
    news: mpsc::UnboundedReceiver<News>,
    stop: watch::Sender<bool>,
}

impl Checks {
    /// Begins to check a task that has just started. Must be called within a tokio runtime.
    pub fn start(checks: &TaskChecks, surroundings: Surroundings) -> Checks {
        let (sender, news) = mpsc::unbounded_channel();
        let stop = watch::Sender::new(false);
        let surroundings = Arc::new(surroundings);
        let mut loops = JoinSet::new();
        let mut begin = |course, prober| {
            loops.spawn(run(course, prober, sender.clone(), stop.subscribe()));
        };
        let prober = |probe: &_, timing: &Timing| probing::Prober {
            probe: Clone::clone(probe),
            timeout: timing.timeout,
            surroundings: surroundings.clone(),
        };
        if let Some(it) = &checks.health {
            begin(Course::Health(HealthCourse::new(it)), prober(&it.probe, &it.timing));
        }
        if let Some(it) = &checks.check {
            begin(Course::Check(CheckCourse::new(&it.timing)), prober(&it.probe, &it.timing));
        }
        Checks { loops, news, stop }
    }

    /// What is next to tell; waits for ever when nothing is checked. May be dropped while it waits.
    pub async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Stops checking, and returns when nothing of a check runs any more.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
        self.news.close();
    }
}

/// The status as the wire wants it of a task with a check: that there is one, and what it saw last.
pub(super) fn told(
    checks: &TaskChecks,
    seen: Option<holdfast_model::Seen>,
    status: TaskStatus,
) -> TaskStatus {
    match &checks.check {
        Some(check) => {
            holdfast_model::convert::check::with_check_status(status, &check.probe, seen)
        }
        None => status,
    }
}

async fn run(
    mut course: Course,
    prober: probing::Prober,
    news: mpsc::UnboundedSender<News>,
    mut stop: watch::Receiver<bool>,
) {
    let begun = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            // tidy: sleep is the point: checks are made at times
            () = tokio::time::sleep_until(begun + course.due()) => {}
        }
        let Some(look) = prober.look(&mut stop).await else { return };
        if let Some(it) = course.looked(begun.elapsed(), &look) {
            // Nobody receives once the task has ended.
            let _ = news.send(it);
        }
    }
}

/// Resolves once checking is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender is dropped with the checks.
    let _ = stop.wait_for(|it| *it).await;
}

//! A drill: faults on a real cluster while a service writes checksummed records, and a verdict that is read off the disks.
//!
//! What is done follows from the plan alone (pure, as are verdict and report); here it is started, interrupted, and ended. However it ends,
//! whoever hangs goes on, whoever was killed is started again, and what was done so far is counted.

pub mod plan;

mod course;
mod hands;
mod report;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use holdfast_node::exit_codes::EXIT_INTERRUPTED;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::course::{Course, Rules};
use self::hands::{Hands, Hold};
use self::plan::{Refused, Schedule, Size, Wish};
use self::report::{plan_table, plan_value, Report};
use self::verdict::Verdict;
use crate::demo::journal;
use crate::demo::observe::Observer;
use crate::demo::processes::Scheduler;
use crate::dev::cluster::{Cluster, Shape};
use crate::dev::roster::Roster;
use crate::dev::Scratch;
use crate::failure::{
    Failure, EXIT_CONFLICT, EXIT_DEGRADED, EXIT_FAILED, EXIT_NOT_PLACED, EXIT_USAGE,
};
use crate::output::Format;
use crate::settings_drill::DrillSettings;
use crate::verbs::Context;

/// How long one question to a master may take: it may hang, and another one may lead.
const QUESTION: Duration = Duration::from_secs(1);
/// How many records a member appends in a second.
const RATE: u32 = 50;
/// How many steps of a plan without an end are shown.
const SHOWN: usize = 10;

/// Runs a drill; returns the exit code.
///
/// # Errors
/// When it is refused, or cannot even begin.
pub async fn run(
    context: &Context,
    settings: DrillSettings,
    stop: CancellationToken,
) -> anyhow::Result<i32> {
    let found = settings.cluster.as_deref().map(found).transpose()?;
    let size = size(&settings, found.as_ref())?;
    let wish = Wish {
        faults: settings.fault.clone(),
        targets: settings.target.clone(),
        seed: settings.seed,
        blast_radius: settings.blast_radius,
    };
    let schedule = Schedule::new(wish, size).map_err(refused)?;
    if settings.plan {
        return show_plan(context, &settings, schedule, size);
    }
    let journal = journal(settings.journal.clone())?;
    let scratch = match &settings.cluster {
        Some(dir) => Scratch::new(Some(dir.clone()), true)?,
        None => Scratch::new(settings.scratch.dir.clone(), settings.scratch.keep)?,
    };
    let (hold, roster) = match found {
        Some(roster) => (Hold::Found(scratch.path().to_owned()), roster),
        None => {
            let cluster = started(&settings, scratch.path(), &stop).await?;
            let roster = Roster::of(&cluster, false);
            (Hold::Own(cluster), roster)
        }
    };
    let dir = scratch.path().join("drill");
    let members = u32::try_from(size.members)?;
    let place = [roster.meeting_place.clone()];
    let scheduler = Scheduler::new(&journal, &place, &dir, members).at_rate(RATE);
    let observer = Observer::new(addresses(&roster), &journal, scratch.path(), scheduler.ledger())
        .impatient(QUESTION);
    let rules = Rules {
        pause_for: settings.pause_for,
        goal: settings.goal,
        patience: settings.patience,
        members: size.members,
        scratch: scratch.path().to_owned(),
    };
    let mut course = Course::new(rules, observer, Hands::new(hold, scheduler));
    let report = carried_out(&mut course, &settings, schedule, &stop).await;
    course.hands.end().await;
    let (report, interrupted) = report?;
    told(context, &settings, &report)?;
    Ok(exit_code(report.verdict().0, interrupted))
}

/// Carries the plan out, as far as it comes, and counts; whether it was interrupted.
async fn carried_out(
    course: &mut Course,
    settings: &DrillSettings,
    schedule: Schedule,
    stop: &CancellationToken,
) -> anyhow::Result<(Report, bool)> {
    let begun = stop.run_until_cancelled(course.begin()).await;
    begun.unwrap_or_else(|| Err(interrupted().into()))?;
    let ended = stop.run_until_cancelled(strike(course, settings, schedule)).await;
    let complete = matches!(ended, Some(Ok(())));
    match &ended {
        None => {
            eprintln!(
                "interrupted: whoever hangs goes on, and whoever was killed is started again"
            );
            if let Err(error) = course.mend().await {
                eprintln!("{error:#}");
            }
        }
        Some(Err(error)) => eprintln!("the drill broke off: {error:#}"),
        Some(Ok(())) => {}
    }
    let totals = course.totals().await?;
    let outcomes = std::mem::take(&mut course.outcomes);
    Ok((Report { seed: settings.seed, outcomes, totals, complete }, ended.is_none()))
}

async fn strike(
    course: &mut Course,
    settings: &DrillSettings,
    schedule: Schedule,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    for step in schedule {
        let is_over = match settings.minutes {
            Some(minutes) => Duration::from_secs(minutes.saturating_mul(60)) <= begin.elapsed(),
            None => settings.kills < step.number,
        };
        if is_over {
            break;
        }
        course.step(step).await?;
    }
    Ok(())
}

/// A cluster for this drill alone.
async fn started(
    settings: &DrillSettings,
    dir: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<Cluster> {
    let shape = Shape {
        masters: settings.masters,
        zk: settings.zk.clone(),
        ..Shape::with_one_master(settings.agents, 1)
    };
    let mut cluster = Cluster::new(dir, shape)?;
    let begun = stop.run_until_cancelled(cluster.start()).await;
    match begun {
        Some(Ok(())) => Ok(cluster),
        ended => {
            cluster.stop().await;
            Err(ended.and_then(Result::err).unwrap_or_else(|| interrupted().into()))
        }
    }
}

/// Somebody wanted it to end before anybody was struck.
fn interrupted() -> Failure {
    Failure::new(
        EXIT_INTERRUPTED,
        "stopped before the first fault; nothing was left running",
        "see what would be done with --plan",
    )
}

/// A cluster that runs already.
fn found(dir: &Path) -> anyhow::Result<Roster> {
    let roster = Roster::read(dir)?;
    if !roster.keeps_alive {
        let cause =
            format!("the cluster in {} ends as soon as one of its processes does", dir.display());
        let hint = "start it with `holdfast dev --dir DIR --keep-alive`";
        return Err(Failure::new(EXIT_CONFLICT, cause, hint).into());
    }
    Ok(roster)
}

fn addresses(roster: &Roster) -> Vec<String> {
    roster.members.iter().filter(|it| it.is_master).map(|it| it.address.clone()).collect()
}

fn size(settings: &DrillSettings, found: Option<&Roster>) -> anyhow::Result<Size> {
    let (masters, agents) = match found {
        Some(roster) => {
            let masters = roster.members.iter().filter(|it| it.is_master).count();
            (masters, roster.members.len() - masters)
        }
        None => (usize::from(settings.masters), usize::try_from(settings.agents)?),
    };
    if agents == 0 {
        let cause = "there are no agents, so nobody can write anything";
        return Err(Failure::usage(cause, "--agents 3").into());
    }
    Ok(Size { masters, agents, members: agents })
}

fn refused(why: Refused) -> Failure {
    match why {
        Refused::NotDone { cause, hint } => Failure::new(EXIT_USAGE, cause, hint),
        Refused::TooMuch { cause, hint } => Failure::new(EXIT_CONFLICT, cause, hint),
    }
}

/// Says what would be done; the code says that something would be.
fn show_plan(
    context: &Context,
    settings: &DrillSettings,
    schedule: Schedule,
    size: Size,
) -> anyhow::Result<i32> {
    let shown = settings.minutes.map_or(settings.kills, |_| SHOWN);
    let text = match context.format {
        Format::Table | Format::Wide => {
            let mut text = plan_table(schedule, shown, size);
            if let Some(minutes) = settings.minutes {
                text.push_str(&format!("      and so on, until {minutes} minutes are over\n"));
            }
            text
        }
        format => format.text(&plan_value(schedule, shown, size)),
    };
    context.console.put(&text)?;
    Ok(if shown == 0 { 0 } else { EXIT_NOT_PLACED })
}

fn told(context: &Context, settings: &DrillSettings, report: &Report) -> anyhow::Result<()> {
    if let Some(file) = &settings.junit {
        write_junit(file, report)?;
    }
    let text = match context.format {
        Format::Table | Format::Wide => report.table(),
        format => format.text(&report.value()),
    };
    Ok(context.console.put(&text)?)
}

fn write_junit(file: &PathBuf, report: &Report) -> anyhow::Result<()> {
    std::fs::write(file, report.junit())
        .with_context(|| format!("--junit: cannot write {}", file.display()))
}

fn exit_code(verdict: Verdict, interrupted: bool) -> i32 {
    match verdict {
        Verdict::Failed => EXIT_FAILED,
        _ if interrupted => EXIT_INTERRUPTED,
        Verdict::Degraded => EXIT_DEGRADED,
        Verdict::Resilient => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_has_its_code() {
        let codes = [Verdict::Resilient, Verdict::Degraded, Verdict::Failed];
        assert_eq!(codes.map(|it| exit_code(it, false)), [0, 8, 9]);
        assert_eq!(codes.map(|it| exit_code(it, true)), [130, 130, 9]);
    }

    #[test]
    fn a_refusal_says_whether_it_is_the_words_or_the_size() {
        let (cause, hint) = ("c".to_owned(), "h".to_owned());
        let not_done = Refused::NotDone { cause: cause.clone(), hint: hint.clone() };
        assert_eq!(refused(not_done).code, EXIT_USAGE);
        assert_eq!(refused(Refused::TooMuch { cause, hint }).code, EXIT_CONFLICT);
    }
}

//! `maintenance list`, `schedule`, `start`, `stop` and `clear`: planned downtime of machines.
//!
//! What runs on a machine that goes down ends; what is claimed there stays, and comes back with it. The masters keep one schedule, which
//! is replaced as a whole, so that of two operators who change it at once the later one decides.

use std::net::Ipv4Addr;
use std::time::Duration;

use holdfast_api::rows::{DowntimeAnswer, MachineMode, MachineRow, MaintenancePlan};
use holdfast_model::{Machine, MachineId, OperatorCall, Unavailability, Window};
use holdfast_node::settings::durations::parse_duration;

use super::agent_gone::words as words_of_agent;
use super::change::{ask, confirm, put_words, DestroyArgs, PlanArgs};
use super::context::now_ms;
use super::listing::{Listing, WatchArgs};
use super::rows::Received;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT};
use crate::output::{human, Column, Table};

/// The list of machines with planned downtime.
const MACHINES: Listing<MachineRow> = Listing { table };

/// Nanoseconds of a millisecond.
const MS: i64 = 1_000_000;

/// Which machines.
#[derive(Clone, Debug, clap::Args)]
pub struct MachinesArgs {
    /// Their hostnames, as their agents give them, or IP addresses.
    #[arg(required = true)]
    pub machines: Vec<String>,
    /// Whether it is only planned.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Which machines, and when they will be down.
#[derive(Clone, Debug, clap::Args)]
pub struct ScheduleArgs {
    /// Which.
    #[command(flatten)]
    pub which: MachinesArgs,
    /// When the downtime begins, such as 2h; now, if it is not given.
    #[arg(long = "in", value_name = "TIME", value_parser = parse_duration)]
    pub begins_in: Option<Duration>,
    /// How long it lasts, such as 30m; not known, if it is not given.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub lasts: Option<Duration>,
}

/// Which machines go down, and how that is agreed to.
#[derive(Clone, Debug, clap::Args)]
pub struct StartArgs {
    /// Their hostnames, or IP addresses, as in the schedule.
    #[arg(required = true)]
    pub machines: Vec<String>,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// Runs `maintenance list`.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn list(context: &Context, args: WatchArgs) -> anyhow::Result<i32> {
    MACHINES.show(context, args, |_| true).await
}

/// Runs `maintenance schedule`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn schedule(context: &Context, args: &ScheduleArgs) -> anyhow::Result<i32> {
    let rows = context.master.rows::<MachineRow>().await?;
    let ids: Vec<MachineId> = args.which.machines.iter().map(|it| id(it)).collect();
    // A machine keeps the two names that it was given before.
    let known = |id: &MachineId| rows.iter().map(|it| id_of(it)).find(|it| it.is_same(id));
    let named: Vec<MachineId> = ids.iter().map(|it| known(it).unwrap_or(it.clone())).collect();
    let start_ms = now_ms().saturating_add(millis(args.begins_in.unwrap_or_default()));
    let unavailability = Unavailability {
        start_ns: i64::try_from(start_ms).unwrap_or(i64::MAX).saturating_mul(MS),
        duration_ns: args.lasts.map(|it| i64::try_from(it.as_nanos()).unwrap_or(i64::MAX)),
    };
    let mut windows = windows_without(&rows, &named);
    let machine = |id: MachineId| Machine { id, is_down: false };
    windows.push(Window { machines: named.into_iter().map(machine).collect(), unavailability });
    let done = "the downtime is planned and durable; frameworks are asked, and nothing ends by it";
    change(context, &OperatorCall::Schedule(windows), args.which.plan, done).await
}

/// Runs `maintenance clear`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn clear(context: &Context, args: &MachinesArgs) -> anyhow::Result<i32> {
    let rows = context.master.rows::<MachineRow>().await?;
    let ids: Vec<MachineId> = args.machines.iter().map(|it| id(it)).collect();
    for id in &ids {
        let row = rows.iter().find(|it| id_of(it).is_same(id));
        let (cause, attempt) = match row.map(|it| it.mode) {
            None => (
                format!("no downtime is planned for machine {id}"),
                "see `holdfast maintenance list`",
            ),
            Some(MachineMode::Down) => {
                (format!("machine {id} is down"), "bring it up: `holdfast maintenance stop`")
            }
            Some(_) => continue,
        };
        return Err(Failure::new(EXIT_CONFLICT, cause, attempt).into());
    }
    let order = OperatorCall::Schedule(windows_without(&rows, &ids));
    change(context, &order, args.plan, "the machines are out of the schedule").await
}

/// Runs `maintenance stop`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn stop(context: &Context, args: &MachinesArgs) -> anyhow::Result<i32> {
    let order = OperatorCall::MachinesUp(args.machines.iter().map(|it| id(it)).collect());
    let done =
        "the machines are up: their agents are taken in again, with all that is claimed there";
    change(context, &order, args.plan, done).await
}

/// Runs `maintenance start`.
///
/// # Errors
/// When it cannot be done, and why.
pub async fn start(context: &Context, args: &StartArgs) -> anyhow::Result<i32> {
    let order = OperatorCall::MachinesDown(args.machines.iter().map(|it| id(it)).collect());
    let plan = Received::<MaintenancePlan>::read("plan", ask(context, &order).await?)?;
    if args.destroy.plan.plan {
        return put_words(context, &plan.raw, &words(&plan));
    }
    let question = format!("{}Take {} down?", words(&plan), args.machines.join(", "));
    confirm(context, &question, args.destroy)?;
    context.master.order(&order).await?;
    let ended: usize = plan.leaving.iter().map(|it| it.ends_tasks.len()).sum();
    context.remark(&format!("{} is down; {ended} tasks end", args.machines.join(", ")));
    context.remark("what is claimed there is kept: `holdfast maintenance stop` brings it back");
    Ok(0)
}

async fn change(
    context: &Context,
    order: &OperatorCall,
    args: PlanArgs,
    done: &str,
) -> anyhow::Result<i32> {
    let plan = Received::<MaintenancePlan>::read("plan", ask(context, order).await?)?;
    if args.plan {
        return put_words(context, &plan.raw, &words(&plan));
    }
    context.master.order(order).await?;
    context.remark(done);
    Ok(0)
}

/// A plan, as people read it.
fn words(plan: &MaintenancePlan) -> String {
    let machines: Vec<&MachineRow> = plan.machines.iter().collect();
    let mut text = match machines.is_empty() {
        true => "no machine has planned downtime\n".to_owned(),
        false => table(&machines, now_ms()).render(false, false),
    };
    text.extend(plan.leaving.iter().map(words_of_agent));
    text
}

/// The windows as they are, without these machines.
fn windows_without(rows: &[Received<MachineRow>], ids: &[MachineId]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for row in rows {
        let id = id_of(row);
        let Some(start_ns) = row.start_ns.filter(|_| !ids.iter().any(|it| it.is_same(&id))) else {
            continue;
        };
        let unavailability = Unavailability { start_ns, duration_ns: row.duration_ns };
        let machine = Machine { id, is_down: false };
        match windows.iter_mut().find(|it| it.unavailability == unavailability) {
            Some(window) => window.machines.push(machine),
            None => windows.push(Window { machines: vec![machine], unavailability }),
        }
    }
    windows
}

/// A machine as it is named on the command line.
fn id(text: &str) -> MachineId {
    match text.parse::<Ipv4Addr>() {
        Ok(_) => MachineId { hostname: String::new(), ip: text.to_owned() },
        Err(_) => MachineId { hostname: text.to_owned(), ip: String::new() },
    }
}

fn id_of(row: &MachineRow) -> MachineId {
    MachineId { hostname: row.hostname.clone(), ip: row.ip.clone() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn table(rows: &[&MachineRow], now_ms: u64) -> Table {
    let mut table = Table::new(&[
        Column::left("MACHINE"),
        Column::left("MODE"),
        Column::left("DOWN FROM"),
        Column::left("FOR"),
        Column::right("AGENTS"),
        Column::right("TASKS"),
        Column::right("CLAIMS"),
        Column::left("FRAMEWORKS SAY"),
    ]);
    for row in rows {
        table.push(vec![
            row.machine.as_str().into(),
            row.mode.word().into(),
            row.start_ns.map_or("-".to_owned(), |it| from(it, now_ms)).into(),
            row.duration_ns.map_or("-".to_owned(), span).into(),
            row.agents.len().to_string().into(),
            row.tasks.to_string().into(),
            row.claims.to_string().into(),
            answers(row).into(),
        ]);
    }
    table
}

fn span(ns: i64) -> String {
    human::span(u64::try_from(ns / MS).unwrap_or_default())
}

fn from(start_ns: i64, now_ms: u64) -> String {
    let start_ms = u64::try_from(start_ns / MS).unwrap_or_default();
    match start_ms.checked_sub(now_ms).filter(|it| 0 < *it) {
        Some(left) => format!("in {}", human::span(left)),
        None => human::ago(now_ms, start_ms),
    }
}

fn answers(row: &MachineRow) -> String {
    let count = |which| row.answers.iter().filter(|it| it.answer == which).count();
    let words = [
        (count(DowntimeAnswer::Accept), "accept"),
        (count(DowntimeAnswer::Decline), "decline"),
        (count(DowntimeAnswer::Unknown), "unknown"),
    ];
    let said = words.iter().filter(|it| 0 < it.0).map(|(many, word)| format!("{many} {word}"));
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        "-".to_owned()
    } else {
        said.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;

    fn row(machine: &str, start_ns: i64) -> Received<MachineRow> {
        let value = serde_json::json!({
            "agents": ["S0"], "claims": 2, "duration_ns": 7_200_000_000_000_i64, "hostname": machine, "ip": "",
            "machine": machine, "mode": "draining", "start_ns": start_ns, "tasks": 1,
            "answers": [{"agent": "S0", "answer": "decline", "at_ms": 1, "framework": "f", "framework_name": "db"}],
        });
        Received { row: testbed::row(value.clone()), raw: value }
    }

    #[test]
    fn the_table() {
        let text = "\
MACHINE  MODE      DOWN FROM  FOR  AGENTS  TASKS  CLAIMS  FRAMEWORKS SAY
rack-1   draining  in 1h      2h        1      1       2  1 decline
";
        let row = row("rack-1", 3_600_000 * MS + MS);
        assert_eq!(table(&[&row], 1).render(false, false), text);
    }

    #[test]
    fn the_others_stay_in_their_windows() {
        let rows = [row("a", 7), row("b", 7), row("c", 9)];
        let windows = windows_without(&rows, &[id("A")]);
        let hosts: Vec<Vec<&str>> = windows
            .iter()
            .map(|it| it.machines.iter().map(|it| it.id.hostname.as_str()).collect())
            .collect();
        assert_eq!(hosts, [vec!["b"], vec!["c"]]);
        assert_eq!(id("10.0.0.1").ip, "10.0.0.1");
    }
}

//! A task of a spec file: what is run, with what, and by what it is checked.
//!
//! It never takes a number for a text: a variable's value stands in quotes.

use holdfast_model::FetchUri;

use super::reader::{Item, Reader, Table};
use super::text;
use crate::spec::{CheckSpec, ConfigFile, Goal, ProbeSpec, TaskSpec};

/// How many failures of a check in a row may be allowed.
const FAILURES_MAX: u64 = 1_000_000;

/// Reads a task.
pub(super) fn read<'t>(
    reader: &mut Reader<'t>,
    name: &str,
    item: &Item<'_, 't>,
) -> Option<TaskSpec> {
    let mut table = reader.table(item, "a task")?;
    let goal = table.get(reader, "goal", "goal");
    let words = [("running", Goal::Running), ("once", Goal::Once)];
    let goal = goal.and_then(|it| reader.word(&it, "goal", &words)).unwrap_or_default();
    let command = table.need(reader, "command", "command", "command = \"./server\"");
    let command = command.and_then(|it| reader.text(&it));
    let cpus = table.need(reader, "cpus", "cpus", "cpus = 0.5");
    let cpus = cpus.and_then(|it| reader.scalar(&it));
    let memory = table.need(reader, "memory", "mem_mb", "memory = \"512MB\"");
    let memory = memory.and_then(|it| reader.size_mb(&it));
    let environment = table.get(reader, "environment", "environment");
    let environment = environment.map(|it| variables(reader, &it)).unwrap_or_default();
    let uris = each(reader, &mut table, "uris", uri);
    let files = each(reader, &mut table, "files", file);
    let user = text(reader, &mut table, "user");
    let grace = table.get(reader, "kill_grace", "kill_grace_ms");
    let kill_grace_ms = grace.and_then(|it| reader.time_ms(&it));
    let health = table.get(reader, "health", "health");
    let health = health.and_then(|it| check(reader, &it, true));
    let readiness = table.get(reader, "readiness", "readiness");
    let readiness = readiness.and_then(|it| check(reader, &it, false));
    table.close(reader);
    let task = TaskSpec::new(name, &command?, cpus?, memory?);
    Some(TaskSpec {
        goal,
        environment,
        uris,
        files,
        user,
        kill_grace_ms,
        health,
        readiness,
        ..task
    })
}

fn each<'t, T>(
    reader: &mut Reader<'t>,
    table: &mut Table<'_, 't>,
    key: &'static str,
    read: impl Fn(&mut Reader<'t>, &Item<'_, 't>) -> Option<T>,
) -> Vec<T> {
    let Some(item) = table.get(reader, key, key) else { return Vec::new() };
    let items = reader.list(&item);
    items.iter().filter_map(|it| read(reader, it)).collect()
}

fn variables<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Vec<(String, String)> {
    let Some(table) = reader.table(item, "an environment") else { return Vec::new() };
    let named = table.named(reader);
    named.iter().filter_map(|(name, it)| Some((name.clone(), reader.text(it)?))).collect()
}

/// An address, or a table with more about it.
fn uri<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<FetchUri> {
    let plain = |value| FetchUri {
        value,
        executable: false,
        extract: true,
        cache: false,
        output_file: None,
    };
    if Reader::is_text(item) {
        return reader.text(item).map(plain);
    }
    let mut table = reader.table(item, "a uri")?;
    let value = table.need(reader, "uri", "value", "uri = \"https://host/archive.tar.gz\"");
    let value = value.and_then(|it| reader.text(&it));
    let [executable, extract, cache] = ["executable", "extract", "cache"].map(|key| {
        let item = table.get(reader, key, key);
        item.and_then(|it| reader.truth(&it))
    });
    let output = table.get(reader, "output", "output_file");
    let output_file = output.and_then(|it| reader.text(&it));
    table.close(reader);
    Some(FetchUri {
        executable: executable.unwrap_or(false),
        extract: extract.unwrap_or(true),
        cache: cache.unwrap_or(false),
        output_file,
        ..plain(value?)
    })
}

fn file<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<ConfigFile> {
    let mut table = reader.table(item, "a file")?;
    let path = table.need(reader, "path", "path", "path = \"conf/server.conf\"");
    let path = path.and_then(|it| reader.text(&it));
    let template =
        table.need(reader, "template", "template", "template = \"port {{PORT_CLIENT}}\"");
    let template = template.and_then(|it| reader.text(&it));
    table.close(reader);
    Some(ConfigFile { path: path?, template: template? })
}

/// A check; how often it may fail, and when that does not count, is said of health alone.
fn check<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>, is_health: bool) -> Option<CheckSpec> {
    let mut table =
        reader.table(item, if is_health { "a health check" } else { "a readiness check" })?;
    let command = text(reader, &mut table, "command");
    let http = table.get(reader, "http", "port").and_then(|it| reader.text(&it));
    let tcp = table.get(reader, "tcp", "port").and_then(|it| reader.text(&it));
    let path = text(reader, &mut table, "path");
    let range = table.range().clone();
    let times = times(reader, &mut table, is_health);
    table.close(reader);
    let probe = match (command, http, tcp, path) {
        (Some(line), None, None, None) => ProbeSpec::Command(line),
        (None, Some(port), None, path) => {
            ProbeSpec::Http { port, path: path.unwrap_or_else(|| "/".to_owned()) }
        }
        (None, None, Some(port), None) => ProbeSpec::Tcp { port },
        _ => {
            let what = "a check has one of `command`, `http` and `tcp`".to_owned();
            let hint = "write { command = \"...\" }, { http = \"PORT\", path = \"/health\" } or { tcp = \"PORT\" }, with the name of a port of the pod";
            reader.wrong(&range, what, hint);
            return None;
        }
    };
    Some(times.of(probe))
}

/// What a check says of times; the rest is usual.
struct Times {
    delay_ms: Option<u64>,
    interval_ms: Option<u64>,
    timeout_ms: Option<u64>,
    grace_ms: Option<u64>,
    failures: Option<u64>,
}

impl Times {
    fn of(self, probe: ProbeSpec) -> CheckSpec {
        let usual = CheckSpec::new(probe);
        CheckSpec {
            delay_ms: self.delay_ms.unwrap_or(usual.delay_ms),
            interval_ms: self.interval_ms.unwrap_or(usual.interval_ms),
            timeout_ms: self.timeout_ms.unwrap_or(usual.timeout_ms),
            grace_ms: self.grace_ms.unwrap_or(usual.grace_ms),
            failures_max: self
                .failures
                .and_then(|it| u32::try_from(it).ok())
                .unwrap_or(usual.failures_max),
            ..usual
        }
    }
}

fn times<'t>(reader: &mut Reader<'t>, table: &mut Table<'_, 't>, is_health: bool) -> Times {
    let mut time = |key, field| table.get(reader, key, field).and_then(|it| reader.time_ms(&it));
    let (delay_ms, interval_ms) = (time("delay", "delay_ms"), time("every", "interval_ms"));
    let timeout_ms = time("timeout", "timeout_ms");
    let grace_ms = if is_health { time("grace", "grace_ms") } else { None };
    let failures = match is_health {
        true => table.get(reader, "failures", "failures_max"),
        false => None,
    };
    let failures = failures.and_then(|it| reader.whole(&it, 1..=FAILURES_MAX));
    Times { delay_ms, interval_ms, timeout_ms, grace_ms, failures }
}

//! A pod of a spec file: its members, where they may be, and what each holds.
//!
//! It never fills in what a pod must say.

use super::reader::{Item, Reader, Table};
use super::{task, text};
use crate::spec::{
    Attribute, Condition, DiskClass, Placement, PodSpec, PortNumber, PortSpec, Recovery, Strategy,
    VolumeSpec, COUNT_MAX,
};

/// Reads a pod.
pub(super) fn read<'t>(
    reader: &mut Reader<'t>,
    name: &str,
    item: &Item<'_, 't>,
) -> Option<PodSpec> {
    let mut table = reader.table(item, "a pod")?;
    let count = table.need(reader, "count", "count", "count = 3");
    let count = count.and_then(|it| reader.whole(&it, 1..=u64::from(COUNT_MAX)));
    let placement = table.get(reader, "placement", "placement");
    let placement = placement.and_then(|it| placement_of(reader, &it)).unwrap_or_default();
    let volumes = list(reader, &mut table, "volumes", volume);
    let ports = list(reader, &mut table, "ports", port);
    let tasks = table.need(reader, "tasks", "tasks", "[pods.NAME.tasks.main]");
    let tasks = tasks.map(|it| tasks_of(reader, &it)).unwrap_or_default();
    let recovery = table.get(reader, "recovery", "recovery");
    let recovery = recovery.and_then(|it| recovery_of(reader, &it)).unwrap_or_default();
    let strategy = table.get(reader, "strategy", "strategy");
    let strategy = strategy.and_then(|it| strategy_of(reader, &it)).unwrap_or_default();
    table.close(reader);
    let count = u32::try_from(count?).ok()?;
    let name = name.to_owned();
    Some(PodSpec { name, count, placement, volumes, ports, tasks, recovery, strategy })
}

/// The entries of a list of tables.
fn list<'t, T>(
    reader: &mut Reader<'t>,
    table: &mut Table<'_, 't>,
    key: &'static str,
    read: impl Fn(&mut Reader<'t>, &Item<'_, 't>) -> Option<T>,
) -> Vec<T> {
    let Some(item) = table.get(reader, key, key) else { return Vec::new() };
    let items = reader.list(&item);
    items.iter().filter_map(|it| read(reader, it)).collect()
}

fn tasks_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Vec<crate::spec::TaskSpec> {
    let Some(table) = reader.table(item, "`tasks`") else { return Vec::new() };
    let mut tasks = Vec::new();
    for (index, (name, it)) in table.named(reader).into_iter().enumerate() {
        // The rules call a task by its number.
        let it = reader.alias(it, format!("{}[{index}]", item.path));
        tasks.extend(task::read(reader, &name, &it));
    }
    tasks
}

fn volume<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<VolumeSpec> {
    let mut table = reader.table(item, "a volume")?;
    let path = table.need(reader, "path", "path", "path = \"data\"");
    let path = path.and_then(|it| reader.text(&it));
    let size = table.need(reader, "size", "size_mb", "size = \"10GB\"");
    let size = size.and_then(|it| reader.size_mb(&it));
    let class = table.get(reader, "disk", "class");
    let class = class.and_then(|it| class_of(reader, &it)).unwrap_or_default();
    table.close(reader);
    Some(VolumeSpec { path: path?, size_mb: size?, class })
}

fn class_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<DiskClass> {
    if Reader::is_text(item) {
        let words = [("any", 0), ("root", 1), ("path", 2), ("mount", 3)];
        return Some(match reader.word(item, "kind of disk", &words)? {
            1 => DiskClass::Root,
            2 => DiskClass::Path,
            3 => DiskClass::Mount,
            _ => DiskClass::Any,
        });
    }
    let mut table = reader.table(item, "a kind of disk")?;
    let profile = table.need(reader, "profile", "profile", "disk = { profile = \"ssd\" }");
    let profile = profile.and_then(|it| reader.text(&it));
    table.close(reader);
    profile.map(DiskClass::Profile)
}

fn port<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<PortSpec> {
    let mut table = reader.table(item, "a port")?;
    let name = table.need(reader, "name", "name", "name = \"client\"");
    let name = name.and_then(|it| reader.text(&it));
    let number = match table.get(reader, "number", "number") {
        Some(item) => {
            let number = reader.whole(&item, 1..=u64::from(u16::MAX));
            number.and_then(|it| u16::try_from(it).ok()).map(PortNumber::Fixed)
        }
        None => Some(PortNumber::KeptForLife),
    };
    let publish = table.get(reader, "publish", "publish");
    let publish = publish.and_then(|it| reader.truth(&it)).unwrap_or(true);
    table.close(reader);
    Some(PortSpec { name: name?, number: number?, publish })
}

fn placement_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<Placement> {
    let mut table = reader.table(item, "a placement")?;
    let most = table.get(reader, "max_per_agent", "max_per_agent");
    let most = most.and_then(|it| reader.whole(&it, 1..=u64::from(COUNT_MAX)));
    let spread_over = text(reader, &mut table, "spread_over").map(attribute);
    let [include, exclude] = ["include", "exclude"].map(|key| {
        let item = table.get(reader, key, key);
        item.map(|it| conditions(reader, &it)).unwrap_or_default()
    });
    let [near, not_near] = ["near", "not_near"].map(|key| {
        let item = table.get(reader, key, key);
        item.map(|it| reader.texts(&it)).unwrap_or_default()
    });
    table.close(reader);
    let max_per_agent = most.and_then(|it| u32::try_from(it).ok());
    Some(Placement { max_per_agent, spread_over, include, exclude, near, not_near })
}

/// `{ rack = ["r1", "r2"], hostname = "h1" }`.
fn conditions<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Vec<Condition> {
    let Some(table) = reader.table(item, "a table of conditions") else { return Vec::new() };
    let mut conditions = Vec::new();
    for (index, (name, it)) in table.named(reader).into_iter().enumerate() {
        let it = reader.alias(it, format!("{}[{index}]", item.path));
        conditions.push(Condition { attribute: attribute(name), values: reader.texts(&it) });
    }
    conditions
}

fn attribute(name: String) -> Attribute {
    match name.as_str() {
        "hostname" => Attribute::Hostname,
        _ => Attribute::Named(name),
    }
}

fn recovery_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<Recovery> {
    if Reader::is_text(item) {
        let words = [("wait", Recovery::Wait), ("ask", Recovery::Ask)];
        return reader.word(item, "recovery", &words);
    }
    let mut table = reader.table(item, "a recovery")?;
    let example = "recovery = { replace_after = \"30m\" }";
    let time = table.need(reader, "replace_after", "replace_after", example);
    let time = time.and_then(|it| reader.time_ms(&it));
    table.close(reader);
    time.map(Recovery::ReplaceAfter)
}

fn strategy_of<'t>(reader: &mut Reader<'t>, item: &Item<'_, 't>) -> Option<Strategy> {
    if Reader::is_text(item) {
        let is_parallel =
            reader.word(item, "strategy", &[("serial", false), ("parallel", true)])?;
        return Some(if is_parallel { Strategy::Parallel } else { Strategy::Serial });
    }
    let mut table = reader.table(item, "a strategy")?;
    let canary = table.get(reader, "canary", "canary");
    let canary = canary.and_then(|it| reader.whole(&it, 1..=u64::from(COUNT_MAX)));
    let by = text(reader, &mut table, "by");
    let range = table.range().clone();
    table.close(reader);
    match (canary.and_then(|it| u32::try_from(it).ok()), by) {
        (Some(count), None) => Some(Strategy::Canary(count)),
        (None, Some(name)) => Some(Strategy::ByAttribute(name)),
        (Some(_), Some(_)) => {
            let what = "a strategy is either a canary or by an attribute".to_owned();
            reader.wrong(&range, what, "leave one of them out");
            None
        }
        (None, None) if reader.is_well() => {
            let what = "a strategy names what it goes by".to_owned();
            reader.wrong(&range, what, "write { canary = 1 } or { by = \"rack\" }");
            None
        }
        (None, None) => None,
    }
}

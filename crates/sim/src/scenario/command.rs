//! The commands of the scenario language.
//!
//! It relies on the world for everything that happens. It never lets an unknown word pass.

use std::collections::BTreeMap;

use holdfast_model::{
    AgentId, ClaimAction, PersistenceId, Reservation, ReservationKind, Resource, Role, Scalar,
    Source, TaskState, TrashedVolume, Value,
};

use super::show;
use crate::agenda::{ExecutorAction, Heal, Node};
use crate::drivers::containers::Phase;
use crate::drivers::disks::{Mounted, Volume};
use crate::machines::Machine;
use crate::operator::Trashed;
use crate::services::Records;
use crate::shape::Shape;
use crate::trace::Detail;
use crate::world::World;

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{line}`: {why}")]
pub struct Wrong {
    /// The line.
    pub line: String,
    /// Why.
    pub why: String,
}

/// A line taken apart: `verb word word key=value`.
struct Line<'a> {
    whole: &'a str,
    words: Vec<&'a str>,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn of(whole: &'a str) -> Line<'a> {
        let (mut words, mut values) = (Vec::new(), BTreeMap::new());
        for part in whole.split_whitespace() {
            match part.split_once('=') {
                Some((key, value)) => drop(values.insert(key, value)),
                None => words.push(part),
            }
        }
        Line { whole, words, values }
    }

    fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong { line: self.whole.to_owned(), why: why.into() }
    }

    fn number(&self, key: &str, otherwise: usize) -> Result<usize, Wrong> {
        let Some(value) = self.values.get(key) else { return Ok(otherwise) };
        value.parse().map_err(|_| self.wrong(format!("{key}={value} is no number")))
    }

    fn index(&self, at: usize) -> Result<usize, Wrong> {
        let word = self.words.get(at).ok_or_else(|| self.wrong("which one? give its number"))?;
        word.parse().map_err(|_| self.wrong(format!("`{word}` is no number")))
    }

    fn ms(&self, text: &str) -> Result<u64, Wrong> {
        let wrong = || self.wrong(format!("`{text}` is no duration; write 500ms or 5s"));
        let (digits, unit) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            _ => return Err(wrong()),
        };
        digits.parse::<u64>().map(|it| it * factor).map_err(|_| wrong())
    }

    fn down_ms(&self) -> Result<Option<u64>, Wrong> {
        self.values.get("down").map(|it| self.ms(it)).transpose()
    }
}

/// Runs one line; what it shows is added to `shown`.
///
/// # Errors
/// [`Wrong`], when it cannot be understood or done.
pub(super) fn run(
    world: &mut Option<World>,
    line: &str,
    shown: &mut Vec<String>,
) -> Result<(), Wrong> {
    let line = Line::of(line);
    let verb = line.words.first().copied().unwrap_or_default();
    if verb == "cluster" {
        *world = Some(cluster(&line)?);
        return Ok(());
    }
    let Some(world) = world.as_mut() else { return Err(line.wrong("begin with `cluster`")) };
    match verb {
        "framework" => framework(world, &line),
        "run" => {
            let ms = line.ms(line.words.get(1).copied().unwrap_or_default())?;
            world.run_until(world.elapsed_ms() + ms);
            Ok(())
        }
        "kill" => kill(world, &line),
        "elect" => {
            let term = world.election.leader.map(|(_, term)| term);
            world.elect(term);
            Ok(())
        }
        "reboot" => {
            let (machine, down) = (line.index(1)?, line.down_ms()?);
            world.reboot(machine, down.or(Some(1_000)));
            Ok(())
        }
        "unmount" | "swap" => {
            world.unmount(line.index(1)?, line.index(2)?, verb == "swap", None);
            Ok(())
        }
        "mount" => {
            world.heal(Heal::Mount(line.index(1)?, line.index(2)?));
            Ok(())
        }
        "reserve" | "create" | "destroy" | "unreserve" | "grow" | "shrink" => {
            operate(world, &line, verb, shown)
        }
        "undelete" | "purge" => tend_trash(world, &line, verb, shown),
        "write" => write(world, &line, shown),
        _ => show::run(world, verb, &line.words, shown)
            .ok_or_else(|| line.wrong(format!("there is no command `{verb}`"))),
    }
}

fn cluster(line: &Line<'_>) -> Result<World, Wrong> {
    let shape = Shape {
        masters: line.number("masters", 1)?.max(1),
        agents: line.number("agents", 1)?,
        disks: line.number("disks", 0)?,
        ..Shape::still()
    };
    let mut world = World::new(1, shape, Some(Vec::new()), Vec::new());
    world.trace.detail = Detail::Plot;
    Ok(world)
}

fn framework(world: &mut World, line: &Line<'_>) -> Result<(), Wrong> {
    let name = line.words.get(1).ok_or_else(|| line.wrong("give it a name"))?;
    let role = line.values.get("role").copied().unwrap_or("db");
    Role::parse(role).map_err(|it| line.wrong(it.to_string()))?;
    let members = u32::try_from(line.number("members", 1)?).unwrap_or(u32::MAX);
    let mut service =
        Records::new(name, role, members, i64::try_from(line.number("disk", 200)?).unwrap_or(200));
    if line.words.contains(&"executor") {
        service = service.with_executor();
    }
    world.add_framework(Box::new(service));
    Ok(())
}

fn kill(world: &mut World, line: &Line<'_>) -> Result<(), Wrong> {
    let down = line.down_ms()?;
    match line.words.get(1).copied() {
        Some("leader") => {
            let leader = world.leader().ok_or_else(|| line.wrong("nobody leads"))?;
            world.kill(Node::Master(leader), down.or(Some(1_000)));
        }
        Some("agent") => world.kill(Node::Machine(line.index(2)?), down.or(Some(1_000))),
        Some("framework") => world.kill(Node::Framework(line.index(2)?), down.or(Some(1_000))),
        Some("executor") => {
            let index = line.index(2)?;
            let (_, id) = world
                .living()
                .into_iter()
                .find(|(it, _)| *it == index)
                .ok_or_else(|| line.wrong("no container lives there"))?;
            world.act(index, id, ExecutorAction::Exit(137));
        }
        Some("task") => {
            let index = line.index(2)?;
            let (_, id) = world
                .living()
                .into_iter()
                .find(|(it, _)| *it == index)
                .ok_or_else(|| line.wrong("no container lives there"))?;
            let tasks = world.machines[index]
                .containers
                .get(&id)
                .into_iter()
                .flat_map(|it| it.executor.tasks.iter());
            let running =
                tasks.filter(|(_, it)| it.phase == Phase::Running).map(|(id, _)| id.clone()).next();
            let task = running.ok_or_else(|| line.wrong("no task runs there"))?;
            world.end_task(index, id, &task, TaskState::Failed, "its process died");
        }
        _ => return Err(line.wrong("kill leader, agent N, framework N, executor N or task N")),
    }
    Ok(())
}

/// An operator's order on an agent: `reserve AGENT role=R disk=MB [on=DISK]`, `create AGENT name=N ...`, `grow AGENT name=N disk=MB` (by so
/// much), `shrink ...`.
fn operate(
    world: &mut World,
    line: &Line<'_>,
    verb: &str,
    shown: &mut Vec<String>,
) -> Result<(), Wrong> {
    let (machine, agent) = registered(world, line)?;
    let reserved = reserved_disk(machine, line)?;
    let action = match verb {
        "reserve" => ClaimAction::Reserve { resources: vec![reserved], source: Vec::new() },
        "unreserve" => ClaimAction::Unreserve(vec![reserved]),
        "create" => ClaimAction::Create(vec![volume(line, reserved)?]),
        _ => {
            let amount = reserved.value.clone();
            let volume = known_volume(machine, line, reserved)?;
            match (verb, amount) {
                ("grow", value) => {
                    let addition = Resource { value, ..volume.without_volume() };
                    ClaimAction::Grow { volume, addition }
                }
                ("shrink", Value::Scalar(subtract)) => ClaimAction::Shrink { volume, subtract },
                _ => ClaimAction::Destroy(vec![volume]),
            }
        }
    };
    ask(world, line, agent, (action, None), shown)
}

/// The volume that a line names: by its name alone, whoever made it, unless a role is said; else by what it would be.
fn known_volume(machine: &Machine, line: &Line<'_>, reserved: Resource) -> Result<Resource, Wrong> {
    let is_it = |it: &Resource| {
        let name = it.identity.persistence.as_ref();
        name.is_some_and(|id| line.values.get("name") == Some(&id.as_str()))
            && line.values.get("role").is_none_or(|role| it.identity.role().as_str() == *role)
    };
    let claims = machine.proven().claims.values();
    let known = claims.map(|it| &it.resource).find(|it| is_it(it)).cloned();
    known.map_or_else(|| volume(line, reserved), Ok)
}

/// The machine that a line names, with the name that its agent was given.
fn registered<'w>(world: &'w World, line: &Line<'_>) -> Result<(&'w Machine, AgentId), Wrong> {
    let machine = world.machines.get(line.index(1)?);
    let machine = machine.ok_or_else(|| line.wrong("there is no such agent"))?;
    let agent = machine.proven().identity.agent.clone();
    Ok((machine, agent.ok_or_else(|| line.wrong("that agent has not registered yet"))?))
}

/// Asks the leader, and shows what it answers within two seconds, or within `wait=MS`.
fn ask(
    world: &mut World,
    line: &Line<'_>,
    agent: AgentId,
    (action, trashed): (ClaimAction, Option<Trashed>),
    shown: &mut Vec<String>,
) -> Result<(), Wrong> {
    let wait_ms = line.values.get("wait").map_or(Ok(2_000), |it| line.ms(it))?;
    let leader = world.leader().ok_or_else(|| line.wrong("nobody leads"))?;
    let told = world.trace.lines.len();
    world.ask_for(leader, agent, action, trashed);
    world.run_until(world.elapsed_ms() + wait_ms);
    let said = world.trace.lines.iter().skip(told);
    let mut answers = said.filter_map(|it| it.split_once("operator's ").map(|(_, rest)| rest));
    let answer = answers.next_back().unwrap_or("no answer yet").to_owned();
    shown.push(show::plain(world, &answer));
    Ok(())
}

/// `undelete AGENT name=N`, `purge AGENT name=N`: of the volume of that name that was destroyed last.
fn tend_trash(
    world: &mut World,
    line: &Line<'_>,
    verb: &str,
    shown: &mut Vec<String>,
) -> Result<(), Wrong> {
    let (machine, agent) = registered(world, line)?;
    let wanted = volume(line, reserved_disk(machine, line)?)?.identity;
    let is_it = |it: &&TrashedVolume| {
        let identity = &it.claim.resource.identity;
        (identity.role(), &identity.persistence) == (wanted.role(), &wanted.persistence)
    };
    let last = machine.proven().trash.values().filter(is_it).max_by_key(|it| it.since);
    let Some(last) = last.cloned() else {
        shown.push("refused: there is none in the trash".to_owned());
        return Ok(());
    };
    let trashed = match verb {
        "undelete" => Trashed::Undelete(last.claim.id),
        _ => Trashed::Purge(last.claim.id),
    };
    let action = ClaimAction::Create(vec![last.claim.resource]);
    ask(world, line, agent, (action, Some(trashed)), shown)
}

/// `write AGENT name=N text=T`: as a task would, synced.
fn write(world: &mut World, line: &Line<'_>, shown: &mut Vec<String>) -> Result<(), Wrong> {
    let index = line.index(1)?;
    let machine = world.machines.get_mut(index);
    let machine = machine.ok_or_else(|| line.wrong("there is no such agent"))?;
    let (role, name) = (line.values.get("role").unwrap_or(&"ops"), line.values.get("name"));
    let disks = machine.disks.iter_mut().filter(|it| it.mounted == Mounted::Itself);
    let is_it = |it: &&mut Volume| {
        it.label.role == *role && name.is_some_and(|name| it.label.persistence == *name)
    };
    let answer = match disks.flat_map(|it| it.volumes.values_mut()).find(is_it) {
        Some(volume) => {
            volume.bytes.stamp = line.values.get("text").map(|it| (*it).to_owned());
            volume.bytes.synced += 1;
            "written: done"
        }
        None => "refused: there is no such volume",
    };
    shown.push(answer.to_owned());
    Ok(())
}

/// The disk that a line speaks of, reserved for its role.
fn reserved_disk(machine: &Machine, line: &Line<'_>) -> Result<Resource, Wrong> {
    let role = Role::parse(line.values.get("role").copied().unwrap_or("ops"))
        .map_err(|it| line.wrong(it.to_string()))?;
    let mb = i64::try_from(line.number("disk", 100)?).unwrap_or(100);
    let mut disk = Resource::scalar("disk", Scalar::whole(mb));
    if let Some(on) = line.values.get("on") {
        let place = on.parse::<usize>().ok().and_then(|it| machine.disks.get(it));
        let place = place.ok_or_else(|| line.wrong("there is no such disk"))?;
        match place.kind {
            holdfast_model::DiskKind::Root => {}
            holdfast_model::DiskKind::Path => disk = disk.on(Source::path(&place.root)),
            holdfast_model::DiskKind::Mount => disk = disk.on(Source::mount(&place.root)),
        }
    }
    Ok(disk.reserved(Reservation {
        kind: ReservationKind::Dynamic,
        role,
        principal: Some("ops".to_owned()),
        labels: holdfast_model::Labels::default(),
    }))
}

/// The volume that a line names, on what is reserved.
fn volume(line: &Line<'_>, reserved: Resource) -> Result<Resource, Wrong> {
    let name = line.values.get("name").ok_or_else(|| line.wrong("name=NAME is missing"))?;
    let id = PersistenceId::parse(name).map_err(|it| line.wrong(it.to_string()))?;
    Ok(reserved.volume(id, "data", Some("ops")))
}

//! What a scenario shows: lines for people, the same in every run. Ids that differ between clusters
//! are shown as numbers.
//!
//! It relies on the leader's core and the machines. It never changes anything.

use holdfast_master::{AgentHealth, Master};
use holdfast_model::{AgentId, ClaimState};

use crate::world::World;

/// Runs a command that shows something; `None` when there is no such command.
pub(super) fn run(
    world: &World,
    verb: &str,
    words: &[&str],
    shown: &mut Vec<String>,
) -> Option<()> {
    match verb {
        "agents" => agents(world, shown),
        "claims" => claims(world, shown),
        "tasks" => tasks(world, shown),
        "offers" => offers(world, shown),
        "frameworks" => frameworks(world, shown),
        "disks" => disks(world, shown),
        "volumes" => volumes(world, shown),
        "bytes" => bytes(world, shown),
        "why" => why(world, words.get(1).copied().unwrap_or_default(), shown),
        "leader" => shown.push(match world.election.leader {
            Some((leader, term)) => format!("master {leader} leads in term {term}"),
            None => "nobody leads".to_owned(),
        }),
        _ => return None,
    }
    Some(())
}

/// Takes what differs from cluster to cluster out of a line.
pub(super) fn plain(world: &World, line: &str) -> String {
    let mut line = line.to_owned();
    for (index, machine) in world.machines.iter().enumerate() {
        if let Some(id) = &machine.proven().identity.agent {
            line = line.replace(id.as_str(), &format!("{index}"));
        }
    }
    line
}

fn core<'a>(world: &'a World, shown: &mut Vec<String>) -> Option<&'a Master> {
    let core = world.leader().and_then(|it| world.masters[it].core.as_ref()).map(|(_, core)| core);
    if core.is_none() {
        shown.push("nobody leads".to_owned());
    }
    core
}

fn place(world: &World, agent: &AgentId) -> String {
    let at =
        world.machines.iter().position(|it| it.proven().identity.agent.as_ref() == Some(agent));
    at.map_or_else(|| "an unknown agent".to_owned(), |it| format!("agent {it}"))
}

fn agents(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    for (id, state) in core.agents() {
        let word = match state.health() {
            AgentHealth::Well => "well".to_owned(),
            AgentHealth::Resyncing => "resyncing".to_owned(),
            AgentHealth::Joining => "joining".to_owned(),
            AgentHealth::Away(_) => "away".to_owned(),
            AgentHealth::Fenced(why) => format!("fenced: {}", plain(world, why)),
        };
        shown.push(format!("{} {word}, free {}", place(world, id), state.free()));
    }
}

fn claims(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    let mut lines = Vec::new();
    for ((agent, id), claim) in &core.ledger().claims {
        let fault = core.agents().get(agent).and_then(|it| it.faults().get(id));
        let state = match claim.state {
            _ if fault.is_some() => "missing",
            ClaimState::Making => "making",
            ClaimState::Ready => "ready",
            ClaimState::Destroying => "destroying",
        };
        let holder = claim
            .framework
            .as_ref()
            .and_then(|it| core.ledger().frameworks.get(it))
            .filter(|it| !it.removed);
        let holder =
            holder.map_or_else(|| "unclaimed".to_owned(), |it| format!("held by {}", it.info.name));
        let kind = if claim.is_volume() { "volume" } else { "reservation" };
        lines.push(format!("{}: {kind} {} {state}, {holder}", place(world, agent), claim.resource));
    }
    lines.sort();
    shown.extend(lines);
}

fn tasks(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    for view in core.tasks().values() {
        let volumes: Vec<String> = view
            .resources
            .volumes()
            .iter()
            .filter_map(|it| it.identity.persistence.clone())
            .map(|it| it.to_string())
            .collect();
        let volumes = if volumes.is_empty() {
            "no volume".to_owned()
        } else {
            format!("volume {}", volumes.join(", "))
        };
        shown.push(format!(
            "{} {} on {}, {volumes}",
            view.id,
            view.state.name(),
            place(world, &view.agent)
        ));
    }
}

fn offers(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    for record in core.offers().values() {
        let to = core
            .frameworks()
            .get(&record.offer.framework)
            .map(|it| it.info().name.clone())
            .unwrap_or_default();
        shown.push(format!(
            "to {to} for {}: {} of {}",
            record.offer.role,
            record.offer.resources.unallocated(),
            place(world, &record.offer.agent)
        ));
    }
}

fn frameworks(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    for record in core.ledger().frameworks.values() {
        let link = record
            .info
            .id
            .as_ref()
            .and_then(|id| core.frameworks().get(id))
            .and_then(|it| it.link());
        let word = match link {
            _ if record.removed => "removed",
            Some(_) => "connected",
            None => "away",
        };
        shown.push(format!("{} {word}", record.info.name));
    }
}

fn disks(world: &World, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    let mut lines = Vec::new();
    for (id, state) in core.agents() {
        for report in state.disks() {
            let fault =
                report.fault.as_deref().map_or_else(|| "well".to_owned(), |it| plain(world, it));
            lines.push(format!(
                "{} {:?} {}: {fault}",
                place(world, id),
                report.disk.kind,
                report.disk.root
            ));
        }
    }
    lines.sort();
    shown.extend(lines);
}

/// Shows the volumes that are on the disks, whatever any process reports.
fn volumes(world: &World, shown: &mut Vec<String>) {
    for (index, machine) in world.machines.iter().enumerate() {
        for disk in &machine.disks {
            let mut lines: Vec<String> = Vec::new();
            for volume in disk.volumes.values() {
                let records = volume.bytes.synced + volume.bytes.unsynced;
                let kept = if records == 0 { "no records" } else { "records" };
                lines.push(format!(
                    "agent {index} {}: {} with {kept}",
                    disk.root, volume.label.persistence
                ));
            }
            lines.extend(disk.trash.values().map(|it| {
                format!("agent {index} {}: {} in the trash", disk.root, it.label.persistence)
            }));
            lines.sort();
            shown.extend(lines);
        }
    }
}

/// Shows what is written on the volumes of the disks, and in their trash.
fn bytes(world: &World, shown: &mut Vec<String>) {
    let mut lines = Vec::new();
    for (index, machine) in world.machines.iter().enumerate() {
        for disk in &machine.disks {
            let volumes = disk.volumes.values().map(|it| ("", it));
            for (place, volume) in
                volumes.chain(disk.trash.values().map(|it| (" in the trash", it)))
            {
                let text = volume.bytes.stamp.as_deref().unwrap_or("nothing");
                let (role, name) = (&volume.label.role, &volume.label.persistence);
                lines.push(format!(
                    "agent {index} {}: {role}'s {name}{place} holds {text}",
                    disk.root
                ));
            }
        }
    }
    lines.sort();
    shown.extend(lines);
}

fn why(world: &World, name: &str, shown: &mut Vec<String>) {
    let Some(core) = core(world, shown) else { return };
    let id =
        core.frameworks().iter().find(|(_, it)| it.info().name == name).map(|(id, _)| id.clone());
    let Some(id) = id else { return shown.push(format!("there is no framework {name}")) };
    let explained = core.view().explain(world.now(), &id, None);
    for reason in explained.reasons {
        shown.push(format!(
            "{} for {}: {}",
            place(world, &reason.agent),
            reason.role,
            plain(world, &reason.reason.to_string())
        ));
    }
}

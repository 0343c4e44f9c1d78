//! What claims are, in the fewest words that can be executed: who has how much of which disk, and which bytes lie there. No crash, no reboot
//! and no failover changes any of it.

use std::collections::{BTreeMap, BTreeSet};

/// The number of an agent, and of a disk of it: 0 is ROOT, 1 a PATH, 2 a MOUNT disk.
pub type Place = (usize, usize);

/// What an operator asks, or does to a machine.
#[derive(Clone, Debug)]
pub enum Act {
    Reserve { place: Place, role: &'static str, mb: i64 },
    Unreserve { place: Place, role: &'static str, mb: i64 },
    Create { place: Place, role: &'static str, mb: i64, name: &'static str },
    Destroy { agent: usize, role: &'static str, name: &'static str },
    Grow { agent: usize, role: &'static str, name: &'static str, mb: i64 },
    Shrink { agent: usize, role: &'static str, name: &'static str, mb: i64 },
    Undelete { agent: usize, role: &'static str, name: &'static str },
    Purge { agent: usize, role: &'static str, name: &'static str },
    Write { agent: usize, role: &'static str, name: &'static str, text: u32 },
    Unmount { place: Place, stranger: bool },
    Mount { place: Place },
    KillAgent { agent: usize },
    KillLeader,
    Elect,
    Reboot { agent: usize },
}

/// What of a volume outlives everything but its destruction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Volume {
    place: Place,
    mb: i64,
    text: Option<u32>,
    /// In the trash: whether there is no way back, and its bytes go as soon as its disk is there.
    is_purged: bool,
}

/// Volumes are told apart by agent, role and name.
type Key = (usize, &'static str, &'static str);

/// Laws that are not ours: a test that cannot tell them from ours proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    Ours,
    ADestroyedVolumesSpaceIsNobodys,
    WhatAVolumeShrinksByIsNobodys,
    ARebootEmptiesTheTrash,
    AVolumeInheritsTheBytesOfItsName,
    WhatIsNotMountedTakesVolumes,
    ReservationsAreGivenBackByAFailover,
    AnyRoleMayTakeAReservation,
}

/// All claims of a cluster.
#[derive(Clone, Debug)]
pub struct Model {
    law: Law,
    /// How large each disk is.
    sizes: BTreeMap<Place, i64>,
    free: BTreeMap<Place, i64>,
    reserved: BTreeMap<(Place, &'static str), i64>,
    volumes: BTreeMap<Key, Volume>,
    /// Oldest first.
    trash: Vec<(Key, Volume)>,
    away: BTreeSet<Place>,
}

/// Refused; the state is as before.
pub struct Refused;

impl Model {
    pub fn new(law: Law, sizes: BTreeMap<Place, i64>) -> Model {
        let (free, reserved, volumes) = (sizes.clone(), BTreeMap::new(), BTreeMap::new());
        Model { law, sizes, free, reserved, volumes, trash: Vec::new(), away: BTreeSet::new() }
    }

    /// The state after `act`.
    pub fn after(&self, act: &Act) -> Result<Model, Refused> {
        let mut after = self.clone();
        match *act {
            Act::Reserve { place, role, mb } => after.reserve(place, role, mb)?,
            Act::Unreserve { place, role, mb } => {
                let whole = after.whole(place);
                take(&mut after.reserved, (place, role), mb, whole)?;
                *after.free.entry(place).or_default() += mb;
            }
            Act::Create { place, role, mb, name } => after.create(place, role, mb, name)?,
            Act::Destroy { agent, role, name } => after.destroy((agent, role, name))?,
            Act::Grow { agent, role, name, mb } => after.grow((agent, role, name), mb)?,
            Act::Shrink { agent, role, name, mb } => after.shrink((agent, role, name), mb)?,
            Act::Undelete { agent, role, name } => after.undelete((agent, role, name))?,
            Act::Purge { agent, role, name } => {
                let at = after.last_destroyed((agent, role, name))?;
                after.trash[at].1.is_purged = true;
            }
            Act::Write { agent, role, name, text } => {
                let key = (agent, role, name);
                let volume = after.volumes.get_mut(&key).ok_or(Refused)?;
                if after.away.contains(&volume.place) {
                    return Err(Refused);
                }
                volume.text = Some(text);
            }
            Act::Unmount { place, .. } => drop(after.away.insert(place)),
            Act::Mount { place } => drop(after.away.remove(&place)),
            Act::Reboot { .. } if self.law == Law::ARebootEmptiesTheTrash => after.trash.clear(),
            Act::KillLeader if self.law == Law::ReservationsAreGivenBackByAFailover => {
                after.reserved.clear()
            }
            Act::KillAgent { .. } | Act::KillLeader | Act::Elect | Act::Reboot { .. } => {}
        }
        let Model { trash, away, .. } = &mut after;
        trash.retain(|(_, it)| !it.is_purged || away.contains(&it.place));
        Ok(after)
    }

    /// A MOUNT disk is taken whole or not at all: its size.
    fn whole(&self, place: Place) -> Option<i64> {
        (place.1 == 2).then(|| self.sizes[&place])
    }

    fn is_away(&self, place: Place) -> bool {
        self.away.contains(&place)
    }

    fn reserve(&mut self, place: Place, role: &'static str, mb: i64) -> Result<(), Refused> {
        if self.is_away(place) {
            return Err(Refused);
        }
        let whole = self.whole(place);
        take(&mut self.free, place, mb, whole)?;
        *self.reserved.entry((place, role)).or_default() += mb;
        Ok(())
    }

    fn create(
        &mut self,
        place: Place,
        role: &'static str,
        mb: i64,
        name: &'static str,
    ) -> Result<(), Refused> {
        let key = (place.0, role, name);
        let is_away = self.is_away(place) && self.law != Law::WhatIsNotMountedTakesVolumes;
        if is_away || self.volumes.contains_key(&key) {
            return Err(Refused);
        }
        let whole = self.whole(place);
        match self.law {
            Law::AnyRoleMayTakeAReservation => {
                let theirs = ["ops", "web"].into_iter();
                let mut theirs = theirs.filter(|it| self.reserved.get(&(place, *it)) >= Some(&mb));
                let from = theirs.next().ok_or(Refused)?;
                take(&mut self.reserved, (place, from), mb, whole)?;
            }
            _ => take(&mut self.reserved, (place, role), mb, whole)?,
        }
        let inherited = self.trash.iter().rev().find(|(it, _)| *it == key);
        let inherits = self.law == Law::AVolumeInheritsTheBytesOfItsName;
        let text = inherited.filter(|_| inherits).and_then(|(_, it)| it.text);
        self.volumes.insert(key, Volume { place, mb, text, is_purged: false });
        Ok(())
    }

    fn destroy(&mut self, key: Key) -> Result<(), Refused> {
        let volume = self.volumes.get(&key).cloned().ok_or(Refused)?;
        if self.is_away(volume.place) {
            return Err(Refused);
        }
        self.volumes.remove(&key);
        if self.law != Law::ADestroyedVolumesSpaceIsNobodys {
            *self.reserved.entry((volume.place, key.1)).or_default() += volume.mb;
        }
        self.trash.push((key, volume));
        Ok(())
    }

    /// A volume grows by what its role has reserved beside it.
    fn grow(&mut self, key: Key, mb: i64) -> Result<(), Refused> {
        let place = self.resizable(key)?;
        take(&mut self.reserved, (place, key.1), mb, None)?;
        self.volumes.get_mut(&key).ok_or(Refused)?.mb += mb;
        Ok(())
    }

    /// What a volume is smaller by is reserved as before; something of it has to be left.
    fn shrink(&mut self, key: Key, mb: i64) -> Result<(), Refused> {
        let place = self.resizable(key)?;
        let volume = self.volumes.get_mut(&key).filter(|it| mb < it.mb).ok_or(Refused)?;
        volume.mb -= mb;
        if self.law != Law::WhatAVolumeShrinksByIsNobodys {
            *self.reserved.entry((place, key.1)).or_default() += mb;
        }
        Ok(())
    }

    /// Where a volume is that can have another size: a MOUNT disk is taken whole.
    fn resizable(&self, key: Key) -> Result<Place, Refused> {
        let place = self.volumes.get(&key).ok_or(Refused)?.place;
        let is_fixed = self.is_away(place) || self.whole(place).is_some();
        (!is_fixed).then_some(place).ok_or(Refused)
    }

    /// What is brought back takes the space of its role's reservation; where that is not enough, it is reserved anew.
    fn undelete(&mut self, key: Key) -> Result<(), Refused> {
        self.reserve_for(key)?;
        let volume = self.leave_trash(key)?;
        take(&mut self.reserved, (volume.place, key.1), volume.mb, None)?;
        self.volumes.insert(key, volume);
        Ok(())
    }

    /// The state after the first half of an act that has two: a crash may come between.
    pub fn after_half(&self, act: &Act) -> Option<Model> {
        let Act::Undelete { agent, role, name } = *act else { return None };
        let mut after = self.clone();
        after.reserve_for((agent, role, name)).is_ok().then_some(after)
    }

    /// Reserves what the last destroyed volume of that name needs, unless it is reserved.
    fn reserve_for(&mut self, key: Key) -> Result<(), Refused> {
        let volume = self.clone().leave_trash(key)?;
        if self.volumes.contains_key(&key) {
            return Err(Refused);
        }
        let (place, mb) = (volume.place, volume.mb);
        let reserved = self.reserved.get(&(place, key.1)).copied().unwrap_or_default();
        if reserved < mb {
            self.reserve(place, key.1, mb)?;
        }
        Ok(())
    }

    /// The last of that name that was destroyed.
    fn last_destroyed(&self, key: Key) -> Result<usize, Refused> {
        self.trash.iter().rposition(|(it, _)| *it == key).ok_or(Refused)
    }

    fn leave_trash(&mut self, key: Key) -> Result<Volume, Refused> {
        let at = self.last_destroyed(key)?;
        let volume = &self.trash[at].1;
        if volume.is_purged || self.is_away(volume.place) {
            return Err(Refused);
        }
        Ok(self.trash.remove(at).1)
    }

    /// As the leader tells of claims.
    pub fn claims(&self) -> Vec<String> {
        let state = |place: Place| if self.is_away(place) { "missing" } else { "ready" };
        let reserved = self.reserved.iter().filter(|(_, mb)| 0 < **mb);
        let reservations = reserved.map(|(&(place, role), mb)| {
            let root = root(place).map_or_else(String::new, |it| format!("[{it}]"));
            let state = state(place);
            format!(
                "agent {}: reservation disk({role}, ops){root}:{mb} {state}, unclaimed",
                place.0
            )
        });
        let volumes = self.volumes.iter().map(|(&(agent, role, name), it)| {
            let root = root(it.place).map_or_else(String::new, |it| format!("{it},"));
            let (mb, state) = (it.mb, state(it.place));
            format!("agent {agent}: volume disk({role}, ops)[{root}{name}]:{mb} {state}, unclaimed")
        });
        let mut lines: Vec<String> = reservations.chain(volumes).collect();
        lines.sort();
        lines
    }

    /// As the disks bear them.
    pub fn bytes(&self) -> Vec<String> {
        let line = |&(agent, role, name): &Key, place: &str, volume: &Volume| {
            let disk = match volume.place.1 {
                0 => format!("/var/lib/holdfast{agent}"),
                disk => format!("/disks/{disk}"),
            };
            let text = volume.text.map_or_else(|| "nothing".to_owned(), |it| format!("t{it}"));
            format!("agent {agent} {disk}: {role}'s {name}{place} holds {text}")
        };
        let volumes = self.volumes.iter().map(|(key, it)| line(key, "", it));
        let trash = self.trash.iter().map(|(key, it)| line(key, " in the trash", it));
        let mut lines: Vec<String> = volumes.chain(trash).collect();
        lines.sort();
        lines
    }
}

fn take<K: Ord>(
    from: &mut BTreeMap<K, i64>,
    key: K,
    mb: i64,
    whole: Option<i64>,
) -> Result<(), Refused> {
    let there = from.get_mut(&key).filter(|it| mb <= **it).ok_or(Refused)?;
    if whole.is_some_and(|it| it != mb) {
        return Err(Refused);
    }
    *there -= mb;
    Ok(())
}

fn root(place: Place) -> Option<&'static str> {
    [None, Some("Path:/disks/1"), Some("Mount:/disks/2")][place.1]
}

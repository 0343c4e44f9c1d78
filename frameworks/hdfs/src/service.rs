//! What the service decides beside its spec: who may start when, what each member is told, and what must hold before one is stopped.
//!
//! It relies on the keeper of pods for everything else. Pure: what it knows of members that run is what their processes have said. A file
//! system is formatted once, while nothing is known of any; a name node that has lost its volume copies the other; when both have, nobody
//! but a person decides.

use std::collections::BTreeMap;

use holdfast_sdk::plans::{Act, Plan, PlanKind, Step, StepState};
use holdfast_sdk::pods::{Hooks, KeptClaim, MemberId, PodMember, ServiceView, Verdict};
use holdfast_sdk::spec::TaskSpec;

use crate::identity::{Identity, Kind, Who};
use crate::looks::{Look, NameLook, Said};
use crate::marker::Note;
use crate::order::{Known, Order, Peer, Volume, ORDER_VARIABLE};
use crate::settings::Settings;
use crate::spec::{JOURNALS, NAMES, TASK};

/// How many journal nodes must run for a name node to write.
const QUORUM: usize = 2;
/// How many looks in a row must find all blocks with all of their copies before an old copy is not needed any more.
const WELL_MIN: u32 = 2;

/// Nobody says what is known of blocks and journals.
const NOBODY_ACTIVE: &str = "no name node has said that it is active and out of safe mode";

/// The hooks.
#[derive(Clone, Debug)]
pub struct Hdfs {
    settings: Settings,
    /// What the processes of members have said last.
    seen: BTreeMap<MemberId, Look>,
    /// How often in a row the active name node has said that nothing is missing, of so many data nodes.
    well: (u64, u32),
}

impl Hdfs {
    /// Makes the hooks.
    pub fn new(settings: Settings) -> Hdfs {
        Hdfs { settings, seen: BTreeMap::new(), well: (0, 0) }
    }

    /// What the active name node has said last, if one runs that is.
    fn active(&self, service: &ServiceView<'_>) -> Option<&NameLook> {
        let ready = members(service, Kind::Name).filter(|it| it.is_ready());
        ready.filter_map(|it| self.seen.get(&it.id)).find_map(|it| match it {
            Look::Name(look) if look.state == "active" && !look.is_safe => Some(look),
            _ => None,
        })
    }

    /// Whether every block has all of its copies, on the data nodes that there shall be alone.
    fn blocks_are_well(&self, service: &ServiceView<'_>) -> Result<(), String> {
        let Some(look) = self.active(service) else {
            return Err(NOBODY_ACTIVE.to_owned());
        };
        let count = service.spec.pod(Kind::Data.name()).map_or(0, |it| u64::from(it.count));
        match look {
            NameLook { missing: 1.., .. } => Err(format!("{} blocks are missing", look.missing)),
            NameLook { low: 1.., .. } => {
                Err(format!("{} blocks have fewer copies than they should", look.low))
            }
            NameLook { live, .. } if *live != count => Err(format!(
                "the active name node counts {live} live data nodes, and there shall be {count}"
            )),
            _ => Ok(()),
        }
    }

    /// Whether a member of a kind may be taken down, as far as the others go.
    fn may_stop(&self, service: &ServiceView<'_>, kind: Kind, id: &MemberId) -> Result<(), String> {
        let others = || members(service, kind).filter(|it| it.id != *id);
        if let Some(other) = others().find(|it| !it.is_ready()) {
            return Err(format!("member {} is not ready", other.id));
        }
        match kind {
            Kind::Name => match self.active(service) {
                Some(_) => Ok(()),
                None => Err(NOBODY_ACTIVE.to_owned()),
            },
            Kind::Journal => {
                if let Some(it) = others().find(|it| !self.is_in_step(&it.id)) {
                    return Err(format!("member {} has not said that it has all edits", it.id));
                }
                match self.active(service).map(|it| it.behind) {
                    Some(0) => Ok(()),
                    Some(behind) => Err(format!(
                        "{behind} journal nodes have missed edits, and are of use again from the next segment on, which the standby asks for every dfs.ha.log-roll.period"
                    )),
                    None => Err(NOBODY_ACTIVE.to_owned()),
                }
            }
            Kind::Data => self.blocks_are_well(service),
        }
    }

    fn is_in_step(&self, id: &MemberId) -> bool {
        matches!(self.seen.get(id), Some(Look::Journal(it)) if it.is_formatted && it.lag == 0)
    }

    /// Whether a name node may start.
    fn may_start_name(&self, service: &ServiceView<'_>, member: &PodMember) -> Verdict {
        let journals = members(service, Kind::Journal).filter(|it| it.is_ready()).count();
        if journals < QUORUM {
            return Verdict::NotYet(format!(
                "it needs {QUORUM} journal nodes, and {journals} are ready"
            ));
        }
        let other = members(service, Kind::Name).find(|it| it.id != member.id);
        let Some(identity) = identity(service) else {
            return match (member.id.index, journals) {
                (0, 3..) => Verdict::Yes,
                (0, _) => Verdict::NotYet(format!(
                    "it formats the file system once all {JOURNALS} journal nodes are ready"
                )),
                _ => Verdict::NotYet("name-0 formats the file system first".to_owned()),
            };
        };
        if has_data(member) {
            return Verdict::Yes;
        }
        match other {
            Some(other) if has_data(other) && other.is_ready() => Verdict::Yes,
            Some(other) if has_data(other) => Verdict::NotYet(format!(
                "it copies the metadata of {}, which is not ready",
                other.id
            )),
            _ => Verdict::Ask(format!(
                "neither name node has a volume with the metadata of the file system {}: nothing is formatted in its place; bring one of their volumes back",
                identity.cluster
            )),
        }
    }

    /// The order for a member.
    fn order(&self, service: &ServiceView<'_>, member: &PodMember, kind: Kind) -> Order {
        let known = identity(service);
        let is_first = kind == Kind::Name && member.id.index == 0;
        let is_untouched = members(service, Kind::Name).all(|it| it.note.is_empty());
        let volumes =
            service.spec.pod(kind.name()).map(|it| it.volumes.as_slice()).unwrap_or_default();
        Order {
            who: who(service, &member.id, kind),
            here: peer(member),
            volumes: volumes
                .iter()
                .zip(&member.volumes)
                .map(|(spec, id)| Volume { id: id.as_str().to_owned(), path: spec.path.clone() })
                .collect(),
            journals: members(service, Kind::Journal).map(peer).collect(),
            names: members(service, Kind::Name).map(peer).collect(),
            known: Known {
                may_format: known.is_none() && is_first && is_untouched,
                identity: known,
                note: Note::read(&member.note).ok().flatten(),
            },
            settings: self.settings.of_node(kind),
        }
    }
}

impl Hooks for Hdfs {
    fn task(&self, service: &ServiceView<'_>, member: &PodMember, task: TaskSpec) -> TaskSpec {
        let Some(kind) = Kind::of_name(&member.id.pod).filter(|_| task.name == TASK) else {
            return task;
        };
        // Braces in pairs are variables in the texts of a spec.
        let text = self.order(service, member, kind).to_text().replace("{{", "{{{{");
        let environment = task.environment.into_iter().chain([(ORDER_VARIABLE.to_owned(), text)]);
        TaskSpec { environment: environment.collect(), ..task }
    }

    fn is_executor(&self, _member: &PodMember, task: &TaskSpec) -> bool {
        task.name == TASK
    }

    /// What members become a part of is remembered before anything else happens; what is remembered goes forward only.
    fn heard(&mut self, member: &PodMember, data: &[u8]) -> Option<Vec<u8>> {
        let said: Said = serde_json::from_slice(data).ok()?;
        if let Look::Name(look) = &said.look {
            if look.state == "active" {
                let is_well = look.missing == 0 && look.low == 0 && !look.is_safe;
                let before = if self.well.0 == look.live { self.well.1 } else { 0 };
                self.well = (look.live, if is_well { before.saturating_add(1) } else { 0 });
            }
        }
        self.seen.insert(member.id.clone(), said.look);
        let note = said.note.filter(|it| is_of(it, member))?;
        match Note::read(&member.note) {
            Ok(None) => {
                tracing::info!(
                    "{} is a part of the file system {}",
                    member.id,
                    note.identity.cluster
                );
                Some(note.to_bytes())
            }
            Ok(Some(old)) => old.gives_way_to(&note).then(|| note.to_bytes()),
            Err(_) => None,
        }
    }

    fn may_start(&self, service: &ServiceView<'_>, member: &PodMember, task: &TaskSpec) -> Verdict {
        let Some(kind) = Kind::of_name(&member.id.pod).filter(|_| task.name == TASK) else {
            return Verdict::Yes;
        };
        if let Err(why) = Note::read(&member.note) {
            return Verdict::Ask(format!(
                "what the ledger says of it cannot be read ({why}); restore the ledger"
            ));
        }
        let placed = |kind| members(service, kind).count();
        if placed(Kind::Journal) < JOURNALS as usize {
            return Verdict::NotYet(format!(
                "{} of {JOURNALS} journal nodes have a place",
                placed(Kind::Journal)
            ));
        }
        match kind {
            Kind::Journal => Verdict::Yes,
            _ if placed(Kind::Name) < NAMES as usize => Verdict::NotYet(format!(
                "{} of {NAMES} name nodes have a place",
                placed(Kind::Name)
            )),
            Kind::Name => self.may_start_name(service, member),
            Kind::Data if identity(service).is_none() => {
                Verdict::NotYet("no file system is formatted yet".to_owned())
            }
            Kind::Data => Verdict::Yes,
        }
    }

    fn may_begin(&self, service: &ServiceView<'_>, step: &Step) -> Verdict {
        let Some(kind) = Kind::of_name(&step.member.pod) else { return Verdict::Yes };
        let Some(plan) = service.ledger.plans.values().find(|it| !it.is_over()) else {
            return Verdict::Yes;
        };
        if plan.head.kind == PlanKind::Uninstall {
            return Verdict::Yes;
        }
        if let Some(why) = refused(plan.head.kind, kind, step) {
            return Verdict::Ask(why);
        }
        let disturbs = matches!(step.act, Act::Update | Act::Restart | Act::Stop);
        let is_ready = service.member(&step.member).is_some_and(PodMember::is_ready);
        if !disturbs {
            return Verdict::Yes;
        }
        if let Some(other) = under_way(plan, step) {
            return Verdict::NotYet(format!("{} is under way", other.name()));
        }
        match self.may_stop(service, kind, &step.member) {
            Err(why) if is_ready => Verdict::NotYet(why),
            _ => Verdict::Yes,
        }
    }

    fn may_release(
        &self,
        service: &ServiceView<'_>,
        member: &PodMember,
        _claim: &KeptClaim,
    ) -> Verdict {
        let is_replaced = member.id.pod == Kind::Data.name() && has_data(member);
        if !is_replaced {
            return Verdict::Ask(
                "nobody has said that its data are not needed any more".to_owned(),
            );
        }
        match self.blocks_are_well(service) {
            Ok(()) if WELL_MIN <= self.well.1 => Verdict::Yes,
            Ok(()) => Verdict::NotYet(
                "all blocks have their copies; it is looked at once more".to_owned(),
            ),
            Err(why) => Verdict::NotYet(why),
        }
    }
}

/// What this service does not do, and what to do instead.
fn refused(plan: PlanKind, kind: Kind, step: &Step) -> Option<String> {
    let leaves = step.act == Act::Hook("leave".to_owned());
    let is_replaced = matches!(plan, PlanKind::Replace | PlanKind::Recover);
    match kind {
        Kind::Journal | Kind::Name if leaves => Some(format!(
            "a file system has {JOURNALS} journal nodes and {NAMES} name nodes, no fewer; give the spec with these counts again"
        )),
        Kind::Data if leaves => Some(
            "a data node is not decommissioned by this service; replace one after the other instead, or decommission it with `hdfs dfsadmin` and complete this step by force once it says Decommissioned"
                .to_owned(),
        ),
        Kind::Journal if is_replaced && step.act == Act::Stop => Some(
            "a journal node is not replaced by this service: its edits would have to be copied from another one first; bring its volume back"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Another step of the same pod that has begun and is not over.
fn under_way<'a>(plan: &'a Plan, step: &Step) -> Option<&'a Step> {
    let mut steps = plan.all_steps().map(|it| it.1);
    steps.find(|it| {
        it.member.pod == step.member.pod
            && it.member != step.member
            && matches!(it.state, StepState::Begun(_))
    })
}

/// The members of a kind that have a place.
fn members<'a>(service: &ServiceView<'a>, kind: Kind) -> impl Iterator<Item = &'a PodMember> {
    service.placed(kind.name())
}

/// The file system, once a name node has said that its volume is a part of one.
fn identity(service: &ServiceView<'_>) -> Option<Identity> {
    let notes = members(service, Kind::Name).filter_map(|it| Note::read(&it.note).ok().flatten());
    notes.map(|it| it.identity).next()
}

/// Whether the volumes that a member has now are a part of the file system.
fn has_data(member: &PodMember) -> bool {
    let note = Note::read(&member.note).ok().flatten();
    note.is_some_and(|it| is_of(&it, member))
}

/// Whether a note is of the volumes that a member has now.
fn is_of(note: &Note, member: &PodMember) -> bool {
    let volumes = member.volumes.iter().map(|it| it.as_str());
    note.who.kind.name() == member.id.pod
        && note.who.member == member.id.index
        && volumes.eq(note.volumes.iter().map(String::as_str))
}

fn who(service: &ServiceView<'_>, id: &MemberId, kind: Kind) -> Who {
    Who { service: service.spec.name.clone(), kind, member: id.index }
}

fn peer(member: &PodMember) -> Peer {
    Peer { member: member.id.index, host: member.hostname.clone(), ports: member.ports.clone() }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

//! What the service decides beside its spec: who may start when, what each member is told, and what must hold before one is stopped.
//!
//! It relies on the keeper of pods for everything else. Pure: what it knows of members that run is what their processes have said. A file
//! system is formatted once, while nothing is known of any; a name node that has lost its volume copies the other; when both have, nobody
//! but a person decides.

use std::collections::BTreeMap;

use holdfast_sdk::plans::{Act, Plan, PlanKind, Step, StepState};
use holdfast_sdk::pods::{
    Hooks, KeptClaim, MemberId, Observation, PodMember, ServiceView, Target, Verdict,
};
use holdfast_sdk::spec::{Refusal, ServiceSpec, TaskSpec};

use crate::identity::{Identity, Kind, Who};
use crate::looks::{Edits, Look, NameLook, Said};
use crate::marker::Note;
use crate::order::{Fill, Known, Order, Peer, Told, Volume, Words, ORDER_VARIABLE};
use crate::settings::Settings;
use crate::spec::{JOURNALS, NAMES, TASK};

/// How many journal nodes must run for a name node to write.
const QUORUM: usize = 2;

/// The step in which a data node is emptied.
const LEAVE: &str = "leave";
/// The step in which a name node is told that it may take whoever has left.
const INCLUDE: &str = "include";
/// What a name node says of a data node that is empty.
const DECOMMISSIONED: &str = "Decommissioned";
/// What is not done.
const FIXED: &str = "a file system has 3 journal nodes and 2 name nodes, no fewer and no more";

/// Nobody says what is known of blocks and journals.
const NOBODY_ACTIVE: &str = "no name node has said that it is active and out of safe mode";

/// The hooks.
#[derive(Clone, Debug)]
pub struct Hdfs {
    settings: Settings,
    /// What the processes of members have said last.
    seen: BTreeMap<MemberId, Said>,
    /// The data nodes that are being emptied, and where they are.
    leaving: BTreeMap<MemberId, String>,
    /// Where data nodes are, of those that have said anything.
    addresses: BTreeMap<MemberId, String>,
    /// What name nodes are to be told.
    words: Vec<(MemberId, Vec<u8>)>,
}

impl Hdfs {
    /// Makes the hooks.
    pub fn new(settings: Settings) -> Hdfs {
        Hdfs {
            settings,
            seen: BTreeMap::new(),
            leaving: BTreeMap::new(),
            addresses: BTreeMap::new(),
            words: Vec::new(),
        }
    }

    /// What the active name node has said last, if one runs that is.
    fn active(&self, service: &ServiceView<'_>) -> Option<&NameLook> {
        let ready = members(service, Kind::Name).filter(|it| it.is_ready());
        ready.filter_map(|it| self.seen.get(&it.id)).find_map(|it| match &it.look {
            Look::Name(look) if look.state == "active" && !look.is_safe => Some(look),
            _ => None,
        })
    }

    /// Whether every block has all of its copies, on the data nodes that there shall be alone.
    fn blocks_are_well(&self, service: &ServiceView<'_>) -> Result<(), String> {
        let look = self.no_block_is_low(service)?;
        let count = service.spec.pod(Kind::Data.name()).map_or(0, |it| u64::from(it.count));
        match look.live == count {
            true => Ok(()),
            false => Err(format!(
                "the active name node counts {} live data nodes, and there shall be {count}",
                look.live
            )),
        }
    }

    /// Whether every block has all of its copies, as the active name node says.
    fn no_block_is_low(&self, service: &ServiceView<'_>) -> Result<&NameLook, String> {
        let look = self.active(service).ok_or_else(|| NOBODY_ACTIVE.to_owned())?;
        match look {
            NameLook { missing: 1.., .. } => Err(format!("{} blocks are missing", look.missing)),
            NameLook { low: 1.., .. } => {
                Err(format!("{} blocks have fewer copies than they should", look.low))
            }
            _ => Ok(look),
        }
    }

    /// Whether all other journal nodes have all edits. One that is down is itself behind.
    fn others_have_all(
        &self,
        service: &ServiceView<'_>,
        id: &MemberId,
        is_down: bool,
    ) -> Result<(), String> {
        let mut others = members(service, Kind::Journal).filter(|it| it.id != *id);
        if let Some(it) = others.find(|it| !it.is_ready() || !self.is_in_step(&it.id)) {
            return Err(format!("member {} has not said that it has all edits", it.id));
        }
        match self.active(service).map(|it| it.behind) {
            Some(behind) if behind <= u64::from(is_down) => Ok(()),
            Some(behind) => Err(format!(
                "{behind} journal nodes have missed edits, and are of use again from the next segment on, which the standby asks for every dfs.ha.log-roll.period"
            )),
            None => Err(NOBODY_ACTIVE.to_owned()),
        }
    }

    fn edits(&self, id: &MemberId) -> Option<&Edits> {
        match &self.seen.get(id)?.look {
            Look::Journal(look) => look.edits.as_ref(),
            _ => None,
        }
    }

    /// With what the journal of a journal node begins that was given a new volume on purpose.
    ///
    /// # Errors
    /// What it waits for.
    fn fill(&self, service: &ServiceView<'_>, member: &PodMember) -> Result<Option<Fill>, String> {
        let had_another = Note::read(&member.note).is_ok_and(|it| it.is_some());
        if has_data(member) || !had_another || identity(service).is_none() {
            return Ok(None);
        }
        self.others_have_all(service, &member.id, true)?;
        let others = members(service, Kind::Journal).filter(|it| it.id != member.id);
        let others: Vec<&Edits> = others.filter_map(|it| self.edits(&it.id)).collect();
        let promised = others.iter().map(|it| it.promised).max().unwrap_or(0);
        match others.first() {
            Some(first) if QUORUM <= others.len() => {
                Ok(Some(Fill { version: first.version.clone(), promised }))
            }
            _ => Err("the other two journal nodes have not said what they have".to_owned()),
        }
    }

    /// Whether a journal node that was replaced has all that the others have, and is written to.
    fn journal_is_whole(&self, service: &ServiceView<'_>, id: &MemberId) -> Result<(), String> {
        self.may_stop(service, Kind::Journal, id)?;
        let from = |it: &MemberId| self.edits(it).and_then(|it| it.from);
        let others = members(service, Kind::Journal).filter(|it| it.id != *id);
        let first = others.filter_map(|it| from(&it.id)).min();
        match (from(id), first) {
            (_, None) => Err("the other journal nodes have not said what they have".to_owned()),
            (None, _) => Err(format!("{id} has no edits yet")),
            (Some(own), Some(first)) if first < own => Err(format!(
                "{id} has the edits from {own} on, and the others from {first} on; it copies what it has missed"
            )),
            _ if !self.is_in_step(id) => Err(format!("{id} has not said that it has all edits")),
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
            Kind::Journal => self.others_have_all(service, id, false),
            Kind::Data => self.blocks_are_well(service),
        }
    }

    fn is_in_step(&self, id: &MemberId) -> bool {
        let look = self.seen.get(id).map(|it| &it.look);
        matches!(look, Some(Look::Journal(it)) if it.is_formatted && it.lag == 0)
    }

    /// The name node that is the standby, if the other one is this member, and active.
    fn standby_of(&self, service: &ServiceView<'_>, id: &MemberId) -> Option<MemberId> {
        let is = |id: &MemberId, state: &str| {
            let look = self.seen.get(id).map(|it| &it.look);
            matches!(look, Some(Look::Name(look)) if look.state == state)
        };
        let other = members(service, Kind::Name).find(|it| it.id != *id)?;
        (is(id, "active") && other.is_ready() && is(&other.id, "standby")).then(|| other.id.clone())
    }

    /// Whether a member's process knows where all journal nodes and name nodes are.
    fn knows_all(&self, service: &ServiceView<'_>, id: &MemberId) -> bool {
        self.seen.get(id).is_some_and(|it| it.told == told(service))
    }

    /// Whether a data node may be emptied.
    fn may_leave(&self, service: &ServiceView<'_>, member: &PodMember) -> Verdict {
        if !member.is_ready() {
            return Verdict::NotYet(
                "it does not serve, so that nothing can be copied from it; bring it back first"
                    .to_owned(),
            );
        }
        let count = members(service, Kind::Data).filter(|it| it.target == Target::Up).count();
        match self.no_block_is_low(service) {
            Err(why) => Verdict::NotYet(why),
            Ok(look) if look.live < count as u64 => Verdict::NotYet(format!(
                "the active name node counts {} live data nodes of {count}",
                look.live
            )),
            Ok(_) => Verdict::Yes,
        }
    }

    /// How far a data node is that is being emptied.
    fn left(&self, service: &ServiceView<'_>, member: &PodMember) -> Observation {
        let address = peer(member).address("transfer");
        let unaware = members(service, Kind::Name).find(|it| match self.seen.get(&it.id) {
            Some(Said { look: Look::Name(look), .. }) => {
                it.is_ready() && !look.leaving.contains_key(&address)
            }
            _ => false,
        });
        let Some(look) = self.active(service) else {
            return Observation::Running(NOBODY_ACTIVE.to_owned());
        };
        match (unaware, look.leaving.get(&address).map(String::as_str)) {
            (Some(_), _) | (None, None) => Observation::NotBegun,
            (None, Some(DECOMMISSIONED)) => match self.no_block_is_low(service) {
                Ok(_) => Observation::Done,
                Err(why) => Observation::Running(format!("it is {DECOMMISSIONED}, and {why}")),
            },
            (None, Some(state)) => Observation::Running(format!(
                "the active name node says of it: {state}; {} blocks have fewer copies than they should",
                look.low
            )),
        }
    }

    /// Has both name nodes know which data nodes are to be emptied.
    fn tell_names(&mut self) {
        let leaving = self.leaving.values().cloned().collect();
        let words = serde_json::to_vec(&Words { leaving }).expect("texts are always written");
        let names = (0..NAMES).map(|it| MemberId::new(Kind::Name.name(), it));
        self.words = names.map(|it| (it, words.clone())).collect();
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
                fill: match kind {
                    Kind::Journal => self.fill(service, member).ok().flatten(),
                    Kind::Name | Kind::Data => None,
                },
                leaving: match kind {
                    Kind::Name => leaving(service),
                    Kind::Journal | Kind::Data => Vec::new(),
                },
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
        if member.id.pod == Kind::Data.name() {
            self.addresses.insert(member.id.clone(), peer(member).address("transfer"));
        }
        let note = said.note.clone().filter(|it| is_of(it, member));
        self.seen.insert(member.id.clone(), said);
        let note = note?;
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
            Kind::Journal => match self.fill(service, member) {
                Ok(_) => Verdict::Yes,
                Err(why) => Verdict::NotYet(format!(
                    "it copies the edits of the other journal nodes once both have all of them: {why}"
                )),
            },
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
        let member = service.member(&step.member);
        match (&step.act, kind, member) {
            (Act::Hook(name), _, _) if name == INCLUDE => return Verdict::Yes,
            (Act::Hook(name), Kind::Data, Some(member)) if name == LEAVE => {
                return self.may_leave(service, member);
            }
            (Act::Hook(_), ..) => return Verdict::Ask(FIXED.to_owned()),
            // It has left: what it had is elsewhere.
            (Act::Stop, Kind::Data, _) if plan.head.kind == PlanKind::Decommission => {
                return self
                    .no_block_is_low(service)
                    .map_or_else(Verdict::NotYet, |_| Verdict::Yes);
            }
            _ => {}
        }
        let is_replacement = matches!(plan.head.kind, PlanKind::Replace | PlanKind::Recover);
        if is_replacement && step.act == Act::Restart && self.knows_all(service, &step.member) {
            return Verdict::Needless("it knows where all others are".to_owned());
        }
        // The edits of one that is down are copied from the others, too.
        if is_replacement && kind == Kind::Journal && step.act == Act::Stop {
            let is_down = !member.is_some_and(PodMember::is_ready);
            if let Err(why) = self.others_have_all(service, &step.member, is_down) {
                return Verdict::NotYet(why);
            }
        }
        let disturbs = matches!(step.act, Act::Update | Act::Restart | Act::Stop);
        let is_ready = member.is_some_and(PodMember::is_ready);
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

    /// The standby is started anew first: so the file system changes hands once.
    fn before(&self, service: &ServiceView<'_>, step: &Step) -> Option<MemberId> {
        let is_rolled = matches!(step.act, Act::Update | Act::Restart);
        let is_name = Kind::of_name(&step.member.pod) == Some(Kind::Name);
        (is_rolled && is_name).then(|| self.standby_of(service, &step.member)).flatten()
    }

    /// Everybody is told where the name nodes are, and all but data nodes where the journal nodes are.
    fn dependents(&self, service: &ServiceView<'_>, member: &MemberId) -> Vec<MemberId> {
        let told = match Kind::of_name(&member.pod) {
            Some(Kind::Journal) => &[Kind::Name, Kind::Journal][..],
            Some(Kind::Name) => &[Kind::Name, Kind::Data],
            Some(Kind::Data) | None => &[],
        };
        let all = told.iter().flat_map(|kind| members(service, *kind));
        let others = all.filter(|it| it.id != *member && it.target == Target::Up);
        others.map(|it| it.id.clone()).collect()
    }

    fn begin(&mut self, step: &Step) {
        match &step.act {
            Act::Hook(name) if name == LEAVE => {
                let address = self.addresses.get(&step.member).cloned();
                self.leaving.extend(address.map(|it| (step.member.clone(), it)));
                self.tell_names();
            }
            Act::Hook(name) if name == INCLUDE => {
                self.leaving.clear();
                self.tell_names();
            }
            _ => {}
        }
    }

    fn say(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        std::mem::take(&mut self.words)
    }

    fn observe(&self, service: &ServiceView<'_>, step: &Step) -> Observation {
        let Act::Hook(name) = &step.act else { return Observation::Done };
        let Some(member) = service.member(&step.member) else { return Observation::NotBegun };
        match (name.as_str(), self.seen.get(&step.member).map(|it| &it.look)) {
            (LEAVE, _) => self.left(service, member),
            (INCLUDE, Some(Look::Name(look))) if look.leaving.is_empty() => Observation::Done,
            (INCLUDE, _) => Observation::NotBegun,
            (other, _) => Observation::Unknown(format!("nobody knows how to {other}")),
        }
    }

    /// Whoever has left may come again, and is taken then.
    fn afterwards(
        &self,
        service: &ServiceView<'_>,
        plan: PlanKind,
        _added: &[MemberId],
    ) -> Vec<(MemberId, String)> {
        let count = service.spec.pod(Kind::Data.name()).map_or(0, |it| it.count);
        let leaves = members(service, Kind::Data).any(|it| count <= it.id.index);
        let names =
            members(service, Kind::Name).filter(|_| plan == PlanKind::Decommission && leaves);
        names.map(|it| (it.id.clone(), INCLUDE.to_owned())).collect()
    }

    fn refuses(&self, service: &ServiceView<'_>, new: &ServiceSpec) -> Vec<Refusal> {
        let count = |of: &ServiceSpec, kind: Kind| of.pod(kind.name()).map_or(0, |it| it.count);
        let mut refused = Vec::new();
        for (kind, wanted) in [(Kind::Journal, JOURNALS), (Kind::Name, NAMES)] {
            if count(new, kind) != wanted {
                refused.push(Refusal {
                    path: format!("pods.{kind}.count"),
                    why: FIXED.to_owned(),
                    instead: format!("leave it at {wanted}; a member that is lost is replaced"),
                });
            }
        }
        let (now, then) = (count(service.spec, Kind::Data), count(new, Kind::Data));
        let copies = self.settings.copies();
        if then < now && then < copies {
            refused.push(Refusal {
                path: "pods.data.count".to_owned(),
                why: format!(
                    "files have {copies} copies, each on another data node, and {then} would remain"
                ),
                instead: format!("keep {copies}, or set --replication lower and have the files that there are have fewer copies first (hdfs dfs -setrep)"),
            });
        }
        refused
    }

    fn may_release(
        &self,
        service: &ServiceView<'_>,
        member: &PodMember,
        claim: &KeptClaim,
    ) -> Verdict {
        let unsaid =
            || Verdict::Ask("nobody has said that its data are not needed any more".to_owned());
        let well = match Kind::of_name(&member.id.pod) {
            Some(Kind::Data) if has_left(service, member, claim) => {
                self.no_block_is_low(service).map(|_| ())
            }
            Some(Kind::Data) if has_data(member) => self.blocks_are_well(service),
            Some(Kind::Journal) if has_data(member) => {
                return self
                    .journal_is_whole(service, &member.id)
                    .map_or_else(Verdict::NotYet, |()| Verdict::Yes);
            }
            _ => return unsaid(),
        };
        match well {
            Ok(()) if self.active(service).is_some_and(|it| it.is_settled) => Verdict::Yes,
            Ok(()) => Verdict::NotYet(
                "all blocks have their copies; it is looked at once more".to_owned(),
            ),
            Err(why) => Verdict::NotYet(why),
        }
    }
}

/// Whether a data node was emptied before it was stopped, and this is the claim that it had.
fn has_left(service: &ServiceView<'_>, member: &PodMember, claim: &KeptClaim) -> bool {
    let note = Note::read(&member.note).ok().flatten();
    let volumes = || claim.volumes.iter().map(|it| it.as_str());
    let is_its = note.is_some_and(|it| volumes().eq(it.volumes.iter().map(String::as_str)));
    let leave = |it: &Step| it.member == member.id && it.act == Act::Hook(LEAVE.to_owned());
    let plan = service.ledger.plans.get(&PlanKind::Decommission).filter(|it| !it.is_over());
    let is_empty = plan.is_some_and(|it| it.all_steps().any(|(_, it)| leave(it) && it.is_over()));
    is_its && is_empty && member.target == Target::Stopped
}

/// The data nodes that are being emptied, or were and have not given their claims back.
fn leaving(service: &ServiceView<'_>) -> Vec<String> {
    let plan = service.ledger.plans.get(&PlanKind::Decommission).filter(|it| !it.is_over());
    let steps = plan.into_iter().flat_map(|it| it.all_steps()).map(|it| it.1);
    let begun =
        steps.filter(|it| it.act == Act::Hook(LEAVE.to_owned()) && it.state != StepState::Pending);
    let there = begun.filter_map(|it| service.member(&it.member).filter(|it| it.agent.is_some()));
    there.map(|it| peer(it).address("transfer")).collect()
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

/// Where all journal nodes and name nodes are.
fn told(service: &ServiceView<'_>) -> Told {
    let all = |kind| members(service, kind).map(peer).collect::<Vec<_>>();
    Told::of(&all(Kind::Journal), &all(Kind::Name))
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

//! Answers offers: members come back to their claims, those without one get one, claims that are
//! released are given up.
//!
//! It looks only at members that the index names: those of the offer's agent, and of each pod one
//! after the other of those without a place until one does not fit.

use holdfast_model::{
    Action, Call, ClaimAction, Filters, Instant, Offer, Operation, PersistenceId, Resource, TaskId,
};

use super::hooks::{Hooks, Verdict};
use super::member::{create_id, destroy_id, volume_name, volume_owner, MemberId, PodMember};
use super::member::{Fate, PodRun, Target};
use super::place::{labels, reservation, NewClaim, Rest};
use super::placement::Site;
use super::task::{by_its_executor, task_info};
use super::views::OfferView;
use super::{Guard, ServiceKeeper, CONTENT_MS, DECLINE_MS, OFFERS_MAX};
use crate::keeper::Effect;
use crate::ledger::Stage;
use crate::spec::{PodSpec, TaskSpec};

/// What is made of an offer.
struct Use<'a> {
    offer: &'a Offer,
    site: Site,
    rest: Rest,
    operations: Vec<Operation>,
    taken: Vec<String>,
    why_not: Vec<String>,
}

impl<H: Hooks> ServiceKeeper<H> {
    pub(super) fn offered_all(&mut self, now: Instant, offers: &[Offer]) {
        for offer in offers {
            self.see_site(&Site::of(offer));
        }
        offers.iter().for_each(|offer| self.offered(now, offer));
    }

    fn offered(&mut self, now: Instant, offer: &Offer) {
        self.guard_offer(offer);
        self.ask_moved(offer);
        let mut made = Use {
            offer,
            site: Site::of(offer),
            rest: Rest::of(offer),
            operations: Vec::new(),
            taken: Vec::new(),
            why_not: Vec::new(),
        };
        if self.guard == Guard::Clear {
            self.release_here(&mut made);
            self.come_back(now, &mut made);
            self.place_new(now, &mut made);
        } else {
            made.why_not.push("nothing is claimed before it is known whose volumes exist".into());
        }
        self.answer(now, made);
    }

    fn answer(&mut self, now: Instant, made: Use<'_>) {
        let wants =
            !self.index.unready.is_empty() || self.active.is_some() || self.guard != Guard::Clear;
        let refuse_ms = if wants { DECLINE_MS } else { CONTENT_MS };
        let (offers, filters) = (vec![made.offer.id.clone()], Filters { refuse_ms });
        if self.offers.len() == OFFERS_MAX {
            self.offers.pop_front();
        }
        self.offers.push_back(OfferView {
            agent: made.offer.agent.clone(),
            hostname: made.offer.hostname.clone(),
            at: now,
            taken: made.taken,
            why_not: made.why_not,
        });
        if made.operations.is_empty() {
            self.call(Call::Decline { offers, filters });
        } else {
            self.call(Call::Accept { offers, operations: made.operations, filters });
        }
    }

    /// Asks about members that wait for their volumes, when another agent offers volumes of these
    /// names.
    fn ask_moved(&mut self, offer: &Offer) {
        if self.index.idle.is_empty() {
            return;
        }
        let service = &self.spec().name;
        let volumes = offer.resources.iter().filter_map(|it| it.identity.persistence.clone());
        let asked = volumes.filter_map(|volume| {
            let owner = volume_owner(service, volume.as_str())?.0;
            let member = self.member(&owner).filter(|_| self.index.idle.contains(&owner))?;
            let agent = member.agent.clone().filter(|it| *it != offer.agent)?;
            member.volumes.contains(&volume).then_some(Effect::AskMoved(agent, volume))
        });
        let asked: Vec<Effect> = asked.collect();
        self.effects.extend(asked);
    }

    /// Gives up claims of this agent whose release was written down by their step.
    fn release_here(&mut self, made: &mut Use<'_>) {
        let Some(ids) = self.index.kept.get(&made.offer.agent).cloned() else { return };
        for id in ids {
            let Some(member) = self.member(&id).cloned() else { continue };
            let here =
                |it: &&super::KeptClaim| it.agent == made.offer.agent && it.released.is_some();
            for claim in member.kept.iter().filter(here) {
                let volumes: Vec<Resource> =
                    claim.volumes.iter().filter_map(|it| made.rest.volume(it)).collect();
                let Some(first) = claim.volumes.first() else { continue };
                if volumes.len() < claim.volumes.len() {
                    made.why_not.push(format!("{id}: the claim to release is not offered whole"));
                    continue;
                }
                let beside = made.rest.beside(&volumes);
                made.rest.take(&volumes);
                made.rest.take(&beside);
                let bare = volumes.iter().map(Resource::without_volume).chain(beside).collect();
                made.operations.push(Operation {
                    id: Some(destroy_id(first)),
                    action: Action::Claim(ClaimAction::Destroy(volumes)),
                });
                made.operations.push(Operation {
                    id: None,
                    action: Action::Claim(ClaimAction::Unreserve(bare)),
                });
                made.taken.push(format!("{id}: its old claim is released"));
            }
        }
    }

    /// Members of this agent come back to what they have.
    fn come_back(&mut self, now: Instant, made: &mut Use<'_>) {
        let Some(ids) = self.index.by_agent.get(&made.offer.agent).cloned() else { return };
        for id in ids {
            let Some(member) = self.member(&id).cloned() else { continue };
            if !self.wants_task(now, &member) || !member.has_claim() {
                continue;
            }
            let Some(pod) = self.pod_of(&member) else { continue };
            let Some(task) = self.next_task(&pod, &member) else { continue };
            match made.rest.own(&member, &pod, &task) {
                Ok(own) => {
                    // A claim that was adopted or moved has not said where it is.
                    let member = PodMember {
                        ports: own.ports,
                        hostname: made.offer.hostname.clone(),
                        attributes: made.site.attributes.clone(),
                        ..member
                    };
                    self.launch(made, member, &pod, &task, own.used, Vec::new());
                }
                Err(why) => {
                    let first = member.volumes.first();
                    let is_there = first.is_some_and(|it| made.rest.volume(it).is_some());
                    let refuted = self.refuted.get(&id) == first && first.is_some();
                    if member.stage == Stage::Claiming && refuted && !is_there {
                        // It was never made, so that it is asked for anew, wherever there is space.
                        self.commit_member(PodMember { run: None, ..member.without_place() });
                        self.refuted.remove(&id);
                    } else {
                        made.why_not.push(format!("{id}: {why}"));
                        self.waits(&id, format!("agent {}: {why}", made.offer.agent));
                    }
                }
            }
        }
    }

    /// Members without a place get one.
    fn place_new(&mut self, now: Instant, made: &mut Use<'_>) {
        let pods: Vec<String> = self.index.unplaced.keys().cloned().collect();
        for name in pods {
            while let Some(member) = self.next_unplaced(now, &name) {
                let Some(pod) = self.pod_of(&member) else { break };
                if let Some(why) = self.misplaced(&pod, made.offer, &made.site) {
                    made.why_not.push(format!("{}: {why}", member.id));
                    break;
                }
                match self.place_one(now, made, member, &pod) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err((id, why)) => {
                        made.why_not.push(format!("{id}: {why}"));
                        break;
                    }
                }
            }
        }
    }

    fn next_unplaced(&self, now: Instant, pod: &str) -> Option<PodMember> {
        let ids = self.index.unplaced.get(pod)?;
        let mut members = ids.iter().filter_map(|it| self.member(it));
        members.find(|it| self.wants_task(now, it)).cloned()
    }

    /// Gives a member a claim, or one without state a place, in this offer.
    fn place_one(
        &mut self,
        now: Instant,
        made: &mut Use<'_>,
        member: PodMember,
        pod: &PodSpec,
    ) -> Result<bool, (MemberId, String)> {
        let id = member.id.clone();
        if let Some(why) = self.strangers.get(&id).cloned() {
            self.waits(&id, why.clone());
            return Err((id, why));
        }
        let Some(task) = self.next_task(pod, &member) else { return Ok(false) };
        let service = self.spec().name.clone();
        let found = self.room(now, made, &member, pod).map_err(|it| (id.clone(), it))?;
        let mut member = PodMember {
            agent: Some(made.offer.agent.clone()),
            hostname: made.offer.hostname.clone(),
            attributes: made.site.attributes.clone(),
            ports: found.ports.clone(),
            ..member
        };
        if pod.volumes.is_empty() {
            let used = found.parts;
            return Ok(self.launch(made, member, pod, &task, used, Vec::new()));
        }
        member.attempts += 1;
        member.stage = Stage::Claiming;
        member.volumes = (0..pod.volumes.len())
            .map(|place| volume_name(&service, &id, place, member.attempts))
            .collect();
        let (before, all) = self.claim(&member, pod, made.offer, &found);
        let mut claimed =
            Rest::of(&Offer { resources: all.iter().collect(), ..made.offer.clone() });
        let own = claimed.own(&member, pod, &task).map_err(|why| (id.clone(), why))?;
        claimed.take(&own.used);
        if !self.launch(made, member, pod, &task, own.used, before) {
            return Ok(false);
        }
        made.rest.take(&found.parts);
        made.rest.take(&found.disks);
        self.shunned.remove(&id);
        Ok(true)
    }

    /// Room for a member's claim. A disk that it has left is taken again only when it was offered for
    /// a while, and no other had room meanwhile.
    fn room(
        &mut self,
        now: Instant,
        made: &Use<'_>,
        member: &PodMember,
        pod: &PodSpec,
    ) -> Result<NewClaim, String> {
        let (id, agent) = (&member.id, &made.offer.agent);
        let labels = labels(&self.spec().name, id);
        let left = member.kept.iter().filter(|it| it.agent == *agent);
        let left: Vec<&PersistenceId> = left.flat_map(|it| &it.volumes).collect();
        if left.is_empty() || pod.volumes.is_empty() {
            return made.rest.fresh(&labels, pod, &[]);
        }
        let there = left.iter().filter_map(|it| made.rest.volume(it));
        let disks: Vec<_> = there.map(|it| it.identity.source.clone()).collect();
        // Which disk it was is not known when none of its volumes is offered.
        let elsewhere = (!disks.is_empty()).then(|| made.rest.fresh(&labels, pod, &disks));
        if let Some(Ok(found)) = elsewhere {
            return Ok(found);
        }
        let found = made.rest.fresh(&labels, pod, &[])?;
        let since = *self.shunned.entry(id.clone()).or_insert(now);
        if now.since_ms(since) < DECLINE_MS {
            let why = format!(
                "it has left the disk of agent {agent}, and is placed there again only when no other has room"
            );
            self.waits(id, why.clone());
            return Err(why);
        }
        self.log(format!(
            "member {id} is placed on the disk of agent {agent} that it has left: no other with room was offered"
        ));
        Ok(found)
    }

    /// The operations that make a claim, and what there is once they are done.
    fn claim(
        &self,
        member: &PodMember,
        pod: &PodSpec,
        offer: &Offer,
        found: &NewClaim,
    ) -> (Vec<Operation>, Vec<Resource>) {
        let spec = self.spec();
        let reservation = reservation(spec, &member.id, &offer.role);
        let reserved = |it: &Resource| match it.identity.is_reserved() {
            true => it.clone(),
            false => it.clone().reserved(reservation.clone()),
        };
        let fresh = found.parts.iter().chain(&found.disks);
        let fresh: Vec<Resource> =
            fresh.filter(|it| !it.identity.is_reserved()).map(reserved).collect();
        let first = member.volumes.first().map(PersistenceId::as_str).unwrap_or_default();
        let mut operations = Vec::new();
        if !fresh.is_empty() {
            operations.push(Operation {
                id: Some(format!("reserve-{first}")),
                action: Action::Claim(ClaimAction::Reserve {
                    resources: fresh,
                    source: Vec::new(),
                }),
            });
        }
        let principal = spec.principal.as_deref();
        let volumes: Vec<Resource> = found
            .disks
            .iter()
            .zip(&pod.volumes)
            .zip(&member.volumes)
            .map(|((disk, volume), id)| reserved(disk).volume(id.clone(), &volume.path, principal))
            .collect();
        operations.push(Operation {
            id: member.volumes.first().map(create_id),
            action: Action::Claim(ClaimAction::Create(volumes.clone())),
        });
        let all = found.parts.iter().map(reserved).chain(volumes).collect();
        (operations, all)
    }

    /// Launches a member's task, once it is written down; whether it could.
    fn launch(
        &mut self,
        made: &mut Use<'_>,
        member: PodMember,
        pod: &PodSpec,
        task: &TaskSpec,
        used: Vec<Resource>,
        before: Vec<Operation>,
    ) -> bool {
        let id = member.id.clone();
        let shown = self.hooks.task(&self.view(), &member, task.clone());
        if let Verdict::NotYet(why) | Verdict::Ask(why) =
            self.hooks.may_start(&self.view(), &member, &shown)
        {
            made.why_not.push(format!("{id}: {why}"));
            self.waits(&id, why);
            return false;
        }
        let mut member = PodMember { launches: member.launches + 1, ..member };
        let name = TaskId::made(format!("{}-{id}-{}", self.spec().name, member.launches));
        let place = (name.clone(), made.offer.agent.clone());
        let info = task_info(&self.view(), pod, &member, &shown, place, used.clone());
        let info = match self.hooks.is_executor(&member, &shown) {
            true => info.and_then(|it| by_its_executor(it, &shown)),
            false => info,
        };
        let info = match info {
            Ok(info) => info,
            Err(why) => {
                made.why_not.push(format!("{id}: {why}"));
                self.waits(&id, why);
                return false;
            }
        };
        member.run = Some(PodRun {
            task: name.clone(),
            name: task.name.clone(),
            generation: member.generation,
            fate: Fate::Launched,
        });
        if before.is_empty() {
            made.rest.take(&used);
        }
        made.operations.extend(before);
        made.operations.push(Operation { id: None, action: Action::Launch(vec![info]) });
        made.taken.push(format!("{id}: {name}"));
        self.refuted.remove(&id);
        self.reasons.remove(&id);
        self.commit_member(member);
        true
    }

    /// Whether a member shall get a task now: none of its own may be alive.
    fn wants_task(&self, now: Instant, member: &PodMember) -> bool {
        let is_free = match member.run.as_ref().map(|it| it.fate) {
            None => true,
            // Nobody has the task, and what it would hold is offered.
            Some(Fate::Unknown(_)) => member.has_claim(),
            Some(_) => false,
        };
        let rests = self.paces.get(&member.id).is_some_and(|it| it.rests(now).is_some());
        member.target == Target::Up && is_free && !rests
    }

    /// The task that a member runs next: the first one-shot task that has not run on its volumes, or
    /// the one that goes on.
    fn next_task(&self, pod: &PodSpec, member: &PodMember) -> Option<TaskSpec> {
        let once = pod.once().find(|it| !member.done.contains(&it.name));
        once.or_else(|| pod.main()).cloned()
    }
}

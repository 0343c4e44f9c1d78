//! SUBSCRIBE and UPDATE_FRAMEWORK: a framework introduces itself, for the first time or again.

use std::collections::BTreeSet;

use holdfast_model::{
    Event, FrameworkId, FrameworkInfo, FrameworkRecord, Instant, LinkId, MasterChange, Role,
    StepContext,
};

use crate::state::{role_view, FrameworkState, Timer};
use crate::{Effect, Master};

/// How many frameworks may be here or expected at once.
pub(crate) const FRAMEWORKS_MAX: usize = 100_000;

impl Master {
    pub(crate) fn subscribe(
        &mut self,
        ctx: &mut StepContext<'_>,
        link: LinkId,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) {
        let known = info.id.as_ref().and_then(|id| self.ledger.frameworks.get(id)).cloned();
        if let Some(other) =
            self.framework_links.get(&link).filter(|it| Some(*it) != info.id.as_ref()).cloned()
        {
            return self.refuse_framework(
                ctx.now,
                link,
                &format!("this connection is framework {other}'s; open another one"),
            );
        }
        if known.is_none() && FRAMEWORKS_MAX <= self.frameworks.len() {
            return self.refuse_framework(
                ctx.now,
                link,
                &format!("there are {FRAMEWORKS_MAX} frameworks already; tear some down"),
            );
        }
        if known.as_ref().is_some_and(|it| it.removed) {
            return self.refuse_framework(
                ctx.now,
                link,
                "Framework has been removed; subscribe without an id to start anew",
            );
        }
        if let Some(known) = known.as_ref().filter(|it| it.info.principal != info.principal) {
            let was = known.info.principal.as_deref().unwrap_or("none").to_owned();
            return self.refuse_framework(
                ctx.now,
                link,
                &format!("a framework keeps its principal, which is {was}"),
            );
        }
        if let Some(stranger) = suppressed.iter().find(|role| !info.roles.contains(role)) {
            return self.refuse_framework(
                ctx.now,
                link,
                &format!("suppressed_roles: `{stranger}` is no role of the framework"),
            );
        }
        let id = match info.id.clone() {
            Some(id) => id,
            None => self.name_framework(),
        };
        if self.frameworks.get(&id).and_then(|it| it.link).is_some_and(|it| link < it) {
            return self.refuse_framework(ctx.now, link, "Framework failed over");
            // A newer link already speaks for it.
        }
        self.welcome(
            ctx.now,
            link,
            &id,
            FrameworkInfo { id: Some(id.clone()), ..info },
            &suppressed,
            known,
        );
    }

    fn refuse_framework(&mut self, now: Instant, link: LinkId, why: &str) {
        self.effects.push(Effect::ToFramework(link, Event::Error(why.to_owned())));
        self.effects.push(Effect::CloseFramework(link));
        self.framework_lost(now, link); // If it was anybody's.
    }

    fn name_framework(&mut self) -> FrameworkId {
        let mut cluster = self.ledger.cluster.clone().expect("a leader's ledger has its cluster");
        let mut id;
        loop {
            id = FrameworkId::made(format!("{}-{:04}", cluster.id, cluster.next_framework));
            cluster.next_framework += 1;
            if !self.ledger.frameworks.contains_key(&id) {
                break; // Those that came with an id of their own keep it.
            }
        }
        self.commit(vec![MasterChange::Cluster(cluster)]);
        id
    }

    fn welcome(
        &mut self,
        now: Instant,
        link: LinkId,
        id: &FrameworkId,
        mut info: FrameworkInfo,
        suppressed: &BTreeSet<Role>,
        known: Option<FrameworkRecord>,
    ) {
        if let Some(known) = &known {
            // These two cannot change while tasks run; Mesos keeps the old ones silently, and so do we.
            (info.user, info.checkpoint) = (known.info.user.clone(), known.info.checkpoint);
        }
        if let Some(deadline) = known.as_ref().and_then(|it| it.deadline) {
            self.clear_timer(deadline, Timer::Framework(id.clone()));
        }
        let registered = known.map_or(now, |it| it.registered);
        let record =
            FrameworkRecord { info: info.clone(), removed: false, deadline: None, registered };
        if self.ledger.frameworks.get(id) != Some(&record) {
            self.commit(vec![MasterChange::Framework(record.clone())]);
        }
        self.discard_offers(id);
        let state = self
            .frameworks
            .entry(id.clone())
            .or_insert_with(|| FrameworkState::absent(&record, now));
        if let Some(old) = state.link.replace(link).filter(|old| *old != link) {
            self.framework_links.remove(&old);
            self.effects
                .push(Effect::ToFramework(old, Event::Error("Framework failed over".to_owned())));
            self.effects.push(Effect::CloseFramework(old));
        }
        self.framework_links.insert(link, id.clone());
        self.redescribe(id, info, suppressed);
        if let Some(state) = self.frameworks.get_mut(id) {
            state.subscribed = now;
        }
        self.filters.revive(id, &BTreeSet::new());
        self.recount(id);
        self.effects.push(Effect::ToFramework(link, Event::Subscribed(id.clone())));
        self.tell_settled(id);
        self.touch_all();
    }

    /// Sets the description; roles that it no longer names stay counted, but get no offers.
    fn redescribe(&mut self, id: &FrameworkId, info: FrameworkInfo, suppressed: &BTreeSet<Role>) {
        let Some(state) = self.frameworks.get_mut(id) else { return };
        state.roles.retain(|it| !it.allocated.is_empty() || info.roles.contains(&it.role));
        for view in &mut state.roles {
            view.suppressed = !info.roles.contains(&view.role) || suppressed.contains(&view.role);
        }
        for role in &info.roles {
            if state.roles.iter().all(|it| it.role != *role) {
                state.roles.push(role_view(role, suppressed.contains(role)));
            }
        }
        state.info = info;
        self.show_framework(id);
    }

    /// Counts what a framework holds, which agents may have told before it came back.
    fn recount(&mut self, id: &FrameworkId) {
        if let Some(state) = self.frameworks.get_mut(id) {
            state.roles.iter_mut().for_each(|it| it.allocated.clear());
        }
        let tasks = self
            .tasks
            .values()
            .filter(|it| it.framework == *id && it.holds())
            .map(|it| it.resources.clone());
        let executors = self
            .agents
            .values()
            .flat_map(|agent| agent.executors.iter())
            .filter(|(key, _)| key.0 == *id);
        let held: Vec<_> = tasks.chain(executors.map(|(_, it)| it.resources.clone())).collect();
        for resources in held {
            self.count_again(id, &resources);
        }
    }

    pub(crate) fn update_framework(
        &mut self,
        id: &FrameworkId,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) {
        let Some(record) = self.ledger.frameworks.get(id).cloned() else { return };
        let old = &record.info;
        if info.principal != old.principal
            || info.user != old.user
            || info.checkpoint != old.checkpoint
        {
            return self.log(format!("framework {id} tried to change its user, checkpoint or principal; its call is ignored"));
        }
        if let Some(stranger) = suppressed.iter().find(|role| !info.roles.contains(role)) {
            return self.log(format!("framework {id}: suppressed_roles: `{stranger}` is none of its roles; its call is ignored"));
        }
        let lost: Vec<Role> =
            old.roles.iter().filter(|role| !info.roles.contains(role)).cloned().collect();
        let info = FrameworkInfo { id: Some(id.clone()), ..info };
        self.commit(vec![MasterChange::Framework(FrameworkRecord {
            info: info.clone(),
            ..record.clone()
        })]);
        self.redescribe(id, info, &suppressed);
        let of_lost = |offer: &&holdfast_model::OfferId| {
            self.offers.get(offer).is_some_and(|it| lost.contains(&it.offer.role))
        };
        let offers: Vec<_> = self
            .frameworks
            .get(id)
            .map(|it| it.offers.iter().filter(of_lost).cloned().collect())
            .unwrap_or_default();
        offers.iter().for_each(|offer| self.rescind(offer));
        self.touch_all();
    }
}

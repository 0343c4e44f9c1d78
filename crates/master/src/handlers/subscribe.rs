//! SUBSCRIBE: a framework introduces itself, for the first time or again.

use std::collections::BTreeSet;

use holdfast_model::convert::Format;
use holdfast_model::{
    Event, FrameworkId, FrameworkInfo, FrameworkRecord, LinkId, MasterChange, Peer, Role,
};

use crate::flows::bookkeeping::recount;
use crate::flows::frameworks::framework_lost;
use crate::flows::offers::discard_offers;
use crate::flows::operations::tell_settled;
use crate::flows::telling::refuse_framework;
use crate::parts::frameworks::Frameworks;
use crate::parts::outbox::Outbox;
use crate::parts::timers::Timer;
use crate::{Belief, Effect, Step};

/// How many frameworks may be here or expected at once.
pub(crate) const FRAMEWORKS_MAX: usize = 100_000;

/// A framework subscribes on `link`.
pub(crate) fn subscribe(
    step: &mut Step,
    belief: &mut Belief,
    link: LinkId,
    info: FrameworkInfo,
    suppressed: BTreeSet<Role>,
) {
    let known = info.id.as_ref().and_then(|id| step.out.ledger().frameworks.get(id)).cloned();
    let why_not = why_not(step, &belief.frameworks, link, &info, known.as_ref())
        .or_else(|| why_no_such_roles(&info, &suppressed));
    if let Some(why) = why_not {
        refuse_framework(step, link, &why);
        return framework_lost(step, belief, link); // If it was anybody's.
    }
    let is_stranger = info.id.is_some() && known.is_none();
    let id = match info.id.clone() {
        Some(id) => id,
        None => name_framework(step.out),
    };
    if belief.frameworks.get(&id).and_then(|it| it.link()).is_some_and(|it| link < it) {
        refuse_framework(step, link, "Framework failed over"); // A newer link already speaks for it.
        return framework_lost(step, belief, link);
    }
    let info = FrameworkInfo { id: Some(id.clone()), ..info };
    welcome(step, belief, (link, &id), info, &suppressed, known);
    if is_stranger {
        belief.allocator.known(&id); // Claims may name it since long before.
    }
}

/// Why that framework cannot subscribe there.
fn why_not(
    step: &Step,
    frameworks: &Frameworks,
    link: LinkId,
    info: &FrameworkInfo,
    known: Option<&FrameworkRecord>,
) -> Option<String> {
    let suspected = info.id.clone().and_then(|id| step.why_suspected(&Peer::Framework(id)));
    if suspected.is_some() {
        return suspected;
    }
    let other = step.links.framework_at(link).filter(|it| Some(*it) != info.id.as_ref());
    if let Some(other) = other {
        return Some(format!("this connection is framework {other}'s; open another one"));
    }
    let Some(known) = known else {
        let many = FRAMEWORKS_MAX <= frameworks.len();
        return many
            .then(|| format!("there are {FRAMEWORKS_MAX} frameworks already; tear some down"));
    };
    if known.removed {
        let why = "Framework has been removed; subscribe without an id to start anew";
        return Some(why.to_owned());
    }
    (known.info.principal != info.principal).then(|| {
        let was = known.info.principal.as_deref().unwrap_or("none");
        format!("a framework keeps its principal, which is {was}")
    })
}

fn why_no_such_roles(info: &FrameworkInfo, suppressed: &BTreeSet<Role>) -> Option<String> {
    let stranger = suppressed.iter().find(|role| !info.roles.contains(role))?;
    Some(format!("suppressed_roles: `{stranger}` is no role of the framework"))
}

fn name_framework(out: &mut Outbox) -> FrameworkId {
    let ledger = out.ledger();
    let mut cluster = ledger.cluster.clone().expect("a leader's ledger has its cluster");
    let mut id;
    loop {
        id = FrameworkId::made(format!("{}-{:04}", cluster.id, cluster.next_framework));
        cluster.next_framework += 1;
        if !ledger.frameworks.contains_key(&id) {
            break; // Those that came with an id of their own keep it.
        }
    }
    out.commit(vec![MasterChange::Cluster(cluster)]);
    id
}

fn welcome(
    step: &mut Step,
    belief: &mut Belief,
    (link, id): (LinkId, &FrameworkId),
    mut info: FrameworkInfo,
    suppressed: &BTreeSet<Role>,
    known: Option<FrameworkRecord>,
) {
    if let Some(known) = &known {
        // These two cannot change while tasks run; Mesos keeps the old ones silently, and so do we.
        (info.user, info.checkpoint) = (known.info.user.clone(), known.info.checkpoint);
    }
    if let Some(deadline) = known.as_ref().and_then(|it| it.deadline) {
        belief.timers.clear(deadline, Timer::Framework(id.clone()));
    }
    let loses = |it: &FrameworkRecord| it.info.roles.iter().any(|it| !info.roles.contains(it));
    let has_lost_roles = known.as_ref().is_some_and(loses);
    let registered = known.map_or(step.now, |it| it.registered);
    let record = FrameworkRecord { info: info.clone(), removed: false, deadline: None, registered };
    if step.out.ledger().frameworks.get(id) != Some(&record) {
        step.out.commit(vec![MasterChange::Framework(record)]);
    }
    discard_offers(&mut belief.offers, id);
    belief.offers.inverse.discard(id);
    let is_new = belief.frameworks.get(id).is_none();
    belief.frameworks.expect(id, &info, step.now);
    if let Some(old) = belief.frameworks.open(id, link, step.now) {
        step.links.close_framework(old);
        refuse_framework(step, old, "Framework failed over");
    }
    step.links.open_framework(link, id.clone());
    let format = Format::of(&info);
    belief.frameworks.describe(id, info, suppressed);
    if is_new {
        recount(belief, id); // Agents may have told of what it holds before it was known.
    }
    step.out.send(Effect::ToFramework(link, Event::Subscribed(id.clone()), format));
    tell_settled(step, &belief.frameworks, &belief.operations, id);
    belief.allocator.revive(id, &BTreeSet::new(), false);
    belief.allocator.described(id, has_lost_roles);
    belief.offers.inverse.connected(id);
}

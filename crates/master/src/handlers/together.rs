//! Several changes of the claims of one agent, all or none, and changes that are made only while the claims are as whoever asks has seen
//! them. Answered once all of it is durable at the agent, which looks once more.
//!
//! Relies on the checks of single operations of operators, each on what the earlier ones leave, whose claims they take from too. Never has
//! half of it begun.

use holdfast_model::{
    AgentId, Asker, Claim, ClaimAction, ClaimId, ClaimState, Conversion, Expected, ExpectedClaim,
    Invalid, MasterLedger, Order, Together,
};

use super::operator_claim::{
    check_one, ending, known_agent, needed_offers, needs_free, order_claim, why_not_free, Force,
    Planned, Wish,
};
use crate::flows::offers::rescind_each;
use crate::flows::ownership::check_taken;
use crate::parts::agents::AgentState;
use crate::parts::offers::OfferRows;
use crate::parts::tasks::TaskRows;
use crate::{Belief, Config, Refusal, RequestId, Step};

/// How many of the newest changes of an agent's claims a refusal names.
const NEWEST: usize = 3;

/// What an operator wants done together, and how.
pub(super) struct Demand {
    pub(super) steps: Vec<ClaimAction>,
    pub(super) expected: Expected,
    pub(super) force: Force,
    /// The one claim that is meant.
    pub(super) claim: Option<ClaimId>,
}

/// Does it. The answer comes when the agent has done it.
///
/// # Errors
/// [`Refusal`] saying which step is wrong, or what has moved on.
pub(super) fn apply(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    agent: &AgentId,
    Demand { steps, expected, force, claim }: Demand,
) -> Result<(), Refusal> {
    let (request, principal) = asked;
    let by = principal.unwrap_or("operator").to_owned();
    let together = Together { by, steps, expected, filling: None };
    let Belief { agents, tasks, offers, operations, .. } = &*belief;
    let known = (step.out.ledger(), tasks.rows(), offers.rows());
    let under_way = operations.of_agent(agent).filter(|(_, it)| it.settled.is_none());
    let under_way = under_way.map(|(_, it)| &it.action);
    let (state, what) = (agents.get(agent), (&together, force, claim));
    let planned = plan(step.config, known, state, agent, what, under_way, principal)?;
    rescind_each(step, belief, planned.rescinded);
    let ownership = Some(planned.ownership);
    let action = ClaimAction::Together(together.clone());
    order_claim(step, belief, (Some(request), principal), agent, &action, |uuid, _, _| {
        Order::ApplyTogether { uuid, together, ownership }
    })
}

/// Ends one claim if it is still of a generation.
///
/// # Errors
/// As for [`apply`].
pub(super) fn end_claim_if(
    step: &mut Step,
    belief: &mut Belief,
    asked: (RequestId, Option<&str>),
    (agent, claim): (&AgentId, ClaimId),
    (force, generation): (Force, u64),
) -> Result<(), Refusal> {
    let steps = vec![ending(step.out.ledger(), agent, claim)?];
    let claims = vec![ExpectedClaim { claim, generation }];
    let expected = Expected { agent: None, claims };
    apply(step, belief, asked, agent, Demand { steps, expected, force, claim: Some(claim) })
}

/// Says what it would come to, and does nothing. `under_way` are the actions that the agent has not settled yet.
///
/// # Errors
/// As for [`apply`].
pub(crate) fn plan<'a>(
    config: &Config,
    (ledger, tasks, offers): (&MasterLedger, &TaskRows, &OfferRows),
    state: Option<&AgentState>,
    agent: &AgentId,
    (together, force, claim): (&Together, Force, Option<ClaimId>),
    under_way: impl Iterator<Item = &'a ClaimAction>,
    principal: Option<&str>,
) -> Result<Planned, Refusal> {
    let there = known_agent(state, agent)?;
    check_expected(ledger, there, &together.expected)?;
    let whole = ClaimAction::Together(together.clone());
    whole.check(Asker::Operator { principal }).map_err(Refusal::Invalid)?;
    let mut total = there.1.total().clone();
    let mut needs = Vec::new();
    for (index, action) in together.steps.iter().enumerate() {
        let checked = check_one(ledger, there, &total, (action, force));
        let conversion = checked.map_err(|it| at_step(together, index, it))?;
        total.subtract_all(&conversion.consumed);
        total.add_all(&conversion.converted);
        needs.push(needs_free(offers, there, action, conversion));
    }
    let ownership = Wish { action: &whole, force, claim }.ownership(config, ledger, agent);
    check_taken(ledger, agent, (&whole, None), &ownership, under_way)
        .map_err(|(index, why)| at_step(together, index, Refusal::Conflict(why)))?;
    // The first step that needs what is not free, by itself or with those before it.
    let mut rescinded = Vec::new();
    for (index, action) in together.steps.iter().enumerate() {
        let consumed = Conversion::net(needs[..=index].iter().cloned()).consumed;
        rescinded = needed_offers(offers, there, &consumed).ok_or_else(|| {
            let why = why_not_free(tasks, offers, there, action, &consumed);
            at_step(together, index, why)
        })?;
    }
    Ok(Planned { rescinded, ownership })
}

/// The same refusal, with the step that it is about, if there are several.
fn at_step(together: &Together, index: usize, refusal: Refusal) -> Refusal {
    let say = |why: String| together.at_step(index, Invalid::new("", why)).why;
    match refusal {
        Refusal::Invalid(it) => Refusal::Invalid(together.at_step(index, it)),
        Refusal::Conflict(why) => Refusal::Conflict(say(why)),
        Refusal::NotFound(why) => Refusal::NotFound(say(why)),
        Refusal::NotLeading => Refusal::NotLeading,
    }
}

/// The claims have to be as whoever asks has seen them, as far as is known here.
fn check_expected(
    ledger: &MasterLedger,
    (agent, state): (&AgentId, &AgentState),
    expected: &Expected,
) -> Result<(), Refusal> {
    let claim = |id: ClaimId| ledger.claims.get(&(agent.clone(), id));
    let moved = expected.moved(state.claims_generation(), claim);
    if moved.is_empty() {
        return Ok(());
    }
    let newest = match expected.agent == Some(state.claims_generation()) || expected.agent.is_none()
    {
        true => String::new(),
        false => newest_changes(ledger, agent),
    };
    Err(Refusal::Conflict(format!(
        "the state has moved on: {}{newest}; nothing was changed",
        moved.join("; ")
    )))
}

/// What was changed last on an agent, of what lives there.
fn newest_changes(ledger: &MasterLedger, agent: &AgentId) -> String {
    let mut newest: Vec<&Claim> = ledger.claims_of(agent).collect();
    let at = |it: &Claim| it.history.last().map_or(it.created, |it| it.at);
    newest.sort_by_key(|it| std::cmp::Reverse(at(it)));
    let line = |claim: &&Claim| {
        let event = claim.history.last()?;
        let going = if claim.state == ClaimState::Destroying { ", on its way out" } else { "" };
        Some(format!(
            "claim {} ({}) {} by {}{going}",
            claim.id, claim.resource, event.what, event.by
        ))
    };
    let lines: Vec<String> = newest.iter().take(NEWEST).filter_map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!(" (the newest changes there: {})", lines.join(", ")),
    }
}

//! What operators ask for. A claim is answered once it is durable at its agent; what is needed for it is
//! taken out of offers in the same step, so that nobody can come in between.

use holdfast_model::{
    Action, AgentId, Asker, ClaimAction, Event, FrameworkId, Identity, Instant, Invalid,
    MasterChange, NamedOperation, OfferId, Operation, OperationUuid, Order, PendingOperation,
    Resources, Role, Scalar, StepContext,
};

use crate::state::{AgentHealth, InFlight};
use crate::{Effect, Master, OperatorCall, Refusal, RequestId};

impl Master {
    pub(crate) fn operator_asks(
        &mut self,
        ctx: &mut StepContext<'_>,
        request: RequestId,
        call: OperatorCall,
    ) {
        let answer = match call {
            OperatorCall::Claim { agent, action, principal, plan } => {
                match self.operator_claim(ctx, request, &agent, &action, principal.as_deref(), plan)
                {
                    Ok(true) => return, // Answered when the agent has done it.
                    Ok(false) => Ok(()),
                    Err(refusal) => Err(refusal),
                }
            }
            OperatorCall::Teardown(framework) => self.operator_teardown(ctx.now, &framework),
            OperatorCall::Kill(framework, task) => {
                let known = self
                    .tasks
                    .get(&(framework.clone(), task.clone()))
                    .filter(|it| !it.state.is_terminal());
                match known {
                    None => Err(Refusal::NotFound(format!(
                        "framework {framework} has no live task `{task}`"
                    ))),
                    Some(_) => {
                        self.kill(ctx.now, &framework, task, None, None);
                        Ok(())
                    }
                }
            }
            OperatorCall::Weight(role, weight) if weight.as_thousandths() <= 0 => {
                Err(Refusal::Invalid(Invalid::new(
                    "weight",
                    format!("{weight} for `{role}`: a weight must be greater than 0"),
                )))
            }
            OperatorCall::Weight(role, weight) => {
                self.weigh(role, weight);
                Ok(())
            }
        };
        self.effects.push(Effect::Answer(request, answer));
    }

    /// What is offered already was divided by other weights; it is divided anew.
    fn weigh(&mut self, role: Role, weight: Scalar) {
        if self.ledger.weights.get(&role).copied().unwrap_or(Scalar::whole(1)) == weight {
            return;
        }
        let concerned = |it: &Role| *it == role || it.is_below(&role);
        let is_used = self.frameworks.values().any(|it| it.info.roles.iter().any(concerned));
        self.commit(vec![MasterChange::Weight(role, weight)]);
        if is_used {
            let offers: Vec<OfferId> = self.offers.keys().cloned().collect();
            offers.iter().for_each(|offer| self.rescind(offer));
        }
        self.touch_all();
    }

    fn operator_teardown(&mut self, now: Instant, framework: &FrameworkId) -> Result<(), Refusal> {
        match self.ledger.frameworks.get(framework) {
            Some(it) if !it.removed => {
                self.tell(
                    framework,
                    Event::Error("Framework has been removed by an operator".to_owned()),
                );
                self.remove_framework(now, framework);
                Ok(())
            }
            Some(_) => Err(Refusal::NotFound(format!("framework {framework} was removed before"))),
            None => Err(Refusal::NotFound(format!("there is no framework {framework}"))),
        }
    }

    /// Says whether the answer comes later.
    fn operator_claim(
        &mut self,
        ctx: &mut StepContext<'_>,
        request: RequestId,
        agent: &AgentId,
        action: &ClaimAction,
        principal: Option<&str>,
        plan: bool,
    ) -> Result<bool, Refusal> {
        action.check(Asker::Operator { principal }).map_err(Refusal::Invalid)?;
        let state = self
            .agents
            .get(agent)
            .ok_or_else(|| Refusal::NotFound(format!("there is no agent {agent}")))?;
        match &state.health {
            AgentHealth::Well => {}
            AgentHealth::Away(_) => {
                return Err(Refusal::Conflict(format!(
                    "agent {agent} is not connected; try again when it is back"
                )))
            }
            AgentHealth::Fenced(why) => return Err(Refusal::Conflict(why.clone())),
            AgentHealth::Resyncing | AgentHealth::Joining => {
                return Err(Refusal::Conflict(format!(
                    "agent {agent} is just reporting what it has; try again"
                )));
            }
        }
        self.check_known(agent, action)?;
        self.check_names(agent, action).map_err(|it| Refusal::Conflict(it.to_string()))?;
        let conversion = action.conversion();
        let mut after = state.total.clone();
        action.apply(&mut after).map_err(|it| Refusal::Conflict(it.to_string()))?;
        let rescinded = self.needed_offers(agent, action, &conversion.consumed)?;
        if plan {
            return Ok(false);
        }
        rescinded.iter().for_each(|offer| self.rescind(offer));
        self.order_claim(ctx, request, agent, action, principal)?;
        Ok(true)
    }

    /// An operation on a volume that does not exist is wrong rather than early; one on a volume that cannot be found now has to wait
    /// until it is back: its agent would try for ever, and nobody can say whether its bytes were meant.
    fn check_known(&self, agent: &AgentId, action: &ClaimAction) -> Result<(), Refusal> {
        let ClaimAction::Destroy(volumes) = action else { return Ok(()) };
        for (index, volume) in volumes.iter().enumerate() {
            let id =
                volume.identity.persistence.as_ref().map(ToString::to_string).unwrap_or_default();
            let Some(claim) = self
                .ledger
                .claims_of(agent)
                .find(|claim| claim.resource.identity == volume.identity)
            else {
                let why = format!("agent {agent} has no such volume `{id}`; see its claims");
                return Err(Refusal::Invalid(Invalid::new(format!("volumes[{index}]"), why)));
            };
            if let Some(fault) = self.agents.get(agent).and_then(|it| it.faults.get(&claim.id)) {
                return Err(Refusal::Conflict(format!(
                    "volume `{id}` on agent {agent} cannot be used now: {fault}"
                )));
            }
        }
        Ok(())
    }

    /// The offers that have to be taken back so that `needed` is free.
    fn needed_offers(
        &self,
        agent: &AgentId,
        action: &ClaimAction,
        needed: &Resources,
    ) -> Result<Vec<OfferId>, Refusal> {
        let Some(state) = self.agents.get(agent) else { return Ok(Vec::new()) };
        let (mut free, mut rescinded) = (state.free(), Vec::new());
        for id in &state.offers {
            if free.contains(needed) {
                break;
            }
            let Some(offered) = self.offers.get(id).map(|it| it.offer.resources.unallocated())
            else {
                continue;
            };
            let short = |identity: &Identity| !free.contains(&needed.filter(|it| it == identity));
            if needed
                .entries()
                .any(|(identity, _)| offered.get(identity).is_some() && short(identity))
            {
                free.add_all(&offered);
                rescinded.push(id.clone());
            }
        }
        if free.contains(needed) {
            return Ok(rescinded);
        }
        let missing = needed
            .iter()
            .find(|it| !free.contains_one(it))
            .map_or_else(|| needed.to_string(), |it| it.to_string());
        let users: Vec<String> = self.users_of(agent, needed);
        if let (ClaimAction::Destroy(_), false) = (action, users.is_empty()) {
            let why = format!(
                "{missing} on agent {agent} is in use by {}; end it first",
                users.join(", ")
            );
            return Err(Refusal::Invalid(Invalid::new("volumes", why)));
        }
        let by = if users.is_empty() {
            String::new()
        } else {
            format!(", used by {}", users.join(", "))
        };
        Err(Refusal::Conflict(format!("{missing} is not free on agent {agent}{by}")))
    }

    fn users_of(&self, agent: &AgentId, needed: &Resources) -> Vec<String> {
        let uses = |resources: &Resources| {
            resources.unallocated().entries().any(|(identity, _)| needed.get(identity).is_some())
        };
        let tasks = self
            .tasks
            .values()
            .filter(|it| it.agent == *agent && !it.state.is_terminal() && uses(&it.resources));
        tasks.take(5).map(|it| format!("task `{}` of framework {}", it.id, it.framework)).collect()
    }

    fn order_claim(
        &mut self,
        ctx: &mut StepContext<'_>,
        request: RequestId,
        agent: &AgentId,
        action: &ClaimAction,
        principal: Option<&str>,
    ) -> Result<(), Refusal> {
        let uuid = OperationUuid(ctx.ids.fresh());
        let action = self.speculate(agent, (uuid, uuid), action).map_err(Refusal::Invalid)?;
        let operation = Operation { id: None, action: Action::Claim(action.clone()) };
        let in_flight = InFlight {
            framework: None,
            id: None,
            agent: agent.clone(),
            action,
            request: Some(request),
            settled: None,
        };
        self.operations.insert(uuid, in_flight);
        let pending = PendingOperation {
            uuid,
            framework: None,
            agent: agent.clone(),
            operation: operation.clone(),
        };
        let by = principal.unwrap_or("operator").to_owned();
        let operations = vec![NamedOperation { uuid, operation }];
        self.order(agent, Order::Apply { framework: None, role: None, by, operations });
        self.commit(vec![MasterChange::Pending(pending)]);
        self.touch(agent);
        Ok(())
    }
}

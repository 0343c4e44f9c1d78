//! ACCEPT: a framework uses offers. Operations are tried strictly in order, each on what the earlier
//! ones left; one that fails is dropped with a reason, and the later ones are still tried.

use holdfast_model::{
    Action, AgentId, Asker, ClaimAction, Event, Filters, FrameworkId, Identity, Instant, Invalid,
    MasterChange, NamedOperation, OfferId, Operation, OperationState, OperationStatus,
    OperationUuid, Order, PendingOperation, Reason, Resource, Resources, Role, StatusSource,
    StepContext, TaskId, TaskState, TaskStatus, Unreadable,
};

use crate::reconcile::status_of;
use crate::state::{AgentHealth, InFlight};
use crate::Master;

/// An ACCEPT half-way through its list.
pub(crate) struct Accepting {
    pub(crate) framework: FrameworkId,
    pub(crate) agent: AgentId,
    pub(crate) role: Role,
    /// What is left of the offers, allocated, as the earlier operations changed it.
    pub(crate) pool: Resources,
    /// What goes to the agent.
    pub(crate) orders: Vec<NamedOperation>,
    pub(crate) pending: Vec<MasterChange>,
    /// The first of its operations on claims.
    pub(crate) group: Option<OperationUuid>,
}

impl Master {
    pub(crate) fn accept(
        &mut self,
        ctx: &mut StepContext<'_>,
        framework: &FrameworkId,
        offers: Vec<OfferId>,
        operations: Vec<Operation>,
        filters: Filters,
    ) {
        let (mut accepting, offered) = match self.pool(framework, &offers) {
            Ok(pooled) => pooled,
            Err(why) => return self.accept_failed(ctx, framework, operations, &why),
        };
        for operation in operations {
            self.accept_one(ctx, &mut accepting, operation);
        }
        let Accepting { agent, role, pool, orders, pending, group, .. } = accepting;
        let destroys = orders
            .iter()
            .any(|it| matches!(it.operation.action, Action::Claim(ClaimAction::Destroy(_))));
        self.send_orders(framework, &agent, &role, orders, pending);
        let (left, made): (Vec<Resource>, Vec<Resource>) =
            pool.iter().partition(|it| offered.contains_one(it));
        let left = left.iter().collect::<Resources>().unallocated();
        let withheld = group.and_then(|it| self.agents.get_mut(&agent)?.withheld.get_mut(&it));
        match withheld {
            // What was made and not used is offered as soon as it is there, together with what was left beside it. Trash takes its time,
            // though, and nobody else's machine waits for it.
            Some(withheld) if !made.is_empty() && !destroys => withheld.what.add_all(&left),
            // What was offered and is left unchanged is declined.
            _ => self.refuse(ctx.now, framework, &role, &agent, &left, filters),
        }
        self.touch(&agent);
    }

    /// Uses the offers up, and pools what they hold.
    fn pool(
        &mut self,
        framework: &FrameworkId,
        offers: &[OfferId],
    ) -> Result<(Accepting, Resources), String> {
        let mut seen = std::collections::BTreeSet::new();
        let mut error =
            offers.is_empty().then(|| "an ACCEPT must name at least one offer".to_owned());
        let mut pooled: Option<Accepting> = None;
        for id in offers {
            let known = self.offers.get(id).is_some_and(|it| it.offer.framework == *framework);
            if !seen.insert(id) {
                error = Some(format!("offer {id} is named twice"));
            } else if !known {
                error = Some(format!("offer {id} is no longer valid: it was rescinded, answered before, or never yours"));
            } else if let Some(offer) = self.take_offer(id) {
                let accepting = pooled
                    .get_or_insert_with(|| Accepting::new(framework, &offer.agent, &offer.role));
                if accepting.agent != offer.agent || accepting.role != offer.role {
                    error = Some("the offers are of different agents or roles".to_owned());
                }
                accepting.pool.add_all(&offer.resources);
            }
        }
        let accepting = match (error, pooled) {
            (None, Some(accepting)) => accepting,
            (error, _) => {
                return Err(error.unwrap_or_else(|| "there was no valid offer".to_owned()))
            }
        };
        if self.agents.get(&accepting.agent).is_none_or(|it| it.health != AgentHealth::Well) {
            return Err(format!(
                "agent {} cannot be used now; wait for a new offer",
                accepting.agent
            ));
        }
        let offered = accepting.pool.clone();
        Ok((accepting, offered))
    }

    /// Nothing of it can be done: every task and every operation hears why.
    fn accept_failed(
        &mut self,
        ctx: &mut StepContext<'_>,
        framework: &FrameworkId,
        operations: Vec<Operation>,
        why: &str,
    ) {
        for operation in operations {
            match operation.action {
                Action::Launch(tasks) | Action::LaunchGroup(_, tasks) => {
                    for task in tasks {
                        self.tell_dropped(ctx, framework, &task.id, Some(&task.agent), why);
                    }
                }
                Action::Unreadable(Unreadable { tasks, .. }) if !tasks.is_empty() => {
                    tasks
                        .iter()
                        .for_each(|task| self.tell_dropped(ctx, framework, task, None, why));
                }
                _ => self.tell_operation(framework, operation.id, OperationState::Error, why),
            }
        }
    }

    fn tell_dropped(
        &mut self,
        ctx: &StepContext<'_>,
        framework: &FrameworkId,
        task: &TaskId,
        agent: Option<&AgentId>,
        why: &str,
    ) {
        if self.tell_of_namesake(ctx.now, framework, task, why) {
            return;
        }
        let status = TaskStatus::new(task.clone(), TaskState::Dropped, ctx.now);
        let status = agent.into_iter().fold(status, |status, agent| status.at_agent(agent));
        self.tell(
            framework,
            Event::Update(status.because(StatusSource::Master, Reason::InvalidOffers, why)),
        );
    }

    /// A task of that name is known already, and a bad end of the new one would be taken for its own. So what is told is how the known
    /// one is, as if it had been asked for; says whether there is one.
    pub(crate) fn tell_of_namesake(
        &mut self,
        now: Instant,
        framework: &FrameworkId,
        task: &TaskId,
        why: &str,
    ) -> bool {
        let Some(known) = self.tasks.get(&(framework.clone(), task.clone())) else { return false };
        let message = Some(format!("another task of this id was not launched ({why}); this is how the one that is known is"));
        let status = TaskStatus { message, ..status_of(now, known) };
        self.tell(framework, Event::Update(status));
        true
    }

    /// Answers an operation that never went to an agent. Without an id nobody could tell which one is meant.
    pub(crate) fn tell_operation(
        &mut self,
        framework: &FrameworkId,
        id: Option<String>,
        state: OperationState,
        why: &str,
    ) {
        if id.is_none() {
            return self.log(format!("an operation of {framework} was dropped: {why}"));
        }
        let status = OperationStatus {
            id,
            state,
            message: Some(why.to_owned()),
            converted: Resources::new(),
            uuid: None,
            agent: None,
        };
        self.tell(framework, Event::UpdateOperation(status));
    }

    fn accept_one(
        &mut self,
        ctx: &mut StepContext<'_>,
        accepting: &mut Accepting,
        operation: Operation,
    ) {
        let framework = accepting.framework.clone();
        match operation.action {
            Action::Claim(action) => {
                if let Err(invalid) =
                    self.accept_claim(ctx, accepting, operation.id.clone(), action)
                {
                    self.tell_operation(
                        &framework,
                        operation.id,
                        OperationState::Error,
                        &invalid.to_string(),
                    );
                }
            }
            Action::Launch(tasks) => self.accept_launch(ctx, accepting, operation.id, tasks),
            Action::LaunchGroup(executor, tasks) => {
                self.accept_group(ctx, accepting, operation.id, executor, tasks)
            }
            Action::Unsupported(name) => {
                let why = format!("{name} is not supported yet");
                self.tell_operation(&framework, operation.id, OperationState::Error, &why);
            }
            Action::Unreadable(Unreadable { why, tasks, .. }) if tasks.is_empty() => {
                self.tell_operation(
                    &framework,
                    operation.id,
                    OperationState::Error,
                    &why.to_string(),
                );
            }
            Action::Unreadable(Unreadable { why, tasks, group }) => {
                let (reason, why) = (
                    if group { Reason::TaskGroupInvalid } else { Reason::TaskInvalid },
                    why.to_string(),
                );
                tasks.iter().for_each(|task| self.tell_invalid(ctx, accepting, task, reason, &why));
            }
        }
    }

    fn accept_claim(
        &mut self,
        ctx: &mut StepContext<'_>,
        accepting: &mut Accepting,
        id: Option<String>,
        action: ClaimAction,
    ) -> Result<(), Invalid> {
        let state = self
            .frameworks
            .get(&accepting.framework)
            .ok_or_else(|| Invalid::new("framework_id", "unknown"))?;
        if id.as_ref().is_some_and(|id| {
            self.operation_names.contains_key(&(accepting.framework.clone(), id.clone()))
        }) {
            return Err(Invalid::new(
                "id",
                "an operation of this id is still under way or unacknowledged; choose another",
            ));
        }
        let role = accepting.role.clone();
        let action = action.map(|it| {
            if it.identity.allocation.is_none() {
                it.clone().allocated_to(&role)
            } else {
                it.clone()
            }
        });
        let destroys = matches!(action, ClaimAction::Destroy(_));
        let made = if destroys {
            self.volumes_made(&accepting.framework, &accepting.agent)
        } else {
            Vec::new()
        };
        action.check(Asker::Framework {
            roles: &state.info.roles,
            principal: state.info.principal.as_deref(),
            made: &made,
        })?;
        let mut pool = accepting.pool.clone();
        action.apply(&mut pool)?;
        let uuid = OperationUuid(ctx.ids.fresh());
        let group = *accepting.group.get_or_insert(uuid);
        let bare = self.speculate(&accepting.agent, (group, uuid), &action)?;
        accepting.pool = pool;
        let operation = Operation { id: id.clone(), action: Action::Claim(bare.clone()) };
        let in_flight = InFlight {
            framework: Some(accepting.framework.clone()),
            id: id.clone(),
            agent: accepting.agent.clone(),
            action: bare,
            request: None,
            settled: None,
        };
        self.operations.insert(uuid, in_flight);
        if let Some(id) = id {
            self.operation_names.insert((accepting.framework.clone(), id), uuid);
        }
        accepting.pending.push(MasterChange::Pending(PendingOperation {
            uuid,
            framework: Some(accepting.framework.clone()),
            agent: accepting.agent.clone(),
            operation: operation.clone(),
        }));
        accepting.orders.push(NamedOperation { uuid, operation });
        Ok(())
    }

    /// The volumes of an agent that a framework made itself, or is making.
    fn volumes_made(&self, framework: &FrameworkId, agent: &AgentId) -> Vec<Identity> {
        let theirs = self
            .ledger
            .claims_of(agent)
            .filter(|it| it.is_volume() && it.framework.as_ref() == Some(framework));
        let under_way = self
            .operations
            .values()
            .filter(|it| it.framework.as_ref() == Some(framework) && it.agent == *agent);
        let making = under_way.flat_map(|it| match &it.action {
            ClaimAction::Create(volumes) => volumes.as_slice(),
            _ => &[],
        });
        theirs
            .map(|it| it.resource.identity.clone())
            .chain(making.map(|it| it.identity.clone()))
            .collect()
    }

    /// Believes an action done on the agent, before the agent says so. Returns it without allocations.
    pub(crate) fn speculate(
        &mut self,
        agent: &AgentId,
        (group, uuid): (OperationUuid, OperationUuid),
        action: &ClaimAction,
    ) -> Result<ClaimAction, Invalid> {
        let bare = action.map(|it| it.clone().unallocated());
        self.check_names(agent, &bare)?;
        let state =
            self.agents.get_mut(agent).ok_or_else(|| Invalid::new("agent_id", "unknown"))?;
        let free = state.free();
        bare.apply(&mut state.total)?;
        state.withhold(group, uuid, &bare, free);
        Ok(bare)
    }

    /// A volume that cannot be used now keeps its name. (Of those that can, the law sees to that.)
    pub(crate) fn check_names(&self, agent: &AgentId, action: &ClaimAction) -> Result<(), Invalid> {
        let (ClaimAction::Create(volumes), Some(state)) = (action, self.agents.get(agent)) else {
            return Ok(());
        };
        let faulty = state
            .faults
            .iter()
            .filter_map(|(id, why)| Some((self.ledger.claims.get(&(agent.clone(), *id))?, why)));
        for (claim, why) in faulty.filter(|(claim, _)| claim.is_volume()) {
            let named = |it: &Identity| (it.role(), it.persistence.clone());
            let same = |it: &Resource| named(&it.identity) == named(&claim.resource.identity);
            if let Some(index) = volumes.iter().position(same) {
                let why = format!("the role has a volume of this name on this agent, which cannot be used now ({why}); choose another id");
                return Err(Invalid::new(format!("volumes[{index}].disk.persistence.id"), why));
            }
        }
        Ok(())
    }

    /// Sends what an ACCEPT came to; the masters' memory of it is written in parallel, since the agent's is the truth.
    fn send_orders(
        &mut self,
        framework: &FrameworkId,
        agent: &AgentId,
        role: &Role,
        operations: Vec<NamedOperation>,
        pending: Vec<MasterChange>,
    ) {
        if operations.is_empty() {
            return;
        }
        let Some(info) = self.frameworks.get(framework).map(|it| Box::new(it.info.clone())) else {
            return;
        };
        let by = info.principal.clone().unwrap_or_else(|| info.name.clone());
        self.order(
            agent,
            Order::Apply { framework: Some(info), role: Some(role.clone()), by, operations },
        );
        self.commit(pending);
    }
}

impl Accepting {
    fn new(framework: &FrameworkId, agent: &AgentId, role: &Role) -> Accepting {
        Accepting {
            framework: framework.clone(),
            agent: agent.clone(),
            role: role.clone(),
            pool: Resources::new(),
            orders: Vec::new(),
            pending: Vec::new(),
            group: None,
        }
    }
}

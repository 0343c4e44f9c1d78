//! The master's port from its first moment on: before it leads it sends clients to who does, then it lets them in.
//!
//! Relies on the leader's announcement, which is a hint: whoever follows it finds out. Never answers for the cluster while this
//! process does not lead, and never goes back: who has led once does so until the process ends.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use holdfast_api::Object;
use holdfast_proto::holdfast::v1::{FromAgent, ToAgent};
use holdfast_proto::mesos::v1::scheduler::{Call as SchedulerCall, Event as SchedulerEvent};
use holdfast_proto::mesos::v1::{master, VersionInfo};
use holdfast_wire::{
    Caller, JsonText, LeadershipState, LinkEnd, LinkHead, LogWish, MasterApi, MasterForm,
    MasterPage, Metric, Outbox, Query, Refusal,
};
use uuid::Uuid;

use super::api::LeaderApi;
use super::place::Place;
use crate::counts;
use crate::logging;
use crate::refusals::may_log;

/// What this process has come to.
enum Stage {
    /// It has won, and reads its ledger.
    Recovering,
    /// It answers.
    Leading(Arc<LeaderApi>),
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    place: Place,
    won: Arc<OnceLock<()>>,
    api: Arc<OnceLock<Arc<LeaderApi>>>,
}

impl Front {
    /// Nobody has won anything yet.
    pub fn new(place: Place) -> Front {
        Front { place, won: Arc::default(), api: Arc::default() }
    }

    /// This process leads, and will answer soon.
    pub fn recover(&self) {
        self.won.get_or_init(|| ());
    }

    /// This process answers, from now on.
    pub fn open(&self, api: Arc<LeaderApi>) {
        self.api.get_or_init(|| api);
    }

    fn stage(&self) -> Option<Stage> {
        let leading = self.api.get().cloned().map(Stage::Leading);
        leading.or_else(|| self.won.get().map(|()| Stage::Recovering))
    }

    fn leading(&self) -> Result<&Arc<LeaderApi>, Refusal> {
        self.api
            .get()
            .ok_or_else(|| Refusal::unavailable("this master does not lead; ask the others"))
    }
}

#[async_trait]
impl MasterApi for Front {
    fn leadership_state(&self) -> LeadershipState {
        match self.stage() {
            Some(Stage::Leading(api)) => LeadershipState::Leading { address: api.address.clone() },
            Some(Stage::Recovering) => LeadershipState::Recovering,
            // A hint that cannot be read is as good as none.
            None => LeadershipState::Standby {
                leader: self.place.leadership().leader().ok().flatten().map(|it| it.address),
            },
        }
    }

    fn version(&self) -> VersionInfo {
        crate::version::info()
    }

    fn metrics(&self) -> Vec<Metric> {
        let stands_by = || vec![Metric::gauge("master/elected", "Whether this master leads.", 0.0)];
        let mut metrics = self.api.get().map_or_else(stands_by, |api| {
            let mut metrics = api.gauges.read();
            metrics.extend(api.counts.metrics());
            metrics.extend(super::metrics::queues(&api.inbox, &api.events));
            metrics
        });
        metrics.extend(counts::machine());
        metrics
    }

    async fn subscribe(
        &self,
        head: LinkHead,
        call: SchedulerCall,
        outbox: Outbox<SchedulerEvent>,
    ) -> Result<(), Refusal> {
        self.leading()?.subscribe(head, call, outbox).await
    }

    async fn scheduler_call(
        &self,
        stream_id: Uuid,
        caller: &Caller,
        call: SchedulerCall,
    ) -> Result<(), Refusal> {
        self.leading()?.scheduler_call(stream_id, caller, call).await
    }

    async fn framework_gone(&self, stream_id: Uuid, _end: LinkEnd) {
        if let Ok(api) = self.leading() {
            api.framework_gone(stream_id).await;
        }
    }

    async fn watch(&self, head: LinkHead, outbox: Outbox<master::Event>) -> Result<(), Refusal> {
        self.leading()?.watch(head, outbox)
    }

    async fn watcher_gone(&self, stream_id: Uuid, _end: LinkEnd) {
        if let Ok(api) = self.leading() {
            api.events.leave(stream_id);
        }
    }

    async fn agent_attach(&self, head: LinkHead, outbox: Outbox<ToAgent>) -> Result<(), Refusal> {
        self.leading()?.agent_attach(head, outbox)
    }

    async fn agent_message(&self, stream_id: Uuid, message: FromAgent) -> Result<(), Refusal> {
        self.leading()?.agent_message(stream_id, message).await
    }

    async fn agent_gone(&self, stream_id: Uuid, _end: LinkEnd) {
        if let Ok(api) = self.leading() {
            api.agent_gone(stream_id).await;
        }
    }

    fn logging(&self, caller: &Caller, wish: Option<LogWish>) -> Result<u32, Refusal> {
        may_log(caller, Object::Master, wish.is_some())?;
        logging::change(wish)
    }

    async fn operator(
        &self,
        caller: &Caller,
        call: master::Call,
    ) -> Result<Option<master::Response>, Refusal> {
        self.leading()?.operator(caller, call).await
    }

    async fn page(
        &self,
        caller: &Caller,
        page: MasterPage,
        query: &Query,
    ) -> Result<JsonText, Refusal> {
        self.leading()?.page(caller, page, query).await
    }

    async fn act(&self, caller: &Caller, form: MasterForm, fields: &Query) -> Result<(), Refusal> {
        self.leading()?.act(caller, form, fields).await
    }

    async fn native(
        &self,
        caller: &Caller,
        posted: bool,
        name: &str,
        query: &Query,
    ) -> Result<JsonText, Refusal> {
        self.leading()?.native(caller, posted, name, query).await
    }
}

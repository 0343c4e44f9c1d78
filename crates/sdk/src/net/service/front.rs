//! The pages of a service, and what it is told by them: `/v1/...`.
//!
//! It turns requests into questions to the service's loop, and its answers into JSON. It never looks
//! at the keeper itself: whatever is shown is rendered between two steps, when somebody asks.

use async_trait::async_trait;
use holdfast_proto::mesos::v1::VersionInfo;
use holdfast_wire::{Caller, FrameworkApi, JsonText, Query, Refusal};
use serde::de::DeserializeOwned;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::super::rows::{ChangeRow, DoneRow, OrderDocument, SpecDocument};
use super::super::spec_file::parse_spec;
use super::told::{change_row, done_row, fewer, refusal, would_row};
use crate::plans::PlanKind;
use crate::pods::{Answer, Command, MemberId, Refused, Request};
use crate::spec::ServiceSpec;

/// How many requests may wait for the loop.
pub(super) const QUESTIONS_MAX: usize = 64;

/// What is served.
const PAGES: [(&str, &str); 5] = [
    ("/v1/service", "how it stands, its spec, and what it waits for"),
    ("/v1/plans", "its plans, step by step"),
    ("/v1/pods", "its members"),
    ("/v1/endpoints", "where its members can be reached"),
    ("/v1/offers", "the last offers, and why each was not taken"),
];

/// A page that is rendered between two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The service as a whole.
    Service,
    /// All plans.
    Plans,
    /// The members.
    Pods,
    /// The endpoints.
    Endpoints,
    /// The last offers.
    Offers,
}

/// A question to the loop of a service.
pub(super) enum Question {
    /// A page.
    Read(Page, oneshot::Sender<JsonText>),
    /// A change.
    Order(Command, oneshot::Sender<Result<Answer, Refused>>),
    /// How many members a pod shall have: what has to be asked for that.
    Scale(String, u32, oneshot::Sender<Result<Scaled, Refused>>),
}

/// Another number of members.
pub(super) enum Scaled {
    /// More of them are another spec.
    Out(Box<ServiceSpec>),
    /// Fewer are a plan of their own; so many there shall be now.
    In(u32),
}

/// What answers the requests of a service's port.
pub(super) struct Front {
    pub name: String,
    pub questions: mpsc::Sender<Question>,
}

#[async_trait]
impl FrameworkApi for Front {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: env!("CARGO_PKG_VERSION").to_owned(), ..VersionInfo::default() }
    }

    fn pages(&self) -> Vec<(&'static str, &'static str)> {
        PAGES.to_vec()
    }

    async fn read(&self, path: &str, _query: &Query) -> Result<JsonText, Refusal> {
        let page = match path {
            "/v1/service" => Page::Service,
            "/v1/plans" => Page::Plans,
            "/v1/pods" => Page::Pods,
            "/v1/endpoints" => Page::Endpoints,
            "/v1/offers" => Page::Offers,
            _ => return Err(unknown(path)),
        };
        self.ask(|answer| Question::Read(page, answer)).await
    }

    async fn act(
        &self,
        caller: &Caller,
        path: &str,
        query: &Query,
        document: &str,
    ) -> Result<JsonText, Refusal> {
        let is_preview = query.get("plan").is_some_and(|it| it == "true");
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if let ["v1", "spec"] = parts.as_slice() {
            let document: SpecDocument = read(document)?;
            let by = asker(caller, &document.by);
            let spec = parse_spec("the spec", document.toml.as_bytes())
                .map_err(|error| Refusal::bad_request(error.to_string()))?;
            let request = Request::Spec { spec: Box::new(spec), is_preview };
            return self.change(Command { by, request }, is_preview).await;
        }
        let document: OrderDocument = read(document)?;
        let by = asker(caller, &document.by);
        if let ["v1", "pods", pod, "scale"] = parts.as_slice() {
            let count = document.count;
            let count = count.ok_or_else(|| Refusal::bad_request("name the `count`"))?;
            return self.scale(by, pod, count, is_preview).await;
        }
        let is_release = query.get("release").is_some_and(|it| it == "true");
        let request = order(&parts, document.step, is_release).ok_or_else(|| unknown(path))??;
        let request = if is_preview { Request::Preview(Box::new(request)) } else { request };
        let answer = self.ask(|answer| Question::Order(Command { by, request }, answer)).await?;
        let row = if is_preview { would_row } else { done_row };
        answer.map(|it| JsonText::of::<DoneRow>(&row(&it))).map_err(|it| refusal(&it))
    }
}

impl Front {
    /// Asks the loop.
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Refusal> {
        let stopping = |_| Refusal::unavailable("this scheduler is stopping; start it again");
        let (answer, answered) = oneshot::channel();
        self.questions.send(question(answer)).await.map_err(|_| stopping(()))?;
        answered.await.map_err(|_| stopping(()))
    }

    async fn scale(
        &self,
        by: String,
        pod: &str,
        count: u32,
        is_preview: bool,
    ) -> Result<JsonText, Refusal> {
        let scaled = self.ask(|answer| Question::Scale(pod.to_owned(), count, answer)).await?;
        let now = match scaled.map_err(|it| refusal(&it))? {
            Scaled::Out(spec) => {
                let request = Request::Spec { spec, is_preview };
                return self.change(Command { by, request }, is_preview).await;
            }
            Scaled::In(now) => now,
        };
        let request = Request::ScaleIn(pod.to_owned(), count);
        let request = if is_preview { Request::Preview(Box::new(request)) } else { request };
        let answer = self.ask(|answer| Question::Order(Command { by, request }, answer)).await?;
        let done = done_row(&answer.map_err(|it| refusal(&it))?);
        let differences = vec![fewer(pod, now, count)];
        let accepted = !is_preview;
        Ok(JsonText::of(&ChangeRow { differences, plan: done.plan, steps: done.steps, accepted }))
    }

    async fn change(&self, command: Command, is_preview: bool) -> Result<JsonText, Refusal> {
        let answer = self.ask(|answer| Question::Order(command, answer)).await?;
        changed(answer, is_preview)
    }
}

fn changed(answer: Result<Answer, Refused>, is_preview: bool) -> Result<JsonText, Refusal> {
    answer
        .map(|it| JsonText::of::<ChangeRow>(&change_row(&it, is_preview)))
        .map_err(|it| refusal(&it))
}

/// What a path asks for; `None` for one that is not served.
fn order(
    parts: &[&str],
    step: Option<String>,
    is_release: bool,
) -> Option<Result<Request, Refusal>> {
    let needed = |step: Option<String>| {
        step.ok_or_else(|| Refusal::bad_request("name the `step`, as the plan names it"))
    };
    let request = match parts {
        ["v1", "plans", plan, verb] => {
            let Some(kind) = PlanKind::of_name(plan) else {
                return Some(Err(Refusal::not_found(format!("there is no plan `{plan}`"))));
            };
            match *verb {
                "pause" => Ok(Request::Pause(kind)),
                "resume" => Ok(Request::Resume(kind)),
                "retry" => needed(step).map(|it| Request::Retry(kind, it)),
                "force-complete" => needed(step).map(|it| Request::ForceComplete(kind, it)),
                "start" => Ok(Request::Start(kind)),
                _ => return None,
            }
        }
        ["v1", "pods", pod, "restart"] => match member(pod) {
            Some(MemberId { pod, index }) => Ok(Request::Restart(pod, Some(index))),
            None => Ok(Request::Restart((*pod).to_owned(), None)),
        },
        ["v1", "pods", pod, "replace"] => needed_member(pod).map(Request::Replace),
        ["v1", "pods", pod, "release"] => needed_member(pod).map(Request::Release),
        ["v1", "adopt"] => Ok(Request::Adopt),
        ["v1", "new"] => Ok(Request::New),
        ["v1", "uninstall"] => Ok(Request::Uninstall { is_release }),
        _ => return None,
    };
    Some(request)
}

/// The member of that name: its pod, and its number.
fn member(name: &str) -> Option<MemberId> {
    let (pod, index) = name.rsplit_once('-')?;
    Some(MemberId::new(pod, index.parse().ok()?))
}

fn needed_member(name: &str) -> Result<MemberId, Refusal> {
    member(name).ok_or_else(|| {
        Refusal::bad_request(format!("`{name}` is no member; write its pod and its number, node-0"))
    })
}

fn read<T: DeserializeOwned + Default>(document: &str) -> Result<T, Refusal> {
    match document.is_empty() {
        true => Ok(T::default()),
        false => serde_json::from_str(document)
            .map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}"))),
    }
}

/// Who asks: as he says, and from where.
fn asker(caller: &Caller, by: &str) -> String {
    let said: String = by.chars().filter(|it| !it.is_control()).take(100).collect();
    match said.is_empty() {
        true => caller.peer.ip().to_string(),
        false => format!("{said} ({})", caller.peer.ip()),
    }
}

fn unknown(path: &str) -> Refusal {
    Refusal::not_found(format!("there is no `{path}` here; see `/` for what is served"))
}

/// A page as JSON.
pub(super) fn page<T: Serialize + ?Sized>(rows: &T) -> JsonText {
    JsonText::of(rows)
}

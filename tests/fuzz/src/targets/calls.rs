//! Calls of the Mesos API: the first byte says in which media type, the rest is the body.

use holdfast_api::requests::{
    executor_request, scheduler_call, subscription, AgentRead, NestedRequest, NestedStream,
    OperatorRequest,
};
use holdfast_model::CallerIdentity;
use holdfast_proto::mesos::v1;
use holdfast_wire::{Content, Wired};

/// A call that a body is, and that reads as the same once it is written.
fn body<T: Wired + Clone>(input: &[u8]) -> Option<T> {
    let (first, body) = input.split_first()?;
    let content = if first % 2 == 0 { Content::Json } else { Content::Protobuf };
    let read: T = content.decode(body).ok()?;
    let written = content.encode(&read);
    let again: T = content.decode(&written).expect("what we write we read");
    assert!(content.encode(&again) == written, "what is read again is what was read");
    Some(read)
}

fn caller() -> CallerIdentity {
    CallerIdentity::Anonymous
}

pub(super) fn scheduler(input: &[u8]) {
    if let Some(call) = body::<v1::scheduler::Call>(input) {
        drop(subscription(&caller(), call.clone()));
        drop(scheduler_call(&caller(), call));
    }
}

pub(super) fn executor(input: &[u8]) {
    if let Some(call) = body::<v1::executor::Call>(input) {
        drop(executor_request(&caller(), call));
    }
}

pub(super) fn master(input: &[u8]) {
    if let Some(call) = body::<v1::master::Call>(input) {
        drop(OperatorRequest::parse(&caller(), call));
    }
}

pub(super) fn agent(input: &[u8]) {
    if let Some(call) = body::<v1::agent::Call>(input) {
        drop(AgentRead::parse(&caller(), &call));
        drop(NestedRequest::parse(&caller(), &call));
        drop(NestedStream::parse(&caller(), &call));
    }
}

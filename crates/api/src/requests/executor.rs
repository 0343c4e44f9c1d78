//! Calls of the executor API.

use holdfast_model::convert::executor::call_from_proto;
use holdfast_model::{CallerIdentity, ExecutorCall, ExecutorKey};
use holdfast_proto::mesos::v1::executor::Call as Wire;

use crate::{authorize, Action, Object, Refusal};

/// What the agent's core is told by an executor, and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorRequest {
    /// Who speaks.
    pub caller: CallerIdentity,
    /// As which executor.
    pub executor: ExecutorKey,
    /// What is said.
    pub call: ExecutorCall,
}

/// Reads a call.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field, [`Refusal::NotServed`] for a type that nobody knows, [`Refusal::Forbidden`].
pub fn executor_request(caller: &CallerIdentity, wire: Wire) -> Result<ExecutorRequest, Refusal> {
    let from =
        call_from_proto(wire)?.ok_or_else(|| Refusal::NotServed("unknown call".to_owned()))?;
    let executor = (from.framework, from.executor);
    authorize(caller, Action::ActAsExecutor, Object::Executor(&executor.0, &executor.1))?;
    Ok(ExecutorRequest { caller: caller.clone(), executor, call: from.call })
}

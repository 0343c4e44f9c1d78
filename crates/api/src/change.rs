//! Documents of changes, read and written; see [`ChangeDocument`].
//!
//! Relies on the conversion of operations. Never passes over a field that it does not know.

use holdfast_model::convert::{operation, Format};
use holdfast_model::{Action, AgentId, ClaimAction, ClaimId, Expected, ExpectedClaim, Operation};
use holdfast_proto::json;

use crate::rows::ChangeDocument;
use crate::Refusal;

/// What a document says.
pub(crate) struct Change {
    pub(crate) agent: AgentId,
    pub(crate) steps: Vec<ClaimAction>,
    pub(crate) expected: Expected,
    pub(crate) how: How,
}

/// How it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Whether claims end though their frameworks were not removed.
    pub force: bool,
    /// The one claim that is meant.
    pub claim: Option<ClaimId>,
}

/// Reads a document.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub(crate) fn read(text: &str) -> Result<Change, Refusal> {
    let document: ChangeDocument =
        serde_json::from_str(text).map_err(|it| Refusal::Invalid(it.to_string()))?;
    let agent = AgentId::parse(&document.agent)?;
    let operations = document.operations.iter().enumerate();
    let steps = operations.map(|(index, it)| step(index, it)).collect::<Result<Vec<_>, _>>()?;
    let claim = |(id, generation): (&String, &u64)| -> Result<ExpectedClaim, Refusal> {
        Ok(ExpectedClaim { claim: ClaimId::parse(id)?, generation: *generation })
    };
    let claims = document.if_claims.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    let expected = Expected { agent: document.if_generation, claims };
    let claim = meant(document.claim.as_deref(), &steps)?;
    Ok(Change { agent, steps, expected, how: How { force: document.force, claim } })
}

fn meant(claim: Option<&str>, steps: &[ClaimAction]) -> Result<Option<ClaimId>, Refusal> {
    let Some(claim) = claim else { return Ok(None) };
    let claim = ClaimId::parse(claim)?;
    match steps {
        [ClaimAction::Unreserve(list) | ClaimAction::Destroy(list)] if list.len() == 1 => {
            Ok(Some(claim))
        }
        _ => Err(Refusal::Invalid(
            "claim: is what one UNRESERVE or DESTROY of one resource means; leave it out of others"
                .to_owned(),
        )),
    }
}

fn step(index: usize, value: &serde_json::Value) -> Result<ClaimAction, Refusal> {
    let invalid = |why: String| Refusal::Invalid(format!("operations[{index}]: {why}"));
    let wire = json::from_slice(value.to_string().as_bytes());
    let wire = wire.map_err(|it| invalid(it.to_string()))?;
    match operation::from_proto(wire).map_err(|it| invalid(it.to_string()))? {
        Operation { id: Some(_), .. } => {
            Err(invalid("id: all operations are one, which gets its name from the master".to_owned()))
        }
        Operation { action: Action::Claim(action), .. } => Ok(action),
        _ => Err(invalid(
            "type: only RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME can be applied"
                .to_owned(),
        )),
    }
}

/// Writes a document.
pub fn write(
    agent: &AgentId,
    steps: &[ClaimAction],
    expected: &Expected,
    how: How,
) -> ChangeDocument {
    let operation = |action: &ClaimAction| {
        let operation = Operation { id: None, action: Action::Claim(action.clone()) };
        let text = json::to_string(&operation::to_proto(&operation, Format::WHOLE));
        serde_json::from_str(&text).expect("what was written as JSON is JSON")
    };
    ChangeDocument {
        agent: agent.to_string(),
        if_generation: expected.agent,
        if_claims: expected.claims.iter().map(|it| (it.claim.to_string(), it.generation)).collect(),
        claim: how.claim.map(|it| it.to_string()),
        force: how.force,
        operations: steps.iter().map(operation).collect(),
    }
}

//! Changes of an agent's claims as a document: what `POST /holdfast/v1/apply` takes, and what a plan carries so that it can be carried out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Operations on one agent, all or none, and how its claims have to be for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeDocument {
    /// The agent's id.
    pub agent: String,
    /// The generation that the agent's claims as a whole must have; any when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_generation: Option<u64>,
    /// Claims that must be there, and their generations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub if_claims: BTreeMap<String, u64>,
    /// The claim that is meant, whichever others look the same; only of one UNRESERVE or DESTROY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Whether claims end though their frameworks were not removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME, as in an ACCEPT of the Mesos API.
    pub operations: Vec<serde_json::Value>,
}

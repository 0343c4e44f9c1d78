//! `/registrar(1)/registry`: what the masters must not forget, in the shape of Mesos's registry.
//!
//! Relies on the masters' ledger; never shows what is only believed.

use holdfast_model::{AgentRecord, Presence};
use holdfast_proto::mesos::v1;
use serde::Serialize;

use crate::v1::{weights, MasterFacts};
use crate::MasterView;

/// The registry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registry {
    gone: Absent,
    master: Master,
    slaves: Admitted,
    unreachable: Absent,
    weights: Vec<Weight>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Master {
    info: v1::MasterInfo,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Admitted {
    slaves: Vec<AdmittedAgent>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct AdmittedAgent {
    info: AgentName,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct AgentName {
    hostname: String,
    id: v1::AgentId,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Absent {
    slaves: Vec<AbsentAgent>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct AbsentAgent {
    id: v1::AgentId,
    timestamp: v1::TimeInfo,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Weight {
    info: v1::WeightInfo,
}

/// What the masters' ledger says.
pub fn registry(view: &MasterView, facts: &MasterFacts) -> Registry {
    let agents = &view.ledger().agents;
    let absent = |presence| {
        let those = agents.values().filter(|it| it.presence == presence);
        Absent { slaves: those.map(absent_agent).collect() }
    };
    let admitted = agents.values().filter(|it| it.presence == Presence::Admitted);
    Registry {
        gone: absent(Presence::Gone),
        master: Master { info: facts.info.clone() },
        slaves: Admitted { slaves: admitted.map(admitted_agent).collect() },
        unreachable: absent(Presence::Unreachable),
        weights: weights(view).weight_infos.into_iter().map(|info| Weight { info }).collect(),
    }
}

fn admitted_agent(record: &AgentRecord) -> AdmittedAgent {
    let id = v1::AgentId { value: record.id.to_string() };
    AdmittedAgent { info: AgentName { hostname: record.hostname.clone(), id, port: record.port } }
}

fn absent_agent(record: &AgentRecord) -> AbsentAgent {
    let nanoseconds = i64::try_from(record.since.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    AbsentAgent {
        id: v1::AgentId { value: record.id.to_string() },
        timestamp: v1::TimeInfo { nanoseconds },
    }
}

//! Asks the masters which volumes of a role there are: a service whose ledger is empty may have an
//! old self.
//!
//! It relies on the masters' native API. It never takes silence for an answer: what could not be
//! asked is asked again.

use std::time::Duration;

use holdfast_model::{AgentId, FrameworkId, PersistenceId, Role};
use holdfast_quorum::Masters;
use holdfast_wire::MesosClient;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::pods::FoundVolume;

/// How long an ensemble may take to say who leads.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is read of a claim.
#[derive(Deserialize)]
struct ClaimRow {
    role: String,
    agent: String,
    volume: Option<String>,
    framework: Option<String>,
}

/// Asks in the background; the answer, or that there was none, is told once.
pub(super) fn ask(masters: Masters, role: Role, teller: mpsc::Sender<Option<Vec<FoundVolume>>>) {
    tokio::spawn(async move {
        let found = look(&masters, &role).await;
        // Nobody listens any more when the process ends.
        let _ = teller.send(found).await;
    });
}

async fn look(masters: &Masters, role: &Role) -> Option<Vec<FoundVolume>> {
    let client = MesosClient::default();
    for address in masters.next(PATIENCE).await {
        let Ok(answer) = client.get_json(&address, "/holdfast/v1/claims").await else { continue };
        let rows = Vec::<ClaimRow>::deserialize(&answer).ok()?;
        return rows
            .into_iter()
            .filter(|it| it.role == role.as_str() && it.volume.is_some())
            .map(found)
            .collect();
    }
    None
}

/// `None` for what cannot be read, which makes the whole answer none.
fn found(row: ClaimRow) -> Option<FoundVolume> {
    Some(FoundVolume {
        agent: AgentId::parse(&row.agent).ok()?,
        volume: PersistenceId::parse(&row.volume?).ok()?,
        framework: row.framework.and_then(|it| FrameworkId::parse(&it).ok()),
    })
}

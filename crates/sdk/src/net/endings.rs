//! Asks the masters what became of volumes: by their native API, beside the session.
//!
//! It relies on them for the truth. It never waits for an answer in the way of the session, and what cannot be read is no answer: the
//! keeper asks again.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_model::{AgentId, ClaimId, FrameworkId, PersistenceId};
use holdfast_quorum::Masters;
use holdfast_wire::{ClientError, MesosClient};
use tokio::sync::mpsc;

use crate::ended::{EndedVolume, Endings, MovedVolume};

/// How long an ensemble may take to say who leads.
const PATIENCE: Duration = Duration::from_secs(5);

/// The questions that are open, and the answers.
pub(super) struct Questions {
    client: MesosClient,
    masters: Masters,
    open: BTreeSet<PersistenceId>,
    teller: mpsc::Sender<(PersistenceId, Option<Endings>)>,
    answers: mpsc::Receiver<(PersistenceId, Option<Endings>)>,
}

impl Questions {
    /// Nothing is asked yet.
    pub(super) fn new(masters: Masters) -> Questions {
        let (teller, answers) = mpsc::channel(16);
        Questions {
            client: MesosClient::default(),
            masters,
            open: BTreeSet::new(),
            teller,
            answers,
        }
    }

    /// Asks about a volume, unless that was asked and is not answered yet: whether it has ended, and, if it was offered elsewhere, whether it
    /// was moved.
    pub(super) fn ask(
        &mut self,
        framework: Option<&FrameworkId>,
        agent: AgentId,
        volume: PersistenceId,
        is_sighted: bool,
    ) {
        let Some(framework) = framework.cloned() else { return };
        if !self.open.insert(volume.clone()) {
            return;
        }
        let (client, masters) = (self.client.clone(), self.masters.clone());
        let teller = self.teller.clone();
        tokio::spawn(async move {
            let found = look(&client, &masters, &framework, (&agent, &volume), is_sighted).await;
            // Nobody listens any more when the process ends.
            let _ = teller.send((volume, found)).await;
        });
    }

    /// The next answer; never, as long as nothing is asked.
    pub(super) async fn answer(&mut self) -> Option<Endings> {
        let (volume, found) = self.answers.recv().await?;
        self.open.remove(&volume);
        found
    }
}

/// What has ended first, then what lives.
async fn look(
    client: &MesosClient,
    masters: &Masters,
    framework: &FrameworkId,
    (agent, volume): (&AgentId, &PersistenceId),
    is_sighted: bool,
) -> Option<Endings> {
    let query = format!("about={}&agent={}", escaped(volume.as_str()), escaped(agent.as_str()));
    let path = format!("/holdfast/v1/ended-claims?{query}");
    for master in &masters.next(PATIENCE).await {
        match read(client, master, &path, framework, (agent, volume), is_sighted).await {
            Ok(endings) => return Some(endings),
            Err(error) => tracing::debug!("{master} does not say what became of {volume}: {error}"),
        }
    }
    None
}

async fn read(
    client: &MesosClient,
    master: &str,
    path: &str,
    framework: &FrameworkId,
    (agent, volume): (&AgentId, &PersistenceId),
    is_sighted: bool,
) -> Result<Endings, ClientError> {
    let rows = client.get_json(master, path).await?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let text = |it: &str| Some(it.to_owned());
    let ended = rows.iter().filter_map(|row| {
        Some(EndedVolume {
            claim: ClaimId::parse(row["id"].as_str()?).ok()?,
            agent: AgentId::parse(row["agent"].as_str()?).ok()?,
            volume: PersistenceId::parse(row["volume"].as_str()?).ok()?,
            framework: row["framework"].as_str().and_then(|it| FrameworkId::parse(it).ok()),
            how: row["how"].as_str().and_then(text),
            by: row["by"].as_str().and_then(text),
        })
    });
    let ended: Vec<EndedVolume> = ended.collect();
    // The list of all claims is read only where it may prove something.
    if ended.is_empty() && !is_sighted {
        return Ok(Endings::default());
    }
    let rows = client.get_json(master, "/holdfast/v1/claims").await?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let is_ours = |it: Option<&str>| it == Some(framework.as_str());
    let moved = rows.iter().filter_map(|row| {
        let is_it = row["volume"].as_str() == Some(volume.as_str());
        let mut events = row["history"].as_array()?.iter().filter_map(|it| it["what"].as_str());
        let is_moved = is_ours(row["framework"].as_str()) && is_it;
        if !is_moved || !events.any(|what| says_left(what, agent)) {
            return None;
        }
        let to = AgentId::parse(row["agent"].as_str()?).ok()?;
        Some(MovedVolume { volume: volume.clone(), from: agent.clone(), to })
    });
    let moved = moved.collect();
    let ours = rows.iter().filter(|row| is_ours(row["framework"].as_str()));
    let living = ours.filter_map(|row| {
        let agent = AgentId::parse(row["agent"].as_str()?).ok()?;
        Some((agent, PersistenceId::parse(row["volume"].as_str()?).ok()?))
    });
    Ok(Endings { ended, living: living.collect(), moved })
}

/// Whether an event of a claim's history says that it has left an agent with its disk.
fn says_left(what: &str, agent: &AgentId) -> bool {
    what.starts_with("moved with its disk from ")
        && what.contains(&format!(" on agent {agent} to "))
}

/// A value in a query.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

//! Looking at the cluster from outside: what the master says, and what really lies on the disks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context};
use holdfast_proto::mesos::v1::master::{call, Call};
use holdfast_wire::{ClientError, ClientSettings, MesosClient};
use serde_json::Value;
use tokio::time::Instant;

use super::proof::{acknowledged, Acknowledged};

/// How long anything may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);
/// After how long masters that do not answer are asked once more who leads.
const ROUND: Duration = Duration::from_millis(100);
/// How often they are asked before it is said that nobody leads.
const ROUNDS_MAX: usize = 10;
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A volume of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its uuid.
    pub uuid: String,
    /// The agent that has it.
    pub agent: String,
    /// Where its data lie.
    pub data: PathBuf,
}

/// The service as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Each member's running task.
    pub tasks: BTreeMap<u32, String>,
    /// Each member's volume.
    pub volumes: BTreeMap<u32, Volume>,
    /// How many of their tasks run: more than there are members when one runs twice.
    pub running: usize,
    /// How many agents are well.
    pub agents_well: usize,
    /// Whether the scheduler is connected.
    pub connected: bool,
}

/// Somebody who looks.
pub struct Observer {
    client: MesosClient,
    masters: Vec<String>,
    journal: PathBuf,
    scratch: PathBuf,
    ledger: PathBuf,
}

impl Observer {
    /// Looks at this cluster, and into the ledger of its scheduler.
    pub fn new(masters: Vec<String>, journal: &Path, scratch: &Path, ledger: &Path) -> Observer {
        let client = MesosClient::new(ClientSettings::default());
        let (journal, scratch, ledger) =
            (journal.to_owned(), scratch.to_owned(), ledger.to_owned());
        Observer { client, masters, journal, scratch, ledger }
    }

    /// Waits for no answer longer than that: whoever is asked may hang, and another one may know.
    #[must_use]
    pub fn impatient(self, timeout: Duration) -> Observer {
        let settings = ClientSettings {
            connect_timeout: timeout,
            call_timeout: timeout,
            ..ClientSettings::default()
        };
        Observer { client: MesosClient::new(settings), ..self }
    }

    /// The master that leads now, as it says itself: a master that does not lead sends the question on to it. All are asked, and again while
    /// some of them do not answer: whoever hangs, and whoever sends questions on to them, is not waited for.
    pub async fn leader(&self) -> Option<String> {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..ROUNDS_MAX {
            for master in self.masters.clone() {
                let client = self.client.clone();
                asked.spawn(async move { leader_by(&client, &master).await });
            }
            let round = async {
                while let Some(said) = asked.join_next().await {
                    if let Ok(Ok(Some(leader))) = said {
                        return Some(leader);
                    }
                }
                None
            };
            if let Ok(answer) = tokio::time::timeout(ROUND, round).await {
                return answer;
            }
        }
        None
    }

    /// Whom to ask.
    async fn master(&self) -> anyhow::Result<String> {
        match &self.masters[..] {
            [only] => Ok(only.clone()),
            _ => self.leader().await.context("no master says that it leads"),
        }
    }

    /// The directory of everything.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    async fn list(&self, name: &str) -> anyhow::Result<Vec<Value>> {
        self.list_of(&self.master().await?, name).await
    }

    async fn list_of(&self, master: &str, name: &str) -> anyhow::Result<Vec<Value>> {
        let value = self.client.get_json(master, &format!("/holdfast/v1/{name}")).await?;
        value.as_array().cloned().with_context(|| format!("the master's {name} are no list"))
    }

    /// How the service is now.
    ///
    /// # Errors
    /// When the master does not answer.
    pub async fn service(&self) -> anyhow::Result<Service> {
        let mut service = Service::default();
        let master = self.master().await?;
        for task in self.list_of(&master, "tasks").await? {
            if text(&task, "state") == "TASK_RUNNING" {
                if let Some(member) = member(text(&task, "id")) {
                    service.running += 1;
                    service.tasks.insert(member, text(&task, "id").to_owned());
                }
            }
        }
        let disks = self.list_of(&master, "disks").await?;
        let root = |id: &str| {
            disks.iter().find(|it| text(it, "id") == id).map(|it| PathBuf::from(text(it, "root")))
        };
        for claim in self.list_of(&master, "claims").await? {
            let (Some(member), Some(root)) =
                (member(text(&claim, "volume")), root(text(&claim, "disk")))
            else {
                continue;
            };
            let uuid = text(&claim, "id").to_owned();
            let data = root.join("holdfast").join("volumes").join(&uuid).join("data");
            service
                .volumes
                .insert(member, Volume { uuid, agent: text(&claim, "agent").to_owned(), data });
        }
        service.agents_well = self
            .list_of(&master, "agents")
            .await?
            .iter()
            .filter(|it| text(it, "state") == "well")
            .count();
        service.connected = self
            .list_of(&master, "frameworks")
            .await?
            .iter()
            .any(|it| text(it, "state") == "connected");
        Ok(service)
    }

    /// Waits until the service is as wanted; returns it and how long that took.
    ///
    /// # Errors
    /// When it is not in time; says what is missing.
    pub async fn wait(
        &self,
        what: &str,
        wanted: impl Fn(&Service) -> bool,
    ) -> anyhow::Result<(Service, Duration)> {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < PATIENCE {
            match self.service().await {
                Ok(service) if wanted(&service) => return Ok((service, begin.elapsed())),
                seen => last = Some(seen),
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        match last {
            Some(Ok(service)) => bail!(
                "{what}: not within {} s; running are {:?}",
                PATIENCE.as_secs(),
                service.tasks.values()
            ),
            Some(Err(error)) => Err(error.context(what.to_owned())),
            None => bail!("{what}: nobody looked"),
        }
    }

    /// Waits until a member's later task has failed by itself; returns what its node said last.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn refusal(&self, wanted: u32, was: &str) -> anyhow::Result<String> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            for task in self.list("tasks").await? {
                let id = text(&task, "id");
                if member(id) == Some(wanted) && id != was && text(&task, "state") == "TASK_FAILED"
                {
                    return Ok(self.last_words(&task).await);
                }
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!("member {wanted} did not refuse to start within {} s", PATIENCE.as_secs())
    }

    /// The last line that a task's program wrote to its standard error.
    async fn last_words(&self, task: &Value) -> String {
        let sandbox = format!(
            "/{}/frameworks/{}/executors/{}/runs/latest",
            text(task, "agent"),
            text(task, "framework"),
            text(task, "executor")
        );
        let path = format!("/files/download?path={sandbox}/stderr");
        let log = self
            .client
            .get_bytes(text(task, "agent_address"), &path)
            .await
            .map(|it| String::from_utf8_lossy(&it).into_owned());
        let said = log.ok().and_then(|it| {
            it.lines().rev().find(|line| line.starts_with("journal:")).map(str::to_owned)
        });
        said.unwrap_or_else(|| text(task, "message").to_owned())
    }

    /// Reads and proves the whole chain of records on a volume; the checksum of each.
    ///
    /// # Errors
    /// When it is missing, damaged or unreadable.
    pub async fn chain(&self, volume: &Volume) -> anyhow::Result<Vec<u32>> {
        let output = tokio::process::Command::new(&self.journal)
            .args(["verify", "--sums"])
            .arg(&volume.data)
            .output()
            .await?;
        if !output.status.success() {
            bail!("volume {}: {}", volume.uuid, String::from_utf8_lossy(&output.stderr).trim());
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let sums: Option<Vec<u32>> =
            said.lines().map(|it| u32::from_str_radix(it, 16).ok()).collect();
        sums.with_context(|| format!("`{}` does not list checksums", self.journal.display()))
    }

    /// Waits until a volume has more than `count` records; returns the checksum of each.
    ///
    /// # Errors
    /// When that does not happen in time, or the chain is damaged.
    pub async fn wait_for_more(&self, volume: &Volume, count: usize) -> anyhow::Result<Vec<u32>> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let now = self.chain(volume).await?;
            if count < now.len() {
                return Ok(now);
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!(
            "volume {}: no record was added to {count} within {} s",
            volume.uuid,
            PATIENCE.as_secs()
        )
    }

    /// Waits until at least `count` records of each member have been acknowledged.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_for_acknowledged(&self, members: usize, count: usize) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let now = acknowledged(&self.ledger)?;
            if now.len() == members && now.values().all(|it| count <= it.count) {
                return Ok(());
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!("not every member had {count} records acknowledged within {} s", PATIENCE.as_secs())
    }

    /// What was acknowledged, by member, as the scheduler has written it down.
    ///
    /// # Errors
    /// When its ledger cannot be read.
    pub fn acknowledged(&self) -> anyhow::Result<BTreeMap<u32, Acknowledged>> {
        acknowledged(&self.ledger)
    }
}

/// The master that leads, as this one says; `None` when it says something else.
async fn leader_by(client: &MesosClient, master: &str) -> Result<Option<String>, ClientError> {
    let call = Call { r#type: Some(call::Type::GetMaster.into()), ..Call::default() };
    let answer = client.operator(master, &call).await?;
    let info = answer.and_then(|it| it.get_master).and_then(|it| it.master_info);
    let address = info.and_then(|it| it.address);
    Ok(address.and_then(|it| Some(format!("{}:{}", it.ip?, it.port))))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `journal-2-7` belongs to member 2.
fn member(name: &str) -> Option<u32> {
    name.strip_prefix("journal-")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_member() {
        assert_eq!(member("journal-2-7"), Some(2));
        assert_eq!(member("other-2-7"), None);
        assert_eq!(member(""), None);
    }
}

//! What happens, in order: the service starts, five things are killed, and each time everything comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use super::observe::{Observer, Service, Volume};
use super::processes::{find, kill, Scheduler};
use super::proof::Proof;
use crate::dev::cluster::Cluster;
use crate::dev::process::Kind;

/// How many records of each member are acknowledged before anything is killed.
const RECORDS_FIRST: usize = 50;

/// What one kill came to.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What was killed.
    pub killed: String,
    /// How long until everything ran again; `None` when it never did.
    pub back: Option<Duration>,
    /// Whether each member has the volume that it had.
    pub same_volumes: bool,
    /// Records that were acknowledged before and are not there any more, or are others.
    pub lost: usize,
    /// Records afterwards.
    pub records: usize,
}

/// The story so far.
pub struct Story {
    observer: Observer,
    members: usize,
    sabotage: bool,
    begin: Instant,
    volumes: BTreeMap<u32, Volume>,
    /// What was told.
    pub scenes: Vec<Scene>,
    /// Whether it came to its end.
    pub complete: bool,
}

impl Story {
    /// A story to be told.
    pub fn new(observer: Observer, members: u32, sabotage: bool) -> Story {
        let members = usize::try_from(members).unwrap_or(usize::MAX);
        Story {
            observer,
            members,
            sabotage,
            begin: Instant::now(),
            volumes: BTreeMap::new(),
            scenes: Vec::new(),
            complete: false,
        }
    }

    /// The volumes that the service was given.
    pub fn volumes(&self) -> &BTreeMap<u32, Volume> {
        &self.volumes
    }

    fn say(&self, what: &str) {
        println!("  {:7.3} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    /// Tells it.
    ///
    /// # Errors
    /// Where it breaks off: something did not come back, or a record is damaged.
    pub async fn tell(
        &mut self,
        cluster: &mut Cluster,
        scheduler: &mut Scheduler,
    ) -> anyhow::Result<()> {
        let agents: Vec<&str> = cluster
            .processes()
            .filter(|it| it.kind() == Kind::Agent)
            .map(|it| it.address())
            .collect();
        self.say(&format!(
            "master at {}, agents at {}",
            cluster.meeting_place(),
            agents.join(", ")
        ));
        scheduler.start()?;
        let members = self.members;
        let (service, took) =
            self.observer.wait("the service starts", |it| it.tasks.len() == members).await?;
        self.say(&format!(
            "all {members} members run, {:.0} ms after the scheduler was started",
            took.as_secs_f64() * 1000.0
        ));
        self.volumes = service.volumes;
        for (member, volume) in &self.volumes {
            self.say(&format!(
                "member {member} has volume {} on agent {}",
                volume.uuid,
                short(&volume.agent)
            ));
        }
        self.observer.wait_for_acknowledged(members, RECORDS_FIRST).await?;
        self.kill_task().await?;
        self.kill_executor().await?;
        self.kill_agent(cluster).await?;
        self.kill_scheduler(scheduler).await?;
        self.kill_master(cluster).await?;
        if self.sabotage {
            self.sabotage().await?;
        }
        self.complete = true;
        Ok(())
    }

    async fn kill_task(&mut self) -> anyhow::Result<()> {
        let before = self.before("a task").await?;
        let pid = find(self.observer.scratch(), "node", 0)?;
        let was = self.task_of(0).await?;
        kill(pid).await?;
        let members = self.members;
        self.after("a task", before, |it| {
            it.tasks.len() == members && it.tasks.get(&0).is_some_and(|task| *task != was)
        })
        .await
    }

    async fn kill_executor(&mut self) -> anyhow::Result<()> {
        let last = self.last_member();
        let before = self.before("an executor").await?;
        let pid = find(self.observer.scratch(), "executor", last)?;
        let was = self.task_of(last).await?;
        kill(pid).await?;
        let members = self.members;
        self.after("an executor", before, |it| {
            it.tasks.len() == members && it.tasks.get(&last).is_some_and(|task| *task != was)
        })
        .await
    }

    async fn kill_agent(&mut self, cluster: &mut Cluster) -> anyhow::Result<()> {
        let before = self.before("an agent").await?;
        cluster.kill("agent-0").await;
        cluster.start_again("agent-0").await?;
        let members = self.members;
        self.after("an agent", before, |it| it.tasks.len() == members && it.agents_well == members)
            .await
    }

    async fn kill_scheduler(&mut self, scheduler: &mut Scheduler) -> anyhow::Result<()> {
        let before = self.before("the scheduler").await?;
        scheduler.kill().await;
        self.observer.wait("the scheduler's end is noticed", |it| !it.connected).await?;
        scheduler.start()?;
        let members = self.members;
        self.after("the scheduler", before, |it| it.connected && it.tasks.len() == members).await
    }

    async fn kill_master(&mut self, cluster: &mut Cluster) -> anyhow::Result<()> {
        let before = self.before("the master").await?;
        cluster.kill("master").await;
        cluster.start_again("master").await?;
        let members = self.members;
        let whole =
            |it: &Service| it.connected && it.agents_well == members && it.tasks.len() == members;
        self.after("the master", before, whole).await
    }

    /// Takes a journal away and kills its node: it must not come back as if nothing had happened.
    async fn sabotage(&mut self) -> anyhow::Result<()> {
        let volume = self.volumes.get(&0).cloned().context("member 0 has no volume")?;
        let was = self.task_of(0).await?;
        self.say(&format!("sabotage: the journal on volume {} is removed behind everybody's back, and its node killed", volume.uuid));
        std::fs::remove_file(volume.data.join("journal"))
            .context("the journal cannot be removed")?;
        if let Ok(pid) = find(self.observer.scratch(), "node", 0) {
            // It may have noticed, and ended, by itself.
            let _ = kill(pid).await;
        }
        let refused = self.observer.refusal(0, &was).await?;
        self.say(&format!("member 0 refuses to start: {refused}"));
        self.observer.chain(&volume).await.map(drop)
    }

    fn last_member(&self) -> u32 {
        self.volumes.keys().copied().next_back().unwrap_or(0)
    }

    async fn task_of(&self, member: u32) -> anyhow::Result<String> {
        let service = self.observer.service().await?;
        service.tasks.get(&member).cloned().with_context(|| format!("member {member} does not run"))
    }

    /// Notes every member's acknowledged records, and starts the clock.
    async fn before(&self, what: &str) -> anyhow::Result<Before> {
        let acknowledged = self.observer.acknowledged()?;
        let mut members = BTreeMap::new();
        for (member, volume) in &self.volumes {
            let chain = self.observer.chain(volume).await?;
            let told = acknowledged.get(member).copied().unwrap_or_default();
            let proof = Proof::new(told, &chain).with_context(|| format!("member {member}"))?;
            members.insert(*member, (proof, chain.len()));
        }
        let count: usize = members.values().map(|(proof, _)| proof.count()).sum();
        self.say(&format!("kill -9 {what}; {count} records are acknowledged"));
        Ok(Before { begin: Instant::now(), members })
    }

    async fn after(
        &mut self,
        killed: &str,
        before: Before,
        whole: impl Fn(&Service) -> bool,
    ) -> anyhow::Result<()> {
        let waited = self.observer.wait(&format!("after {killed} was killed"), whole).await;
        let back = before.begin.elapsed();
        let (service, mut broken) =
            waited.map_or_else(|error| (None, Some(error)), |(service, _)| (Some(service), None));
        let (mut lost, mut records) = (0, 0);
        for (member, volume) in self.volumes.clone() {
            let (proof, length) =
                before.members.get(&member).with_context(|| format!("member {member} is new"))?;
            // Every record from before, and at least one more: it does not only run, it works.
            let more = match broken {
                None => self.observer.wait_for_more(&volume, *length).await,
                Some(_) => self.observer.chain(&volume).await,
            };
            let chain = match more {
                Ok(chain) => chain,
                // Somebody may have refused to go on with less. What is lost is counted all the same; what cannot be read is lost.
                Err(error) => {
                    broken.get_or_insert(error);
                    self.observer.chain(&volume).await.unwrap_or_default()
                }
            };
            lost += proof.lost(&chain);
            records += chain.len();
        }
        let same_volumes = service.is_some_and(|it| it.volumes == self.volumes);
        let back = broken.is_none().then_some(back);
        self.scenes.push(Scene { killed: killed.to_owned(), back, same_volumes, lost, records });
        if let Some(error) = broken {
            return Err(error);
        }
        self.say(&format!(
            "everything runs again after {:.0} ms, on {}",
            back.unwrap_or_default().as_secs_f64() * 1000.0,
            if same_volumes { "the same volumes" } else { "OTHER volumes" }
        ));
        Ok(())
    }
}

/// The service before a kill.
struct Before {
    begin: Instant,
    /// For each member what was acknowledged, and how many records there were.
    members: BTreeMap<u32, (Proof, usize)>,
}

/// The part of an agent's id that tells it from the others.
fn short(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

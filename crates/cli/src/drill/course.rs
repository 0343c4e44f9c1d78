//! A drill as it goes: strike, wait until everything works again, look what is left.
//!
//! It believes nobody. Recovery is seen when the cluster is whole and, for each member of the workload, a record is acknowledged that was
//! written after the fault: an acknowledgement that was on its way when the fault came is none. Never strikes before the one before is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context};
use tokio::time::Instant;

use super::hands::{pid_of, Hands};
use super::plan::{Fault, Step, Target};
use super::verdict::{Outcome, Totals};
use crate::demo::observe::{Observer, Service, Volume};
use crate::demo::processes::{find, members};
use crate::demo::proof::Proof;
use crate::dev::roster::Member;

/// How often it is looked again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Records of each member that are acknowledged before anybody is struck.
const RECORDS_FIRST: usize = 20;

/// What is the same for all faults.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long somebody who is paused hangs.
    pub pause_for: Duration,
    /// How long recovery may take.
    pub goal: Duration,
    /// How long it is waited for.
    pub patience: Duration,
    /// Members of the workload, and agents.
    pub members: usize,
    /// Below which directory their processes work.
    pub scratch: PathBuf,
}

/// See the module.
pub struct Course {
    rules: Rules,
    observer: Observer,
    /// Whoever strikes.
    pub hands: Hands,
    volumes: BTreeMap<u32, Volume>,
    /// What was lost of each member that cannot be seen in the end any more.
    lost: usize,
    /// What each fault came to.
    pub outcomes: Vec<Outcome>,
}

/// Somebody who is struck.
#[derive(Clone, Debug)]
enum Victim {
    /// A master or agent.
    Process(Member),
    /// Any other process: its name and number.
    Other(String, u32),
}

impl Victim {
    fn name(&self) -> String {
        match self {
            Victim::Process(member) => member.name.clone(),
            Victim::Other(name, _) => name.clone(),
        }
    }

    fn pid(&self) -> anyhow::Result<u32> {
        match self {
            Victim::Process(member) => pid_of(member),
            Victim::Other(_, pid) => Ok(*pid),
        }
    }
}

/// What is waited for after a fault.
struct Recovery {
    begin: Instant,
    /// How many records each member had right after it.
    lengths: BTreeMap<u32, usize>,
    recovered: Option<Duration>,
    doubled: usize,
    why: Option<String>,
}

impl Course {
    /// A course that has not begun.
    pub fn new(rules: Rules, observer: Observer, hands: Hands) -> Course {
        Course { rules, observer, hands, volumes: BTreeMap::new(), lost: 0, outcomes: Vec::new() }
    }

    /// Starts the workload, and waits until all of it writes.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        self.hands.scheduler.start()?;
        let members = self.rules.members;
        let whole = |it: &Service| self.is_whole(it).is_ok() && it.volumes.len() == members;
        let (service, _) = self.observer.wait("the workload starts", whole).await?;
        self.volumes = service.volumes;
        self.observer.wait_for_acknowledged(members, RECORDS_FIRST).await
    }

    /// Carries one fault out, to its end.
    ///
    /// # Errors
    /// When nobody can be struck, or what is left cannot be read.
    pub async fn step(&mut self, step: Step) -> anyhow::Result<()> {
        let proofs = self.proofs().await?;
        let victims = self.victims(&step).await?;
        let names: Vec<String> = victims.iter().map(Victim::name).collect();
        eprintln!("{:>4}  {} {} ({})", step.number, step.fault, names.join(" and "), step.target);
        let begin = Instant::now();
        for victim in &victims {
            self.strike(step.fault, victim).await?;
        }
        let lengths = self.lengths().await?;
        let mut recovery = Recovery { begin, lengths, recovered: None, doubled: 0, why: None };
        self.recover(&step, &mut recovery).await?;
        let (mut lost, mut same) = (0, true);
        for (member, proof) in &proofs {
            let volume = self.volumes.get(member).context("it had a volume")?;
            // What cannot be read is lost.
            let chain = self.observer.chain(volume).await.unwrap_or_default();
            lost += proof.lost(&chain);
        }
        if let Ok(service) = self.observer.service().await {
            same = service.volumes == self.volumes;
        }
        self.lost += lost;
        let pause = if step.fault == Fault::Pause { self.rules.pause_for } else { Duration::ZERO };
        let outcome = Outcome {
            step,
            victims: names,
            recovered_ms: recovery.recovered.map(ms),
            allowed_ms: ms(self.rules.goal + pause),
            lost,
            same_claims: same,
            doubled: recovery.doubled,
            why: recovery.why.filter(|_| recovery.recovered.is_none()),
        };
        match outcome.recovered_ms {
            Some(it) => eprintln!("      recovered after {it} ms"),
            None => eprintln!("      NO RECOVERY: {}", outcome.why.as_deref().unwrap_or("-")),
        }
        let broken = outcome.recovered_ms.is_none();
        self.outcomes.push(outcome);
        if broken {
            bail!("the cluster did not recover, so nobody else is struck");
        }
        Ok(())
    }

    /// Waits until all works again. Who was killed is started again at once, but for masters: whoever stood by has to lead first.
    async fn recover(&mut self, step: &Step, recovery: &mut Recovery) -> anyhow::Result<()> {
        let is_master = matches!(step.target, Target::Leader | Target::Standby);
        let mut hang = (step.fault == Fault::Pause).then_some(self.rules.pause_for);
        if step.fault == Fault::Kill && !is_master {
            self.hands.restore(self.rules.patience).await?;
        }
        let limit = self.rules.patience + hang.unwrap_or_default();
        while recovery.begin.elapsed() < limit {
            if hang.is_some_and(|it| it <= recovery.begin.elapsed()) {
                self.hands.go_on().await;
                hang = None;
            }
            if recovery.recovered.is_none() {
                self.look(recovery).await;
            }
            if recovery.recovered.is_some() && hang.is_none() {
                break;
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.heal(recovery).await
    }

    /// Everybody is there again, and all of it works, before the next fault.
    async fn heal(&mut self, recovery: &mut Recovery) -> anyhow::Result<()> {
        self.hands.go_on().await;
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < self.rules.patience {
            // A leader that was deposed while it hung ends only when it finds that out.
            self.hands.restore(self.rules.patience).await?;
            match self.works().await {
                Ok(service) => {
                    recovery.doubled = recovery.doubled.max(doubled(&service));
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
            // tidy: sleep is the point: an observer from outside can only look again
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        recovery.recovered = None;
        recovery.why = last.map(|it| format!("{it:#}"));
        Ok(())
    }

    /// One look.
    async fn look(&self, recovery: &mut Recovery) {
        match self.has_recovered(&recovery.lengths, &mut recovery.doubled).await {
            Ok(()) => recovery.recovered = Some(recovery.begin.elapsed()),
            Err(error) => recovery.why = Some(format!("{error:#}")),
        }
    }

    async fn has_recovered(
        &self,
        lengths: &BTreeMap<u32, usize>,
        twice: &mut usize,
    ) -> anyhow::Result<()> {
        let service = self.observer.service().await?;
        *twice = (*twice).max(doubled(&service));
        self.is_whole(&service)?;
        let acknowledged = self.observer.acknowledged()?;
        for (member, length) in lengths {
            let count = acknowledged.get(member).map_or(0, |it| it.count);
            if count <= *length {
                bail!("member {member}: {count} records are acknowledged, of which {length} were written before the fault was over");
            }
        }
        Ok(())
    }

    /// Whether all of the cluster and the workload is there, each once.
    async fn works(&self) -> anyhow::Result<Service> {
        let service = self.observer.service().await?;
        self.is_whole(&service)?;
        let nodes = members(&self.rules.scratch, "node");
        for member in self.volumes.keys() {
            let count = nodes.iter().filter(|(index, _)| index == member).count();
            if count != 1 {
                bail!("member {member} has {count} processes that write to its volume");
            }
        }
        Ok(service)
    }

    fn is_whole(&self, service: &Service) -> anyhow::Result<()> {
        let wanted = self.rules.members;
        let Service { tasks, agents_well, connected, .. } = service;
        if *agents_well < wanted {
            bail!("{agents_well} of {wanted} agents are well");
        }
        if !connected {
            bail!("the workload's scheduler is not connected");
        }
        if tasks.len() != wanted {
            bail!("{} of {wanted} tasks run", tasks.len());
        }
        Ok(())
    }

    async fn victims(&self, step: &Step) -> anyhow::Result<Vec<Victim>> {
        let all = self.hands.members()?;
        let (masters, agents): (Vec<Member>, Vec<Member>) =
            all.into_iter().partition(|it| it.is_master);
        let chosen = |among: Vec<Member>, step: &Step| -> Vec<Victim> {
            let chosen = step.choose(among.len());
            chosen.into_iter().map(|it| Victim::Process(among[it].clone())).collect()
        };
        Ok(match step.target {
            Target::Leader | Target::Standby => {
                let leads = self.observer.leader().await.context("no master leads")?;
                let (leader, mut standbys): (Vec<Member>, Vec<Member>) =
                    masters.into_iter().partition(|it| it.address == leads);
                if step.target == Target::Standby {
                    return Ok(chosen(standbys, step));
                }
                standbys.truncate(step.victims - 1);
                leader.into_iter().chain(standbys).map(Victim::Process).collect()
            }
            Target::Agent => chosen(agents, step),
            Target::Executor => {
                let mut found = Vec::new();
                for index in step.choose(self.rules.members) {
                    let member = u32::try_from(index)?;
                    let pid = find(&self.rules.scratch, "executor", member)?;
                    found.push(Victim::Other(format!("executor of member {member}"), pid));
                }
                found
            }
            Target::Framework => {
                let pid = self.hands.scheduler.pid().context("the workload's scheduler is gone")?;
                vec![Victim::Other("scheduler".to_owned(), pid)]
            }
            Target::Zookeeper => bail!("a plan with servers of the ensemble is refused"),
        })
    }

    async fn strike(&mut self, fault: Fault, victim: &Victim) -> anyhow::Result<()> {
        match (fault, victim) {
            (Fault::Kill, Victim::Process(member)) => self.hands.kill(member).await,
            (Fault::Kill, Victim::Other(_, pid)) => self.hands.kill_by_pid(*pid).await,
            (Fault::Pause, victim) => self.hands.pause(victim.pid()?).await,
            (Fault::CutOff | Fault::FullDisk, _) => bail!("a plan with {fault} is refused"),
        }
    }

    /// What of each member was acknowledged, and is there.
    async fn proofs(&self) -> anyhow::Result<BTreeMap<u32, Proof>> {
        let acknowledged = self.observer.acknowledged()?;
        let mut proofs = BTreeMap::new();
        for (member, volume) in &self.volumes {
            let chain = self.observer.chain(volume).await?;
            let told = acknowledged.get(member).copied().unwrap_or_default();
            let proof = Proof::new(told, &chain).with_context(|| format!("member {member}"))?;
            proofs.insert(*member, proof);
        }
        Ok(proofs)
    }

    async fn lengths(&self) -> anyhow::Result<BTreeMap<u32, usize>> {
        let mut lengths = BTreeMap::new();
        for (member, volume) in &self.volumes {
            lengths.insert(*member, self.observer.chain(volume).await?.len());
        }
        Ok(lengths)
    }

    /// After an interruption: whoever hangs goes on, and whoever is down is started again.
    ///
    /// # Errors
    /// When somebody does not come back.
    pub async fn mend(&mut self) -> anyhow::Result<()> {
        let lengths = BTreeMap::new();
        let mut recovery =
            Recovery { begin: Instant::now(), lengths, recovered: None, doubled: 0, why: None };
        self.heal(&mut recovery).await?;
        match recovery.why {
            Some(why) => bail!("the cluster is not whole again: {why}"),
            None => Ok(()),
        }
    }

    /// Counts what is there in the end.
    ///
    /// # Errors
    /// When the scheduler's ledger cannot be read.
    pub async fn totals(&self) -> anyhow::Result<Totals> {
        let acknowledged = self.observer.acknowledged()?;
        let mut totals = Totals { claims_before: self.volumes.len(), ..Totals::default() };
        for (member, volume) in &self.volumes {
            let told = acknowledged.get(member).copied().unwrap_or_default();
            totals.acknowledged += told.count;
            match self.observer.chain(volume).await {
                // Each checksum covers all records before it: with the last one, all are there.
                Ok(chain) => match Proof::new(told, &chain) {
                    Ok(proof) => totals.read_back += proof.count(),
                    Err(error) => eprintln!("member {member}: {error:#}"),
                },
                Err(error) => eprintln!("member {member}: {error:#}"),
            }
        }
        // What was written anew after a loss is no record that was kept.
        totals.read_back = totals.read_back.saturating_sub(self.lost);
        let service = self.observer.service().await.unwrap_or_default();
        totals.claims_after = self
            .volumes
            .iter()
            .filter(|(member, volume)| service.volumes.get(member) == Some(volume))
            .count();
        Ok(totals)
    }
}

/// Tasks that run beside another one of the same member.
fn doubled(service: &Service) -> usize {
    service.running.saturating_sub(service.tasks.len())
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

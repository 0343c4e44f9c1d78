//! `master recover`: begin the masters' ledger anew after it was lost, so that agents come back with all that they own.
//!
//! The agents are asked what they have; nothing of theirs is changed. What only the masters knew is gone, and is said to be, before anything
//! is written. Never touches a ledger that is there.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_api::rows::AgentLedgerRow;
use holdfast_model::{ClusterId, Instant, Term};
use holdfast_node::master_process::begin_anew;
use holdfast_node::settings::master::MasterSettings;
use serde::Serialize;
use tokio::task::JoinSet;

use super::change::{confirm, put_words, DestroyArgs};
use super::context::now_ms;
use super::Context;
use crate::failure::{Failure, EXIT_CONFLICT, EXIT_NOT_FOUND};
use crate::output::{Column, Table};

/// How many agents are asked at once.
const ASKED_AT_ONCE: usize = 64;

/// What only masters know, and agents do not.
const GONE: &str = "gone with the masters' ledger: quota and weights; which agents were drained, deactivated or declared gone; how long frameworks that are away \
may stay so, and which were removed; the history of claims that have ended";

/// Where, and from whom.
#[derive(Clone, Debug, clap::Args)]
pub struct MasterRecoverArgs {
    /// What the masters will be started with: the ledger is begun in --dir, or at --zk.
    #[command(flatten)]
    pub settings: MasterSettings,
    /// HOST:PORT of agents, as many as are known; separated by commas.
    #[arg(long, required = true, value_delimiter = ',', value_name = "HOST:PORT")]
    pub agents: Vec<String>,
    /// The cluster, where the agents are not all of one.
    #[arg(long, value_name = "UUID", value_parser = ClusterId::parse)]
    pub cluster: Option<ClusterId>,
    /// How it is agreed to.
    #[command(flatten)]
    pub destroy: DestroyArgs,
}

/// What an agent would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AskedAgent {
    /// Where it was asked.
    address: String,
    /// What it has; `None` when it did not answer.
    ledger: Option<AgentLedgerRow>,
    /// `comes back`, or why not.
    state: String,
}

/// What would be begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct RecoveryOfMasters {
    agents: Vec<AskedAgent>,
    cluster: String,
    /// What only the masters knew.
    gone: String,
    /// The greatest term that an agent has obeyed.
    term: u64,
}

/// Runs the verb.
///
/// # Errors
/// When no agent answers, they are of several clusters, two pose as one, there is a ledger already, or it cannot be written.
pub async fn run(context: &Context, args: &MasterRecoverArgs) -> anyhow::Result<i32> {
    let answers = ask_all(context, &args.agents).await;
    let plan = plan(answers, args.cluster)?;
    if args.destroy.plan.plan {
        return put_words(context, &serde_json::to_value(&plan)?, &words(&plan, context.is_wide()));
    }
    let question = format!(
        "{}Begin the masters' ledger of cluster {} anew?",
        words(&plan, false),
        plan.cluster
    );
    confirm(context, &question, args.destroy)?;
    let (settings, cluster) = (args.settings.clone(), ClusterId::parse(&plan.cluster)?);
    let term = Term(plan.term);
    let begin = move || begin_anew(&settings, cluster, term, Instant(now_ms()));
    tokio::task::spawn_blocking(begin).await?.map_err(|error| {
        Failure::new(EXIT_CONFLICT, format!("{error:#}"), "see `holdfast help master recover`")
    })?;
    context.remark("the ledger is begun; start the masters with the same settings, and every agent of the cluster comes back by itself, those that were not asked too");
    Ok(0)
}

type Answer = (String, Result<AgentLedgerRow, String>);

async fn ask_all(context: &Context, addresses: &[String]) -> Vec<Answer> {
    let (mut asked, mut answers) = (JoinSet::new(), BTreeMap::new());
    let mut left = addresses.iter().cloned().collect::<BTreeSet<_>>().into_iter();
    loop {
        while asked.len() < ASKED_AT_ONCE {
            let Some(address) = left.next() else { break };
            let client = context.master.client().clone();
            asked.spawn(async move {
                let page = client.get_json(&address, "/state").await;
                let read =
                    |page| serde_json::from_value(page).map_err(|it| format!("no agent: {it}"));
                let answer = page.map_err(|it| it.to_string()).and_then(read);
                (address, answer)
            });
        }
        match asked.join_next().await {
            Some(Ok((address, answer))) => drop(answers.insert(address, answer)),
            Some(Err(error)) => context.remark(&format!("an agent was not asked: {error}")),
            None => return answers.into_iter().collect(),
        }
    }
}

fn plan(answers: Vec<Answer>, wanted: Option<ClusterId>) -> Result<RecoveryOfMasters, Failure> {
    let cluster = cluster_of(&answers, wanted)?;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut agents = Vec::new();
    for (address, answer) in answers {
        let (state, ledger) = match answer {
            Err(why) => (format!("does not answer: {why}; it comes back when it can"), None),
            Ok(it) if it.cluster.is_none() => ("has never joined a cluster".to_owned(), Some(it)),
            Ok(it) if it.cluster.as_deref() != Some(&cluster) => {
                ("is of another cluster, and is not taken".to_owned(), Some(it))
            }
            Ok(it) => {
                let id = it.id.clone().unwrap_or_default();
                if let Some(other) = seen.insert(id.clone(), address.clone()) {
                    return Err(Failure::new(
                        EXIT_CONFLICT,
                        format!("{other} and {address} both say that they are agent {id}: one has a copy of the other's ledger, and nothing was done"),
                        "find out which one has the disks, stop the other one, and leave it out of --agents",
                    ));
                }
                ("comes back".to_owned(), Some(it))
            }
        };
        agents.push(AskedAgent { address, ledger, state });
    }
    let back = agents.iter().filter(|it| it.state == "comes back");
    let term = back.filter_map(|it| it.ledger.as_ref()).map(|it| it.term).max().unwrap_or(0);
    Ok(RecoveryOfMasters { agents, cluster, gone: GONE.to_owned(), term })
}

/// The one cluster that the agents are of.
fn cluster_of(answers: &[Answer], wanted: Option<ClusterId>) -> Result<String, Failure> {
    let known = answers.iter().filter_map(|(_, it)| it.as_ref().ok()?.cluster.clone());
    let known: BTreeSet<String> = known.collect();
    let all = || known.iter().cloned().collect::<Vec<_>>().join(", ");
    match (wanted.map(|it| it.to_string()), known.len()) {
        (Some(wanted), _) if known.contains(&wanted) => Ok(wanted),
        (Some(wanted), _) => Err(Failure::new(
            EXIT_NOT_FOUND,
            format!("no agent that answers is of cluster {wanted}; there are: {}", all()),
            "name agents of that cluster with --agents",
        )),
        (None, 0) => Err(Failure::new(
            EXIT_NOT_FOUND,
            "no agent that answers has ever joined a cluster, so there is nothing to recover",
            "name agents of the cluster with --agents HOST:PORT,...; without any, start a new cluster: `holdfast master`",
        )),
        (None, 1) => Ok(all()),
        (None, _) => Err(Failure::new(
            EXIT_CONFLICT,
            format!("the agents are of several clusters: {}", all()),
            "say which one with --cluster",
        )),
    }
}

fn words(plan: &RecoveryOfMasters, wide: bool) -> String {
    let mut table = Table::new(&[
        Column::left("AGENT"),
        Column::left("HOST"),
        Column::left("ADDRESS"),
        Column::right("CLAIMS"),
        Column::right("TASKS"),
        Column::right("FRAMEWORKS"),
        Column::right("TERM").wide(),
        Column::left("STATE"),
    ]);
    for it in &plan.agents {
        let ledger = it.ledger.as_ref();
        let short = |id: &String| id.rsplit('-').next().unwrap_or(id).to_owned();
        let id = ledger.and_then(|it| it.id.as_ref()).map(short).unwrap_or_default();
        let tasks =
            |it: &AgentLedgerRow| it.executors.iter().map(|it| it.tasks.len()).sum::<usize>();
        let frameworks = |it: &AgentLedgerRow| {
            it.executors.iter().map(|it| &it.framework_id).collect::<BTreeSet<_>>().len()
        };
        table.push(vec![
            id.into(),
            ledger.map(|it| it.hostname.clone()).unwrap_or_default().into(),
            it.address.as_str().into(),
            ledger.map(|it| it.claims.len().to_string()).unwrap_or_default().into(),
            ledger.map(|it| tasks(it).to_string()).unwrap_or_default().into(),
            ledger.map(|it| frameworks(it).to_string()).unwrap_or_default().into(),
            ledger.map(|it| it.term.to_string()).unwrap_or_default().into(),
            it.state.as_str().into(),
        ]);
    }
    format!("cluster: {}\n{}{}\n", plan.cluster, table.render(wide, false), plan.gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_api::rows::{AgentClaimRow, AgentExecutorRow};

    const ONE: &str = "00000000-0000-0000-0000-000000000001";
    const TWO: &str = "00000000-0000-0000-0000-000000000002";

    fn agent(cluster: Option<&str>, number: u32, term: u64) -> AgentLedgerRow {
        AgentLedgerRow {
            claims: vec![AgentClaimRow {
                id: "c".to_owned(),
                resource: "disk".to_owned(),
                state: "ready".to_owned(),
            }],
            cluster: cluster.map(str::to_owned),
            executors: vec![AgentExecutorRow {
                framework_id: "f".to_owned(),
                tasks: vec!["t".to_owned(), "u".to_owned()],
            }],
            hostname: format!("h{number}"),
            id: cluster.map(|it| format!("{it}-S{number}")),
            ledger_version: 9,
            node: format!("n{number}"),
            term,
        }
    }

    fn at(address: &str, ledger: AgentLedgerRow) -> Answer {
        (address.to_owned(), Ok(ledger))
    }

    #[test]
    fn agents_of_one_cluster_come_back_above_the_greatest_term() {
        let answers = vec![
            at("a:1", agent(Some(ONE), 0, 4)),
            at("b:1", agent(Some(ONE), 1, 7)),
            at("c:1", agent(None, 2, 90)),
            ("d:1".to_owned(), Err("nobody there".to_owned())),
        ];
        let plan = plan(answers, None).unwrap();
        assert_eq!((plan.cluster.as_str(), plan.term), (ONE, 7));
        let text = words(&plan, false);
        for line in ["S0 h0 a:1 1 2 1 comes back", "h2 c:1 1 2 1 has never joined a cluster"] {
            let plain = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.lines().any(|it| plain(it) == line), "{line}\n{text}");
        }
        assert!(
            text.contains("does not answer: nobody there") && text.contains("quota and weights")
        );
    }

    #[test]
    fn what_is_not_sure_is_refused() {
        let code = |answers, wanted| plan(answers, wanted).unwrap_err().code;
        let two = || vec![at("a:1", agent(Some(ONE), 0, 4)), at("b:1", agent(Some(TWO), 0, 9))];
        assert_eq!(code(two(), None), EXIT_CONFLICT);
        let chosen = plan(two(), Some(ClusterId::parse(ONE).unwrap())).unwrap();
        assert_eq!((chosen.term, chosen.agents[1].state.contains("another cluster")), (4, true));
        assert_eq!(code(vec![at("a:1", agent(None, 0, 0))], None), EXIT_NOT_FOUND);
        let other = Some(ClusterId::parse("00000000-0000-0000-0000-000000000003").unwrap());
        assert_eq!(code(two(), other), EXIT_NOT_FOUND);
        let copied = vec![at("a:1", agent(Some(ONE), 0, 4)), at("b:1", agent(Some(ONE), 0, 5))];
        assert_eq!(code(copied, None), EXIT_CONFLICT);
    }
}

//! What Hadoop's programs tell about themselves at `/jmx`, as looks.
//!
//! The readers are pure; [`look`] gets the pages.

use std::collections::BTreeMap;

use holdfast_sdk::net::{bail, Context, Result};
use serde_json::Value;

use crate::http::{connect, get};
use crate::identity::Kind;
use crate::looks::{DataLook, JournalLook, Look, NameLook};
use crate::order::Peer;

/// What a name node tells of its journals; the whole of that bean has a line for each data node.
const JOURNALS: &str = "Hadoop:service=NameNode,name=NameNodeInfo::NameJournalStatus";
/// What it says of a journal node that has missed edits, and takes none until the next segment begins.
const BEHIND: &str = "will try to re-sync on next segment";

/// Looks at a member.
///
/// # Errors
/// When it does not answer, or not as Hadoop does.
pub fn look(kind: Kind, service: &str, member: &Peer) -> Result<Look> {
    match kind {
        Kind::Journal => {
            connect(&member.address("rpc"))?;
            let beans = beans(&member.address("http"), "Hadoop:service=JournalNode,name=Journal*")?;
            Ok(Look::Journal(journal(&beans, service)?))
        }
        Kind::Name => {
            connect(&member.address("rpc"))?;
            let address = member.address("http");
            let mut all = beans(&address, "Hadoop:service=NameNode,name=NameNodeStatus")?;
            all.extend(beans(&address, "Hadoop:service=NameNode,name=FSNamesystem*")?);
            all.extend(page(&address, &format!("get={JOURNALS}"))?);
            Ok(Look::Name(name(&all)?))
        }
        Kind::Data => {
            let beans =
                beans(&member.address("http"), "Hadoop:service=DataNode,name=DataNodeInfo")?;
            Ok(Look::Data(data(&beans)?))
        }
    }
}

/// The state of a name node, by the shortest of its pages.
///
/// # Errors
/// When it does not answer.
pub fn state(member: &Peer) -> Result<String> {
    let beans = beans(&member.address("http"), "Hadoop:service=NameNode,name=NameNodeStatus")?;
    Ok(text(bean(&beans, "NameNodeStatus")?, "State")?.to_owned())
}

/// A data node as a name node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataNode {
    /// The address that it comes from, with its port.
    pub comes_from: String,
    /// `In Service`, `Decommission In Progress`, `Decommissioned`, or what else it says.
    pub state: String,
}

/// The data nodes that a name node hears of, by the names of their machines and their ports.
///
/// # Errors
/// When it does not answer, or not as Hadoop does.
pub fn data_nodes(member: &Peer) -> Result<BTreeMap<String, DataNode>> {
    data_nodes_of(&page(&member.address("http"), &format!("get={LIVE}"))?)
}

/// What a name node tells of its data nodes.
const LIVE: &str = "Hadoop:service=NameNode,name=NameNodeInfo::LiveNodes";

fn data_nodes_of(beans: &[Value]) -> Result<BTreeMap<String, DataNode>> {
    let nodes: BTreeMap<String, Value> =
        serde_json::from_str(text(bean(beans, "NameNodeInfo")?, "LiveNodes")?)?;
    let node = |it: &Value| -> Result<DataNode> {
        let comes_from = text(it, "xferaddr")?.to_owned();
        Ok(DataNode { comes_from, state: text(it, "adminState")?.to_owned() })
    };
    nodes.into_iter().map(|(name, it)| Ok((name, node(&it)?))).collect()
}

fn beans(address: &str, query: &str) -> Result<Vec<Value>> {
    page(address, &format!("qry={query}"))
}

fn page(address: &str, query: &str) -> Result<Vec<Value>> {
    let body = get(address, &format!("/jmx?{query}"))?;
    let page: Value = serde_json::from_str(&body).context("the page is no JSON")?;
    let beans = page.get("beans").and_then(Value::as_array);
    Ok(beans.context("the page has no beans")?.clone())
}

/// The bean of that name.
fn bean<'a>(beans: &'a [Value], name: &str) -> Result<&'a Value> {
    let ending = format!(",name={name}");
    let is_it = |it: &&Value| {
        it.get("name").and_then(Value::as_str).is_some_and(|it| it.ends_with(&ending))
    };
    beans.iter().find(is_it).with_context(|| format!("it does not tell its {name} yet"))
}

fn text<'a>(bean: &'a Value, key: &str) -> Result<&'a str> {
    bean.get(key).and_then(Value::as_str).with_context(|| format!("it does not tell its {key}"))
}

fn number(bean: &Value, key: &str) -> Result<u64> {
    // Some counts are -1 while they are not known.
    let value = bean.get(key).and_then(Value::as_i64);
    let value = value.with_context(|| format!("it does not tell its {key}"))?;
    u64::try_from(value).with_context(|| format!("its {key} is not known yet"))
}

/// Reads what a journal node tells.
///
/// # Errors
/// What it does not tell.
pub fn journal(beans: &[Value], service: &str) -> Result<JournalLook> {
    let info = bean(beans, "JournalNodeInfo")?;
    let status: Value = serde_json::from_str(text(info, "JournalsStatus")?)?;
    let formatted = status.get(service).and_then(|it| it.get("Formatted")).and_then(Value::as_str);
    let clusters = info.get("ClusterIds").and_then(Value::as_array).cloned().unwrap_or_default();
    let clusters = clusters.iter().filter_map(Value::as_str).filter(|it| !it.is_empty());
    let clusters = clusters.map(str::to_owned).collect();
    // A journal that nobody has written to since the start has no numbers.
    let lag =
        bean(beans, &format!("Journal-{service}")).and_then(|it| number(it, "CurrentLagTxns"));
    let is_formatted = formatted == Some("true");
    Ok(JournalLook { is_formatted, clusters, lag: lag.unwrap_or(0), edits: None })
}

/// Reads what a name node tells.
///
/// # Errors
/// What it does not tell.
pub fn name(beans: &[Value]) -> Result<NameLook> {
    let state = text(bean(beans, "NameNodeStatus")?, "State")?.to_owned();
    let (counts, system) = (bean(beans, "FSNamesystem")?, bean(beans, "FSNamesystemState")?);
    let journals = text(bean(beans, "NameNodeInfo")?, "NameJournalStatus")?;
    Ok(NameLook {
        state,
        behind: journals.matches(BEHIND).count() as u64,
        is_safe: text(system, "FSState")? != "Operational",
        missing: number(counts, "MissingBlocks")?,
        // A block is in one of these: it waits to be copied, or is being copied as far as is known.
        low: number(system, "LowRedundancyBlocks")?
            + number(system, "PendingReconstructionBlocks")?,
        live: number(system, "NumLiveDataNodes")?,
        is_settled: false,
        leaving: BTreeMap::new(),
    })
}

/// Reads what a data node tells.
///
/// # Errors
/// What it does not tell.
pub fn data(beans: &[Value]) -> Result<DataLook> {
    let info = bean(beans, "DataNodeInfo")?;
    let actors: Value = serde_json::from_str(text(info, "BPServiceActorInfo")?)?;
    let Some(actors) = actors.as_array() else { bail!("its actors are no list") };
    let is = |actor: &Value, key: &str, value: &str| {
        actor.get(key).and_then(Value::as_str).is_some_and(|it| it.eq_ignore_ascii_case(value))
    };
    let is_taken =
        |it: &Value| is(it, "ActorState", "RUNNING") && is(it, "NamenodeHaState", "active");
    Ok(DataLook { is_registered: actors.iter().any(is_taken) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_journal_node_tells_whether_its_journal_is_formatted() {
        let info = |status: &str, clusters: Value| json!({"name": "Hadoop:service=JournalNode,name=JournalNodeInfo", "JournalsStatus": status, "ClusterIds": clusters});
        let new = journal(&[info("{}", json!([]))], "files").unwrap();
        assert_eq!(new, JournalLook::default());
        let formatted = info("{\"files\":{\"Formatted\":\"true\"}}", json!(["CID-x"]));
        let numbers =
            json!({"name": "Hadoop:service=JournalNode,name=Journal-files", "CurrentLagTxns": 3});
        let look = journal(&[numbers, formatted.clone()], "files").unwrap();
        assert_eq!(
            (look.is_formatted, look.clusters, look.lag),
            (true, vec!["CID-x".to_owned()], 3)
        );
        assert!(!journal(&[formatted], "other").unwrap().is_formatted);
        assert!(journal(&[], "files").is_err());
    }

    #[test]
    fn a_name_node_tells_its_state_and_its_blocks() {
        let beans = |missing: i64| {
            vec![
                json!({"name": "Hadoop:service=NameNode,name=NameNodeStatus", "State": "active"}),
                json!({"name": "Hadoop:service=NameNode,name=NameNodeInfo", "NameJournalStatus":
                    "a:1 (Written txid 9), b:1 (Written txid 4 (5 txns/9ms behind) (will try to re-sync on next segment))"}),
                json!({"name": "Hadoop:service=NameNode,name=FSNamesystem", "MissingBlocks": missing}),
                json!({"name": "Hadoop:service=NameNode,name=FSNamesystemState", "FSState": "safeMode", "LowRedundancyBlocks": 2, "PendingReconstructionBlocks": 39, "NumLiveDataNodes": 3}),
            ]
        };
        let look = name(&beans(1)).unwrap();
        assert_eq!((look.state.as_str(), look.missing, look.low, look.live), ("active", 1, 41, 3));
        assert!(look.is_safe);
        assert_eq!(look.behind, 1);
        assert!(name(&beans(-1)).unwrap_err().to_string().contains("not known yet"));
        assert!(name(&beans(1)[..1]).unwrap_err().to_string().contains("FSNamesystem"));
    }

    #[test]
    fn a_name_node_tells_how_far_its_data_nodes_are() {
        let nodes = json!({"h:9866": {"xferaddr": "10.0.0.1:9866", "adminState": "Decommissioned", "numBlocks": 3}});
        let bean = json!({"name": "Hadoop:service=NameNode,name=NameNodeInfo", "LiveNodes": nodes.to_string()});
        let told = data_nodes_of(std::slice::from_ref(&bean)).unwrap();
        assert_eq!(told["h:9866"].comes_from, "10.0.0.1:9866");
        assert_eq!(told["h:9866"].state, "Decommissioned");
        assert!(data_nodes_of(&[]).is_err());
    }

    #[test]
    fn a_data_node_is_registered_once_the_active_name_node_has_taken_it() {
        let told = |state: &str, of: &str| {
            let actors = json!([
                {"ActorState": "RUNNING", "NamenodeHaState": "standby"},
                {"ActorState": state, "NamenodeHaState": of},
            ]);
            let info = json!({"name": "Hadoop:service=DataNode,name=DataNodeInfo", "BPServiceActorInfo": actors.to_string()});
            data(&[info]).unwrap().is_registered
        };
        assert!(told("RUNNING", "active"));
        assert!(!told("CONNECTING", "active"));
        assert!(!told("RUNNING", "Unknown"));
    }
}

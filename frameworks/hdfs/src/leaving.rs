//! The data nodes that a name node is to empty: a file that it reads, the program that has it read the file again, and how far it is.
//!
//! A name node knows a data node by the address that it comes from, which may not be the one of its machine's name. So both are named,
//! once the name node says what it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use holdfast_sdk::net::{Context, Result};

use crate::jmx::{data_nodes, DataNode};
use crate::jvm::Program;
use crate::order::Order;
use crate::prepare::{excluded, Running};

/// What a data node that the name node does not hear of any more is said to be.
const GONE: &str = "not heard of";

/// What one name node was told.
#[derive(Debug)]
pub struct Leaving {
    order: Order,
    sandbox: PathBuf,
    /// What the name node has read.
    read: Vec<String>,
}

impl Leaving {
    /// That of a name node that starts: it reads what its order says.
    pub fn new(order: &Order, sandbox: PathBuf) -> Leaving {
        Leaving { order: order.clone(), sandbox, read: order.known.leaving.clone() }
    }

    /// Has the name node know who is to leave, and says how far each is.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn keep(
        &mut self,
        leaving: &[String],
        is_over: &AtomicBool,
    ) -> Result<BTreeMap<String, String>> {
        if leaving.is_empty() && self.read.is_empty() {
            return Ok(BTreeMap::new());
        }
        let there = data_nodes(&self.order.here)?;
        let lines = lines(leaving, &there);
        if lines != self.read {
            excluded(&self.sandbox, &lines)?;
            let name_node = format!("hdfs://{}", self.order.here.address("rpc"));
            let words = ["-fs", &name_node, "-refreshNodes"];
            let at = Running {
                settings: &self.order.settings,
                sandbox: &self.sandbox,
                log: "refresh-nodes.log",
            };
            at.run(Program::Admin, &words, &[0], is_over)
                .context("the name node does not read again which data nodes it shall have")?;
            tracing::info!("the data nodes to be emptied are now: {}", lines.join(", "));
            self.read = lines;
        }
        Ok(states(leaving, &there))
    }
}

/// The lines of the file.
fn lines(leaving: &[String], there: &BTreeMap<String, DataNode>) -> Vec<String> {
    let mut lines = Vec::new();
    for address in leaving {
        lines.push(address.clone());
        let comes_from = there.get(address).map(|it| it.comes_from.clone());
        lines.extend(comes_from.filter(|it| it != address));
    }
    lines
}

fn states(leaving: &[String], there: &BTreeMap<String, DataNode>) -> BTreeMap<String, String> {
    let state = |it: &String| there.get(it).map_or(GONE.to_owned(), |it| it.state.clone());
    leaving.iter().map(|it| (it.clone(), state(it))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_node_is_named_as_its_machine_and_as_where_it_comes_from() {
        let node = |comes_from: &str| DataNode {
            comes_from: comes_from.to_owned(),
            state: "In Service".to_owned(),
        };
        let there = BTreeMap::from([
            ("h1:9866".to_owned(), node("10.0.0.1:9866")),
            ("10.0.0.2:9866".to_owned(), node("10.0.0.2:9866")),
        ]);
        let leaving = ["h1:9866", "10.0.0.2:9866", "h3:9866"].map(str::to_owned);
        let all = ["h1:9866", "10.0.0.1:9866", "10.0.0.2:9866", "h3:9866"];
        assert_eq!(lines(&leaving, &there), all);
        let states = states(&leaving, &there);
        assert_eq!((states["h1:9866"].as_str(), states["h3:9866"].as_str()), ("In Service", GONE));
    }
}

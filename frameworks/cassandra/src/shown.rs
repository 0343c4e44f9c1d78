//! What is shown to people: a ring as one of its nodes sees it, and what a volume is marked with.
//!
//! It only looks.

use std::net::IpAddr;
use std::path::Path;

use holdfast_sdk::net::{bail, Context, Result};

use crate::directory;
use crate::ring::Session;

/// Prints the nodes of a ring, as a table or as JSON.
///
/// # Errors
/// When the node does not answer.
pub fn status(address: IpAddr, port: u16, output: &str) -> Result<()> {
    let nodes = Session::connect(address, port).and_then(|mut it| it.nodes());
    let nodes = nodes.with_context(|| format!("the node at {address}, port {port}"))?;
    if output == "json" {
        println!("{}", serde_json::to_string_pretty(&nodes)?);
        return Ok(());
    }
    let head = ["ADDRESS", "DC", "RACK", "STATE", "LOAD BYTES", "HOST ID"];
    let rows = nodes
        .into_iter()
        .map(|it| [it.address, it.dc, it.rack, it.status, it.load_bytes.to_string(), it.host_id]);
    for [address, dc, rack, state, load, host] in
        std::iter::once(head.map(str::to_owned)).chain(rows)
    {
        println!("{address:<16} {dc:<12} {rack:<12} {state:<10} {load:>12}  {host}");
    }
    Ok(())
}

/// Prints what a volume is marked with.
///
/// # Errors
/// When it is not, or cannot be read.
pub fn inspect(dir: &Path) -> Result<()> {
    let found = directory::look(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    match found.marker {
        Ok(Some(marker)) => print!("{}", marker.to_text()),
        Ok(None) if found.others.is_empty() => bail!("{} is empty", dir.display()),
        Ok(None) => {
            bail!("{} bears no marker; it holds {}", dir.display(), found.others.join(", "))
        }
        Err(why) => bail!("the marker in {} cannot be read: {why}", dir.display()),
    }
    Ok(())
}

//! The configuration of a client, made of what the service says about its endpoints.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use holdfast_sdk::net::rows::{EndpointRow, ServiceRow};
use holdfast_sdk::net::{bail, Context, Result};

use crate::config::{of_client, xml};
use crate::http::get;
use crate::identity::Kind;
use crate::order::Peer;
use crate::spec::NAMES;

/// Prints both files, or writes them into a folder.
///
/// # Errors
/// When the service does not answer, or not all of its name nodes have a place.
pub fn client_config(service: &str, folder: Option<&Path>) -> Result<()> {
    let address = service.trim_start_matches("http://").trim_end_matches('/');
    let row: ServiceRow = serde_json::from_str(&get(address, "/v1/service")?)
        .with_context(|| format!("{address} is not the page of a service"))?;
    let endpoints: Vec<EndpointRow> = serde_json::from_str(&get(address, "/v1/endpoints")?)
        .with_context(|| format!("{address} is not the page of a service"))?;
    let names = name_nodes(&endpoints)?;
    let config = of_client(&row.name, &names);
    let files = [("core-site.xml", xml(&config.core)), ("hdfs-site.xml", xml(&config.hdfs))];
    for (name, text) in files {
        match folder {
            Some(folder) => {
                fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
                let path = folder.join(name);
                fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => print!("<!-- {name} -->\n{text}"),
        }
    }
    Ok(())
}

/// The name nodes among the endpoints.
///
/// # Errors
/// When not all of them have a place.
fn name_nodes(endpoints: &[EndpointRow]) -> Result<Vec<Peer>> {
    let mut names: BTreeMap<u32, Peer> = BTreeMap::new();
    for row in endpoints.iter().filter(|it| it.pod == Kind::Name.name()) {
        let member = row.member.rsplit_once('-').and_then(|it| it.1.parse().ok());
        let place = row.address.rsplit_once(':');
        let place = place.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (Some(member), Some((host, port))) = (member, place) else {
            bail!("the endpoint {} of {} cannot be understood", row.address, row.member);
        };
        let peer = names.entry(member).or_insert_with(|| Peer {
            member,
            host: host.to_owned(),
            ports: BTreeMap::new(),
        });
        peer.ports.insert(row.port.clone(), port);
    }
    if names.len() < NAMES as usize {
        bail!(
            "{} of {NAMES} name nodes have a place; try again once the service is deployed",
            names.len()
        );
    }
    Ok(names.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(member: u32, port: &str, address: &str) -> EndpointRow {
        EndpointRow {
            pod: "name".to_owned(),
            member: format!("name-{member}"),
            port: port.to_owned(),
            address: address.to_owned(),
            running: true,
        }
    }

    #[test]
    fn a_client_knows_both_name_nodes() {
        let rows = [
            row(0, "rpc", "a:1"),
            row(0, "http", "a:2"),
            row(1, "rpc", "b:3"),
            row(1, "http", "b:4"),
        ];
        let names = name_nodes(&rows).unwrap();
        assert_eq!(names.iter().map(|it| it.address("http")).collect::<Vec<_>>(), ["a:2", "b:4"]);
        assert!(name_nodes(&rows[..2]).unwrap_err().to_string().contains("1 of 2"));
        assert!(name_nodes(&[row(0, "rpc", "a")]).unwrap_err().to_string().contains("understood"));
    }
}

//! What an election node says of its master: Mesos's MasterInfo as JSON.
//!
//! It relies on nothing. It never trusts what it reads to be more than a hint of where a leader is.

use serde_json::Value;
use zookeeper_client::{Client, Error};

use super::layout::{candidates, Layout};
use super::service::within;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The address, `host:port`, of the master that an election node describes.
pub(crate) fn address_of(info: &[u8]) -> Option<String> {
    let info: Value = serde_json::from_slice(info).ok()?;
    let address = &info["address"];
    let port = address["port"].as_u64().or_else(|| info["port"].as_u64())?;
    let host = [&address["hostname"], &info["hostname"], &address["ip"]]
        .into_iter()
        .find_map(|it| it.as_str().filter(|it| !it.is_empty()))?;
    let is_host = host.chars().all(|c| c.is_ascii_graphic() && !"/@?#".contains(c));
    (is_host && (1..=65_535).contains(&port)).then(|| format!("{host}:{port}"))
}

/// The address of the first of these candidates; `None` when there is none, or it says nothing.
pub(crate) async fn leader_of(
    client: &Client,
    layout: &Layout,
    children: &[String],
) -> Result<Option<String>, Error> {
    let Some(first) = candidates(children).into_iter().next() else { return Ok(None) };
    match within(PATIENCE, client.get_data(&layout.candidate(&first))).await {
        Ok((info, _)) => Ok(address_of(&info)),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mesos_publishes_is_read_and_noise_is_not() {
        let mesos = br#"{"address":{"hostname":"m1","ip":"10.0.0.1","port":5050},"capabilities":[],"hostname":"m1","id":"x","ip":16777226,"pid":"master@10.0.0.1:5050","port":5050,"version":"1.11.0"}"#;
        assert_eq!(address_of(mesos), Some("m1:5050".to_owned()));
        let old = br#"{"hostname":"","address":{"ip":"::1"},"port":7}"#;
        assert_eq!(address_of(old), Some("::1:7".to_owned()));
        for noise in
            ["", "{}", r#"{"hostname":"a/b","port":1}"#, r#"{"hostname":"a","port":70000}"#]
        {
            assert_eq!(address_of(noise.as_bytes()), None, "{noise}");
        }
    }
}

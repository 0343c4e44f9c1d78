//! Questions to the masters, and changes asked of them.
//!
//! Relies on a master that does not lead naming the one that does. Reading may try one master after the other; a change is sent to
//! one only, because whether it was carried out may not be known.

use std::sync::OnceLock;
use std::time::Duration;

use holdfast_model::convert::operator;
use holdfast_model::OperatorCall;
use holdfast_proto::mesos::v1::master::{Call, Response};
use holdfast_quorum::{Masters, MastersError};
use holdfast_wire::{ClientError, MesosClient};
use serde_json::Value;

use super::query;
use super::rows::{Listed, Received};
use crate::failure::{Failure, EXIT_ERROR, EXIT_NO_LEADER, EXIT_USAGE};

/// How long an ensemble may take to say who leads.
const ENSEMBLE_PATIENCE: Duration = Duration::from_secs(10);

/// The masters.
#[derive(Clone, Debug)]
pub struct MasterApi {
    client: MesosClient,
    addresses: Vec<String>,
    /// Once the first question is asked.
    masters: OnceLock<Masters>,
}

impl MasterApi {
    /// The masters at these addresses (`host:port`, or `zk://...`, where they meet), at least one.
    pub fn new(client: MesosClient, addresses: Vec<String>) -> MasterApi {
        MasterApi { client, addresses, masters: OnceLock::new() }
    }

    /// Whom to ask, the one that leads first, as far as it is known.
    ///
    /// # Errors
    /// When an address is none, or an ensemble names no leader.
    async fn whom(&self) -> Result<Vec<String>, Failure> {
        let usage = |error: MastersError| {
            Failure::new(EXIT_USAGE, format!("--master: {error}"), "see `holdfast help`")
        };
        let masters = match self.masters.get() {
            Some(masters) => masters,
            None => {
                let masters = Masters::watch(&self.addresses).map_err(usage)?;
                self.masters.get_or_init(|| masters)
            }
        };
        let found = masters.next(ENSEMBLE_PATIENCE).await;
        match masters.trouble().filter(|_| found.is_empty()) {
            Some(trouble) => Err(Failure::new(
                EXIT_NO_LEADER,
                trouble,
                "wait until a master leads, or name one with --master HOST:PORT",
            )),
            None => Ok(found),
        }
    }

    /// What was named: addresses of masters, or where they meet.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The client, for agents and sessions.
    pub fn client(&self) -> &MesosClient {
        &self.client
    }

    /// All rows of a kind.
    ///
    /// # Errors
    /// When no master answers or it refuses, or a row cannot be read.
    pub async fn rows<T: Listed>(&self) -> Result<Vec<Received<T>>, Failure> {
        match self.get(T::PAGE, &[]).await? {
            Value::Array(rows) => rows.into_iter().map(|it| Received::read(T::PAGE, it)).collect(),
            _ => Err(Failure::new(
                EXIT_ERROR,
                format!("the master's `{}` are no list", T::PAGE),
                "is it the same version as this program?",
            )),
        }
    }

    /// An answer of the masters' own API.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn get(&self, name: &str, pairs: &[(&str, &str)]) -> Result<Value, Failure> {
        let path = query::with(&format!("/holdfast/v1/{name}"), pairs);
        let mut last = None;
        for address in &self.whom().await? {
            match self.client.get_json(address, &path).await {
                Ok(value) => return Ok(value),
                Err(error) if may_ask_another(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(no_master, Failure::from))
    }

    /// Asks for a change by the masters' own API.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn post(&self, name: &str, pairs: &[(&str, &str)]) -> Result<Value, Failure> {
        let path = query::with(&format!("/holdfast/v1/{name}"), pairs);
        Ok(self.client.post_json(&self.alive().await?, &path).await?)
    }

    /// Posts a document to the masters' own API.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn post_document(&self, name: &str, document: String) -> Result<Value, Failure> {
        let path = format!("/holdfast/v1/{name}");
        Ok(self.client.post_document(&self.alive().await?, &path, document.into()).await?)
    }

    /// Asks for a change; returns once it is done and durable.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn order(&self, order: &OperatorCall) -> Result<(), Failure> {
        let call = operator::to_proto(order).expect("it is one of the Mesos API");
        self.operator(&call).await.map(drop)
    }

    /// An operator call.
    ///
    /// # Errors
    /// When no master answers or it refuses.
    pub async fn operator(&self, call: &Call) -> Result<Option<Response>, Failure> {
        let address = self.alive().await?;
        self.client.operator(&address, call).await.map_err(Failure::from)
    }

    /// A master that answers, whether it leads or not. Of a single one this is not asked: it will be seen.
    ///
    /// # Errors
    /// When none does.
    pub async fn alive(&self) -> Result<String, Failure> {
        let whom = self.whom().await?;
        if let [only] = whom.as_slice() {
            return Ok(only.clone());
        }
        let mut last = None;
        for address in whom {
            match self.client.get_json(&address, "/version").await {
                Ok(_) => return Ok(address),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(no_master, Failure::from))
    }
}

/// Whether another master may know better.
fn may_ask_another(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::TimedOut { .. }
        | ClientError::NoLeader { .. } => true,
        ClientError::Refused { status, .. } => *status == 503,
        _ => false,
    }
}

fn no_master() -> Failure {
    Failure::new(
        EXIT_NO_LEADER,
        "no master was named",
        "name one with --master HOST:PORT (HOLDFAST_ADDR)",
    )
}

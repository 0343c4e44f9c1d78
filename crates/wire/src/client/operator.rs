//! Sends an operator's calls to masters and agents, and reads pages.
//!
//! It never interprets an answer beyond its encoding.

use bytes::Bytes;
use holdfast_proto::mesos::v1::{agent, master};
use http::Method;

use super::{http1, ClientError, MesosClient};
use crate::content::{Content, Wired};

const PATH: &str = "/api/v1";

impl MesosClient {
    /// Sends an operator's call to a master (`host:port`), or to the leader it names. `None` means
    /// that it was accepted without a body.
    ///
    /// # Errors
    /// When no master answers, or it refuses.
    pub async fn operator(
        &self,
        address: &str,
        call: &master::Call,
    ) -> Result<Option<master::Response>, ClientError> {
        self.call_operator(address, call).await
    }

    /// Sends an operator's call to an agent (`host:port`).
    ///
    /// # Errors
    /// When the agent does not answer, or refuses.
    pub async fn agent_operator(
        &self,
        address: &str,
        call: &agent::Call,
    ) -> Result<Option<agent::Response>, ClientError> {
        self.call_operator(address, call).await
    }

    async fn call_operator<C: Wired, R: Wired>(
        &self,
        address: &str,
        call: &C,
    ) -> Result<Option<R>, ClientError> {
        let (address, response) =
            self.http.send_and_read(address, &self.request(PATH, None, call)).await?;
        if response.body().is_empty() {
            return Ok(None);
        }
        let malformed = |reason| ClientError::Malformed { address, reason };
        let content =
            Content::sent(response.headers()).and_then(|content| content.decode(response.body()));
        content.map(Some).map_err(|refusal| malformed(refusal.message))
    }

    /// Reads a page as JSON; `path` may have a query.
    ///
    /// # Errors
    /// When nobody answers, the page is refused, or it is no JSON.
    pub async fn get_json(
        &self,
        address: &str,
        path: &str,
    ) -> Result<serde_json::Value, ClientError> {
        let (address, body) = self.ask(Method::GET, address, path, Bytes::new()).await?;
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Malformed { address, reason: error.to_string() })
    }

    /// Reads a page as it is.
    ///
    /// # Errors
    /// When nobody answers, or the page is refused.
    pub async fn get_bytes(&self, address: &str, path: &str) -> Result<Bytes, ClientError> {
        Ok(self.ask(Method::GET, address, path, Bytes::new()).await?.1)
    }

    /// Asks for a change by posting to `path`, whose query says what, and reads the answer as JSON.
    ///
    /// # Errors
    /// When nobody answers, the change is refused, or the answer is no JSON.
    pub async fn post_json(
        &self,
        address: &str,
        path: &str,
    ) -> Result<serde_json::Value, ClientError> {
        self.post_document(address, path, Bytes::new()).await
    }

    /// POSTs JSON to a path.
    ///
    /// # Errors
    /// As [`MesosClient::post_json`].
    pub async fn post_document(
        &self,
        address: &str,
        path: &str,
        document: Bytes,
    ) -> Result<serde_json::Value, ClientError> {
        let (address, body) = self.ask(Method::POST, address, path, document).await?;
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Malformed { address, reason: error.to_string() })
    }

    async fn ask(
        &self,
        method: Method,
        address: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(String, Bytes), ClientError> {
        let call = http1::Call {
            method,
            path: path.to_owned(),
            content: Content::Json,
            extra: None,
            body,
        };
        let (address, response) = self.http.send_and_read(address, &call).await?;
        Ok((address, response.into_body()))
    }
}

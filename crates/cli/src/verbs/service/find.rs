//! Which service is meant, and where it serves its pages.
//!
//! Relies on the masters for the address, which the framework told them when it subscribed. Never takes one that was removed.

use holdfast_api::rows::{FrameworkRow, FrameworkStanding};
use holdfast_wire::ClientError;
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR, EXIT_NOT_FOUND, EXIT_TIMEOUT};
use crate::verbs::choose::choose;
use crate::verbs::rows::Received;
use crate::verbs::Context;

/// A service that can be asked.
pub struct Service<'a> {
    context: &'a Context,
    /// Its name.
    pub name: String,
    /// The id of its framework.
    pub framework: String,
    address: String,
}

/// The address in the URL of a web page: `http://host:port/...`.
pub fn address_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let address = rest.split('/').next()?;
    (!address.is_empty() && !address.contains('@')).then_some(address)
}

/// The frameworks that are there, or may come back.
///
/// # Errors
/// When no master answers or it refuses.
pub async fn frameworks(context: &Context) -> Result<Vec<Received<FrameworkRow>>, Failure> {
    let mut rows = context.master.rows::<FrameworkRow>().await?;
    rows.retain(|it| it.state != FrameworkStanding::Removed);
    Ok(rows)
}

/// The service that is meant.
///
/// # Errors
/// When there is none of that name, or it serves no pages.
pub async fn find<'a>(context: &'a Context, given: &str) -> Result<Service<'a>, Failure> {
    let mut rows = frameworks(context).await?;
    // Of several with a name, such as one and its lost self, the one that is here is meant.
    let is_here =
        |it: &Received<FrameworkRow>| it.name == given && it.state == FrameworkStanding::Connected;
    if rows.iter().filter(|it| is_here(it)).count() == 1 {
        rows.retain(is_here);
    }
    let row = choose(&rows, given).map_err(|failure| match failure.code {
        EXIT_NOT_FOUND => Failure::not_found(
            format!("there is no service `{given}`"),
            "see `holdfast service list`; `holdfast service run SPEC` starts one",
        ),
        _ => failure,
    })?;
    let Some(address) = row.webui_url.as_deref().and_then(address_of) else {
        return Err(Failure::not_found(
            format!("framework `{given}` has not said where it serves its pages"),
            "see `holdfast framework list -o wide`; what `holdfast service run` starts says it",
        ));
    };
    Ok(Service {
        context,
        name: row.name.clone(),
        framework: row.id.clone(),
        address: address.to_owned(),
    })
}

impl<'a> Service<'a> {
    /// The service at an address that is known.
    pub fn at(context: &'a Context, row: &FrameworkRow, address: &str) -> Service<'a> {
        let (name, framework) = (row.name.clone(), row.id.clone());
        Service { context, name, framework, address: address.to_owned() }
    }

    /// Where it serves its pages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Reads a page.
    ///
    /// # Errors
    /// When it does not answer, or cannot be read.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Received<T>, Failure> {
        let answer = self.context.master.client().get_json(&self.address, path).await;
        self.read(path, answer)
    }

    /// Has something done.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &impl Serialize,
    ) -> Result<Received<T>, Failure> {
        let body = serde_json::to_vec(document).expect("a document is JSON");
        let client = self.context.master.client();
        let answer = client.post_document(&self.address, path, body.into()).await;
        self.read(path, answer)
    }

    fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Result<Value, ClientError>,
    ) -> Result<Received<T>, Failure> {
        let raw = answer.map_err(|error| self.failed(error))?;
        match T::deserialize(&raw) {
            Ok(row) => Ok(Received { raw, row }),
            Err(error) => Err(Failure::new(
                EXIT_ERROR,
                format!("`{path}` of service `{}` cannot be read: {error}", self.name),
                "the service may be of another version than this program; -V says which this is",
            )),
        }
    }

    fn failed(&self, error: ClientError) -> Failure {
        let (name, address) = (&self.name, &self.address);
        match error {
            ClientError::Refused { status: 404, message } => {
                Failure::not_found(message, format!("see `holdfast service show {name}`"))
            }
            ClientError::Refused { status: 409, message } => {
                Failure::new(EXIT_CONFLICT, message, format!("see `holdfast service show {name}`"))
            }
            ClientError::Unreachable { .. } => Failure::new(
                EXIT_TIMEOUT,
                format!("service `{name}` does not answer at {address}"),
                format!("is its scheduler running? its tasks run on without it: `holdfast task list --framework {}`; start it again with `holdfast service run`", self.framework),
            ),
            other => Failure::from(other),
        }
    }
}

/// Who asks, for the records of a service.
pub fn asker() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page() {
        assert_eq!(address_of("http://10.0.0.1:8080/"), Some("10.0.0.1:8080"));
        assert_eq!(address_of("http://h:1"), Some("h:1"));
        for url in ["", "https://h:1/", "http://", "http:///x", "http://u@h:1/", "h:1"] {
            assert_eq!(address_of(url), None, "{url}");
        }
    }
}

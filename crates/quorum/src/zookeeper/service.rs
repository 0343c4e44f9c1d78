//! The thread on which everything that concerns an ensemble runs, and how it is reached.
//!
//! It relies on `zookeeper-client`, which keeps a session alive across connections. Callers block:
//! they are threads of their own. It never waits for an answer without an end.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, CreateOptions, Error, Permission};

use super::address::ZooKeeperAddress;

/// A runtime of its own. Dropping it ends whatever runs on it.
#[derive(Debug)]
pub(crate) struct Service {
    runtime: Option<Runtime>,
}

impl Service {
    pub fn start() -> std::io::Result<Service> {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("zookeeper").enable_all();
        Ok(Service { runtime: Some(runtime.build()?) })
    }

    pub fn handle(&self) -> Handle {
        self.runtime.as_ref().expect("it is taken only when this is dropped").handle().clone()
    }

    /// Waits for `work`, which runs on the service's thread; `None` if it fell over.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle().spawn(async move { sender.send(work.await) });
        receiver.recv().ok()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The owner may be dropped on a thread that must not block.
            runtime.shutdown_background();
        }
    }
}

/// Begins a session.
pub(crate) async fn connect(
    address: &ZooKeeperAddress,
    session: Duration,
    silence: Duration,
) -> Result<Client, Error> {
    // A server that says nothing for so long is given up, and another one is tried.
    let connector = Client::connector()
        .with_session_timeout(session)
        .with_connection_timeout(silence.min(session * 2 / 5));
    let connector = match address.digest() {
        Some(login) => connector.with_auth("digest", login.as_bytes()),
        None => connector,
    };
    connector.connect(&address.servers()).await
}

/// Waits before the ensemble is asked again, which tells nobody when it is back.
pub(crate) async fn pause(length: Duration) {
    // tidy: sleep is the point: a pause between attempts
    tokio::time::sleep(length).await;
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, answer).await.unwrap_or(Err(Error::Timeout))
}

/// Whether a request with this outcome may have been carried out or not.
pub(crate) fn is_unsure(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionLoss | Error::Timeout | Error::Custom(_) | Error::UnexpectedError(_)
    )
}

/// Whether the session is over for good.
pub(crate) fn is_over(error: &Error) -> bool {
    matches!(
        error,
        Error::SessionExpired | Error::SessionMoved | Error::ClientClosed | Error::AuthFailed
    )
}

/// Who may do what with nodes: with a login, nobody else may write.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    public: Vec<Acl>,
    private: Acls<'static>,
}

impl Access {
    pub fn new(address: &ZooKeeperAddress) -> Access {
        let anyone = |permission| Acl::new(permission, AuthId::new("world", "anyone"));
        match address.digest() {
            Some(_) => Access {
                public: vec![
                    anyone(Permission::READ),
                    Acl::new(Permission::ALL, AuthId::new("auth", "")),
                ],
                private: Acls::creator_all(),
            },
            None => Access { public: vec![anyone(Permission::ALL)], private: Acls::anyone_all() },
        }
    }

    /// An election node, and the path to it: everybody may find the leader.
    pub fn public(&self, mode: CreateMode) -> CreateOptions<'_> {
        mode.with_acls(Acls::new(&self.public))
    }

    /// A node of the journal.
    pub fn journal(&self) -> CreateOptions<'static> {
        CreateMode::Persistent.with_acls(self.private)
    }
}

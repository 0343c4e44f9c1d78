//! The address of an ensemble, as Mesos writes it: `zk://[user:password@]host:port,.../path`.
//!
//! It relies on nothing. It never shows a password.

use std::fmt;
use std::str::FromStr;

/// The port that ZooKeeper listens on where an address names none.
const PORT: u16 = 2181;

/// Where an ensemble is, and the path at which its masters meet.
#[derive(Clone, PartialEq, Eq)]
pub struct ZooKeeperAddress {
    /// The servers, as `host:port`.
    servers: Vec<String>,
    /// The path of the election, with its leading slash and without one at its end.
    path: String,
    /// `user:password` of the scheme `digest`.
    digest: Option<String>,
}

/// Why a text is not the address of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("the address of an ensemble begins with zk://; try zk://HOST:2181,HOST:2181/PATH")]
    Scheme,
    /// What stands before the `@` is not a name and a password.
    #[error("before the @ of an ensemble's address stand USER:PASSWORD; try zk://USER:PASSWORD@HOST:2181/PATH")]
    Login,
    /// A server is not a host with a port.
    #[error("{server:?} is not a server of an ensemble; try HOST:PORT")]
    Server {
        /// What was given.
        server: String,
    },
    /// There is no path, or one that ZooKeeper does not take.
    #[error("{path:?} is not a path at which masters can meet; try zk://HOST:2181/holdfast")]
    Path {
        /// What was given.
        path: String,
    },
    /// The path is that of a journal, or in one.
    #[error("{path:?} is where masters that meet at the path without `.holdfast` keep their journal; name the path at which they meet")]
    Journal {
        /// What was given.
        path: String,
    },
}

/// What the path of a journal ends with, which is beside that of its election.
pub(crate) const JOURNAL_SUFFIX: &str = ".holdfast";

impl ZooKeeperAddress {
    /// What begins every such address.
    pub const SCHEME: &str = "zk://";

    /// The servers, separated by commas.
    pub(crate) fn servers(&self) -> String {
        self.servers.join(",")
    }

    /// The path of the election.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `user:password`, if the address has them.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl FromStr for ZooKeeperAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ZooKeeperAddress, AddressError> {
        let rest = text.strip_prefix(ZooKeeperAddress::SCHEME).ok_or(AddressError::Scheme)?;
        let slash = rest.rfind('@').map_or(0, |at| at + 1);
        let slash = rest[slash..].find('/').map_or(rest.len(), |at| slash + at);
        let (authority, path) = rest.split_at(slash);
        let (digest, servers) = match authority.rsplit_once('@') {
            Some((login, servers)) => (Some(login), servers),
            None => (None, authority),
        };
        let is_login = |it: &&str| it.split_once(':').is_some_and(|(user, _)| !user.is_empty());
        if digest.is_some_and(|it| !is_login(&it)) {
            return Err(AddressError::Login);
        }
        let servers = servers.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
        Ok(ZooKeeperAddress { servers, path: node_path(path)?, digest: digest.map(str::to_owned) })
    }
}

fn server(text: &str) -> Result<String, AddressError> {
    let bad = || AddressError::Server { server: text.to_owned() };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (text, PORT),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if host.is_empty() || port == 0 || !host.chars().all(is_host) {
        return Err(bad());
    }
    Ok(format!("{host}:{port}"))
}

/// A path below the root, of names that ZooKeeper takes.
fn node_path(text: &str) -> Result<String, AddressError> {
    let path = text.trim_end_matches('/');
    let is_name = |it: &str| !it.is_empty() && it != "." && it != "..";
    let is_char = |c: char| !c.is_control() && !c.is_whitespace();
    let whole = path.strip_prefix('/').is_some_and(|it| it.split('/').all(is_name));
    if !whole || !path.chars().all(is_char) || path == "/zookeeper" {
        return Err(AddressError::Path { path: text.to_owned() });
    }
    if path.split('/').any(|it| it.ends_with(JOURNAL_SUFFIX)) {
        return Err(AddressError::Journal { path: text.to_owned() });
    }
    Ok(path.to_owned())
}

impl fmt::Display for ZooKeeperAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.digest().and_then(|it| it.split(':').next());
        let login = user.map(|it| format!("{it}:***@")).unwrap_or_default();
        write!(f, "{}{login}{}{}", ZooKeeperAddress::SCHEME, self.servers(), self.path)
    }
}

impl fmt::Debug for ZooKeeperAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_mesos_writes_them_and_passwords_are_not_shown() {
        for (text, servers, path, digest, shown) in [
            ("zk://a:1,b:2/mesos", "a:1,b:2", "/mesos", None, "zk://a:1,b:2/mesos"),
            ("zk://a/mesos/one/", "a:2181", "/mesos/one", None, "zk://a:2181/mesos/one"),
            (
                "zk://ops:p@ss/w:rd@[::1]:7/m",
                "[::1]:7",
                "/m",
                Some("ops:p@ss/w:rd"),
                "zk://ops:***@[::1]:7/m",
            ),
        ] {
            let address: ZooKeeperAddress = text.parse().unwrap();
            assert_eq!(address.servers(), servers);
            assert_eq!((address.path(), address.digest()), (path, digest));
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.into(), shown.into()));
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        let parse = |text: &str| text.parse::<ZooKeeperAddress>().unwrap_err();
        assert_eq!(parse("a:2181/mesos"), AddressError::Scheme);
        assert_eq!(parse("zk://ops@a:1/m"), AddressError::Login);
        assert_eq!(parse("zk://:secret@a:1/m"), AddressError::Login);
        for text in ["zk:///m", "zk://a:1,/m", "zk://a:x/m", "zk://a:0/m", "zk://a b:1/m"] {
            assert!(matches!(parse(text), AddressError::Server { .. }), "{text}");
        }
        for text in ["zk://a:1", "zk://a:1/", "zk://a:1//m", "zk://a:1/a/../b", "zk://a:1/a b"] {
            assert!(matches!(parse(text), AddressError::Path { .. }), "{text}");
        }
        for text in ["zk://a:1/m.holdfast", "zk://a:1/m.holdfast/", "zk://a:1/m.holdfast/log"] {
            assert!(matches!(parse(text), AddressError::Journal { .. }), "{text}");
        }
    }
}

//! Who belongs together: the identity of a file system, as Hadoop writes it into each `VERSION`, and the members of the service.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of members; each is a pod of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A journal node.
    Journal,
    /// A name node with its failover controller.
    Name,
    /// A data node.
    Data,
}

impl Kind {
    /// The name of its pod, of its volume, and of Hadoop's directory on that.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Journal => "journal",
            Kind::Name => "name",
            Kind::Data => "data",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Kind> {
        [Kind::Journal, Kind::Name, Kind::Data].into_iter().find(|it| it.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The name of the service, which is the nameservice, too.
    pub service: String,
    /// The kind.
    pub kind: Kind,
    /// The number within the kind.
    pub member: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} of `{}`", self.kind, self.member, self.service)
    }
}

/// The identity of a file system, which it gets when it is formatted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its `clusterID`.
    pub cluster: String,
    /// Its `namespaceID`, where that is known: data nodes keep it elsewhere.
    pub namespace: Option<String>,
    /// Its `blockpoolID`, where that is known: journal nodes have none.
    pub block_pool: Option<String>,
}

impl Identity {
    /// What of the other contradicts this one, with both values.
    pub fn contradiction(&self, other: &Identity) -> Option<(&'static str, String, String)> {
        if self.cluster != other.cluster {
            return Some(("clusterID", self.cluster.clone(), other.cluster.clone()));
        }
        let pairs = [
            ("namespaceID", &self.namespace, &other.namespace),
            ("blockpoolID", &self.block_pool, &other.block_pool),
        ];
        pairs.into_iter().find_map(|(name, one, other)| match (one, other) {
            (Some(one), Some(other)) if one != other => Some((name, one.clone(), other.clone())),
            _ => None,
        })
    }
}

/// Hadoop's file `VERSION` of a storage directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Whose file system it is.
    pub identity: Identity,
    /// The data node's own id.
    pub data_node: Option<String>,
    /// The id of the storage directory of a data node.
    pub storage: Option<String>,
}

impl Version {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// Which line it does not have.
    pub fn parse(text: &str) -> Result<Version, String> {
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        let values: BTreeMap<&str, &str> =
            lines.filter_map(|it| it.trim().split_once('=')).collect();
        let value = |name: &str| {
            let value = values.get(name).map(|it| it.trim()).filter(|it| !it.is_empty());
            // A file of Java's properties has `\:` for a colon.
            value.map(|it| it.replace('\\', ""))
        };
        let cluster = value("clusterID").ok_or("it has no clusterID")?;
        let identity =
            Identity { cluster, namespace: value("namespaceID"), block_pool: value("blockpoolID") };
        Ok(Version { identity, data_node: value("datanodeUuid"), storage: value("storageID") })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An identity that is whole.
    pub(crate) fn identity(cluster: &str) -> Identity {
        Identity {
            cluster: cluster.to_owned(),
            namespace: Some("7".to_owned()),
            block_pool: Some("BP-1".to_owned()),
        }
    }

    #[test]
    fn a_version_is_read_as_hadoop_writes_it() {
        let text = "#Mon Nov 30 19:04:22 UTC 2026\nnamespaceID=1350667264\nblockpoolID=BP-1369549863-127.0.0.1-1796065462315\n\
                    storageType=NAME_NODE\ncTime=1796065462315\nclusterID=CID-x\nlayoutVersion=-67\n";
        let version = Version::parse(text).unwrap();
        assert_eq!(version.identity.cluster, "CID-x");
        assert_eq!(version.identity.namespace.as_deref(), Some("1350667264"));
        assert_eq!(
            version.identity.block_pool.as_deref(),
            Some("BP-1369549863-127.0.0.1-1796065462315")
        );
        assert_eq!(version.data_node, None);
        let data = Version::parse("datanodeUuid=u\nstorageID=DS-1\nclusterID=CID\\:x\n").unwrap();
        assert_eq!((data.data_node.as_deref(), data.storage.as_deref()), (Some("u"), Some("DS-1")));
        assert_eq!(data.identity.cluster, "CID:x");
        assert!(Version::parse("namespaceID=1\nclusterID=\n").unwrap_err().contains("clusterID"));
    }

    #[test]
    fn only_what_both_know_can_contradict() {
        let whole = identity("c");
        let journal = Identity { block_pool: None, ..whole.clone() };
        assert_eq!(whole.contradiction(&journal), None);
        let other = Identity { namespace: Some("8".to_owned()), ..journal };
        assert_eq!(whole.contradiction(&other), Some(("namespaceID", "7".into(), "8".into())));
        assert_eq!(whole.contradiction(&identity("d")).unwrap().0, "clusterID");
        let pool = Identity { block_pool: Some("BP-2".to_owned()), ..whole.clone() };
        assert_eq!(whole.contradiction(&pool).unwrap().0, "blockpoolID");
    }

    #[test]
    fn kinds_are_named_as_their_pods() {
        for kind in [Kind::Journal, Kind::Name, Kind::Data] {
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::of_name("zookeeper"), None);
    }
}

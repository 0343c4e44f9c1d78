//! What a node says about itself and about its ring, by CQL.
//!
//! It relies on `cql` for the protocol. It asks for what the node has in memory, so that a look costs it next to nothing, and waits no
//! longer than a few seconds for anything.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use holdfast_sdk::net::{bail, ensure, Context, Result};

use crate::cql::{self, Answer, Field, Row};

/// How long a node may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL: &str = "SELECT cluster_name, data_center, rack, partitioner, host_id, tokens, release_version, bootstrapped FROM system.local";
const GOSSIP: &str = "SELECT address, dc, rack, status_with_port, host_id, \"schema\", load, generation, heartbeat FROM system_views.gossip_info";
const KEYSPACES: &str = "SELECT keyspace_name, replication FROM system_schema.keyspaces";
const STREAMING: &str = "SELECT operation, status, peers FROM system_views.streaming";

/// What a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The name of its cluster.
    pub cluster_name: String,
    /// Its data centre.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// Its host id.
    pub host_id: String,
    /// Its tokens.
    pub tokens: Vec<String>,
    /// The version of Cassandra.
    pub release: String,
    /// Whether it has its data.
    pub is_bootstrapped: bool,
    /// Its own state in the ring, such as `NORMAL`.
    pub status: String,
}

impl Facts {
    /// Whether it is a whole member of its ring, which nodetool shows as `UN`.
    pub fn is_normal(&self) -> bool {
        self.is_bootstrapped && self.status == "NORMAL"
    }

    fn read(local: &Row, gossip: &[Node]) -> Facts {
        let host_id = text(local, "host_id");
        let own = gossip.iter().find(|it| it.host_id == host_id);
        Facts {
            cluster_name: text(local, "cluster_name"),
            dc: text(local, "data_center"),
            rack: text(local, "rack"),
            tokens: match local.get("tokens") {
                Some(Field::List(tokens)) => tokens.clone(),
                _ => Vec::new(),
            },
            release: text(local, "release_version"),
            is_bootstrapped: text(local, "bootstrapped") == "COMPLETED",
            status: own.map(|it| it.status.clone()).unwrap_or_default(),
            host_id,
        }
    }
}

/// A node of a ring, as another one sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    /// Its address.
    pub address: String,
    /// Its data centre.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// Its state in the ring, such as `NORMAL` or `shutdown`.
    pub status: String,
    /// Its host id.
    pub host_id: String,
    /// The version of its schema.
    pub schema: String,
    /// How much data it has, in bytes, as it last said.
    pub load_bytes: u64,
    /// When its process started, as it says; each start has another.
    pub generation: i64,
    /// What it counts up each second while it is heard.
    pub heartbeat: i64,
}

/// How often the rows of a keyspace are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// The last part of the class of its strategy, such as `NetworkTopologyStrategy`.
    pub strategy: String,
    /// Its options: a number for each data centre, or `replication_factor`.
    pub options: std::collections::BTreeMap<String, String>,
}

impl Keyspace {
    fn read(row: &Row) -> Keyspace {
        let mut options = match row.get("replication") {
            Some(Field::Map(options)) => options.clone(),
            _ => Default::default(),
        };
        let class = options.remove("class").unwrap_or_default();
        let strategy = class.rsplit('.').next().unwrap_or_default().to_owned();
        Keyspace { name: text(row, "keyspace_name"), strategy, options }
    }
}

impl Node {
    fn read(row: &Row) -> Node {
        let load: f64 = text(row, "load").parse().unwrap_or(0.0);
        Node {
            address: text(row, "address"),
            dc: text(row, "dc"),
            rack: text(row, "rack"),
            // `NORMAL,-9152196762610319350`: a state and what belongs to it.
            status: text(row, "status_with_port").split(',').next().unwrap_or("").to_owned(),
            host_id: text(row, "host_id"),
            schema: text(row, "schema"),
            load_bytes: load as u64,
            generation: text(row, "generation").parse().unwrap_or_default(),
            heartbeat: text(row, "heartbeat").parse().unwrap_or_default(),
        }
    }
}

fn described(stream: &Row) -> String {
    let peers = match stream.get("peers") {
        Some(Field::List(peers)) => peers.join(", "),
        _ => String::new(),
    };
    format!("{} with {peers}", text(stream, "operation"))
}

fn text(row: &Row, name: &str) -> String {
    match row.get(name) {
        Some(Field::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// A connection to one node.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
}

impl Session {
    /// Connects to a node.
    ///
    /// # Errors
    /// When it does not listen, or does not take queries.
    pub fn connect(address: IpAddr, port: u16) -> Result<Session> {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), ANSWER_TIMEOUT);
        let stream = stream.context("it does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut session = Session { stream };
        match session.say(&cql::startup())? {
            Answer::Ready => Ok(session),
            Answer::Authenticate => {
                bail!("it wants to know who asks, and this has no password to give")
            }
            Answer::Error(why) => bail!("it refuses: {why}"),
            Answer::Rows(_) | Answer::Other => bail!("it answers what it was not asked"),
        }
    }

    /// What the node says about itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn facts(&mut self) -> Result<Facts> {
        let rows = self.rows(LOCAL)?;
        let local = rows.first().context("its table system.local is empty")?;
        Ok(Facts::read(local, &self.nodes()?))
    }

    /// The nodes of the ring, as this one sees them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn nodes(&mut self) -> Result<Vec<Node>> {
        Ok(self.rows(GOSSIP)?.iter().map(Node::read).collect())
    }

    /// The keyspaces, those of Cassandra itself included.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn keyspaces(&mut self) -> Result<Vec<Keyspace>> {
        Ok(self.rows(KEYSPACES)?.iter().map(Keyspace::read).collect())
    }

    /// What the node moves from or to others now, for people. What has ended is remembered for a while, and not told.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn streams(&mut self) -> Result<Vec<String>> {
        let rows = self.rows(STREAMING)?;
        let open =
            rows.iter().filter(|it| ["init", "start"].contains(&text(it, "status").as_str()));
        Ok(open.map(described).collect())
    }

    fn rows(&mut self, cql: &str) -> Result<Vec<Row>> {
        match self.say(&cql::query(cql))? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Error(why) => bail!("`{cql}` is refused: {why}"),
            Answer::Ready | Answer::Authenticate | Answer::Other => bail!("`{cql}` gave no rows"),
        }
    }

    fn say(&mut self, frame: &[u8]) -> Result<Answer> {
        self.stream.write_all(frame).context("it does not listen any more")?;
        let mut head = [0; cql::HEAD_BYTES];
        if let Err(error) = self.stream.read_exact(&mut head) {
            // What the kernel calls a read that took too long helps nobody.
            ensure!(!is_timeout(&error), "it did not answer within {ANSWER_TIMEOUT:?}");
            return Err(error).context("it does not answer");
        }
        let (opcode, length) = cql::head(head)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("it does not end its answer")?;
        Ok(cql::answer(opcode, &body)?)
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, &str)]) -> Row {
        fields
            .iter()
            .map(|(name, it)| ((*name).to_owned(), Field::Text((*it).to_owned())))
            .collect()
    }

    #[test]
    fn a_node_is_whole_once_it_has_its_data_and_says_so() {
        let node = |host, status| {
            Node::read(&row(&[
                ("host_id", host),
                ("status_with_port", status),
                ("load", "98812.0"),
            ]))
        };
        let local = |bootstrapped| row(&[("host_id", "h"), ("bootstrapped", bootstrapped)]);
        let normal =
            [node("other", "LEFT"), node("h", "NORMAL,-91"), node("third", "shutdown,true")];
        assert_eq!(normal[1].load_bytes, 98_812);
        assert!(Facts::read(&local("COMPLETED"), &normal).is_normal());
        assert!(!Facts::read(&local("IN_PROGRESS"), &normal).is_normal());
        for status in ["BOOT,-91", "shutdown,true", "LEAVING,-91", ""] {
            assert!(
                !Facts::read(&local("COMPLETED"), &[node("h", status)]).is_normal(),
                "{status}"
            );
        }
        assert!(!Facts::read(&local("COMPLETED"), &[]).is_normal(), "nobody knows of it");
    }

    #[test]
    fn who_does_not_listen_or_is_no_cassandra_is_told() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            stream
        });
        let why = Session::connect(address.ip(), address.port()).unwrap_err();
        assert!(format!("{why:#}").contains("is no Cassandra"), "{why:#}");
        drop(stranger.join().unwrap());
        let why = Session::connect(address.ip(), address.port()).unwrap_err();
        assert!(format!("{why:#}").contains("does not listen"), "{why:#}");
    }
}

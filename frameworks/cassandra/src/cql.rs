//! The little of CQL's native protocol (version 4, which every Cassandra since 2.2 speaks) that is needed to ask a node about itself.
//!
//! A driver was tried: the smallest one alive brings 26 crates that nobody here has, keeps pools of connections, follows the ring and
//! prepares statements, all of which is in the way of one question to one node that may not even listen yet. nodetool would be a JVM of
//! 64 MB for each look. Pure: `ring` has the connection. It never trusts a length.

use std::collections::BTreeMap;

/// The length of a frame's head.
pub const HEAD_BYTES: usize = 9;
/// The longest answer that is read: tables about a ring are small.
const BODY_BYTES_MAX: usize = 16 << 20;
/// How deep types may be nested.
const TYPE_DEPTH_MAX: u32 = 8;

const REQUEST: u8 = 0x04;
const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const ROWS: i32 = 2;
const CONSISTENCY_ONE: u16 = 1;

/// An answer that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what answers is no Cassandra, or a damaged one: {0}")]
pub struct BadFrame(&'static str);

/// A field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nothing.
    Null,
    /// A text, number, address or UUID, as it is written.
    Text(String),
    /// A set or list of such.
    List(Vec<String>),
    /// A map of such.
    Map(BTreeMap<String, String>),
    /// Something of another type.
    Other,
}

/// A row, by the names of its columns.
pub type Row = BTreeMap<String, Field>;

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes queries.
    Ready,
    /// It wants to know who asks.
    Authenticate,
    /// It refuses.
    Error(String),
    /// The rows of a query.
    Rows(Vec<Row>),
    /// A result without rows.
    Other,
}

/// The first frame of a connection.
pub fn startup() -> Vec<u8> {
    let mut body = vec![0, 1];
    string(&mut body, "CQL_VERSION");
    string(&mut body, "3.0.0");
    frame(STARTUP, &body)
}

/// A query, answered by the node itself.
pub fn query(cql: &str) -> Vec<u8> {
    let mut body = length_of(cql.len()).to_vec();
    body.extend(cql.as_bytes());
    body.extend(CONSISTENCY_ONE.to_be_bytes());
    body.push(0);
    frame(QUERY, &body)
}

fn frame(opcode: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![REQUEST, 0, 0, 0, opcode];
    frame.extend(length_of(body.len()));
    frame.extend(body);
    frame
}

fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("requests are short").to_be_bytes()
}

fn string(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).expect("options are short").to_be_bytes());
    body.extend(text.as_bytes());
}

/// Reads the head of an answer: what it is, and how long its body is.
///
/// # Errors
/// When it is none.
pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<(u8, usize), BadFrame> {
    if bytes[0] & 0x80 == 0 {
        return Err(BadFrame("it does not begin as an answer does"));
    }
    let length = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match length <= BODY_BYTES_MAX {
        true => Ok((bytes[4], length)),
        false => Err(BadFrame("it is too long")),
    }
}

/// Reads the body of an answer.
///
/// # Errors
/// When it makes no sense.
pub fn answer(opcode: u8, body: &[u8]) -> Result<Answer, BadFrame> {
    let mut reader = Reader(body);
    Ok(match opcode {
        READY => Answer::Ready,
        AUTHENTICATE => Answer::Authenticate,
        ERROR => {
            reader.int()?;
            Answer::Error(reader.string()?)
        }
        RESULT if reader.int()? == ROWS => Answer::Rows(reader.rows()?),
        RESULT => Answer::Other,
        _ => return Err(BadFrame("it is of a kind that nobody asked for")),
    })
}

/// The type of a column, as far as it is shown.
enum Kind {
    Text,
    Number,
    Bool,
    Uuid,
    Inet,
    List(Box<Kind>),
    Map(Box<(Kind, Kind)>),
    Other,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BadFrame> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BadFrame("it ends too soon"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn short(&mut self) -> Result<u16, BadFrame> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int(&mut self) -> Result<i32, BadFrame> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn count(&mut self) -> Result<usize, BadFrame> {
        usize::try_from(self.int()?).map_err(|_| BadFrame("it counts below nothing"))
    }

    fn string(&mut self) -> Result<String, BadFrame> {
        let length = usize::from(self.short()?);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// Bytes behind their length; `None` for null.
    fn bytes(&mut self) -> Result<Option<&'a [u8]>, BadFrame> {
        match usize::try_from(self.int()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn rows(&mut self) -> Result<Vec<Row>, BadFrame> {
        let flags = self.int()?;
        let columns = self.count()?;
        if flags & 2 != 0 {
            self.bytes()?;
        }
        if flags & 4 != 0 {
            return Err(BadFrame("it does not describe its columns"));
        }
        let is_global = flags & 1 != 0;
        if is_global {
            self.string()?;
            self.string()?;
        }
        let mut names = Vec::new();
        for _ in 0..columns {
            if !is_global {
                self.string()?;
                self.string()?;
            }
            names.push((self.string()?, self.kind(0)?));
        }
        if names.is_empty() {
            return Err(BadFrame("its rows have no columns"));
        }
        let mut rows = Vec::new();
        for _ in 0..self.count()? {
            let mut row = Row::new();
            for (name, kind) in &names {
                let field = self.bytes()?.map_or(Ok(Field::Null), |it| field(kind, it))?;
                row.insert(name.clone(), field);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn kind(&mut self, depth: u32) -> Result<Kind, BadFrame> {
        if TYPE_DEPTH_MAX < depth {
            return Err(BadFrame("its types are nested too deep"));
        }
        Ok(match self.short()? {
            0x00 => {
                self.string()?;
                Kind::Other
            }
            0x01 | 0x0A | 0x0D => Kind::Text,
            0x02 | 0x05 | 0x09 | 0x0B | 0x13 | 0x14 => Kind::Number,
            0x04 => Kind::Bool,
            0x0C | 0x0F => Kind::Uuid,
            0x10 => Kind::Inet,
            0x20 | 0x22 => Kind::List(Box::new(self.kind(depth + 1)?)),
            0x21 => Kind::Map(Box::new((self.kind(depth + 1)?, self.kind(depth + 1)?))),
            0x30 => {
                self.string()?;
                self.string()?;
                for _ in 0..self.short()? {
                    self.string()?;
                    self.kind(depth + 1)?;
                }
                Kind::Other
            }
            0x31 => {
                for _ in 0..self.short()? {
                    self.kind(depth + 1)?;
                }
                Kind::Other
            }
            _ => Kind::Other,
        })
    }
}

fn field(kind: &Kind, bytes: &[u8]) -> Result<Field, BadFrame> {
    let mut reader = Reader(bytes);
    match kind {
        Kind::List(kind) => {
            let mut items = Vec::new();
            for _ in 0..reader.count()? {
                items.extend(reader.bytes()?.and_then(|it| text(kind, it)));
            }
            Ok(Field::List(items))
        }
        Kind::Map(kinds) => {
            let mut items = BTreeMap::new();
            for _ in 0..reader.count()? {
                let key = reader.bytes()?.and_then(|it| text(&kinds.0, it));
                let value = reader.bytes()?.and_then(|it| text(&kinds.1, it));
                items.extend(key.zip(value));
            }
            Ok(Field::Map(items))
        }
        _ => Ok(text(kind, bytes).map_or(Field::Other, Field::Text)),
    }
}

fn text(kind: &Kind, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        Kind::Text => String::from_utf8_lossy(bytes).into_owned(),
        Kind::Number => {
            if bytes.is_empty() || 8 < bytes.len() {
                return None;
            }
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
            bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)).to_string()
        }
        Kind::Bool => (bytes == [1]).to_string(),
        Kind::Uuid => uuid(<[u8; 16]>::try_from(bytes).ok()?),
        Kind::Inet => match bytes.len() {
            4 => std::net::IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string(),
            _ => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string(),
        },
        Kind::List(_) | Kind::Map(_) | Kind::Other => return None,
    })
}

fn uuid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A result with a text, a UUID, a set of texts, an address, a number and a map of texts.
    pub(crate) fn result() -> Vec<u8> {
        let mut body = ROWS.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 1, 0, 0, 0, 6]);
        string(&mut body, "system");
        string(&mut body, "local");
        for (name, kind) in [
            ("rack", &[0, 0x0D][..]),
            ("host_id", &[0, 0x0C]),
            ("tokens", &[0, 0x22, 0, 0x0D]),
            ("address", &[0, 0x10]),
            ("port", &[0, 0x09]),
            ("replication", &[0, 0x21, 0, 0x0D, 0, 0x0D]),
        ] {
            string(&mut body, name);
            body.extend(kind);
        }
        body.extend([0, 0, 0, 1]);
        let mut cell = |bytes: &[u8]| {
            body.extend(length_of(bytes.len()));
            body.extend(bytes);
        };
        cell(b"r1");
        cell(&(0..16).collect::<Vec<u8>>());
        cell(&[0, 0, 0, 2, 0, 0, 0, 2, b'-', b'7', 0, 0, 0, 1, b'9']);
        cell(&[127, 0, 0, 2]);
        cell(&(-2_i32).to_be_bytes());
        cell(&[0, 0, 0, 1, 0, 0, 0, 2, b'd', b'c', 0, 0, 0, 1, b'3']);
        body
    }

    #[test]
    fn requests_are_as_the_protocol_has_them() {
        assert_eq!(&startup()[..9], [4, 0, 0, 0, 1, 0, 0, 0, 22]);
        assert_eq!(query("x"), [4, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 1, b'x', 0, 1, 0]);
    }

    #[test]
    fn rows_are_read_by_the_names_of_their_columns() {
        let Ok(Answer::Rows(rows)) = answer(RESULT, &result()) else { panic!("no rows") };
        let text = |it: &str| Field::Text(it.to_owned());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["rack"], text("r1"));
        assert_eq!(rows[0]["host_id"], text("00010203-0405-0607-0809-0a0b0c0d0e0f"));
        assert_eq!(rows[0]["tokens"], Field::List(vec!["-7".to_owned(), "9".to_owned()]));
        assert_eq!(rows[0]["address"], text("127.0.0.2"));
        assert_eq!(rows[0]["port"], text("-2"));
        let map = BTreeMap::from([("dc".to_owned(), "3".to_owned())]);
        assert_eq!(rows[0]["replication"], Field::Map(map));
    }

    #[test]
    fn an_answer_that_is_cut_or_changed_anywhere_never_does_harm() {
        let whole = result();
        for length in 0..whole.len() {
            assert!(answer(RESULT, &whole[..length]).is_err(), "cut at {length}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = answer(RESULT, &changed);
            }
        }
    }

    #[test]
    fn refusals_and_strangers_are_told_apart() {
        let mut error = vec![0, 0, 0x10, 0];
        string(&mut error, "no such table");
        assert_eq!(answer(ERROR, &error), Ok(Answer::Error("no such table".to_owned())));
        assert_eq!(answer(READY, &[]), Ok(Answer::Ready));
        assert_eq!(answer(AUTHENTICATE, &[]), Ok(Answer::Authenticate));
        assert_eq!(answer(RESULT, &[0, 0, 0, 1]), Ok(Answer::Other));
        assert!(answer(0x77, &[]).is_err());
        assert!(head(*b"HTTP/1.1 ").is_err());
        assert!(head([0x84, 0, 0, 0, 8, 0x7f, 0, 0, 0]).is_err());
        assert_eq!(head([0x84, 0, 0, 0, 8, 0, 0, 0, 9]), Ok((8, 9)));
    }
}

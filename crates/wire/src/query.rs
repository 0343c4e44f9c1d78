//! Paths and queries: percent-decoding, prefixes, and the endpoint that a path names.
//!
//! It never fails: what cannot be decoded stays as it was sent.

use std::collections::BTreeMap;

/// The query of a request, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads `a=1&b=2`; of a repeated name the last counts.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name, true), decode(value, true)))
                .collect(),
        )
    }

    /// The same with one more value, which no parameter of that name can stand for.
    pub(crate) fn with(mut self, name: &str, value: Option<String>) -> Self {
        self.0.remove(name);
        self.0.extend(value.map(|it| (name.to_owned(), it)));
        self
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Decodes `%41`, and `+` as a space in a query.
pub(crate) fn decode(text: &str, in_query: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = if bytes[at] == b'%' {
            text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())
        } else {
            None
        };
        match code {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if in_query && bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

/// The endpoint with the longest name that is `path` or a folder above it, as Mesos finds it.
pub(crate) fn longest<T: Copy>(table: &[(&str, T)], path: &str) -> Option<T> {
    let fits = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    table
        .iter()
        .filter(|(name, _)| fits(name))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, endpoint)| *endpoint)
}

/// The path without the name of the process before it (`/master`, `/slave(1)`), which clients may
/// leave out.
pub(crate) fn without_process(path: &str, is_process: impl Fn(&str) -> bool) -> &str {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = inner.split_at(inner.find('/').unwrap_or(inner.len()));
    match (is_process(first), rest) {
        (true, "") => "/",
        (true, rest) => rest,
        (false, _) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("path=%2Fa+b&offset=-1&x&path2=%zz%");
        assert_eq!(query.get("path"), Some("/a b"));
        assert_eq!(query.get("offset"), Some("-1"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("path2"), Some("%zz%"));
        assert_eq!(query.get("y"), None);
        assert_eq!(decode("/slave%281%29/a+b", false), "/slave(1)/a+b");
        assert_eq!(decode("%ff", false), "%ff");
        assert_eq!(decode("ä%é", false), "ä%é");
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = [("/api/v1", 1), ("/api/v1/scheduler", 2), ("/state", 3)];
        assert_eq!(longest(&table, "/api/v1/scheduler"), Some(2));
        assert_eq!(longest(&table, "/api/v1/operator"), Some(1));
        assert_eq!(longest(&table, "/api/v1/schedulers"), Some(1));
        assert_eq!(longest(&table, "/state/x"), Some(3));
        assert_eq!(longest(&table, "/state-summary"), None);
    }

    #[test]
    fn processes_are_optional() {
        let of = |path| without_process(path, |name| name == "master");
        assert_eq!(of("/master/state"), "/state");
        assert_eq!(of("/state"), "/state");
        assert_eq!(of("/master"), "/");
        assert_eq!(of("/masters/x"), "/masters/x");
    }
}

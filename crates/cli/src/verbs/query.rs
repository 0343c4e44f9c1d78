//! Queries of addresses: `about=a%20b&plan=true`.
//!
//! Never leaves anything unescaped that could mean something else.

use std::fmt::Write;

/// `PATH?NAME=VALUE&...`, values escaped.
pub(super) fn with(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in pairs.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        escape(value, &mut text);
    }
    text
}

fn escape(value: &str, to: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                to.push(char::from(byte))
            }
            // Writing into a string cannot fail.
            _ => drop(write!(to, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_wire::Query;

    #[test]
    fn what_is_escaped_is_read_again() {
        let odd = "a b&c=d+e%41/ü\"{}\r\n";
        let path = with("/x", &[("one", odd), ("two", "")]);
        assert!(path.starts_with("/x?one=a%20b%26c%3D") && path.is_ascii(), "{path}");
        let query = Query::parse(path.split_once('?').unwrap().1);
        assert_eq!((query.get("one"), query.get("two")), (Some(odd), Some("")));
        assert_eq!(with("/x", &[]), "/x");
    }
}

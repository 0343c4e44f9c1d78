//! The last term that was given out, as a file of two checksummed lines.
//!
//! It relies on `durable_file`. It never goes back, and never guesses: a file without a whole line
//! is an error.

use crate::durable_file::{read, replace};
use crate::leadership::LeadershipError;
use std::path::Path;

/// The term in the file; 0 when there is none.
pub(crate) fn last(path: &Path) -> Result<u64, LeadershipError> {
    let io = |source| LeadershipError::Io { file: path.to_owned(), source };
    let Some(bytes) = read(path).map_err(io)? else { return Ok(0) };
    let text = String::from_utf8_lossy(&bytes);
    // The text is not split by lines: a damaged line end must not take the second copy along.
    let copies = text.match_indices("term ").filter_map(|(at, _)| parse(&text[at..]));
    copies
        .chain(parse(&text))
        .max()
        .ok_or_else(|| LeadershipError::TermDamaged { file: path.to_owned() })
}

/// Makes `term` the last one: durable on return.
pub(crate) fn write(path: &Path, term: u64) -> Result<(), LeadershipError> {
    let line = line(term);
    let io = |source| LeadershipError::Io { file: path.to_owned(), source };
    replace(path, format!("{line}\n{line}\n").as_bytes(), true).map_err(io)
}

fn line(term: u64) -> String {
    let body = format!("term {term}");
    format!("{body} crc {:08x}", crc32fast::hash(body.as_bytes()))
}

/// The term of a whole line at the start of `text`. A person who repairs the file writes `set-term
/// <number>`: nothing that is cut off or flipped in our own lines reads like that.
fn parse(text: &str) -> Option<u64> {
    if let Some(set) = text.strip_prefix("set-term ") {
        return set.trim_end().parse().ok();
    }
    let mut words = text.strip_prefix("term ")?.split(' ');
    let term = words.next()?.parse().ok()?;
    let whole = line(term);
    (text.get(..whole.len()) == Some(whole.as_str())).then_some(term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_term_survives_one_damaged_line_and_not_two() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("term");
        assert_eq!(last(&path).unwrap(), 0);
        write(&path, 4711).unwrap();
        assert_eq!(last(&path).unwrap(), 4711);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 2;
            fs::write(&path, &flipped).unwrap();
            assert_eq!(last(&path).unwrap(), 4711, "flip at {at}");
        }
        fs::write(&path, b"term 47 crc 00000000\n").unwrap();
        assert!(matches!(last(&path), Err(LeadershipError::TermDamaged { .. })));
        fs::write(&path, b"").unwrap();
        assert!(matches!(last(&path), Err(LeadershipError::TermDamaged { .. })));
        fs::write(&path, &whole[..7]).unwrap();
        assert!(
            matches!(last(&path), Err(LeadershipError::TermDamaged { .. })),
            "cut off in the number"
        );
        fs::write(&path, b"set-term 5000\n").unwrap();
        assert_eq!(last(&path).unwrap(), 5000);
    }
}

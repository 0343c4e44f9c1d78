//! Describes where two values differ, in a line for people.
//!
//! It relies on `Debug` alone. It never decides whether they are equal.

use std::fmt::Debug;

/// Finds the first place where the two texts differ.
pub(crate) fn difference(wanted: &impl Debug, found: &impl Debug) -> String {
    let (wanted, found) = (format!("{wanted:?}"), format!("{found:?}"));
    let at =
        wanted.chars().zip(found.chars()).take_while(|(a, b)| a == b).count().saturating_sub(160);
    let piece = |text: &str| text.chars().skip(at).take(420).collect::<String>();
    format!("..{}.. where ..{}.. was wanted", piece(&found), piece(&wanted))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_difference_is_in_the_line() {
        let line = difference(&("a".repeat(300), 1), &("a".repeat(300), 2));
        assert!(line.contains("a\", 2)..") && line.contains("a\", 1).."), "{line}");
    }
}

//! The inputs that are kept for a target: `corpus/NAME.txt`, one in each line, in base64.
//!
//! `cargo xtask fuzz` compiles this file, too.

use std::collections::BTreeSet;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

/// The inputs in a text.
///
/// # Errors
/// When a line is no base64.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, base64::DecodeError> {
    text.lines().map(|it| STANDARD.decode(it)).collect()
}

/// The text of inputs, each once, the shortest first.
pub fn write(inputs: impl IntoIterator<Item = Vec<u8>>) -> String {
    let each: BTreeSet<(usize, Vec<u8>)> = inputs.into_iter().map(|it| (it.len(), it)).collect();
    each.into_iter().map(|(_, it)| STANDARD.encode(it) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_it_was_once_each_and_the_shortest_first() {
        let inputs = [b"long one".to_vec(), Vec::new(), vec![0xff, 0], vec![0xff, 0]];
        let read = read(&write(inputs.clone()));
        assert_eq!(read.unwrap(), [inputs[1].clone(), inputs[2].clone(), inputs[0].clone()]);
    }
}

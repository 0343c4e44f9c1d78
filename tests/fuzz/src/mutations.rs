//! Inputs made from others, the same ones each time.
//!
//! For a bounded run on any machine: it is not guided by coverage, so it finds less than libFuzzer does, and finds it again.

/// A source of numbers that look random: SplitMix64.
#[derive(Clone, Debug)]
pub struct Source(u64);

impl Source {
    /// The source that this seed begins.
    pub fn new(seed: u64) -> Source {
        Source(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        it ^ (it >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }
}

/// What decoders stumble over: lengths, ends of numbers, marks of the formats.
const WORDS: [&[u8]; 16] = [
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"1e308",
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"\\ud800\"",
    b"\0",
    b"%00",
    b"\xc0\x80",
    b"../",
    b"*",
];

/// The input `of`, changed in one to four places; `other` is what parts may come from.
pub fn mutated(source: &mut Source, of: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = of.to_vec();
    for _ in 0..=source.below(4) {
        change(source, &mut bytes, other);
    }
    bytes
}

fn change(source: &mut Source, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = source.below(bytes.len() + 1);
    let end = (at + 1 + source.below(16)).min(bytes.len());
    match source.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << source.below(8),
        1 if at < bytes.len() => bytes[at] = source.next().to_le_bytes()[0],
        2 => drop(bytes.drain(at.min(end)..end)),
        3 => {
            let again = bytes[at.min(end)..end].repeat(1 + source.below(4));
            bytes.splice(at..at, again);
        }
        4 => {
            let word = WORDS[source.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        5 => bytes.truncate(at),
        _ => {
            let from = source.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

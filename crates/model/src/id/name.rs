//! A name in memory, which is ordered as its text is, nearly always without reading the text.
//!
//! Cores find everything by name, and names that a cluster gives begin with the same 36 bytes, its uuid. So what comes first in a name is
//! kept as a few whole numbers; the uuid counts as two of them. Never changes which of two names is the lesser.

use std::cmp::Ordering;

/// How many bytes the text of a uuid has.
const UUID_BYTES: usize = 36;

/// See the file.
#[derive(Debug)]
pub(super) struct Name {
    text: Box<str>,
    /// Whether it begins with a uuid, in the usual text form.
    begins_with_uuid: bool,
    /// Of a name that does, the uuid and the next 16 bytes; of another one the first 32 bytes. The greatest digit comes first.
    head: [u64; 4],
}

impl Name {
    pub(super) fn new(text: &str) -> Name {
        Name::made(text.to_owned())
    }

    pub(super) fn made(text: String) -> Name {
        let bytes = text.as_bytes();
        let (begins_with_uuid, head) = match uuid_of(bytes) {
            Some([first, second]) => {
                let rest = &bytes[UUID_BYTES..];
                (true, [first, second, digits(rest, 0), digits(rest, 1)])
            }
            None => (false, [0, 1, 2, 3].map(|at| digits(bytes, at))),
        };
        Name { text: text.into_boxed_str(), begins_with_uuid, head }
    }

    /// Whether its head says all that there is of it: of two such names with the same head and length the texts are equal.
    #[inline]
    fn is_all_in_head(&self) -> bool {
        self.text.len() <= if self.begins_with_uuid { UUID_BYTES + 16 } else { 32 }
    }

    /// Compares two whose heads are equal, or say nothing about each other.
    #[inline(never)]
    fn cmp_texts(&self, other: &Name) -> Ordering {
        self.text.cmp(&other.text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The bytes from `8 * at` on, as far as there are any, as a number.
fn digits(bytes: &[u8], at: usize) -> u64 {
    let mut digits = [0; 8];
    let here = bytes.get(8 * at..).unwrap_or_default();
    here.iter().zip(&mut digits).for_each(|(from, to)| *to = *from);
    u64::from_be_bytes(digits)
}

/// The uuid that a name begins with, if it is written with small letters: those stand in the order of their numbers.
fn uuid_of(bytes: &[u8]) -> Option<[u64; 2]> {
    let text = bytes.get(..UUID_BYTES)?;
    let mut number = 0u128;
    for (at, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(at, 8 | 13 | 18 | 23) => continue,
            _ if matches!(at, 8 | 13 | 18 | 23) => return None,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some([(number >> 64) as u64, number as u64])
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Name) -> Ordering {
        if self.begins_with_uuid == other.begins_with_uuid {
            for (one, other) in self.head.iter().zip(&other.head) {
                if one != other {
                    return one.cmp(other);
                }
            }
            if self.text.len() == other.text.len() && self.is_all_in_head() {
                return Ordering::Equal;
            }
        }
        self.cmp_texts(other)
    }
}

impl PartialOrd for Name {
    #[inline]
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Name) -> bool {
        self.text.len() == other.text.len() && self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Name {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn text() -> impl Strategy<Value = String> {
        let uuids = vec![
            "",
            "00000000-0000-0000-0000-000000000007",
            "00000000-0000-0000-0000-0000000000a7",
            "00000000-0000-0000-0000-0000000000A7",
            "f0000000-0000-0000-0000-000000000007",
            "f0000000-0000-0000-0000_000000000007",
            "f0000000-0000-0000-0000-00000000000",
        ];
        (select(uuids), "(-S|-T[0-9]{1,3}-O|é|a{0,40}){0,3}[0-9]{0,4}")
            .prop_map(|(uuid, rest)| format!("{uuid}{rest}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn names_are_ordered_as_their_texts_are(one in text(), other in text()) {
            let (a, b) = (Name::new(&one), Name::new(&other));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            prop_assert_eq!(a == b, one == other);
            prop_assert_eq!(a.as_str(), one.as_str());
        }
    }
}

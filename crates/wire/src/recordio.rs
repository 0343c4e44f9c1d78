//! RecordIO: each record is its length in decimal digits, a newline, and that many bytes.
//!
//! It relies on nothing. The decoder takes pieces however they are cut; it never holds more than
//! one record of the allowed size and the piece it was given, and never believes a length before
//! the bytes are there.

use bytes::{Buf, Bytes, BytesMut};

/// The most digits that a length may have.
const DIGITS_MAX: usize = 19;

/// Why a stream is not valid RecordIO. The stream cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no length where one should be.
    #[error("`{found}` is no record length; the peer does not speak RecordIO, or bytes were lost: connect anew")]
    BadLength {
        /// The beginning of what was found instead.
        found: String,
    },
    /// A record is larger than allowed.
    #[error("a record of {length_bytes} bytes is larger than the {limit_bytes} allowed; raise the limit if it is right")]
    TooLarge {
        /// The length that it announces, in bytes.
        length_bytes: u64,
        /// The greatest length that is allowed, in bytes.
        limit_bytes: usize,
    },
}

/// Frames one record.
pub fn encode(record: &[u8]) -> Bytes {
    let length = record.len().to_string();
    let mut framed = Vec::with_capacity(length.len() + 1 + record.len());
    framed.extend_from_slice(length.as_bytes());
    framed.push(b'\n');
    framed.extend_from_slice(record);
    framed.into()
}

/// Takes a stream apart, piece by piece.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// Length of the record that is being received, in bytes.
    expected: Option<usize>,
    limit_bytes: usize,
}

impl Decoder {
    /// Makes a decoder for records of at most `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), expected: None, limit_bytes }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the next complete record.
    ///
    /// # Errors
    /// When the stream is no RecordIO, or a record is too large.
    pub fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        if self.expected.is_none() {
            self.expected = self.length()?;
        }
        match self.expected {
            Some(length) if self.buffer.len() >= length => {
                self.expected = None;
                Ok(Some(self.buffer.split_to(length).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// Whether a record has begun and is not complete.
    pub fn is_inside_record(&self) -> bool {
        self.expected.is_some() || !self.buffer.is_empty()
    }

    fn length(&mut self) -> Result<Option<usize>, RecordError> {
        let scanned = &self.buffer[..self.buffer.len().min(DIGITS_MAX + 1)];
        let bad = || RecordError::BadLength {
            found: String::from_utf8_lossy(scanned).escape_debug().to_string(),
        };
        let digits = scanned.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match scanned.get(digits) {
            None if digits <= DIGITS_MAX => return Ok(None),
            Some(b'\n') if digits > 0 => {}
            _ => return Err(bad()),
        }
        let text = std::str::from_utf8(&scanned[..digits]).map_err(|_| bad())?;
        let length_bytes: u64 = text.parse().map_err(|_| bad())?;
        let length =
            usize::try_from(length_bytes).ok().filter(|length| *length <= self.limit_bytes);
        let length =
            length.ok_or(RecordError::TooLarge { length_bytes, limit_bytes: self.limit_bytes })?;
        self.buffer.advance(digits + 1);
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(decoder: &mut Decoder) -> Result<Vec<Vec<u8>>, RecordError> {
        std::iter::from_fn(|| decoder.next_record().transpose())
            .map(|record| record.map(|bytes| bytes.to_vec()))
            .collect()
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cuts in prop::collection::vec(1usize..40, 1..50),
        ) {
            let stream: Vec<u8> = records.iter().flat_map(|record| encode(record).to_vec()).collect();
            let mut decoder = Decoder::new(300);
            let (mut seen, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                decoder.push(piece);
                seen.extend(drain(&mut decoder).unwrap());
                rest = later;
            }
            prop_assert_eq!(seen, records);
            prop_assert!(!decoder.is_inside_record());
        }

        #[test]
        fn rubbish_never_panics(stream in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(100);
            decoder.push(&stream);
            let _ = drain(&mut decoder);
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for bad in
            ["\n", "x\n", "-1\n", " 5\n", "12a\n", "99999999999999999999\n", "00000000000000000000"]
        {
            let mut decoder = Decoder::new(100);
            decoder.push(bad.as_bytes());
            assert!(matches!(decoder.next_record(), Err(RecordError::BadLength { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_large_record_is_refused_at_its_length() {
        let mut decoder = Decoder::new(100);
        decoder.push(b"101\n");
        assert_eq!(
            decoder.next_record(),
            Err(RecordError::TooLarge { length_bytes: 101, limit_bytes: 100 })
        );
        let mut decoder = Decoder::new(100);
        decoder.push(b"10");
        assert_eq!(decoder.next_record(), Ok(None));
        assert!(decoder.is_inside_record());
    }
}

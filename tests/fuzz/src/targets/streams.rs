//! RecordIO: the first two bytes say how the rest is cut into pieces.

use holdfast_wire::recordio::{encode, Decoder};

/// The greatest record that the decoder takes.
const LIMIT_BYTES: usize = 4096;

pub(super) fn recordio(input: &[u8]) {
    let [first, second, stream @ ..] = input else { return };
    let cut = read(stream.chunks(1 + usize::from(*first)));
    assert_eq!(
        cut,
        read(stream.chunks(1 + usize::from(*second))),
        "how it is cut makes no difference"
    );
    let written: Vec<u8> = cut.0.iter().flat_map(|it| encode(it)).collect();
    assert_eq!(
        read([written.as_slice()].into_iter()),
        (cut.0, false),
        "what is written reads as it was"
    );
}

/// The records of a stream, and whether it ended in something else.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut decoder, mut records) = (Decoder::new(LIMIT_BYTES), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_record() {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => break,
                Err(_) => return (records, true),
            }
        }
    }
    (records, false)
}

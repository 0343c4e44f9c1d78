//! prost, but with entries of maps written whole.
//!
//! prost leaves a map entry's value out when it equals the default. A reader that checks required fields (Mesos, and we) then finds
//! an empty `Value.Scalar` without its number: `limits: {"cpus": 0}` would be refused. Protobuf's own libraries always write both
//! halves. The generated code calls prost by this module's name and so gets this `btree_map`; all else is prost.

pub use prost::*;

pub mod encoding {
    //! `prost::encoding` with another `btree_map`.

    pub use prost::encoding::*;

    pub mod btree_map {
        //! Maps with both halves of each entry.

        use std::collections::BTreeMap;

        use prost::bytes::BufMut;
        use prost::encoding::{encode_key, encode_varint, encoded_len_varint, key_len, WireType};

        pub use prost::encoding::btree_map::merge;

        /// Writes the entries as field `tag`.
        pub fn encode<K, V, B: BufMut>(
            write_key: impl Fn(u32, &K, &mut B),
            key_length: impl Fn(u32, &K) -> usize,
            write_value: impl Fn(u32, &V, &mut B),
            value_length: impl Fn(u32, &V) -> usize,
            tag: u32,
            entries: &BTreeMap<K, V>,
            to: &mut B,
        ) {
            for (key, value) in entries {
                encode_key(tag, WireType::LengthDelimited, to);
                encode_varint((key_length(1, key) + value_length(2, value)) as u64, to);
                write_key(1, key, to);
                write_value(2, value, to);
            }
        }

        /// How many bytes [`encode`] will write.
        pub fn encoded_len<K, V>(
            key_length: impl Fn(u32, &K) -> usize,
            value_length: impl Fn(u32, &V) -> usize,
            tag: u32,
            entries: &BTreeMap<K, V>,
        ) -> usize {
            let content = |(key, value)| key_length(1, key) + value_length(2, value);
            let whole = |length: usize| encoded_len_varint(length as u64) + length;
            key_len(tag) * entries.len() + entries.iter().map(content).map(whole).sum::<usize>()
        }
    }
}

//! What is left of a message once its typed fields were taken out.
//!
//! Relies on prost. Never fails: bytes that are no such message were not written here, and count as an empty rest.

use prost::Message;

use crate::task::OpaquePayload;

/// The rest as bytes; none when nothing is left.
pub(crate) fn pack<M: Message + Default + PartialEq>(rest: &M) -> OpaquePayload {
    if *rest == M::default() {
        OpaquePayload::default()
    } else {
        rest.encode_to_vec().into()
    }
}

/// The rest as a message, to be filled with the typed fields again.
pub(crate) fn unpack<M: Message + Default>(payload: &OpaquePayload) -> M {
    M::decode(payload.bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_proto::mesos::v1;

    #[test]
    fn nothing_left_takes_no_bytes() {
        assert_eq!(pack(&v1::TaskInfo::default()), OpaquePayload::default());
        let rest = v1::TaskInfo { data: Some(vec![1, 2]), ..Default::default() };
        assert_eq!(unpack::<v1::TaskInfo>(&pack(&rest)), rest);
    }

    #[test]
    fn foreign_bytes_are_an_empty_rest() {
        assert_eq!(unpack::<v1::TaskInfo>(&vec![255; 9].into()), v1::TaskInfo::default());
    }
}

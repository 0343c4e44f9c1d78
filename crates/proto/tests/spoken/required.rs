//! Required fields of received protobuf: every one of them, at any depth, in pieces, in lists and in maps.

use holdfast_proto::binary::{check_required, decode, encode, DecodeError, MAX_DEPTH};
use holdfast_proto::mesos::v1 as mesos;
use mesos::scheduler::Call;
use prost::encoding::{encode_key, encode_varint, WireType};
use prost_types::field_descriptor_proto::Label;

use crate::samples::descriptors;

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut out);
    encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::Varint, &mut out);
    encode_varint(value, &mut out);
    out
}

fn missing(message: &str, path: &str) -> Result<(), DecodeError> {
    Err(DecodeError::MissingField { message: message.to_owned(), path: path.to_owned() })
}

#[test]
fn every_required_field_of_every_message_is_missed() {
    let mut fields = 0;
    for (name, message) in &descriptors().messages {
        assert_eq!(check_required(name, &descriptors().without(name, None)), Ok(()), "{name}");
        for required in message.field.iter().filter(|field| field.label() == Label::Required) {
            let bytes = descriptors().without(name, required.number);
            assert_eq!(check_required(name, &bytes), missing(name, required.name()), "{name}");
            fields += 1;
        }
    }
    assert!(fields > 200, "{fields}");
}

#[test]
fn the_path_leads_through_lists_and_maps() {
    let no_name = field(1, &field(4, b""));
    let accept = field(4, &[field(2, b""), field(2, &field(3, &no_name))].concat());
    let expected = "accept.operations[1].reserve.resources[0].name";
    assert_eq!(decode::<Call>(&accept).map(|_| ()), missing("mesos.v1.scheduler.Call", expected));
    let entry = [field(1, b"cpus"), field(2, b"")].concat();
    let config = [field(1, b"role"), field(2, &entry)].concat();
    assert_eq!(
        check_required("mesos.v1.quota.QuotaConfig", &config),
        missing("mesos.v1.quota.QuotaConfig", "guarantees.cpus.value")
    );
    let no_value = [field(1, b"role"), field(2, &field(1, b"cpus"))].concat();
    assert_eq!(
        check_required("mesos.v1.quota.QuotaConfig", &no_value),
        missing("mesos.v1.quota.QuotaConfig", "guarantees.cpus.value")
    );
}

#[test]
fn our_messages_are_looked_through_for_theirs() {
    let claim = field(3, b"");
    assert_eq!(
        check_required("holdfast.ledger.v1.Claim", &claim),
        missing("holdfast.ledger.v1.Claim", "resource.name")
    );
    let update = field(2, &field(2, b""));
    assert_eq!(
        check_required("holdfast.v1.FromAgent", &update),
        missing("holdfast.v1.FromAgent", "task_update.status.task_id")
    );
}

#[test]
fn a_message_may_come_in_pieces() {
    // Machine id and start of an unavailability, each in its own piece of a maintenance window's unavailability.
    let start = field(1, &varint(1, 7));
    let window = [field(2, b""), field(2, &start)].concat();
    assert_eq!(
        decode::<mesos::maintenance::Window>(&window).unwrap().unavailability.start.nanoseconds,
        7
    );
    let address =
        [field(1, b"http"), field(2, &field(1, b"host")), field(2, &varint(3, 80))].concat();
    let url: mesos::Url = decode(&address).unwrap();
    assert_eq!((url.address.hostname(), url.address.port), ("host", 80));
    let never = [field(2, b""), field(2, b"")].concat();
    let expected = missing("mesos.v1.maintenance.Window", "unavailability.start");
    assert_eq!(decode::<mesos::maintenance::Window>(&never).map(|_| ()), expected);
}

#[test]
fn an_unknown_number_is_no_required_enum() {
    let value = |number| varint(1, number);
    assert!(decode::<mesos::Value>(&value(3)).is_ok());
    assert_eq!(decode::<mesos::Value>(&value(4)).map(|_| ()), missing("mesos.v1.Value", "type"));
    assert!(
        decode::<mesos::Value>(&[value(4), value(0)].concat()).is_ok(),
        "another occurrence is known"
    );
    assert!(decode::<Call>(&varint(2, 4711)).is_ok(), "an optional one is the caller's business");
}

#[test]
fn malformed_bytes_are_named() {
    let refused = |bytes: &[u8]| match decode::<Call>(bytes) {
        Err(error @ DecodeError::Malformed { .. }) => {
            assert!(error.to_string().contains("mesos.v1.scheduler.Call"), "{error}")
        }
        other => panic!("{other:?}"),
    };
    refused(b"{\"type\":\"ACCEPT\"}");
    refused(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    refused(&[0x0a, 5, 1]);
    refused(&varint(1, 1));
    refused(&field(1, &field(1, b"\xff")));
    let wrong = check_required("mesos.v1.scheduler.Call", &varint(1, 1));
    assert!(
        matches!(wrong, Err(DecodeError::Malformed { reason, .. }) if reason.contains("framework_id"))
    );
}

#[test]
fn depth_has_an_end() {
    let nested = |depth: usize| {
        (0..depth).fold(field(1, b"c"), |inner, _| [field(1, b"c"), field(2, &inner)].concat())
    };
    let name = "mesos.v1.ContainerID";
    let deepest: mesos::ContainerId = decode(&nested(MAX_DEPTH)).unwrap();
    assert_eq!(decode(&encode(&deepest)), Ok(deepest));
    assert_eq!(check_required(name, &nested(MAX_DEPTH)), Ok(()));
    for depth in [MAX_DEPTH + 1, 10_000] {
        let too_deep = DecodeError::TooDeep { message: name.to_owned() };
        assert_eq!(decode::<mesos::ContainerId>(&nested(depth)), Err(too_deep.clone()));
        assert_eq!(check_required(name, &nested(depth)), Err(too_deep));
    }
}

#[test]
fn groups_of_a_stranger_are_skipped() {
    let mut group = Vec::new();
    encode_key(99, WireType::StartGroup, &mut group);
    group.extend(varint(1, 1));
    encode_key(99, WireType::EndGroup, &mut group);
    assert_eq!(
        decode::<mesos::OfferId>(&[group.clone(), field(1, b"o")].concat()).unwrap().value,
        "o"
    );
    let mut endless = Vec::new();
    (0..10_000).for_each(|_| encode_key(99, WireType::StartGroup, &mut endless));
    assert!(matches!(decode::<mesos::OfferId>(&endless), Err(DecodeError::TooDeep { .. })));
}

#[test]
fn entries_of_maps_are_written_whole() {
    let zero = mesos::value::Scalar { value: 0.0 };
    let guarantees = [(String::new(), zero)].into();
    let config = mesos::quota::QuotaConfig { role: "r".into(), guarantees, ..Default::default() };
    let scalar = [&[0x09][..], &[0; 8]].concat();
    let entry = [field(1, b""), field(2, &scalar)].concat();
    let bytes = encode(&config);
    assert_eq!(bytes, [field(1, b"r"), field(2, &entry)].concat());
    assert_eq!(decode(&bytes), Ok(config));
}

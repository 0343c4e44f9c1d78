//! Whatever can be said arrives as it was said, in protobuf and in JSON; whatever is garbled is refused or read, but never a panic.

use std::fmt::Debug;

use holdfast_proto::holdfast::ledger::v1 as ledger;
use holdfast_proto::holdfast::v1 as ours;
use holdfast_proto::mesos::v1 as mesos;
use holdfast_proto::{binary, json};
use proptest::prelude::*;
use prost::{Message, Name};
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::samples::{descriptors, Chance};

/// Calls `$check::<T>($args)` for every message that stands at the top of a conversation or a record.
macro_rules! for_all_spoken {
    ($check:ident $args:tt) => {
        for_all_spoken!(@each $check $args
            mesos::scheduler::Call, mesos::scheduler::Event, mesos::scheduler::Response, mesos::scheduler::ApiResult,
            mesos::executor::Call, mesos::executor::Event,
            mesos::agent::Call, mesos::agent::Response, mesos::agent::ProcessIo,
            mesos::master::Call, mesos::master::Response, mesos::master::Event,
            mesos::resource_provider::Call, mesos::resource_provider::Event,
            mesos::maintenance::Schedule, mesos::maintenance::ClusterStatus, mesos::allocator::InverseOfferStatus,
            mesos::quota::QuotaRequest, mesos::quota::QuotaStatus,
            mesos::FrameworkInfo, mesos::AgentInfo, mesos::MasterInfo, mesos::Offer, mesos::InverseOffer, mesos::Resource,
            mesos::TaskInfo, mesos::Task, mesos::TaskStatus, mesos::ExecutorInfo, mesos::ContainerInfo, mesos::Volume,
            mesos::ResourceStatistics, mesos::ResourceUsage, mesos::CgroupInfo, mesos::RateLimits, mesos::DeviceWhitelist,
            mesos::cgroup_info::blkio::Statistics,
            ours::FromAgent, ours::ToAgent,
            ledger::AgentIdentity, ledger::Disk, ledger::Executor, ledger::Task, ledger::Operation, ledger::Claim,
        )
    };
    (@each $check:ident $args:tt $($message:ty),* $(,)?) => {
        $( $check::<$message> $args; )*
    };
}

/// What every message can do.
trait Spoken:
    Message + Name + Default + Clone + PartialEq + Debug + Serialize + DeserializeOwned
{
}

impl<T: Message + Name + Default + Clone + PartialEq + Debug + Serialize + DeserializeOwned> Spoken
    for T
{
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_arrives(random in proptest::collection::vec(any::<u8>(), 0..1500)) {
        for_all_spoken!(arrives(&random));
    }

    #[test]
    fn garbled_messages_do_no_harm(
        random in proptest::collection::vec(any::<u8>(), 0..300),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for_all_spoken!(survives(&random, place, byte));
    }

    #[test]
    fn noise_does_no_harm(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
        for_all_spoken!(survives_noise(&noise));
    }
}

fn arrives<T: Spoken>(random: &[u8]) {
    let bytes = descriptors().sample(&T::full_name(), &mut Chance::new(random));
    let said: T = binary::decode(&bytes).unwrap();
    let again = binary::encode(&said);
    assert_eq!(again.len(), said.encoded_len());
    assert_eq!(binary::decode::<T>(&again).as_ref(), Ok(&said));

    let text = json::to_string(&said);
    assert!(!text.contains('\n'), "a record is one line: {text}");
    assert_eq!(json::to_vec(&said), text.as_bytes());
    let heard: T =
        json::from_slice(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(heard, said);
}

fn survives<T: Spoken>(random: &[u8], place: prop::sample::Index, byte: u8) {
    let mut bytes = descriptors().sample(&T::full_name(), &mut Chance::new(random));
    let text = json::to_string(&binary::decode::<T>(&bytes).unwrap());
    if !bytes.is_empty() {
        let place = place.index(bytes.len());
        bytes[place] = byte;
        agree::<T>(&bytes);
        agree::<T>(&bytes[..place]);
    }
    let mut text = text.into_bytes();
    let place = place.index(text.len());
    text[place] = byte;
    refused_or_sound::<T>(&text);
    refused_or_sound::<T>(&text[..place]);
}

fn survives_noise<T: Spoken>(noise: &[u8]) {
    agree::<T>(noise);
    refused_or_sound::<T>(noise);
}

/// Decoding succeeds exactly when prost can read the bytes and no required field is missing.
fn agree<T: Spoken>(bytes: &[u8]) {
    let whole = binary::check_required(&T::full_name(), bytes).is_ok();
    let readable = T::decode(bytes).is_ok();
    assert_eq!(binary::decode::<T>(bytes).is_ok(), whole && readable);
}

/// What was read from JSON can be written and read again.
fn refused_or_sound<T: Spoken>(text: &[u8]) {
    match json::from_slice::<T>(text) {
        Ok(read) => {
            let again = json::to_vec(&read);
            assert_eq!(json::to_vec(&json::from_slice::<T>(&again).unwrap()), again);
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
}

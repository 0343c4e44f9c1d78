//! gRPC messages: what lacks a required field ends the stream with its path.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use holdfast_proto::binary;
use holdfast_proto::mesos::v1::scheduler::{call, Call};
use holdfast_proto::rpc::CheckedCodec;
use http_body_util::Full;
use tonic::codec::{Codec, Streaming};
use tonic::{Code, Status};

/// The first message of a stream that holds `bytes` as one message.
fn receive(bytes: &[u8]) -> Result<Option<Call>, Status> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    frame.extend_from_slice(bytes);
    let decoder = CheckedCodec::<Call, Call>::default().decoder();
    let mut stream = Streaming::new_request(decoder, Full::new(Bytes::from(frame)), None, None);
    // The whole body lies there, so nothing ever waits.
    let received = pin!(stream.message()).poll(&mut Context::from_waker(Waker::noop()));
    match received {
        Poll::Ready(received) => received,
        Poll::Pending => panic!("a full body is ready"),
    }
}

#[test]
fn a_whole_message_passes() {
    let call = Call { r#type: Some(call::Type::Revive as i32), ..Call::default() };
    assert_eq!(receive(&binary::encode(&call)).unwrap(), Some(call));
}

#[test]
fn a_message_without_a_required_field_is_refused() {
    // framework_id without a value
    let status = receive(&[0x0a, 0]).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("framework_id.value: required field"),
        "{}",
        status.message()
    );
}

#[test]
fn noise_is_refused() {
    assert_eq!(receive(b"\xff\xff").unwrap_err().code(), Code::InvalidArgument);
}

//! Streams of events at the level of bytes: records, chunks, heartbeats, ends.

use std::time::Duration;

use holdfast_wire::{Limits, LinkEnd, LinkLimits, SendError, Transport};
use uuid::Uuid;

use crate::master_api::{error, message, Seen, Site, SUBSCRIBE};
use crate::raw::{request, Raw, DEADLINE};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn subscribe(site: &mut Site, more: &[(&str, &str)]) -> (Raw, Uuid) {
    let mut raw = Raw::connect(site.address).await;
    raw.send(request("POST", "/api/v1/scheduler", &[&[JSON], more].concat(), SUBSCRIBE.as_bytes()))
        .await;
    let head = raw.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("content-encoding"), None);
    assert_eq!(head.header("content-type"), Some("application/json"));
    let stream_id: Uuid = head.header("mesos-stream-id").unwrap().parse().unwrap();
    let Seen::Subscribed(link, call) = site.next().await else { panic!("a subscription") };
    assert_eq!((link.stream_id, link.transport), (stream_id, Transport::Http));
    assert_eq!(link.caller.peer, raw.stream.local_addr().unwrap());
    assert_eq!(call.subscribe.unwrap().framework_info.name, "test");
    (raw, stream_id)
}

async fn kind(raw: &mut Raw) -> String {
    raw.json_record().await.unwrap()["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn h9_each_record_is_one_chunk_and_one_line() {
    let mut site = Site::start(Limits::default()).await;
    // What would join or compress records must not.
    let (mut raw, stream_id) =
        subscribe(&mut site, &[("Accept-Encoding", "gzip"), ("Connection", "close")]).await;
    for size in [0, 1, 5000, 300_000, 2, 3] {
        site.api.tell(stream_id, message(size)).unwrap();
    }
    let first = raw.json_record().await.unwrap();
    assert_eq!(first["subscribed"]["framework_id"]["value"], "F-1");
    assert_eq!(kind(&mut raw).await, "HEARTBEAT");
    for size in [0usize, 1, 5000, 300_000, 2, 3] {
        let record = raw.json_record().await.unwrap();
        assert_eq!(record["message"]["data"].as_str().unwrap().len(), size.div_ceil(3) * 4);
    }
}

#[tokio::test]
async fn d1_heartbeats_keep_coming() {
    let mut site =
        Site::start(Limits { heartbeat_interval: Duration::from_millis(20), ..Limits::default() })
            .await;
    let (mut raw, stream_id) = subscribe(&mut site, &[]).await;
    assert_eq!(kind(&mut raw).await, "SUBSCRIBED");
    for _ in 0..4 {
        assert_eq!(kind(&mut raw).await, "HEARTBEAT");
    }
    site.api.tell(stream_id, message(1)).unwrap();
    while kind(&mut raw).await != "MESSAGE" {}
}

#[tokio::test]
async fn d4_an_error_is_the_last_event() {
    let mut site = Site::start(Limits::default()).await;
    let (mut raw, stream_id) = subscribe(&mut site, &[]).await;
    site.api.tell(stream_id, error("Framework failed over")).unwrap();
    assert_eq!(kind(&mut raw).await, "SUBSCRIBED");
    assert_eq!(kind(&mut raw).await, "HEARTBEAT");
    assert_eq!(raw.json_record().await.unwrap()["error"]["message"], "Framework failed over");
    assert!(raw.json_record().await.is_none(), "the stream ends properly");
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::Closed));
}

#[tokio::test]
async fn dropping_the_outbox_ends_the_stream() {
    let mut site = Site::start(Limits::default()).await;
    let (mut raw, stream_id) = subscribe(&mut site, &[]).await;
    site.api.tell(stream_id, message(7)).unwrap();
    drop(site.api.frameworks.lock().unwrap().remove(&stream_id));
    for expected in ["SUBSCRIBED", "HEARTBEAT", "MESSAGE"] {
        assert_eq!(kind(&mut raw).await, expected);
    }
    assert!(raw.json_record().await.is_none());
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::Closed));
}

#[tokio::test]
async fn d17_a_peer_that_leaves_is_noticed() {
    let mut site = Site::start(Limits::default()).await;
    let (raw, stream_id) = subscribe(&mut site, &[]).await;
    drop(raw);
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::PeerGone));
}

/// Fills a link until the reader counts as too slow.
async fn flood(site: &Site, stream_id: Uuid) -> usize {
    let flooding = async {
        for sent in 0.. {
            let outcome = {
                let frameworks = site.api.frameworks.lock().unwrap();
                frameworks.get(&stream_id).map(|outbox| outbox.send(message(100_000)))
            };
            match outcome {
                Some(Ok(())) => {}
                Some(Err(SendError::TooSlow)) => return sent,
                other => panic!("{other:?} after {sent}"),
            }
            tokio::task::yield_now().await;
        }
        unreachable!("a link is bounded")
    };
    crate::raw::soon("the end of patience", flooding).await
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_cut_off() {
    let link = LinkLimits { bytes_max: 2_000_000, ..LinkLimits::default() };
    let mut site = Site::start(Limits { link, ..Limits::default() }).await;
    let (mut slow, stream_id) = subscribe(&mut site, &[]).await;
    let (mut quick, other_id) = subscribe(&mut site, &[]).await;
    let sent = flood(&site, stream_id).await;
    assert!(sent >= 20, "the bound holds: {sent}");
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::TooSlow));
    let rest = slow.closed().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut stream has no proper end");
    // Nobody else noticed.
    site.api.tell(other_id, message(1)).unwrap();
    for expected in ["SUBSCRIBED", "HEARTBEAT", "MESSAGE"] {
        assert_eq!(kind(&mut quick).await, expected);
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_is_cut_off() {
    let link = LinkLimits { stall_timeout: Duration::from_millis(200), ..LinkLimits::default() };
    let mut site = Site::start(Limits { link, ..Limits::default() }).await;
    let (mut raw, stream_id) = subscribe(&mut site, &[]).await;
    // More than all buffers between here and there can hold, less than the link may.
    for _ in 0..200 {
        site.api.tell(stream_id, message(100_000)).unwrap();
    }
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::TooSlow));
    raw.closed().await;
}

#[tokio::test]
async fn a_stopping_server_ends_open_streams_properly() {
    let mut site = Site::start(Limits { stop_grace: DEADLINE * 10, ..Limits::default() }).await;
    let (mut raw, stream_id) = subscribe(&mut site, &[]).await;
    let idle = Raw::connect(site.address).await;
    for expected in ["SUBSCRIBED", "HEARTBEAT"] {
        assert_eq!(kind(&mut raw).await, expected);
    }
    let address = site.address;
    site.stop.cancel();
    assert!(raw.json_record().await.is_none(), "a proper end");
    assert_eq!(site.framework_gone().await, (stream_id, LinkEnd::Stopped));
    site.stopped().await;
    drop(idle);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

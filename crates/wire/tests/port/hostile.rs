//! Hostile or broken peers: large, slow, silent, too many.

use std::time::Duration;

use holdfast_wire::{Limits, BODY_MAX_BYTES};
use tokio::io::AsyncWriteExt;

use crate::master_api::Site;
use crate::raw::{ask, post_json, request, Raw};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_sent() {
    let site = Site::start(Limits::default()).await;
    let mut raw = Raw::connect(site.address).await;
    let head =
        "POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\nExpect: 100-continue\r\n\r\n";
    raw.send(head).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 413, "not 100, which would ask for the body");
}

#[tokio::test]
async fn a_body_just_within_the_limit_is_read() {
    let site = Site::start(Limits { large_bodies_max: 1, ..Limits::default() }).await;
    let mut body = br#"{"type":"GET_ROLES"}"#.to_vec();
    body.resize(BODY_MAX_BYTES, b' ');
    // One after the other, as there is one permit.
    let (one, two) = tokio::join!(
        ask(site.address, "POST", "/api/v1", &[JSON], &body),
        ask(site.address, "POST", "/api/v1", &[JSON], &body)
    );
    assert_eq!((one.status, two.status), (200, 200));
    body.push(b' ');
    assert_eq!(ask(site.address, "POST", "/api/v1", &[JSON], &body).await.status, 413);
}

#[tokio::test]
async fn half_open_connections_are_closed() {
    let site = Site::start(Limits {
        // Long enough for those below who do ask, on a busy machine as well.
        first_request_timeout: Duration::from_secs(2),
        ..Limits::default()
    })
    .await;
    let beginnings: [&[u8]; 6] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"POST /api/v1 HTTP/1.1\r\nHost",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut open = Vec::new();
    for beginning in beginnings {
        let mut raw = Raw::connect(site.address).await;
        raw.send(beginning).await;
        open.push((beginning, raw));
    }
    for (beginning, mut raw) in open {
        let said = raw.closed().await;
        assert!(
            !said.starts_with(b"HTTP/1.1 200"),
            "{beginning:?}: {:?}",
            String::from_utf8_lossy(&said)
        );
    }
    // Who has asked once may take its time.
    let mut raw = Raw::connect(site.address).await;
    raw.send(request("GET", "/health", &[], b"")).await;
    assert_eq!(raw.answer().await.status, 200);
    let text = ask(site.address, "GET", "/metrics/snapshot", &[], b"").await.text();
    let metrics: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(metrics["wire/connections_silent"], 5.0, "{text}");
    raw.send(request("GET", "/health", &[], b"")).await;
    assert_eq!(raw.answer().await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let mut site =
        Site::start(Limits { body_timeout: Duration::from_millis(100), ..Limits::default() }).await;
    let mut raw = Raw::connect(site.address).await;
    raw.send("POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"type\":").await;
    assert_eq!(raw.answer().await.status, 408);
    site.assert_untouched();
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let site = Site::start(Limits { connections_max: 2, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(site.address).await;
        raw.send(request("GET", "/health", &[], b"")).await;
        assert_eq!(raw.answer().await.status, 200);
        held.push(raw);
    }
    let mut raw = Raw::connect(site.address).await;
    assert_eq!(raw.head().await.status, 503);
    drop(held.pop());
    // The place is free again once the server has noticed.
    let again = async {
        loop {
            let mut raw = Raw::connect(site.address).await;
            let sent = raw.stream.write_all(&request("GET", "/health", &[], b"")).await;
            if sent.is_ok() && raw.try_head().await.is_some_and(|head| head.status == 200) {
                return;
            }
        }
    };
    crate::raw::soon("a free place", again).await;
}

#[tokio::test]
async fn rubbish_gets_400_and_depth_is_bounded() {
    let mut site = Site::start(Limits::default()).await;
    let mut raw = Raw::connect(site.address).await;
    raw.send("\u{1}\u{2}rubbish\r\n\r\n").await;
    let said = raw.closed().await;
    assert!(
        said.is_empty() || said.starts_with(b"HTTP/1.1 400"),
        "{:?}",
        String::from_utf8_lossy(&said)
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post_json(site.address, "/api/v1", &deep).await.status, 400);
    let deep_type = format!("{{\"type\":{deep}}}");
    assert_eq!(post_json(site.address, "/api/v1", &deep_type).await.status, 400);
    site.assert_untouched();
    // What nobody reads may be as deep as it likes.
    let deep_elsewhere = format!("{{\"type\":\"GET_ROLES\",\"x\":{deep}}}");
    assert_eq!(post_json(site.address, "/api/v1", &deep_elsewhere).await.status, 200);
}

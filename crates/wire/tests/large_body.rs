//! Bodies of 100 MB, in a process of their own so that its memory can be measured.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests are named by what they show, and a panic is their report"
)]
#![allow(
    dead_code,
    reason = "the API double and the raw client are those of `port`, which uses all of them"
)]

#[path = "port/master_api.rs"]
mod master_api;
#[path = "port/raw.rs"]
mod raw;

use holdfast_wire::{Limits, BODY_MAX_BYTES};
use tokio::io::AsyncWriteExt;

use master_api::Site;
use raw::{request, soon, Raw};

/// The most memory that this process has used, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

async fn pour(raw: &mut Raw, count: usize, chunked: bool) {
    let piece = vec![b' '; 1 << 20];
    for _ in 0..count {
        if chunked {
            raw.stream.write_all(b"100000\r\n").await.unwrap();
        }
        raw.stream.write_all(&piece).await.unwrap();
        if chunked {
            raw.stream.write_all(b"\r\n").await.unwrap();
        }
    }
    if chunked {
        raw.stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_without_keeping_it() {
    let mut site = Site::start(Limits::default()).await;
    let before = peak_bytes();
    for path in ["/api/v1", "/api/v1/scheduler"] {
        for chunked in [false, true] {
            let length = if chunked {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", 100 << 20)
            };
            let mut raw = Raw::connect(site.address).await;
            raw.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n")).await;
            // A peer that reads only after it has sent everything still gets the answer.
            soon("room for the body", pour(&mut raw, 100, chunked)).await;
            let answer = raw.answer().await;
            assert_eq!(answer.status, 413, "{}", answer.text());
            assert!(answer.text().contains(&BODY_MAX_BYTES.to_string()), "{}", answer.text());
            // The connection is still good.
            raw.send(request("GET", "/health", &[], b"")).await;
            assert_eq!(raw.answer().await.status, 200);
        }
    }
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 40 << 20, "it kept {grown} bytes");
    site.assert_untouched();
}

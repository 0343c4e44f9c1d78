//! How much a master and an agent log is changed while they run, and is as before when its time is over.
//!
//! Never measures time: what ends is waited for.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::SocketAddr;

use holdfast_tests::http::{get, post};
use holdfast_tests::{until, Cluster};
use serde_json::json;

fn level(address: SocketAddr) -> u64 {
    let answer = post(address, "/api/v1", &json!({ "type": "GET_LOGGING_LEVEL" }));
    answer.expect(200, "GET_LOGGING_LEVEL").json()["get_logging_level"]["level"].as_u64().unwrap()
}

fn set(address: SocketAddr, level: u32, nanoseconds: i64) -> u16 {
    let wish = json!({ "level": level, "duration": { "nanoseconds": nanoseconds } });
    let call = json!({ "type": "SET_LOGGING_LEVEL", "set_logging_level": wish });
    post(address, "/api/v1", &call).status
}

#[test]
fn a_process_tells_more_for_a_while() {
    let cluster = Cluster::start();
    for process in [&cluster.master, &cluster.agents[0]] {
        let address = process.address();
        assert_eq!(level(address), 0);
        assert!(!process.log().contains("DEBUG"), "{}", process.log());
        assert_eq!(set(address, 1, 3_600_000_000_000), 200);
        assert_eq!(level(address), 1);
        until("more is told", || {
            get(address, "/health").expect(200, "health");
            let log = process.log();
            if log.contains("DEBUG") {
                Ok(())
            } else {
                Err(log)
            }
        });
        assert_eq!(get(address, "/logging/toggle").expect(200, "toggle").text(), "1\n");
        get(address, "/logging/toggle?level=2").expect(400, "no duration");
        get(address, "/logging/toggle?duration=1secs").expect(400, "no level");
        assert_eq!((set(address, 1, -1), set(address, 1, i64::MAX)), (400, 400));
        get(address, "/logging/toggle?level=2&duration=10ms").expect(200, "toggle");
        until("its time is over", || match level(address) {
            0 => Ok(()),
            other => Err(other.to_string()),
        });
    }
}

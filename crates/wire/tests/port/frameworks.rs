//! A framework's port: what it shows, what it is asked to do, and who may not ask.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_proto::mesos::v1::VersionInfo;
use holdfast_wire::{Caller, FrameworkApi, JsonText, Limits, Query, Refusal, Routes, Server};
use tokio_util::sync::CancellationToken;

use crate::raw::{Answer, Raw};

/// Answers with what it was asked.
struct Echo;

#[async_trait]
impl FrameworkApi for Echo {
    fn name(&self) -> String {
        "ring<script>".to_owned()
    }

    fn version(&self) -> VersionInfo {
        VersionInfo { version: "1.2.3".to_owned(), ..VersionInfo::default() }
    }

    fn pages(&self) -> Vec<(&'static str, &'static str)> {
        vec![("/v1/pods", "the members")]
    }

    async fn read(&self, path: &str, query: &Query) -> Result<JsonText, Refusal> {
        match path {
            "/v1/pods" => Ok(JsonText::of(&query.get("pod").unwrap_or("all"))),
            _ => Err(Refusal::not_found(format!("there is no `{path}` here"))),
        }
    }

    async fn act(
        &self,
        _caller: &Caller,
        path: &str,
        query: &Query,
        document: &str,
    ) -> Result<JsonText, Refusal> {
        match path {
            "/v1/spec" => Ok(JsonText::of(&(query.get("plan"), document))),
            _ => Err(Refusal::conflict("not now")),
        }
    }
}

async fn site() -> (SocketAddr, CancellationToken) {
    let limits = Limits { body_max_bytes: 64, ..Limits::default() };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), limits).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    tokio::spawn(server.serve(Routes::Framework(Arc::new(Echo)), stop.clone()));
    (address, stop)
}

/// Sends what is written out, as browsers write it.
async fn ask(address: SocketAddr, text: String) -> Answer {
    let mut raw = Raw::connect(address).await;
    raw.send(text).await;
    raw.answer().await
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn pages_are_read_and_requests_are_passed_on() {
    let (address, stop) = site().await;
    let json = "Content-Type: application/json\r\n";
    let large = "x".repeat(65);
    for (method, path, headers, body, status, text) in [
        ("GET", "/v1/pods", "", "", 200, "\"all\""),
        ("GET", "/v1/pods?pod=a%20b", "", "", 200, "\"a b\""),
        ("GET", "/v1/moon", "", "", 404, "there is no `/v1/moon` here"),
        ("GET", "/health", "", "", 200, ""),
        ("GET", "/version", "", "", 200, "1.2.3"),
        ("GET", "/metrics", "", "", 200, "wire_requests"),
        ("GET", "/", "", "", 200, "<a href=\"/v1/pods\">"),
        ("GET", "/", "", "", 200, "<h1>Holdfast ringscript"),
        ("POST", "/v1/spec?plan=true", json, "{}", 200, r#"["true","{}"]"#),
        ("POST", "/v1/spec", "", "", 200, r#"[null,""]"#),
        ("POST", "/v1/pods/a/restart", "", "", 409, "not now"),
        ("POST", "/v1/spec", "", "{}", 415, "application/json"),
        ("POST", "/v1/spec", "Content-Type: text/plain\r\n", "{}", 415, "application/json"),
        ("POST", "/v1/spec", json, &large, 413, "larger than the 64 bytes"),
        ("DELETE", "/v1/pods", "", "", 405, "use GET, HEAD, POST"),
    ] {
        let answer = ask(address, request(method, path, headers, body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(text), "{method} {path}: {}", answer.text());
    }
    stop.cancel();
}

#[tokio::test]
async fn a_page_of_another_site_drives_no_framework() {
    let (address, stop) = site().await;
    for headers in [
        "Origin: http://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nContent-Type: application/json\r\n",
        "Origin: null\r\n",
    ] {
        let answer = ask(address, request("POST", "/v1/spec", headers, "")).await;
        assert_eq!(answer.status, 403, "{headers}: {}", answer.text());
    }
    // A name that an attacker points here gives a page the same origin; it is not one of ours.
    let rebound = format!(
        "POST /v1/spec HTTP/1.1\r\nHost: evil.example:{0}\r\nOrigin: http://evil.example:{0}\r\n\r\n",
        address.port()
    );
    assert_eq!(ask(address, rebound).await.status, 403);
    let own = format!("Host: {address}\r\nOrigin: http://{address}\r\n");
    let answer = ask(address, format!("POST /v1/spec HTTP/1.1\r\n{own}\r\n")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    stop.cancel();
}

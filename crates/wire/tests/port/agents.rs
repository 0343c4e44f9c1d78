//! The agent's port: executors, operators, files.

use std::sync::atomic::Ordering;

use holdfast_proto::mesos::v1::executor::{call, event, Call, Event};
use holdfast_proto::mesos::v1::{agent, ContainerId, ExecutorId, FrameworkId};
use holdfast_wire::client::ExecutorSession;
use holdfast_wire::{ClientError, ClientSettings, Content, Limits, LinkEnd, MesosClient};

use crate::agent_api::{printed, Seen, Site};
use crate::raw::{ask, post_json, soon};

fn executor(kind: call::Type) -> Call {
    Call {
        executor_id: ExecutorId { value: "e".to_owned() },
        framework_id: FrameworkId { value: "f".to_owned() },
        r#type: Some(kind.into()),
        subscribe: (kind == call::Type::Subscribe).then(call::Subscribe::default),
        message: (kind == call::Type::Message).then(call::Message::default),
        ..Call::default()
    }
}

#[tokio::test]
async fn an_executors_session_in_both_encodings() {
    for content in [Content::Json, Content::Protobuf] {
        let mut site = Site::start(Limits::default()).await;
        let host = site.address.to_string();
        let client = MesosClient::new(ClientSettings { content, ..ClientSettings::default() });
        let mut session =
            ExecutorSession::subscribe(&client, &host, &executor(call::Type::Subscribe))
                .await
                .unwrap();
        let Seen::Subscribed(head, _) = site.next().await else { panic!("a subscription") };
        let first = soon("an event", session.events.next()).await.unwrap().unwrap();
        assert_eq!(first.r#type(), event::Type::Subscribed);
        let shutdown = Event { r#type: Some(event::Type::Shutdown.into()), ..Event::default() };
        site.api.executors.lock().unwrap()[&head.stream_id].send(shutdown.clone()).unwrap();
        assert_eq!(
            soon("an event", session.events.next()).await.unwrap(),
            Some(shutdown),
            "no heartbeat at once (H27)"
        );
        client.executor_call(&host, &executor(call::Type::Heartbeat)).await.unwrap();
        client.executor_call(&host, &executor(call::Type::Message)).await.unwrap();
        let Seen::Called(called) = site.next().await else { panic!("a call") };
        assert_eq!(*called, executor(call::Type::Message), "heartbeats are nobody's business");
        let stranger = Call {
            executor_id: ExecutorId { value: "stranger".to_owned() },
            ..executor(call::Type::Message)
        };
        let refused = client.executor_call(&host, &stranger).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused { status: 400, .. }), "{refused:?}");
        drop(session);
        loop {
            if let Seen::Gone(stream_id, end) = site.next().await {
                assert_eq!((stream_id, end), (head.stream_id, LinkEnd::PeerGone));
                break;
            }
        }
        site.stop.cancel();
    }
}

#[tokio::test]
async fn statuses_by_rule() {
    let site = Site::start(Limits::default()).await;
    let update = r#"{"type":"UPDATE","executor_id":{"value":"e"},"framework_id":{"value":"f"}}"#;
    let rows = [
        (
            "H25 unknown call",
            "/api/v1/executor",
            r#"{"type":"X","executor_id":{"value":"e"},"framework_id":{"value":"f"}}"#,
            501,
            "X",
        ),
        (
            "H25 no executor",
            "/api/v1/executor",
            r#"{"type":"UPDATE","framework_id":{"value":"f"}}"#,
            400,
            "executor_id",
        ),
        ("H25 no update", "/slave(1)/api/v1/executor", update, 400, "update"),
        ("H36 unknown call", "/api/v1", r#"{"type":"X"}"#, 501, "X"),
        ("H36 not served", "/api/v1", r#"{"type":"PRUNE_IMAGES"}"#, 501, "not served"),
        ("H36 health", "/slave(1)/api/v1", r#"{"type":"GET_HEALTH"}"#, 200, "true"),
        ("H36 version", "/api/v1", r#"{"type":"GET_VERSION"}"#, 200, "1.11.0"),
        ("H36 metrics", "/api/v1", r#"{"type":"GET_METRICS"}"#, 200, "slave/tasks_started"),
        ("H36 without an answer", "/api/v1", r#"{"type":"KILL_CONTAINER"}"#, 200, ""),
        (
            "H36 files",
            "/api/v1",
            r#"{"type":"LIST_FILES","list_files":{"path":"/sandbox"}}"#,
            200,
            "/sandbox/stdout",
        ),
        (
            "H36 no folder",
            "/api/v1",
            r#"{"type":"LIST_FILES","list_files":{"path":"/etc"}}"#,
            404,
            "folder",
        ),
        ("H36 no path", "/api/v1", r#"{"type":"READ_FILE"}"#, 400, "read_file"),
        (
            "H36 bytes",
            "/api/v1",
            r#"{"type":"READ_FILE","read_file":{"path":"/sandbox/stdout","offset":0,"length":3}}"#,
            200,
            "YWJj",
        ),
    ];
    for (rule, path, body, status, words) in rows {
        let answer = post_json(site.address, path, body).await;
        assert_eq!(answer.status, status, "{rule}: {}", answer.text());
        assert!(answer.text().contains(words), "{rule}: {}", answer.text());
    }
    assert_eq!(ask(site.address, "GET", "/api/v1/executor", &[], b"").await.status, 405);
}

#[tokio::test]
async fn h46_files() {
    let site = Site::start(Limits::default()).await;
    let rows = [
        (
            "/files/read?path=/sandbox/stdout&offset=2&length=4",
            200,
            r#"{"data":"cdef","offset":2}"#,
        ),
        ("/files/read?path=%2Fsandbox%2Fstdout&offset=-1", 200, r#"{"data":"","offset":200000}"#),
        ("/slave(1)/files/read?path=/sandbox/stdout", 200, r#""offset":200000"#),
        ("/files/read?path=/sandbox/stdout&offset=300000", 200, r#"{"data":"","offset":300000}"#),
        ("/files/read?path=/sandbox/stdout&offset=-2", 400, "negative"),
        ("/files/read?path=/sandbox/stdout&offset=x", 400, "offset"),
        ("/files/read", 400, "path"),
        ("/files/read?path=/other", 404, "no such file"),
        ("/files/browse?path=/sandbox", 200, r#""mode":"-rw-r--r--""#),
        ("/files/browse?path=/sandbox", 200, r#""mtime":1.5"#),
        ("/files/download?path=/other", 404, "no such file"),
        ("/files/nothing", 404, "/files/nothing"),
        ("/monitor/statistics", 200, "Statistics"),
        ("/slave(1)/state", 200, "State"),
        ("/", 200, "/files/browse"),
    ];
    for (path, status, words) in rows {
        let answer = ask(site.address, "GET", path, &[], b"").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
    }
    let all = ask(site.address, "GET", "/files/read?path=/sandbox/stdout&offset=0", &[], b"").await;
    let all: serde_json::Value = serde_json::from_slice(&all.body).unwrap();
    assert_eq!(all["data"].as_str().unwrap().len(), 65_536, "sixteen pages at once");
    let whole = ask(site.address, "GET", "/files/download?path=/sandbox/stdout", &[], b"").await;
    assert_eq!(whole.body, site.api.file);
    assert_eq!(whole.header("content-disposition"), Some("attachment; filename=\"stdout\""));
}

#[tokio::test]
async fn h37_a_recovering_agent_asks_for_patience() {
    let site = Site::start(Limits::default()).await;
    site.api.recovered.store(false, Ordering::Release);
    for path in ["/state", "/files/browse?path=/sandbox"] {
        assert_eq!(ask(site.address, "GET", path, &[], b"").await.status, 503, "{path}");
    }
    assert_eq!(post_json(site.address, "/api/v1", r#"{"type":"GET_AGENT"}"#).await.status, 503);
    assert_eq!(post_json(site.address, "/api/v1", r#"{"type":"GET_HEALTH"}"#).await.status, 200);
    for path in ["/health", "/version", "/metrics", "/metrics/snapshot"] {
        assert_eq!(ask(site.address, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    site.api.recovered.store(true, Ordering::Release);
    let client = MesosClient::default();
    let get_agent =
        agent::Call { r#type: Some(agent::call::Type::GetAgent.into()), ..agent::Call::default() };
    assert!(
        client.agent_operator(&site.address.to_string(), &get_agent).await.unwrap().is_none(),
        "an empty message has no bytes"
    );
}

#[tokio::test]
async fn h10_what_a_container_prints_and_reads_streams() {
    let mut site = Site::start(Limits::default()).await;
    let host = site.address.to_string();
    let client = MesosClient::default();
    let id = |value: &str| ContainerId { value: value.to_owned(), parent: None };
    let attach = agent::Call {
        r#type: Some(agent::call::Type::AttachContainerOutput.into()),
        attach_container_output: Some(agent::call::AttachContainerOutput { container_id: id("c") }),
        ..agent::Call::default()
    };
    let mut output = client.container_output(&host, &attach).await.unwrap();
    assert_eq!(output.next().await.unwrap(), Some(printed(b"word")));
    assert_eq!(output.next().await.unwrap(), Some(printed(b"end")));
    assert_eq!(output.next().await.unwrap(), None, "the stream ends with the payload");
    let Seen::Operated(seen) = site.next().await else { panic!("a call") };
    assert_eq!(*seen, attach);
    assert!(matches!(site.next().await, Seen::StreamDropped));
    let session = agent::call::LaunchNestedContainerSession {
        container_id: id("c"),
        ..agent::call::LaunchNestedContainerSession::default()
    };
    let session = agent::Call {
        r#type: Some(agent::call::Type::LaunchNestedContainerSession.into()),
        launch_nested_container_session: Some(session),
        ..agent::Call::default()
    };
    let mut output = client.container_output(&host, &session).await.unwrap();
    assert_eq!(output.next().await.unwrap(), Some(printed(b"word")));
    let Seen::Operated(_) = site.next().await else { panic!("a call") };
    drop(output);
    assert!(
        matches!(site.next().await, Seen::StreamDropped),
        "a connection that breaks is noticed"
    );
    let (typed, input) = tokio::sync::mpsc::channel(4);
    typed.send(printed(b"a")).await.unwrap();
    typed.send(printed(b"")).await.unwrap();
    drop(typed);
    client.container_input(&host, id("c"), input).await.unwrap();
    for expected in [&b"a"[..], b""] {
        let Seen::Typed(piece) = site.next().await else { panic!("input") };
        assert_eq!(*piece, printed(expected));
    }
    let (_typed, input) = tokio::sync::mpsc::channel(4);
    let refused = client.container_input(&host, id("stranger"), input).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 404, .. }), "{refused:?}");
}

#[tokio::test]
async fn h10_a_stream_that_is_none_is_refused() {
    let site = Site::start(Limits::default()).await;
    let records = ("Content-Type", "application/recordio");
    let json = ("Message-Content-Type", "application/json");
    let wrong =
        r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"PROCESS_IO"}}"#;
    let wrong = format!("{}\n{wrong}", wrong.len());
    for (headers, body, status, word) in [
        (&[records][..], "", 400, "Message-Content-Type"),
        (&[records, ("Message-Content-Type", "text/plain")], "", 415, "text/plain"),
        (&[records, json], "", 400, "empty"),
        (&[records, json], "nonsense", 400, "record"),
        (&[records, json], "9\n{}", 400, "in the middle"),
        (&[records, json], "2\n{}", 400, "ATTACH_CONTAINER_INPUT"),
        (&[records, json], &wrong, 400, "CONTAINER_ID"),
    ] {
        let answer = ask(site.address, "POST", "/api/v1", headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(word), "{body}: {}", answer.text());
    }
}

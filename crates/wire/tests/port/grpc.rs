//! gRPC on the same port: links of agents, and schedulers on a stream.

use std::time::Duration;

use holdfast_proto::holdfast::v1::{from_agent, to_agent, FromAgent, Ping, Pong, ToAgent};
use holdfast_proto::mesos::v1::scheduler::{call::Type, event, Call};
use holdfast_wire::{
    AgentLinkClient, ClientError, LeadershipState, Limits, LinkEnd, Refusal, SchedulerStreamClient,
    Transport,
};
use uuid::Uuid;

use crate::master_api::{call, message, subscribe, Seen, Site};
use crate::raw::{ask, soon};

fn pong(number: u64) -> FromAgent {
    FromAgent { message: Some(from_agent::Message::Pong(Pong { number })) }
}

fn ping(number: u64) -> ToAgent {
    ToAgent {
        term: 3,
        message: Some(to_agent::Message::Ping(Ping { number, acknowledged_version: 0 })),
    }
}

async fn attached(site: &mut Site) -> Uuid {
    match site.next().await {
        Seen::Attached(head) if head.transport == Transport::Grpc => head.stream_id,
        other => panic!("{other:?}"),
    }
}

async fn agent_gone(site: &mut Site) -> (Uuid, LinkEnd) {
    loop {
        if let Seen::AgentGone(stream_id, end) = site.next().await {
            return (stream_id, end);
        }
    }
}

#[tokio::test]
async fn an_agents_link_carries_messages_in_order_both_ways() {
    let mut site = Site::start(Limits::default()).await;
    // Masters that do not lead take links, too.
    site.stand(LeadershipState::Standby { leader: None });
    let (sender, mut receiver) = AgentLinkClient::default().connect(&site.host()).await.unwrap();
    let stream_id = attached(&mut site).await;
    for number in 0..100 {
        sender.send(pong(number)).unwrap();
        site.api.agents.lock().unwrap()[&stream_id].send(ping(number)).unwrap();
    }
    for number in 0..100 {
        assert_eq!(soon("a ping", receiver.recv()).await.unwrap(), Some(ping(number)));
        let Seen::Said(from, said) = site.next().await else { panic!("a pong") };
        assert_eq!((from, *said), (stream_id, pong(number)));
    }
    assert_eq!(
        ask(site.address, "GET", "/health", &[], b"").await.status,
        200,
        "HTTP is served beside it"
    );
    drop((sender, receiver));
    assert_eq!(agent_gone(&mut site).await, (stream_id, LinkEnd::PeerGone));
}

#[tokio::test]
async fn an_api_may_refuse_a_link_or_a_message() {
    let mut site = Site::start(Limits::default()).await;
    site.refuse_next(Refusal::unavailable("not yet"));
    let refused = AgentLinkClient::default().connect(&site.host()).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::StreamRefused { message, code: 14, .. } if message == "not yet"),
        "{refused:?}"
    );

    let (sender, mut receiver) = AgentLinkClient::default().connect(&site.host()).await.unwrap();
    let stream_id = attached(&mut site).await;
    site.refuse_next(Refusal::forbidden("another agent's ledger"));
    sender.send(pong(1)).unwrap();
    let refused = soon("the refusal", receiver.recv()).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::StreamRefused { message, .. } if message == "another agent's ledger"),
        "{refused:?}"
    );
    assert_eq!(agent_gone(&mut site).await, (stream_id, LinkEnd::Refused));
}

#[tokio::test]
async fn a_master_ends_a_link_and_the_agent_notices() {
    let mut site = Site::start(Limits::default()).await;
    let (sender, mut receiver) = AgentLinkClient::default().connect(&site.host()).await.unwrap();
    let stream_id = attached(&mut site).await;
    site.api.agents.lock().unwrap().remove(&stream_id).unwrap().send(ping(1)).unwrap();
    assert_eq!(soon("a ping", receiver.recv()).await.unwrap(), Some(ping(1)));
    assert_eq!(soon("the end", receiver.recv()).await.unwrap(), None);
    assert_eq!(agent_gone(&mut site).await, (stream_id, LinkEnd::Closed));
    soon("the sender's end", sender.gone()).await;
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_cut_off() {
    let link = holdfast_wire::LinkLimits {
        stall_timeout: Duration::from_millis(200),
        ..Default::default()
    };
    let mut site = Site::start(Limits { link, ..Limits::default() }).await;
    let (_sender, mut receiver) = AgentLinkClient::default().connect(&site.host()).await.unwrap();
    let stream_id = attached(&mut site).await;
    let large = ToAgent {
        term: 1,
        message: Some(to_agent::Message::Refused(holdfast_proto::holdfast::v1::Refused {
            reason: "x".repeat(1 << 20),
        })),
    };
    for _ in 0..16 {
        site.api.agents.lock().unwrap()[&stream_id].send(large.clone()).unwrap();
    }
    assert_eq!(agent_gone(&mut site).await, (stream_id, LinkEnd::TooSlow));
    let end = async { while let Ok(Some(_)) = receiver.recv().await {} };
    soon("the end of the link", end).await;
}

/// A master that takes one connection and one link on it, and reads nothing that comes on it. The
/// answer ends when the connection does.
async fn mute_master() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let held = std::sync::Mutex::new(Vec::new());
        let service = hyper::service::service_fn(|request| {
            held.lock().unwrap().push(request);
            type Nothing = Result<hyper::body::Frame<bytes::Bytes>, std::convert::Infallible>;
            let silence = futures_util::stream::pending::<Nothing>();
            let answer = hyper::Response::builder().header("content-type", "application/grpc");
            let answer = answer.body(http_body_util::StreamBody::new(silence)).unwrap();
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        let executor = hyper_util::rt::TokioExecutor::new();
        let http = hyper::server::conn::http2::Builder::new(executor);
        // How it ends is the agent's to say.
        let _ = http.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
    });
    (address, serving)
}

#[tokio::test]
async fn a_master_that_does_not_read_is_cut_off_with_its_connection() {
    let (address, serving) = mute_master().await;
    let link = holdfast_wire::LinkLimits { bytes_max: 8 << 20, ..Default::default() };
    let settings = holdfast_wire::ClientSettings { link, ..Default::default() };
    let client = AgentLinkClient::new(settings);
    let (sender, mut receiver) = client.connect(&address).await.unwrap();
    let data = vec![7; 16 << 10];
    let message = holdfast_proto::holdfast::v1::ExecutorMessage { data, ..Default::default() };
    let message = FromAgent { message: Some(from_agent::Message::ExecutorMessage(message)) };
    let mut sent = 0_u64;
    let why = loop {
        match sender.send(message.clone()) {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(why, holdfast_wire::SendError::TooSlow);
    assert!(sent > 500, "{sent} messages fit");
    let end = soon("the cut", receiver.recv()).await;
    assert!(
        matches!(&end, Err(ClientError::CutOff { address: named }) if *named == address),
        "{end:?}"
    );
    // Nothing of it is left behind: the outbox and the receiver are held here, and still the
    // connection is gone.
    soon("the end of the connection", serving).await.unwrap();
    drop((sender, receiver));
}

#[tokio::test]
async fn stopping_ends_links() {
    let mut site =
        Site::start(Limits { stop_grace: Duration::from_secs(1000), ..Limits::default() }).await;
    let (_sender, mut receiver) = AgentLinkClient::default().connect(&site.host()).await.unwrap();
    let stream_id = attached(&mut site).await;
    site.stop.cancel();
    assert_eq!(soon("the end", receiver.recv()).await.unwrap(), None);
    assert_eq!(agent_gone(&mut site).await, (stream_id, LinkEnd::Stopped));
    drop((_sender, receiver));
    site.stopped().await;
}

#[tokio::test]
async fn a_scheduler_on_a_stream() {
    let mut site = Site::start(Limits::default()).await;
    let (sender, mut receiver) =
        SchedulerStreamClient::default().subscribe(&site.host(), subscribe()).await.unwrap();
    let Seen::Subscribed(head, _) = site.next().await else { panic!("a subscription") };
    assert_eq!(head.transport, Transport::Grpc);
    for expected in [event::Type::Subscribed, event::Type::Heartbeat] {
        assert_eq!(soon("an event", receiver.recv()).await.unwrap().unwrap().r#type(), expected);
    }
    sender.send(call(Type::Revive)).await.unwrap();
    let Seen::Called(stream_id, called) = site.next().await else { panic!("a call") };
    assert_eq!((stream_id, called.r#type()), (head.stream_id, Type::Revive));
    site.api.tell(stream_id, message(10)).unwrap();
    assert_eq!(soon("an event", receiver.recv()).await.unwrap().unwrap(), message(10));
    drop((sender, receiver));
    assert_eq!(site.framework_gone().await, (head.stream_id, LinkEnd::PeerGone));
}

#[tokio::test]
async fn h7_a_streams_calls_are_checked_like_http() {
    let mut site = Site::start(Limits::default()).await;
    let bad: [(Call, i32, &str); 4] = [
        (subscribe(), 3, "subscribed already"),
        (Call { framework_id: None, ..call(Type::Revive) }, 3, "framework_id"),
        (Call { r#type: None, ..call(Type::Revive) }, 3, "type"),
        (Call { r#type: Some(99), ..call(Type::Revive) }, 12, "99"),
    ];
    for (bad, expected_code, words) in bad {
        let (sender, mut receiver) =
            SchedulerStreamClient::default().subscribe(&site.host(), subscribe()).await.unwrap();
        assert!(matches!(site.next().await, Seen::Subscribed(..)));
        sender.send(bad).await.unwrap();
        let refused = loop {
            match soon("the refusal", receiver.recv()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a refusal, not an end"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&refused, ClientError::StreamRefused { code, message, .. } if *code == expected_code && message.contains(words)),
            "{refused:?}"
        );
        assert_eq!(site.framework_gone().await.1, LinkEnd::Refused);
    }
    let first = SchedulerStreamClient::default()
        .subscribe(&site.host(), call(Type::Revive))
        .await
        .unwrap_err();
    assert!(matches!(&first, ClientError::StreamRefused { code: 3, .. }), "{first:?}");
    site.assert_untouched();
}

#[tokio::test]
async fn h5_a_standby_names_the_leader() {
    let site = Site::start(Limits::default()).await;
    site.stand(LeadershipState::Standby { leader: Some("m2:5050".to_owned()) });
    let refused =
        SchedulerStreamClient::default().subscribe(&site.host(), subscribe()).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::StreamRefused { code: 14, leader: Some(leader), .. } if leader == "m2:5050"),
        "{refused:?}"
    );
}

async fn channel(site: &Site) -> tonic::transport::Channel {
    let endpoint = format!("http://{}", site.host());
    tonic::transport::Endpoint::from_shared(endpoint).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn health_says_which_services_take_calls_and_follows_the_leadership() {
    use tonic_health::pb::health_check_response::ServingStatus::{
        NotServing, ServiceUnknown, Serving,
    };
    use tonic_health::pb::{health_client::HealthClient, HealthCheckRequest};
    let site = Site::start(Limits::default()).await;
    let mut client = HealthClient::new(channel(&site).await);
    let of = |name: &str| HealthCheckRequest { service: name.to_owned() };
    let leading = LeadershipState::Leading { address: site.host() };
    let services = ["", "holdfast.v1.AgentLink", "holdfast.v1.SchedulerStream"];
    for (state, expected) in [
        (leading.clone(), [Serving, Serving, Serving]),
        (LeadershipState::Recovering, [Serving, Serving, NotServing]),
        (LeadershipState::Standby { leader: None }, [Serving, Serving, NotServing]),
    ] {
        site.stand(state);
        for (name, expected) in services.into_iter().zip(expected) {
            let answer = client.check(of(name)).await.unwrap().into_inner();
            assert_eq!(answer.status(), expected, "{name}");
        }
    }
    let unknown = client.check(of("other")).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound, "{unknown:?}");

    let mut watched = client.watch(of(services[2])).await.unwrap().into_inner();
    let mut next = async || soon("a state", watched.message()).await.unwrap().unwrap().status();
    assert_eq!(next().await, NotServing);
    site.stand(leading);
    assert_eq!(next().await, Serving);
    let mut watched = client.watch(of("other")).await.unwrap().into_inner();
    let first = soon("a state", watched.message()).await.unwrap().unwrap();
    assert_eq!(first.status(), ServiceUnknown);
}

#[tokio::test]
async fn reflection_names_the_services_and_describes_what_they_take() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest::{
        FileContainingSymbol, ListServices,
    };
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse::{
        FileDescriptorResponse, ListServicesResponse,
    };
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    let site = Site::start(Limits::default()).await;
    let mut client = ServerReflectionClient::new(channel(&site).await);
    let asked =
        [ListServices(String::new()), FileContainingSymbol("mesos.v1.scheduler.Call".to_owned())];
    let requests =
        asked.map(|it| ServerReflectionRequest { host: String::new(), message_request: Some(it) });
    let answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut next = async || {
        let answer = soon("an answer", answers.message()).await.unwrap().unwrap();
        answer.message_response.unwrap()
    };
    let ListServicesResponse(list) = next().await else { panic!("a list of services") };
    let names: Vec<&str> = list.service.iter().map(|it| it.name.as_str()).collect();
    for name in ["grpc.health.v1.Health", "holdfast.v1.AgentLink", "holdfast.v1.SchedulerStream"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let FileDescriptorResponse(file) = next().await else { panic!("a file") };
    assert!(!file.file_descriptor_proto.is_empty());
}

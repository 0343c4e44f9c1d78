//! Our clients against our server, in both encodings, with redirects.

use std::time::Duration;

use holdfast_proto::mesos::v1::master;
use holdfast_proto::mesos::v1::scheduler::{call::Type, event};
use holdfast_wire::client::SchedulerSession;
use holdfast_wire::{
    ClientError, ClientSettings, Content, LeadershipState, Limits, LinkEnd, MesosClient, Refusal,
};

use crate::master_api::{call, message, subscribe, Seen, Site};
use crate::raw::soon;

fn client(content: Content) -> MesosClient {
    MesosClient::new(ClientSettings { content, ..ClientSettings::default() })
}

fn get_roles() -> master::Call {
    master::Call { r#type: Some(master::call::Type::GetRoles.into()), ..master::Call::default() }
}

#[tokio::test]
async fn a_session_in_both_encodings_through_a_standby() {
    for content in [Content::Json, Content::Protobuf] {
        let mut leader = Site::start(Limits::default()).await;
        let standby = Site::start(Limits::default()).await;
        standby.stand(LeadershipState::Standby { leader: Some(leader.host()) });
        let mut session =
            SchedulerSession::subscribe(&client(content), &standby.host(), &subscribe())
                .await
                .unwrap();
        assert_eq!(session.events.address(), leader.host());
        let Seen::Subscribed(head, called) = leader.next().await else { panic!("a subscription") };
        assert_eq!(*called, subscribe());
        assert_eq!(head.stream_id, session.caller.stream_id());
        for size in [0, 70_000, 1] {
            leader.api.tell(head.stream_id, message(size)).unwrap();
        }
        for expected in [event::Type::Subscribed, event::Type::Heartbeat] {
            assert_eq!(
                soon("an event", session.events.next()).await.unwrap().unwrap().r#type(),
                expected
            );
        }
        for size in [0, 70_000, 1] {
            assert_eq!(
                soon("an event", session.events.next()).await.unwrap().unwrap(),
                message(size)
            );
        }
        for kind in [Type::Revive, Type::UpdateFramework] {
            session.caller.call(&call(kind)).await.unwrap();
            let Seen::Called(stream_id, called) = leader.next().await else { panic!("a call") };
            assert_eq!((stream_id, *called), (head.stream_id, call(kind)));
        }
        leader.refuse_next(Refusal::forbidden("not subscribed"));
        let refused = session.caller.call(&call(Type::Revive)).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused { status: 403, message } if message == "not subscribed"),
            "{refused:?}"
        );
        drop(leader.api.frameworks.lock().unwrap().remove(&head.stream_id));
        assert!(soon("the end", session.events.next()).await.unwrap().is_none());
        assert_eq!(leader.framework_gone().await, (head.stream_id, LinkEnd::Closed));
    }
}

#[tokio::test]
async fn an_operators_calls_in_both_encodings_through_a_standby() {
    let leader = Site::start(Limits::default()).await;
    let standby = Site::start(Limits::default()).await;
    standby.stand(LeadershipState::Standby { leader: Some(leader.host()) });
    for content in [Content::Json, Content::Protobuf] {
        let client = client(content);
        let response = client.operator(&standby.host(), &get_roles()).await.unwrap().unwrap();
        assert_eq!(response.r#type(), master::response::Type::GetRoles);
        let teardown = master::Call {
            r#type: Some(master::call::Type::Teardown.into()),
            ..master::Call::default()
        };
        assert_eq!(client.operator(&standby.host(), &teardown).await.unwrap(), None);
        leader.refuse_next(Refusal::conflict("volume is in use"));
        let refused = client.operator(&leader.host(), &get_roles()).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused { status: 409, message } if message == "volume is in use"),
            "{refused:?}"
        );
        leader.refuse_next(Refusal::not_found("no agent n").unknown_is_bad_request());
        let unknown = client.operator(&leader.host(), &get_roles()).await.unwrap_err();
        assert!(
            matches!(&unknown, ClientError::Refused { status: 404, message } if message == "no agent n"),
            "what Mesos answers with 400 is told apart: {unknown:?}"
        );
        assert_eq!(client.get_json(&standby.host(), "/state?size=3").await.unwrap()["page"], "xxx");
        assert_eq!(client.get_bytes(&standby.host(), "/health").await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn masters_that_point_at_each_other_are_given_up() {
    let (one, two) = (Site::start(Limits::default()).await, Site::start(Limits::default()).await);
    one.stand(LeadershipState::Standby { leader: Some(two.host()) });
    two.stand(LeadershipState::Standby { leader: Some(one.host()) });
    let failed = client(Content::Protobuf).operator(&one.host(), &get_roles()).await.unwrap_err();
    assert!(matches!(failed, ClientError::NoLeader { .. }), "{failed:?}");
}

#[tokio::test]
async fn what_was_posted_may_have_been_done_when_the_connection_breaks() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let falls = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut begun = [0; 4];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut begun).await.unwrap();
        }
    });
    let client = client(Content::Json);
    let failed = client.operator(&host, &get_roles()).await.unwrap_err();
    assert!(matches!(failed, ClientError::Lost { .. }), "{failed:?}");
    let failed = client.get_json(&host, "/version").await.unwrap_err();
    assert!(matches!(failed, ClientError::Unreachable { .. }), "nothing was asked for: {failed:?}");
    falls.await.unwrap();
}

#[tokio::test]
async fn nobody_there() {
    let site = Site::start(Limits::default()).await;
    let host = site.host();
    site.stopped().await;
    let failed = client(Content::Protobuf).operator(&host, &get_roles()).await.unwrap_err();
    assert!(matches!(failed, ClientError::Unreachable { .. }), "{failed:?}");
    let failed = holdfast_wire::AgentLinkClient::default().connect(&host).await.unwrap_err();
    assert!(matches!(failed, ClientError::Unreachable { .. }), "{failed:?}");
    let failed =
        client(Content::Protobuf).operator("no host at all", &get_roles()).await.unwrap_err();
    assert!(matches!(failed, ClientError::BadAddress { .. }), "{failed:?}");
}

#[tokio::test]
async fn h8_silence_is_noticed() {
    let site = Site::start(Limits::default()).await;
    let settings =
        ClientSettings { silence_timeout: Duration::from_millis(100), ..ClientSettings::default() };
    let mut session =
        SchedulerSession::subscribe(&MesosClient::new(settings), &site.host(), &subscribe())
            .await
            .unwrap();
    let end = async {
        loop {
            if let Err(error) = session.events.next().await {
                return error;
            }
        }
    };
    assert!(matches!(soon("silence", end).await, ClientError::Silent { .. }));
}

#[tokio::test]
async fn a_broken_stream_is_no_proper_end() {
    let mut site = Site::start(Limits::default()).await;
    let mut session =
        SchedulerSession::subscribe(&client(Content::Json), &site.host(), &subscribe())
            .await
            .unwrap();
    let Seen::Subscribed(head, _) = site.next().await else { panic!("a subscription") };
    for _ in 0..2 {
        soon("an event", session.events.next()).await.unwrap().unwrap();
    }
    site.api.frameworks.lock().unwrap().remove(&head.stream_id).unwrap().cut();
    let end = soon("the end", session.events.next()).await;
    assert!(matches!(end, Err(ClientError::Broken { .. })), "{end:?}");
    assert_eq!(site.framework_gone().await, (head.stream_id, LinkEnd::Closed));
}

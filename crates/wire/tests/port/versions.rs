//! Links between programs of two versions, over real sockets: a newer peer sends a field and a kind of message that this one does not
//! know, and the link stands.
//!
//! The newer program's messages are declared here by hand. Relies on nothing of theirs but the numbers that both versions share.

use std::convert::Infallible;

use futures_util::future::{ready, Ready};
use holdfast_proto::holdfast::v1::{
    from_agent, to_agent, FromAgent, Ping, Pong, ToAgent, UnknownMessage,
};
use holdfast_proto::rpc::CheckedCodec;
use holdfast_wire::{AgentLinkClient, Limits};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::{Message, Name};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status, Streaming};

use crate::master_api::{Seen, Site};
use crate::raw::soon;

/// A kind of message, and the field of a message, that only the newer program knows.
#[derive(Clone, PartialEq, Message)]
struct Newer {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "77")]
    mood: String,
}

/// What agents say, to the newer program.
#[derive(Clone, PartialEq, Message)]
struct NewerFromAgent {
    #[prost(message, optional, tag = "6")]
    pong: Option<Newer>,
    #[prost(message, optional, tag = "7")]
    unknown_message: Option<UnknownMessage>,
    #[prost(message, optional, tag = "99")]
    plan: Option<Newer>,
}

/// What masters say, to the newer program.
#[derive(Clone, PartialEq, Message)]
struct NewerToAgent {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(message, optional, tag = "11")]
    ping: Option<Newer>,
    #[prost(message, optional, tag = "13")]
    unknown_message: Option<UnknownMessage>,
    #[prost(message, optional, tag = "99")]
    plan: Option<Newer>,
    #[prost(string, tag = "98")]
    lineage: String,
}

impl Name for NewerFromAgent {
    const NAME: &'static str = "FromAgent";
    const PACKAGE: &'static str = "newer";
}

impl Name for NewerToAgent {
    const NAME: &'static str = "ToAgent";
    const PACKAGE: &'static str = "newer";
}

fn newer(number: u64) -> Option<Newer> {
    Some(Newer { number, mood: "new".to_owned() })
}

fn answer() -> UnknownMessage {
    UnknownMessage { newest_known: 7 }
}

#[tokio::test]
async fn a_newer_agents_messages_leave_the_link_standing() {
    let mut site = Site::start(Limits::default()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", site.address)).unwrap();
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let (sender, receiver) = mpsc::channel(8);
    let codec = CheckedCodec::<NewerFromAgent, NewerToAgent>::default();
    let path = "/holdfast.v1.AgentLink/Attach".parse().unwrap();
    let attached = grpc.streaming(Request::new(ReceiverStream::new(receiver)), path, codec);
    let mut inbound = attached.await.unwrap().into_inner();
    let Seen::Attached(head) = site.next().await else { panic!("a link") };

    for (said, expected) in [
        (NewerFromAgent { plan: newer(1), ..Default::default() }, None),
        (
            NewerFromAgent { pong: newer(2), ..Default::default() },
            Some(from_agent::Message::Pong(Pong { number: 2 })),
        ),
    ] {
        sender.send(said).await.unwrap();
        let Seen::Said(_, heard) = site.next().await else { panic!("a message, not an end") };
        assert_eq!(*heard, FromAgent { message: expected });
    }
    let message = Some(to_agent::Message::UnknownMessage(answer()));
    site.api.agents.lock().unwrap()[&head.stream_id].send(ToAgent { term: 0, message }).unwrap();
    let heard = soon("the answer", inbound.message()).await.unwrap().unwrap();
    assert_eq!(heard, NewerToAgent { unknown_message: Some(answer()), ..Default::default() });
}

/// A newer master, which takes one link, hands on what comes, and sends what it is given.
struct NewerMaster {
    heard: mpsc::Sender<NewerFromAgent>,
    said: Option<mpsc::Receiver<Result<NewerToAgent, Status>>>,
}

impl tonic::server::StreamingService<NewerFromAgent> for NewerMaster {
    type Response = NewerToAgent;
    type ResponseStream = ReceiverStream<Result<NewerToAgent, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<NewerFromAgent>>) -> Self::Future {
        let (mut inbound, heard) = (request.into_inner(), self.heard.clone());
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbound.message().await {
                heard.send(message).await.unwrap();
            }
        });
        ready(Ok(Response::new(ReceiverStream::new(self.said.take().unwrap()))))
    }
}

#[tokio::test]
async fn a_newer_masters_orders_leave_the_link_standing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, mut at_master) = mpsc::channel(8);
    let (to_agent, said) = mpsc::channel(8);
    let master = std::sync::Mutex::new(Some(NewerMaster { heard, said: Some(said) }));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let master = master.lock().unwrap().take().unwrap();
            async move {
                let codec = CheckedCodec::<NewerToAgent, NewerFromAgent>::default();
                let answered = tonic::server::Grpc::new(codec).streaming(master, request).await;
                Ok::<_, Infallible>(answered)
            }
        });
        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        http.serve_connection(TokioIo::new(stream), service).await.unwrap();
    });

    let (sender, mut inbound) = AgentLinkClient::default().connect(&address).await.unwrap();
    for (said, expected) in [
        (NewerToAgent { term: 3, plan: newer(1), ..Default::default() }, None),
        (
            NewerToAgent { term: 3, ping: newer(2), lineage: "l".to_owned(), ..Default::default() },
            Some(to_agent::Message::Ping(Ping { number: 2, acknowledged_version: 0 })),
        ),
    ] {
        to_agent.send(Ok(said)).await.unwrap();
        let heard = soon("an order", inbound.recv()).await.unwrap().unwrap();
        assert_eq!(heard, ToAgent { term: 3, message: expected });
    }
    let message = Some(from_agent::Message::UnknownMessage(answer()));
    sender.send(FromAgent { message }).unwrap();
    let heard = soon("the answer", at_master.recv()).await.unwrap();
    assert_eq!(heard, NewerFromAgent { unknown_message: Some(answer()), ..Default::default() });
}

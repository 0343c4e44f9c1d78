//! Speaks with the payload of a container on an agent: what it prints is an answer that streams, what it reads a body that does.
//!
//! It relies on a connection of its own for each, since a connection that is closed is a message, too: it ends a session. It never
//! reads further than it is asked to.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use holdfast_proto::mesos::v1::agent::call::{attach_container_input, AttachContainerInput, Type};
use holdfast_proto::mesos::v1::agent::{Call, ProcessIo};
use holdfast_proto::mesos::v1::ContainerId;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{http1, ClientError, EventStream, MesosClient};
use crate::agent::streams::{MESSAGE_ACCEPT, MESSAGE_CONTENT_TYPE, RECORDIO};
use crate::content::Content;
use crate::recordio;

const PATH: &str = "/api/v1";
const CONTENT: Content = Content::Protobuf;

type OutBody = UnsyncBoxBody<Bytes, Infallible>;

impl MesosClient {
    /// Starts a session in a container, or attaches to what one prints, on the agent at `address`. Dropping what is returned closes the
    /// connection.
    ///
    /// # Errors
    /// When the agent does not answer, or refuses.
    pub async fn container_output(
        &self,
        address: &str,
        call: &Call,
    ) -> Result<EventStream<ProcessIo>, ClientError> {
        let request = Request::post(format!("http://{address}{PATH}"))
            .header(CONTENT_TYPE, CONTENT.media_type())
            .header(ACCEPT, RECORDIO)
            .header(&MESSAGE_ACCEPT, CONTENT.media_type())
            .body(Full::new(Bytes::from(CONTENT.encode(call))).boxed_unsync());
        let timed_out = |_| ClientError::TimedOut {
            address: address.to_owned(),
            timeout: self.settings.call_timeout,
        };
        let answered =
            tokio::time::timeout(self.settings.call_timeout, self.answered(address, request));
        let body = answered.await.map_err(timed_out)??.into_body();
        Ok(EventStream::of_body((address.to_owned(), body), CONTENT, &self.settings, None))
    }

    /// Sends to a container what comes, until that ends or the container does.
    ///
    /// # Errors
    /// When the agent does not answer, or refuses.
    pub async fn container_input(
        &self,
        address: &str,
        container: ContainerId,
        input: mpsc::Receiver<ProcessIo>,
    ) -> Result<(), ClientError> {
        let first = AttachContainerInput {
            r#type: Some(attach_container_input::Type::ContainerId.into()),
            container_id: Some(container),
            process_io: None,
        };
        let rest = ReceiverStream::new(input).map(|process_io| AttachContainerInput {
            r#type: Some(attach_container_input::Type::ProcessIo.into()),
            container_id: None,
            process_io: Some(process_io),
        });
        let first = futures_util::stream::once(std::future::ready(first));
        let frames = first.chain(rest).map(|piece| {
            let call = Call {
                r#type: Some(Type::AttachContainerInput.into()),
                attach_container_input: Some(piece),
                ..Call::default()
            };
            Ok::<_, Infallible>(Frame::data(recordio::encode(&CONTENT.encode(&call))))
        });
        let request = Request::post(format!("http://{address}{PATH}"))
            .header(CONTENT_TYPE, RECORDIO)
            .header(&MESSAGE_CONTENT_TYPE, CONTENT.media_type())
            .header(ACCEPT, CONTENT.media_type())
            .body(StreamBody::new(frames).boxed_unsync());
        self.answered(address, request).await.map(drop)
    }

    async fn answered(
        &self,
        address: &str,
        request: http::Result<Request<OutBody>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let request =
            request.map_err(|_| ClientError::BadAddress { address: address.to_owned() })?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(self.settings.connect_timeout));
        let client: Client<HttpConnector, OutBody> =
            Client::builder(TokioExecutor::new()).build(connector);
        let sent = client.request(request).await;
        let response = sent.map_err(|error| {
            let (is_sent, address) = (!error.is_connect(), address.to_owned());
            let source = error.into();
            match is_sent {
                true => ClientError::Lost { address, source },
                false => ClientError::Unreachable { address, source },
            }
        })?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(http1::refused(response.status(), response).await),
        }
    }
}

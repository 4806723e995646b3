//! What answers, and how to reach it without a socket.

use std::sync::Arc;

use acr_core::{
    Error, ErrorKind, Transport,
    http::{Body, Request},
};
use bytes::Bytes;
use http::{Response, request::Parts};

/// What answers: head and body in, answer out.
pub(crate) trait Desk: Send + Sync + 'static {
    fn answer(&self, head: &Parts, body: &[u8]) -> Response<Bytes>;
}

/// A transport to one fake that needs no socket; every other address is an unknown host.
pub(crate) fn in_process(desk: Arc<dyn Desk>, origin: String) -> Transport {
    Transport::new(InProcess { desk, origin: origin.into() })
}

#[derive(Clone)]
struct InProcess {
    desk: Arc<dyn Desk>,
    origin: Arc<str>,
}

impl tower_service::Service<Request> for InProcess {
    type Response = Response<Body>;
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { desk, origin } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let scheme = head.uri.scheme_str().unwrap_or_default();
            let authority = head.uri.authority().map_or("", |a| a.as_str());
            if format!("{scheme}://{authority}") != *origin {
                let text = format!("no connection to the server: `{authority}` is unknown");
                return Err(Error::new(ErrorKind::Connect, text));
            }
            let body = body.bytes(MAX_BODY).await?;
            Ok(desk.answer(&head, &body).map(Body::from))
        })
    }
}

/// Assertions are a few thousand bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;

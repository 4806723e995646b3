//! The registry and its storage without a socket.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use acr_core::http::Request;
use http::{HeaderValue, header};
use tower_service::Service;

use crate::{
    answer::Answer,
    clock::Stamp,
    damage,
    fault::{Effect, Seen},
    journal::Origin,
    operation::Operation,
    service::{self, Carrier},
    shared::Shared,
    site::Site,
    sync::lock,
};

/// The service behind the in-process transport.
#[derive(Clone)]
pub(crate) struct InProcess {
    shared: Arc<Shared>,
    site: Arc<Site>,
}

impl InProcess {
    pub(crate) fn new(shared: Arc<Shared>, site: Site) -> Self {
        Self { shared, site: Arc::new(site) }
    }
}

impl Service<Request> for InProcess {
    type Response = Answer;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Answer>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { shared, site } = self.clone();
        let uri = request.uri();
        let is_default = uri.port_u16().is_none_or(|port| port == 443);
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let origin = match (uri.scheme_str(), host.as_str()) {
            (Some("https"), Site::IN_PROCESS_HOST) if is_default => Origin::Registry,
            (Some("https"), Site::IN_PROCESS_STORAGE) if is_default => Origin::Storage,
            _ => {
                return Box::pin(std::future::ready(Err(unknown_host())));
            }
        };
        Box::pin(async move {
            connect(&shared).await?;
            service::answer(shared, site, origin, &NoWire, request).await.map(framed)
        })
    }
}

/// There are no bytes of a connection to spoil: the body is broken instead.
struct NoWire;

impl Carrier for NoWire {
    async fn carry(&self, answer: Answer, effects: &[Effect], _: Stamp) -> io::Result<Answer> {
        Ok(damage::apply_without_wire(answer, effects))
    }
}

/// Tells that the end of a body without a length is marked, as a server does that sends it
/// in chunks.
fn framed(mut answer: Answer) -> Answer {
    let is_sized = answer.headers().contains_key(header::CONTENT_LENGTH)
        || http_body::Body::size_hint(answer.body()).exact().is_some();
    if !is_sized {
        let chunked = HeaderValue::from_static("chunked");
        answer.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
    }
    answer
}

/// Stands for the connection that nobody makes in process.
async fn connect(shared: &Shared) -> io::Result<()> {
    let seen =
        Seen { operation: Operation::Connect, repository: "", item: "", path: "", headers: None };
    let effects = lock(&shared.faults).strike(seen);
    for effect in effects {
        match effect {
            Effect::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Effect::UnknownHost => return Err(unknown_host()),
            Effect::DropRequest => return Err(damage::broken()),
            Effect::Stall => std::future::pending().await,
            Effect::Delay { time } => tokio::time::sleep(time).await,
            _ => {}
        }
    }
    Ok(())
}

fn unknown_host() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such host in this process")
}

//! An observer that remembers, and a pipeline to a function that it looks at.

use std::sync::{Arc, Mutex};

use acr_core::{
    Endpoint, Error, Pipeline, PipelineBuilder, Transport,
    http::{Body, Effect, Operation, Request, RequestBuilder, Response},
    layer::{
        AttemptEnded, CallEnded, CallStarted, Connected, Observed, Observer, RetryPolicy,
        Throttled, TokenCallEnded, Transferred, Waited,
    },
};
use http::Method;
use tower::service_fn;

/// Everything it was told, in order.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<(Observed, Event)>>);

#[derive(Clone, Debug)]
pub(crate) enum Event {
    CallStarted,
    CallEnded(CallEnded),
    Attempt(AttemptEnded),
    TokenCall(TokenCallEnded),
    Throttled(Throttled),
    Waited(Waited),
    Transferred(Transferred),
    Connected(Connected),
}

impl Recorder {
    fn add(&self, of: &Observed, event: Event) {
        self.0.lock().unwrap().push((of.clone(), event));
    }

    pub(crate) fn all(&self) -> Vec<(Observed, Event)> {
        self.0.lock().unwrap().clone()
    }

    fn those<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.all().iter().filter_map(|(_, event)| pick(event)).collect()
    }

    pub(crate) fn started(&self) -> usize {
        self.those(|event| matches!(event, Event::CallStarted).then_some(())).len()
    }

    pub(crate) fn ended(&self) -> Vec<CallEnded> {
        self.those(|event| if let Event::CallEnded(it) = event { Some(it.clone()) } else { None })
    }

    pub(crate) fn attempts(&self) -> Vec<AttemptEnded> {
        self.those(|event| if let Event::Attempt(it) = event { Some(it.clone()) } else { None })
    }

    pub(crate) fn token_calls(&self) -> Vec<TokenCallEnded> {
        self.those(|event| if let Event::TokenCall(it) = event { Some(it.clone()) } else { None })
    }

    pub(crate) fn throttled(&self) -> Vec<Throttled> {
        self.those(|event| if let Event::Throttled(it) = event { Some(it.clone()) } else { None })
    }

    pub(crate) fn waits(&self) -> Vec<Waited> {
        self.those(|event| if let Event::Waited(it) = event { Some(it.clone()) } else { None })
    }

    pub(crate) fn transfers(&self) -> Vec<Transferred> {
        self.those(|event| if let Event::Transferred(it) = event { Some(it.clone()) } else { None })
    }

    #[cfg(feature = "_transport")]
    pub(crate) fn connections(&self) -> Vec<acr_core::layer::Connection> {
        self.those(
            |event| if let Event::Connected(it) = event { Some(it.connection) } else { None },
        )
    }
}

impl Observer for Recorder {
    fn call_started(&self, of: &Observed, _: &CallStarted) {
        self.add(of, Event::CallStarted);
    }

    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        self.add(of, Event::CallEnded(event.clone()));
    }

    fn attempt_ended(&self, of: &Observed, event: &AttemptEnded) {
        self.add(of, Event::Attempt(event.clone()));
    }

    fn token_call_ended(&self, of: &Observed, event: &TokenCallEnded) {
        self.add(of, Event::TokenCall(event.clone()));
    }

    fn throttled(&self, of: &Observed, event: &Throttled) {
        self.add(of, Event::Throttled(event.clone()));
    }

    fn waited(&self, of: &Observed, event: &Waited) {
        self.add(of, Event::Waited(event.clone()));
    }

    fn transferred(&self, of: &Observed, event: &Transferred) {
        self.add(of, Event::Transferred(event.clone()));
    }

    fn connected(&self, of: &Observed, event: &Connected) {
        self.add(of, Event::Connected(event.clone()));
    }
}

/// A pipeline to a function, and who is told of it.
pub(crate) fn observed<F, Fut>(answer: F) -> (PipelineBuilder, Arc<Recorder>)
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let recorder = Arc::new(Recorder::default());
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let builder = Pipeline::builder(endpoint)
        .transport(Transport::new(service_fn(answer)))
        .retry(RetryPolicy::default().seed(1))
        .observer(recorder.clone());
    (builder, recorder)
}

pub(crate) fn request(method: Method, body: impl Into<Body>) -> Request {
    let endpoint: Endpoint = "R.azurecr.io".parse().unwrap();
    RequestBuilder::new(method, &endpoint, &["v2", "secret-path", "blobs", "sha256:5ec4e7"])
        .operation(Operation::new("operate").on("secret-subject"))
        .effect(Effect::Set)
        .body(body)
        .build()
        .unwrap()
}

pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Response {
    http::Response::builder().status(status).body(body.into()).unwrap()
}

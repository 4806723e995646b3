//! What other crates rely on without the compiler of this one noticing: auto traits and sizes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use acr_core::{
    Continuation, Digest, Digester, Endpoint, Error, Page, Pager, Pipeline, PipelineBuilder,
    Reference, RepositoryName, Scope, Secret, Tag, Timestamp, Transport,
    http::{Body, PageRequest, Pages, Request, RequestBuilder, Verified},
    layer::{
        Governor, GovernorLayer, LogLayer, RedirectLayer, RequestIdLayer, RetryLayer, RetryPolicy,
        TimeoutLayer, Timeouts, TraceLayer, UserAgentLayer,
    },
};

fn send<T: Send>() {}
fn send_sync_clone<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
fn value<T: Ord + std::hash::Hash + Clone + Send + Sync + std::fmt::Display + std::str::FromStr>() {
}

#[test]
fn handles_values_and_layers_are_send_sync_clone() {
    send_sync_clone::<Pipeline>();
    send_sync_clone::<Transport>();
    send_sync_clone::<Endpoint>();
    send_sync_clone::<Scope>();
    send_sync_clone::<Secret>();
    send_sync_clone::<Digester>();
    send_sync_clone::<Continuation>();
    send_sync_clone::<PageRequest>();
    send_sync_clone::<Page<Tag>>();
    send_sync_clone::<RetryPolicy>();
    send_sync_clone::<Timeouts>();
    send_sync_clone::<RequestIdLayer>();
    send_sync_clone::<RetryLayer>();
    send_sync_clone::<RedirectLayer>();
    send_sync_clone::<UserAgentLayer>();
    send_sync_clone::<TraceLayer>();
    send_sync_clone::<LogLayer>();
    send_sync_clone::<TimeoutLayer>();
    send_sync_clone::<Governor>();
    send_sync_clone::<GovernorLayer>();
    value::<RepositoryName>();
    value::<Tag>();
    value::<Digest>();
    value::<Reference>();
    value::<Timestamp>();
}

#[test]
fn what_travels_between_tasks_is_send() {
    send::<Body>();
    send::<Request>();
    send::<RequestBuilder>();
    send::<PipelineBuilder>();
    send::<Error>();
    send::<Pager<Tag>>();
    send::<Pages<Tag>>();
    send::<Verified<acr_core::http::DataStream>>();
}

#[test]
fn futures_are_send_and_small() {
    fn check<F: Future + Send>(future: F, limit: usize) {
        let size = size_of_val(&future);
        drop(future);
        assert!(size <= limit, "{size} bytes");
    }
    let transport = Transport::new(tower::service_fn(|_: Request| async {
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    check(pipeline.send(Request::default()), 2_048);
    let mut pager = Pager::new(|_| async { Ok(Page::new(vec![1], None)) });
    check(pager.try_next(), 256);
}

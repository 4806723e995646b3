//! The header of the request id is a setting, and token calls follow it.

use std::sync::{Arc, Mutex};

use acr_auth::AuthLayer;
use acr_core::{CallOptions, Pipeline, Transport, http::Request};
use acr_testkit::FakeRegistry;
use http::{HeaderName, StatusCode};
use tower::{ServiceExt as _, service_fn};

use crate::{catalog, identity};

const OURS: &str = "x-ms-client-request-id";
const OTHER: &str = "x-request-id";

/// Of each request its path and what it has of both headers.
type Seen = Arc<Mutex<Vec<(String, Option<String>, Option<String>)>>>;

fn watched(registry: &FakeRegistry, seen: &Seen) -> Transport {
    let (inner, seen) = (registry.transport(), Arc::clone(seen));
    Transport::new(service_fn(move |request: Request| {
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let path = request.uri().path().to_owned();
        seen.lock().unwrap().push((path, header(OURS), header(OTHER)));
        inner.clone().oneshot(request)
    }))
}

#[tokio::test]
async fn all_requests_of_a_call_carry_its_id_in_the_header_that_was_asked_for() {
    for asked_for in [None, Some(HeaderName::from_static(OTHER))] {
        let (registry, seen) = (FakeRegistry::new(), Seen::default());
        let builder = Pipeline::builder(registry.endpoint())
            .transport(watched(&registry, &seen))
            .layer_per_hop(AuthLayer::new(&registry.endpoint(), identity(&registry).0));
        let builder = match &asked_for {
            Some(name) => builder.request_id_header(name.clone()),
            None => builder,
        };
        let pipeline = builder.build().unwrap().with(CallOptions::new().request_id("build-4711"));
        let request = catalog(pipeline.endpoint());
        assert_eq!(pipeline.send(request).await.unwrap().status(), StatusCode::OK);

        let id = || Some("build-4711".to_owned());
        let (ours, other) = if asked_for.is_some() { (None, id()) } else { (id(), None) };
        let paths = ["/oauth2/exchange", "/oauth2/token", "/acr/v1/_catalog"];
        let expected = paths.map(|path| (path.to_owned(), ours.clone(), other.clone()));
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

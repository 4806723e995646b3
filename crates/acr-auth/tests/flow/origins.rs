//! Where credentials and tokens go, and where never.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, Result, Scope, Transport,
    http::{Body, Request, RequestBuilder, Response},
    layer::RetryPolicy,
};
use acr_testkit::{FakeRegistry, Kind};
use http::{Method, StatusCode};
use tower::{ServiceExt as _, service_fn};

use crate::{catalog, identity};

#[tokio::test]
async fn an_entra_token_is_not_sent_to_a_strange_host() {
    let registry = FakeRegistry::new();
    let transport = Transport::new(service_fn(|_: Request| async {
        panic!("nothing may be sent");
        #[expect(unreachable_code, reason = "names the type")]
        Ok::<Response, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint: Endpoint = "x.azurecr.io.evil.example".parse().unwrap();
    let (credential, asked) = identity(&registry);
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&endpoint, credential))
        .build()
        .unwrap();
    let error = pipeline.send(catalog(&endpoint)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

/// A registry that answers as the test says, behind the auth layer; token calls succeed.
fn scripted<F>(answer: F, policy: RetryPolicy) -> Pipeline
where
    F: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
{
    let transport = Transport::new(service_fn(move |request: Request| {
        let response = match request.uri().path() {
            "/oauth2/exchange" => http::Response::new(Body::from(r#"{"refresh_token":"r"}"#)),
            "/oauth2/token" => http::Response::new(Body::from(r#"{"access_token":"a"}"#)),
            _ => answer(&request),
        };
        async move { Ok::<_, Error>(response) }
    }));
    let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
    let source = credential_fn(|_| async {
        Ok(AccessToken::new("e", SystemTime::now() + Duration::from_secs(3600)))
    });
    let auth = AuthLayer::new(&endpoint, Credential::entra(source));
    Pipeline::builder(endpoint)
        .transport(transport)
        .retry(policy)
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_foreign_realm_is_refused_and_never_followed() {
    let challenge = r#"Bearer realm="https://evil.example/oauth2/token",service="reg.azurecr.io""#;
    let pipeline = scripted(
        move |request| {
            assert_eq!(request.uri().host(), Some("reg.azurecr.io"));
            let response = http::Response::builder().status(401);
            response.header("www-authenticate", challenge).body(Body::empty()).unwrap()
        },
        RetryPolicy::default(),
    );
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
}

#[tokio::test]
async fn authorization_goes_to_the_registry_only_and_only_once() -> Result<()> {
    let pipeline = scripted(
        |request| {
            let sent: Vec<_> = request.headers().get_all("authorization").iter().collect();
            let is_registry = request.uri().to_string().starts_with("https://reg.azurecr.io/");
            assert_eq!(sent.len(), usize::from(is_registry), "{}", request.uri());
            assert!(sent.iter().all(|value| value.is_sensitive()));
            http::Response::new(Body::empty())
        },
        RetryPolicy::default(),
    );
    pipeline.send(catalog(pipeline.endpoint())).await?;
    for elsewhere in [
        "https://other.azurecr.io/acr/v1/_catalog",
        "https://reg.azurecr.io:444/",
        "http://reg.azurecr.io/",
    ] {
        let mut request = RequestBuilder::to(Method::GET, elsewhere.parse().unwrap())
            .scope(Scope::catalog())
            .build()?;
        request.headers_mut().insert("authorization", "Bearer planted".parse().unwrap());
        pipeline.send(request).await?;
    }
    Ok(())
}

#[tokio::test]
async fn d4_no_header_with_a_credential_leaves_for_another_origin() -> Result<()> {
    let names = ["authorization", "cookie", "proxy-authorization", "x-ms-authorization-auxiliary"];
    let pipeline = scripted(
        move |request| {
            let left: Vec<_> =
                names.iter().filter(|name| request.headers().contains_key(**name)).collect();
            assert!(left.is_empty(), "{left:?} went to {}", request.uri());
            http::Response::new(Body::empty())
        },
        RetryPolicy::default(),
    );
    for elsewhere in ["https://other.azurecr.io/", "https://reg.azurecr.io:444/"] {
        let mut request = RequestBuilder::to(Method::GET, elsewhere.parse().unwrap()).build()?;
        for name in names {
            request.headers_mut().insert(name, "planted".parse().unwrap());
        }
        pipeline.send(request).await?;
    }
    Ok(())
}

#[tokio::test]
async fn d4_every_answer_is_asked_for_as_it_is() -> Result<()> {
    let pipeline = scripted(
        |request| {
            assert_eq!(request.headers()["accept-encoding"], "identity", "{}", request.uri());
            http::Response::new(Body::empty())
        },
        RetryPolicy::default(),
    );
    pipeline.send(catalog(pipeline.endpoint())).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_strangers_stack_needs_neither_a_pipeline_nor_scopes() {
    let registry = FakeRegistry::new();
    let stack = tower::ServiceBuilder::new()
        .layer(AuthLayer::new(&registry.endpoint(), identity(&registry).0))
        .service(registry.transport());
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let uri = |path: &str| registry.endpoint().uri(path).unwrap();
    let put = http::Request::put(uri("/v2/library/app/manifests/v1"))
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .body(Body::from(index))
        .unwrap();
    assert_eq!(stack.clone().oneshot(put).await.unwrap().status(), StatusCode::CREATED);
    for path in ["/v2/library/app/manifests/v1", "/acr/v1/_catalog", "/v2/", "/acr/v1/library/app"]
    {
        let get = http::Request::get(uri(path)).header("accept", "*/*").body(Body::empty());
        let get = get.unwrap();
        assert_eq!(stack.clone().oneshot(get).await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let journal = registry.journal();
    assert_eq!(journal.count(Kind::Challenge), 5, "one for each request");
    assert_eq!(journal.count(Kind::Exchange), 1);
}

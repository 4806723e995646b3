//! The kinds of credentials other than an Entra identity, against the fake registry.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Error, ErrorKind, Pipeline, Scope, Transport,
    http::{Body, Effect, Request, RequestBuilder, response},
};
use acr_testkit::{FakeRegistry, Kind};
use http::{Method, StatusCode};
use tower::{ServiceExt as _, service_fn};

const NULL_USER: &str = "00000000-0000-0000-0000-000000000000";

fn pipeline(registry: &FakeRegistry, transport: Transport, credential: Credential) -> Pipeline {
    Pipeline::builder(registry.endpoint())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&registry.endpoint(), credential))
        .build()
        .unwrap()
}

async fn list(registry: &FakeRegistry, credential: Credential) -> Result<(), Error> {
    let pipeline = pipeline(registry, registry.transport(), credential);
    let path = ["acr", "v1", "_catalog"];
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &path)
        .scope(Scope::catalog())
        .effect(Effect::Read)
        .build()?;
    response::expect(pipeline.send(request).await?, &[StatusCode::OK]).await.map(drop)
}

/// A refresh token of the fake, taken off the wire of a regular sign-in.
async fn refresh_token(registry: &FakeRegistry) -> String {
    let found = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let (inner, note) = (registry.transport(), std::sync::Arc::clone(&found));
    let spy = Transport::new(service_fn(move |request: Request| {
        let (inner, note) = (inner.clone(), std::sync::Arc::clone(&note));
        async move {
            let is_exchange = request.uri().path() == "/oauth2/exchange";
            let (head, body) = inner.oneshot(request).await?.into_parts();
            let body = body.bytes(1 << 20).await?;
            if is_exchange {
                let text = String::from_utf8_lossy(&body).into_owned();
                text.split('"').nth(3).unwrap().clone_into(&mut note.lock().unwrap());
            }
            Ok::<_, Error>(http::Response::from_parts(head, Body::from(body)))
        }
    }));
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let expiry = SystemTime::now() + Duration::from_secs(3600);
        let token = AccessToken::new(token.clone(), expiry);
        async move { Ok(token) }
    });
    let pipeline = pipeline(registry, spy, Credential::entra(source));
    let path = ["acr", "v1", "_catalog"];
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &path);
    pipeline.send(request.scope(Scope::catalog()).build().unwrap()).await.unwrap();
    let token = found.lock().unwrap().clone();
    registry.journal().clear();
    token
}

#[tokio::test(start_paused = true)]
async fn a_user_and_password_get_an_access_token_directly() {
    let registry = FakeRegistry::builder().user("tester", "p&ss=word %").build();
    list(&registry, Credential::password("tester", "p&ss=word %")).await.unwrap();
    assert_eq!(registry.journal().count(Kind::Exchange), 0);
    assert_eq!(registry.journal().count(Kind::Token), 1);
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_unauthenticated_and_not_printed() {
    let registry = FakeRegistry::builder().user("tester", "right").build();
    let error = list(&registry, Credential::password("tester", "canary")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(!format!("{:?}", Credential::password("tester", "canary")).contains("canary"));
    assert!(!format!("{:?}", Credential::refresh_token("canary")).contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_works_by_itself_and_as_the_null_users_password() {
    let registry = FakeRegistry::new();
    let token = refresh_token(&registry).await;
    for credential in
        [Credential::refresh_token(token.clone()), Credential::password(NULL_USER, token)]
    {
        registry.journal().clear();
        list(&registry, credential).await.unwrap();
        assert_eq!(registry.journal().count(Kind::Exchange), 0);
        assert_eq!(registry.journal().count(Kind::Token), 1);
    }
    let error = list(&registry, Credential::refresh_token("stale")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

/// The registry only says that it was refused; when it ended can be read in the token itself.
#[tokio::test(start_paused = true)]
async fn c10_a_registry_token_that_has_expired_says_so() {
    let registry = FakeRegistry::new();
    let token = |payload: &str| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        format!("e30.{}.canary", URL_SAFE_NO_PAD.encode(payload))
    };
    for (payload, has_expired) in [
        (r#"{"exp":1700000000,"iat":1699988300}"#, true),
        (r#"{"exp":4700000000,"iat":1699988300}"#, false),
        ("{}", false),
    ] {
        for credential in [
            Credential::refresh_token(token(payload)),
            Credential::password(NULL_USER, token(payload)),
        ] {
            let error = list(&registry, credential).await.unwrap_err();
            let text = error.to_string();
            assert_eq!(text.contains("has expired"), has_expired, "{text}");
            assert_eq!(text.contains("`az acr login`"), has_expired, "{text}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[test]
fn c10_a_registrys_bare_name_is_answered_with_its_login_server() {
    for (name, server) in [("myreg", "`myreg.azurecr.io`"), ("My-Reg1", "`My-Reg1.azurecr.io`")] {
        let error = acr_auth::connect(name, Credential::anonymous()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(server), "{error}");
        assert!(error.to_string().contains(&format!("`https://{name}`")), "{error}");
    }
    for host in ["myreg.azurecr.io", "https://myreg", "myreg:443", "localhost", "localhost:5000"] {
        assert!(acr_auth::connect(host, Credential::anonymous()).is_ok(), "{host}");
    }
}

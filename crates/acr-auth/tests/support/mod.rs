//! A registry that answers as a test says.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Endpoint, Error, Pipeline, Scope, Transport,
    http::{Body, Effect, Request, RequestBuilder, Response},
};
use http::{Method, StatusCode};
use tower::service_fn;

/// Everything that was sent: method and path, authorization, body.
pub type Sent = Arc<Mutex<Vec<Call>>>;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub line: String,
    pub authorization: Option<String>,
    pub request_id: Option<String>,
    pub body: String,
}

impl Call {
    fn of(request: &Request) -> Self {
        let header = |name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        Self {
            line: format!("{} {}", request.method(), request.uri().path()),
            authorization: header("authorization"),
            request_id: header("x-ms-client-request-id"),
            body: String::new(),
        }
    }
}

/// A transport that notes each call and lets the function answer it.
pub fn transport<F>(answer: F) -> (Transport, Sent)
where
    F: Fn(&Call, usize) -> Response + Clone + Send + Sync + 'static,
{
    let sent = Sent::default();
    let log = Arc::clone(&sent);
    let transport = Transport::new(service_fn(move |request: Request| {
        let (log, answer) = (Arc::clone(&log), answer.clone());
        async move {
            let mut call = Call::of(&request);
            let body = request.into_body().bytes(1 << 20).await?;
            call.body = String::from_utf8(body.to_vec()).unwrap();
            let mut log = log.lock().unwrap();
            let earlier = log.iter().filter(|other| other.line == call.line).count();
            let response = answer(&call, earlier);
            log.push(call);
            Ok::<_, Error>(response)
        }
    }));
    (transport, sent)
}

pub fn endpoint() -> Endpoint {
    "reg.azurecr.io".parse().unwrap()
}

pub fn entra() -> Credential {
    Credential::entra(credential_fn(|_| async {
        Ok(AccessToken::new("entra", SystemTime::now() + Duration::from_secs(3600)))
    }))
}

pub fn pipeline(transport: Transport, credential: Credential) -> Pipeline {
    Pipeline::builder(endpoint())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&endpoint(), credential))
        .build()
        .unwrap()
}

pub fn get(path: &str, scope: Option<Scope>) -> Request {
    let request =
        RequestBuilder::to(Method::GET, endpoint().uri(path).unwrap()).effect(Effect::Read);
    match scope {
        Some(scope) => request.scope(scope).build().unwrap(),
        None => request.build().unwrap(),
    }
}

pub fn ok(body: impl Into<String>) -> Response {
    http::Response::new(Body::from(body.into()))
}

/// A 401 with a Bearer challenge of the registry; the parameters follow the realm.
pub fn challenge(parameters: &str) -> Response {
    let text = format!(
        r#"Bearer realm="https://reg.azurecr.io/oauth2/token",service="reg.azurecr.io"{parameters}"#
    );
    http::Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .header("www-authenticate", text)
        .body(Body::from(
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        ))
        .unwrap()
}

/// An access token with this payload.
pub fn jwt(payload: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
}

/// The token service: a refresh token for everybody, and an access token that grants this
/// much, given as the claim `access`.
pub fn token_service(call: &Call, access: &str) -> Option<Response> {
    match call.line.as_str() {
        "POST /oauth2/exchange" => Some(ok(r#"{"refresh_token":"refresh"}"#)),
        "POST /oauth2/token" => {
            let token = jwt(&format!(r#"{{"iat":1,"exp":4501,"access":{access}}}"#));
            Some(ok(format!(r#"{{"access_token":"{token}"}}"#)))
        }
        _ => None,
    }
}

/// The scopes that access tokens were asked for, in order.
pub fn scopes(sent: &Sent) -> Vec<String> {
    let asked = |call: &Call| {
        let field = call.body.split('&').find_map(|field| field.strip_prefix("scope="))?;
        Some(percent_encoding::percent_decode_str(field).decode_utf8().unwrap().into_owned())
    };
    sent.lock().unwrap().iter().filter_map(asked).collect()
}

/// How often a request line was sent.
pub fn count(sent: &Sent, line: &str) -> usize {
    sent.lock().unwrap().iter().filter(|call| call.line == line).count()
}

//! The two calls of the token service: requests and answers are pure, sending is one line.

use std::fmt::Write as _;

use acr_core::{
    Effect, Endpoint, Error, ErrorKind, HttpService, Operation, Request, RequestBuilder, Response,
    Result, Scope, Secret, layer, response,
};
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

/// What an access token is asked with.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    Anonymous,
    RefreshToken(&'a Secret),
    Password { user: &'a str, password: &'a Secret },
}

/// `POST /oauth2/exchange`: an Entra token for a registry refresh token.
pub(crate) async fn entra_token<S: HttpService>(
    service: S,
    endpoint: &Endpoint,
    entra: &Secret,
) -> Result<Secret> {
    let answer = send(service, entra_request(endpoint, entra)?).await?;
    let answer: RefreshAnswer = response::read_json(answer, MAX_TOKEN_ANSWER).await?;
    present(answer.refresh_token, "refresh_token")
}

/// `POST /oauth2/token`: an access token for a scope. The registry grants what
/// the identity may have of it, possibly nothing.
pub(crate) async fn access_token<S: HttpService>(
    service: S,
    endpoint: &Endpoint,
    grant: Grant<'_>,
    scope: &Scope,
) -> Result<Secret> {
    let answer = send(service, access_request(endpoint, grant, scope)?).await?;
    let answer: AccessAnswer = response::read_json(answer, MAX_TOKEN_ANSWER).await?;
    present(answer.access_token.or(answer.token), "access_token")
}

fn entra_request(endpoint: &Endpoint, entra: &Secret) -> Result<Request> {
    let form = Form::new("access_token")
        .field("service", endpoint.authority())
        .field("access_token", entra.expose());
    form.post(endpoint, "exchange", Operation::new("exchange_entra_token"))
}

fn access_request(endpoint: &Endpoint, grant: Grant<'_>, scope: &Scope) -> Result<Request> {
    let kind = match grant {
        Grant::Anonymous | Grant::Password { .. } => "password",
        Grant::RefreshToken(_) => "refresh_token",
    };
    let form =
        Form::new(kind).field("service", endpoint.authority()).field("scope", &scope.to_string());
    let form = match grant {
        Grant::Anonymous => form.field("refresh_token", ""),
        Grant::RefreshToken(token) => form.field("refresh_token", token.expose()),
        Grant::Password { user, password } => {
            form.field("username", user).field("password", password.expose())
        }
    };
    form.post(endpoint, "token", Operation::new("fetch_access_token").on(scope))
}

async fn send<S: HttpService>(service: S, request: Request) -> Result<Response> {
    let answer = layer::send(service, request).await?;
    response::expect(answer, &[StatusCode::OK]).await.map_err(|error| {
        // The answer may echo what was sent, which is nothing but secrets.
        let error = error.without_server_text();
        match error.status() {
            Some(status @ (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) => {
                // Never "not found": what the caller asked for was not even looked at.
                let text = "the registry has no token service; use a pipeline without sign-in";
                let operation = error.operation().map(Operation::new);
                Error::new(ErrorKind::Protocol, text)
                    .with_status(status)
                    .with_operation(operation.as_ref())
                    .with_correlation_id(error.correlation_id())
            }
            _ => error,
        }
    })
}

/// The token, checked to fit into a header, so that no answer can break a later request.
fn present(token: Option<Zeroizing<String>>, field: &str) -> Result<Secret> {
    let token = token.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()));
    let text = || format!("the token service's answer has no usable `{field}`");
    token.map(|t| Secret::new(t.as_str())).ok_or_else(|| Error::new(ErrorKind::Protocol, text()))
}

/// A form body that is wiped after use.
struct Form(Zeroizing<String>);

impl Form {
    fn new(grant_type: &str) -> Self {
        Self(Zeroizing::new(format!("grant_type={grant_type}")))
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "&{name}={}", utf8_percent_encode(value, FORM));
        self
    }

    fn post(self, endpoint: &Endpoint, call: &str, operation: Operation) -> Result<Request> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        RequestBuilder::new(Method::POST, endpoint, &["oauth2", call])
            .accept_json()
            .header(header::CONTENT_TYPE, form)
            .operation(operation)
            .effect(Effect::Token)
            .body(self.0.as_bytes().to_vec())
            .build()
    }
}

#[derive(Deserialize)]
struct RefreshAnswer {
    #[serde(default)]
    refresh_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct AccessAnswer {
    #[serde(default)]
    access_token: Option<Zeroizing<String>>,
    /// What the Docker token protocol calls it.
    #[serde(default)]
    token: Option<Zeroizing<String>>,
}

/// A blank becomes `%20`: sent otherwise, the second of two scopes is silently lost.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const MAX_TOKEN_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use acr_core::{Body, Transport};
    use futures_util::FutureExt as _;

    use super::*;

    fn endpoint() -> Endpoint {
        "reg.azurecr.io".parse().unwrap()
    }

    fn body(request: Request) -> String {
        let bytes = request.into_body().bytes(1000).now_or_never().unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn forms_are_what_the_official_clients_send() {
        let scope = Scope::parse_lenient("repository:t:pull,push repository:s:pull");
        let entra = entra_request(&endpoint(), &Secret::new("a+b/c=")).unwrap();
        assert_eq!(entra.uri(), "https://reg.azurecr.io/oauth2/exchange");
        assert_eq!(
            body(entra),
            "grant_type=access_token&service=reg.azurecr.io&access_token=a%2Bb%2Fc%3D"
        );
        let refresh = Secret::new("r");
        let token = access_request(&endpoint(), Grant::RefreshToken(&refresh), &scope).unwrap();
        assert_eq!(token.uri(), "https://reg.azurecr.io/oauth2/token");
        assert_eq!(
            body(token),
            "grant_type=refresh_token&service=reg.azurecr.io&scope=repository%3As%3Apull%20repository%3At%3Apull%2Cpush&refresh_token=r"
        );
        let anonymous = access_request(&endpoint(), Grant::Anonymous, &scope).unwrap();
        assert!(body(anonymous).starts_with("grant_type=password&"));
        let grant = Grant::Password { user: "a b", password: &Secret::new("p&q=r") };
        let password = access_request(&endpoint(), grant, &scope).unwrap();
        assert!(body(password).ends_with("&username=a%20b&password=p%26q%3Dr"));
    }

    #[tokio::test]
    async fn a_refusal_keeps_status_and_code_and_no_word_of_the_server() {
        for (status, kind) in [
            (400, ErrorKind::Rejected),
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::Protocol),
            (405, ErrorKind::Protocol),
            (429, ErrorKind::Throttled),
            (503, ErrorKind::Server),
        ] {
            for body in [
                r#"{"errors":[{"code":"C","message":"canary","detail":"canary"}]}"#,
                "you sent access_token=canary",
            ] {
                let transport = Transport::new(tower::service_fn(move |_: Request| async move {
                    let response = http::Response::builder().status(status);
                    let response = response.header("content-type", "text/plain");
                    Ok::<_, Error>(response.body(Body::from(body)).unwrap())
                }));
                let secret = Secret::new("x");
                let error = entra_token(transport, &endpoint(), &secret).await.unwrap_err();
                assert_eq!(error.kind(), kind);
                assert!(!error.is_not_found());
                assert!(!format!("{error} {error:?} {:?}", error.details()).contains("canary"));
            }
        }
    }

    #[tokio::test]
    async fn odd_answers_are_protocol_errors_without_the_answer_in_them() {
        for (answer, kind) in [
            (r#"{"access_token":"canary\nx"}"#.to_owned(), ErrorKind::Protocol),
            (r#"{"access_token":""}"#.to_owned(), ErrorKind::Protocol),
            (r#"{"access_token":{"canary":1}}"#.to_owned(), ErrorKind::Protocol),
            ("{}".to_owned(), ErrorKind::Protocol),
            ("null".to_owned(), ErrorKind::Protocol),
            ("canary".to_owned(), ErrorKind::Protocol),
            (format!(r#"{{"access_token":"{}"}}"#, "canary".repeat(20_000)), ErrorKind::TooLarge),
        ] {
            let transport = Transport::new(tower::service_fn(move |_: Request| {
                let answer = answer.clone();
                async move { Ok::<_, Error>(http::Response::new(Body::from(answer))) }
            }));
            let error = access_token(transport, &endpoint(), Grant::Anonymous, &Scope::catalog())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}

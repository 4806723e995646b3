//! The two calls of the token service: requests and answers are pure, sending is one line.

use std::sync::Arc;

use acr_core::{
    CallOptions, Endpoint, Error, ErrorKind, Result, Scope, Secret,
    http::{Effect, Operation, Request, RequestBuilder, Response, response},
    layer::{self, HttpService},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{form::Form, grant_type::GrantType, refusal, secret_text, trust};

/// `POST /oauth2/exchange`: Entra tokens for a registry refresh token.
pub(crate) struct Exchange<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) grant_type: GrantType,
    pub(crate) service: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) access_token: Option<&'a Secret>,
    pub(crate) refresh_token: Option<&'a Secret>,
}

/// `POST /oauth2/token`: an access token for a scope. The registry grants what
/// the identity may have of it, possibly nothing.
pub(crate) struct Ask<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) grant: Grant<'a>,
    pub(crate) service: &'a str,
    pub(crate) scope: &'a Scope,
}

/// Who sends a token call, and on whose behalf.
pub(crate) struct Caller<'a, S> {
    pub(crate) service: &'a S,
    /// The id of the request that a token is needed for.
    pub(crate) request_id: Option<(HeaderName, HeaderValue)>,
    /// The options of the call that a token is needed for.
    pub(crate) options: Option<CallOptions>,
}

/// What an access token is asked with.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    Anonymous {
        /// Why nobody asks.
        why: Option<&'a Arc<str>>,
    },
    RefreshToken(&'a Secret),
    Password {
        user: &'a str,
        password: &'a Secret,
    },
}

impl<'a> Exchange<'a> {
    pub(crate) fn entra(endpoint: &'a Endpoint, token: &'a Secret) -> Self {
        Self {
            endpoint,
            grant_type: GrantType::ACCESS_TOKEN,
            service: endpoint.authority(),
            tenant: None,
            access_token: Some(token),
            refresh_token: None,
        }
    }

    pub(crate) async fn send<S: HttpService>(&self, caller: &Caller<'_, S>) -> Result<Secret> {
        let sent: Vec<_> = self.access_token.into_iter().chain(self.refresh_token).collect();
        let answer = send(caller, self.request()?, &sent).await?;
        let answer: RefreshAnswer = response::read_json(answer, MAX_TOKEN_ANSWER).await?;
        secret_text::received(answer.refresh_token, "refresh_token")
    }

    fn request(&self) -> Result<Request> {
        let form = Form::new()
            .field("grant_type", self.grant_type.as_str())
            .field("service", self.service)
            .optional("tenant", self.tenant)
            .optional("refresh_token", self.refresh_token.map(Secret::expose))
            .optional("access_token", self.access_token.map(Secret::expose));
        post(self.endpoint, "exchange", form, Operation::new("exchange_entra_token"))
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn new(endpoint: &'a Endpoint, grant: Grant<'a>, scope: &'a Scope) -> Self {
        Self { endpoint, grant, service: endpoint.authority(), scope }
    }

    pub(crate) async fn send<S: HttpService>(&self, caller: &Caller<'_, S>) -> Result<Secret> {
        let sent: Vec<_> = self.grant.secret().into_iter().collect();
        if !sent.is_empty() {
            trust::check_secret(self.endpoint)?;
        }
        let answer = send(caller, self.request()?, &sent).await?;
        let answer: AccessAnswer = response::read_json(answer, MAX_TOKEN_ANSWER).await?;
        secret_text::received(answer.access_token.or(answer.token), "access_token")
    }

    fn request(&self) -> Result<Request> {
        let kind = match self.grant {
            Grant::Anonymous { .. } | Grant::Password { .. } => GrantType::PASSWORD,
            Grant::RefreshToken(_) => GrantType::REFRESH_TOKEN,
        };
        let form = Form::new()
            .field("grant_type", kind.as_str())
            .field("service", self.service)
            .field("scope", &self.scope.to_string());
        let form = match self.grant {
            Grant::Anonymous { .. } => form.field("refresh_token", ""),
            Grant::RefreshToken(token) => form.field("refresh_token", token.expose()),
            Grant::Password { user, password } => {
                form.field("username", user).field("password", password.expose())
            }
        };
        let operation = Operation::new("fetch_access_token").on(self.scope);
        post(self.endpoint, "token", form, operation)
    }
}

impl<'a> Grant<'a> {
    /// Why it is nobody who asks, if somebody was looked for.
    pub(crate) fn nobody(self) -> Option<Arc<str>> {
        match self {
            Self::Anonymous { why } => why.cloned(),
            _ => None,
        }
    }

    fn secret(self) -> Option<&'a Secret> {
        match self {
            Self::Anonymous { .. } => None,
            Self::RefreshToken(secret) | Self::Password { password: secret, .. } => Some(secret),
        }
    }
}

async fn send<S: HttpService>(
    caller: &Caller<'_, S>,
    mut request: Request,
    sent: &[&Secret],
) -> Result<Response> {
    if let Some((name, id)) = &caller.request_id {
        request.headers_mut().insert(name, id.clone());
    }
    if let Some(options) = &caller.options {
        request.extensions_mut().insert(options.clone());
    }
    let answer = layer::send(caller.service.clone(), request).await?;
    let answer = refusal::without_odd_id(answer, sent);
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    let error = refusal::read(answer, sent).await;
    match error.status() {
        Some(status @ (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) => {
            // Never "not found": what the caller asked for was not even looked at.
            let text = "the registry has no token service; use a pipeline without sign-in";
            let operation = error.operation().map(Operation::new);
            Err(Error::new(ErrorKind::Protocol, text)
                .with_status(status)
                .with_operation(operation.as_ref())
                .with_correlation_id(error.correlation_id()))
        }
        _ => Err(error),
    }
}

fn post(endpoint: &Endpoint, call: &str, form: Form, operation: Operation) -> Result<Request> {
    let (content_type, body) = form.finish();
    RequestBuilder::new(Method::POST, endpoint, &["oauth2", call])
        .accept_json()
        .header(header::CONTENT_TYPE, content_type)
        .operation(operation)
        .effect(Effect::Token)
        .body(body)
        .build()
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

const MAX_TOKEN_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use acr_core::{Transport, http::Body};
    use futures_util::FutureExt as _;

    use super::*;

    fn endpoint() -> Endpoint {
        "reg.azurecr.io".parse().unwrap()
    }

    fn caller<S>(service: &S) -> Caller<'_, S> {
        Caller { service, request_id: None, options: None }
    }

    fn body(request: Request) -> String {
        let bytes = request.into_body().bytes(1000).now_or_never().unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn forms_are_what_the_official_clients_send() {
        let scope = Scope::parse_lenient("repository:t:pull,push repository:s:pull");
        let (endpoint, secret) = (endpoint(), Secret::new("a+b/c="));
        let entra = Exchange::entra(&endpoint, &secret).request().unwrap();
        assert_eq!(entra.uri(), "https://reg.azurecr.io/oauth2/exchange");
        assert_eq!(
            body(entra),
            "grant_type=access_token&service=reg.azurecr.io&access_token=a%2Bb%2Fc%3D"
        );
        let refresh = Secret::new("r");
        let ask = |grant| Ask::new(&endpoint, grant, &scope).request().unwrap();
        let token = ask(Grant::RefreshToken(&refresh));
        assert_eq!(token.uri(), "https://reg.azurecr.io/oauth2/token");
        assert_eq!(
            body(token),
            "grant_type=refresh_token&service=reg.azurecr.io&scope=repository%3As%3Apull%20repository%3At%3Apull%2Cpush&refresh_token=r"
        );
        let anonymous = ask(Grant::Anonymous { why: None });
        assert!(body(anonymous).starts_with("grant_type=password&"));
        let secret = Secret::new("p&q=r");
        let password = ask(Grant::Password { user: "a b", password: &secret });
        assert!(body(password).ends_with("&username=a%20b&password=p%26q%3Dr"));
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_status_and_repeats_nothing_that_was_sent() {
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
                // As recorded: garbage tokens get no body at all.
                "",
            ] {
                let transport = Transport::new(tower::service_fn(move |_: Request| async move {
                    let response = http::Response::builder().status(status);
                    let response = response.header("content-type", "text/plain");
                    Ok::<_, Error>(response.body(Body::from(body)).unwrap())
                }));
                let secret = Secret::new("canary");
                let endpoint = endpoint();
                let exchange = Exchange::entra(&endpoint, &secret);
                let error = exchange.send(&caller(&transport)).await.unwrap_err();
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
            let (endpoint, scope) = (endpoint(), Scope::catalog());
            let ask = Ask::new(&endpoint, Grant::Anonymous { why: None }, &scope);
            let error = ask.send(&caller(&transport)).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}

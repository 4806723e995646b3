//! The authority: client credentials for an access token.

#[cfg(feature = "serve")]
use std::io;
use std::{sync::Arc, time::Duration};

use acr_core::{Endpoint, Transport};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header, request::Parts};
use serde_json::json;

#[cfg(feature = "serve")]
use super::listener::Listener;
use super::{
    answers::json as json_answer,
    desk::{self, Desk},
    plan::Plan,
    refusal::{
        BAD_ASSERTION, BAD_ASSERTION_TYPE, BAD_SCOPE, BAD_SECRET, NO_CLIENT, NO_CREDENTIAL,
        NO_GRANT, NO_RESOURCE, NO_SCOPE, NO_TENANT, NOT_FOUND, Refusal, UNKNOWN_CLIENT,
        WRONG_GRANT, WRONG_METHOD,
    },
};
#[cfg(feature = "serve")]
use crate::certificates;
use crate::form::Form;

/// An Entra authority that exists only in this process: `POST /{tenant}/oauth2/v2.0/token` for
/// client credentials, by secret or by assertion.
///
/// Strict: it checks tenant, content type, grant type, client, credential and scope, and
/// refuses with the codes and forms of the real one.
///
/// ```
/// use acr_testkit::{FakeEntra, FakeRegistry};
///
/// let registry = FakeRegistry::new();
/// let entra = FakeEntra::builder()
///     .tenant("contoso.example")
///     .client_secret("app", "s3cret")
///     .token(registry.entra_token())
///     .in_process();
/// assert!(entra.endpoint().is_https());
/// assert_eq!(entra.calls(), 0);
/// ```
#[derive(Debug)]
pub struct FakeEntra {
    authority: Arc<Authority>,
    endpoint: Endpoint,
    ca_pem: String,
    #[cfg(feature = "serve")]
    _listener: Option<Listener>,
}

/// The settings of a [`FakeEntra`].
#[derive(Clone)]
#[must_use]
pub struct FakeEntraBuilder {
    tenant: String,
    scope: String,
    secrets: Vec<(String, String)>,
    assertions: Vec<(String, String)>,
    token: String,
    lifetime: Duration,
}

struct Authority {
    settings: FakeEntraBuilder,
    plan: Plan,
}

impl FakeEntra {
    /// Starts from the defaults: no client is known.
    pub fn builder() -> FakeEntraBuilder {
        FakeEntraBuilder {
            tenant: "11111111-2222-3333-4444-555555555555".to_owned(),
            scope: "https://containerregistry.azure.net/.default".to_owned(),
            secrets: Vec::new(),
            assertions: Vec::new(),
            token: "canary-entra-access-token".to_owned(),
            lifetime: LIFETIME,
        }
    }

    /// The address of the authority.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The certificate of the authority's own certificate authority, as PEM; empty in process.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A transport to this authority that needs no socket, for one built
    /// [in process](FakeEntraBuilder::in_process).
    pub fn transport(&self) -> Transport {
        let desk: Arc<dyn Desk> = Arc::clone(&self.authority) as Arc<dyn Desk>;
        desk::in_process(desk, self.endpoint.to_string())
    }

    /// How many requests came.
    pub fn calls(&self) -> usize {
        self.authority.plan.calls()
    }

    /// Answers the next request with this JSON instead; several are answered in order.
    pub fn answer_next(&self, status: StatusCode, body: impl Into<String>) {
        self.authority.plan.add(status, body.into());
    }
}

impl FakeEntraBuilder {
    /// The tenant that is known.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// The scope that tokens are given for; that of Azure Container Registry by default.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Knows a client by its secret; repeatable.
    pub fn client_secret(
        mut self,
        client_id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        self.secrets.push((client_id.into(), secret.into()));
        self
    }

    /// Knows a client by its assertion; repeatable.
    pub fn assertion(mut self, client_id: impl Into<String>, assertion: impl Into<String>) -> Self {
        self.assertions.push((client_id.into(), assertion.into()));
        self
    }

    /// The token that is handed out, such as one that a [`FakeRegistry`](crate::FakeRegistry)
    /// accepts.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// How long tokens live, in whole seconds; an hour less a second by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Serves it on a free port of `127.0.0.1`, with TLS.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened or the certificates cannot be made.
    #[cfg(feature = "serve")]
    pub async fn serve(self) -> io::Result<FakeEntra> {
        let authority = Arc::new(Authority { settings: self, plan: Plan::default() });
        let certificates = certificates::Authority::new()?;
        let (config, ca_pem) = (certificates.config()?, certificates.pem().to_owned());
        let desk: Arc<dyn Desk> = Arc::clone(&authority) as Arc<dyn Desk>;
        let listener = Listener::start(desk, Some(config.into())).await?;
        let endpoint = listener.address.to_string().parse().map_err(io::Error::other)?;
        Ok(FakeEntra { authority, endpoint, ca_pem, _listener: Some(listener) })
    }

    /// Makes it without a socket, as `https://login.fake.example`.
    pub fn in_process(self) -> FakeEntra {
        let authority = Arc::new(Authority { settings: self, plan: Plan::default() });
        let endpoint = in_process_endpoint();
        FakeEntra {
            authority,
            endpoint,
            ca_pem: String::new(),
            #[cfg(feature = "serve")]
            _listener: None,
        }
    }
}

impl std::fmt::Debug for FakeEntraBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeEntraBuilder").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desk for Authority {
    fn answer(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        if let Some(planned) = self.plan.next() {
            return planned;
        }
        match self.judge(head, body) {
            Ok(()) => self.grant(),
            Err(refusal) => refusal.answer(),
        }
    }
}

impl Authority {
    /// The checks in the order of the real one.
    fn judge(&self, head: &Parts, body: &[u8]) -> Result<(), Refusal> {
        let tenant = head.uri.path().strip_prefix('/').and_then(|path| path.split_once('/'));
        let Some((tenant, "oauth2/v2.0/token")) = tenant else {
            return Err(NOT_FOUND);
        };
        if head.method != Method::POST {
            return Err(WRONG_METHOD);
        }
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let is_form = content_type.is_some_and(|value| {
            let text = value.to_str().unwrap_or_default();
            text.split(';').next().is_some_and(|t| t.trim() == "application/x-www-form-urlencoded")
        });
        let text = std::str::from_utf8(body).unwrap_or_default();
        let form = Form::parse(if is_form { text } else { "" });
        let Some(grant) = form.filled("grant_type") else {
            return Err(NO_GRANT);
        };
        if tenant != self.settings.tenant {
            return Err(NO_TENANT);
        }
        if grant != "client_credentials" {
            return Err(WRONG_GRANT);
        }
        let Some(client) = form.filled("client_id") else {
            return Err(NO_CLIENT);
        };
        match form.filled("scope") {
            None => return Err(NO_SCOPE),
            Some(scope) if !scope.ends_with("/.default") => return Err(BAD_SCOPE),
            Some(scope) if scope != self.settings.scope => return Err(NO_RESOURCE),
            Some(_) => {}
        }
        let (secrets, assertions) = (&self.settings.secrets, &self.settings.assertions);
        if !secrets.iter().chain(assertions).any(|(known, _)| known == client) {
            return Err(UNKNOWN_CLIENT);
        }
        let has = |known: &[(String, String)], given: &str| {
            known.iter().any(|(id, credential)| id == client && credential == given)
        };
        match (form.filled("client_secret"), form.filled("client_assertion")) {
            (Some(secret), None) if has(secrets, secret) => Ok(()),
            (Some(_), None) => Err(BAD_SECRET),
            (None, Some(_)) if form.get("client_assertion_type") != Some(ASSERTION_TYPE) => {
                Err(BAD_ASSERTION_TYPE)
            }
            (None, Some(assertion)) if has(assertions, assertion) => Ok(()),
            (None, Some(_)) => Err(BAD_ASSERTION),
            _ => Err(NO_CREDENTIAL),
        }
    }

    fn grant(&self) -> Response<Bytes> {
        let seconds = self.settings.lifetime.as_secs();
        let body = json!({
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": self.settings.token,
        });
        json_answer(StatusCode::OK, body.to_string())
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant, and every test reads it")]
fn in_process_endpoint() -> Endpoint {
    "login.fake.example".parse().expect("a constant host name")
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// As the real one has it.
const LIFETIME: Duration = Duration::from_secs(3_599);

#[cfg(test)]
mod tests {
    use acr_core::http::Body;
    use tower_service::Service as _;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const GOOD: &str = "grant_type=client_credentials&client_id=app\
        &scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default";

    async fn ask(method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
        let entra = FakeEntra::builder()
            .tenant("t")
            .client_secret("app", "s")
            .assertion("app", "a.b.c")
            .in_process();
        let request = http::Request::builder()
            .method(method)
            .uri(entra.endpoint().uri(path).unwrap())
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = entra.transport().call(request).await.unwrap();
        assert_eq!(entra.calls(), 1);
        let (head, body) = answer.into_parts();
        let body = body.bytes(10_000).await.unwrap();
        (head.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn only_a_request_that_is_right_in_every_part_gets_a_token() {
        let path = "/t/oauth2/v2.0/token";
        let secret = format!("{GOOD}&client_secret=s");
        let kind = ASSERTION_TYPE.replace(':', "%3A");
        let assertion = format!("{GOOD}&client_assertion_type={kind}&client_assertion=a.b.c");
        for body in [&secret, &assertion] {
            let (status, answer) = ask("POST", path, FORM, body).await;
            assert!(status == 200 && answer.contains("canary-entra-access-token"), "{answer}");
        }
        for (method, path, content_type, body, code) in [
            ("POST", "/t/oauth2/token", FORM, secret.clone(), ""),
            ("GET", path, FORM, secret.clone(), "AADSTS900561"),
            ("POST", path, "application/json", secret.clone(), "AADSTS900144"),
            ("POST", "/other/oauth2/v2.0/token", FORM, secret.clone(), "AADSTS90002"),
            ("POST", path, FORM, secret.replace("client_credentials", "password"), "AADSTS70003"),
            ("POST", path, FORM, secret.replace("client_id", "x"), "AADSTS900144"),
            ("POST", path, FORM, secret.replace("=app", "=other"), "AADSTS700016"),
            ("POST", path, FORM, secret.replace("scope", "x"), "AADSTS90014"),
            ("POST", path, FORM, secret.replace("%2F.default", ""), "AADSTS1002012"),
            ("POST", path, FORM, secret.replace("containerregistry", "x"), "AADSTS500011"),
            ("POST", path, FORM, format!("{GOOD}&client_secret=wrong"), "AADSTS7000215"),
            ("POST", path, FORM, GOOD.to_owned(), "AADSTS7000218"),
            ("POST", path, FORM, format!("{secret}&client_assertion=x"), "AADSTS7000218"),
            ("POST", path, FORM, assertion.replace("a.b.c", "x"), "AADSTS700211"),
            ("POST", path, FORM, assertion.replace("bearer", "x"), "AADSTS50027"),
        ] {
            let (status, answer) = ask(method, path, content_type, &body).await;
            assert!((400..500).contains(&status) && answer.contains(code), "{body}: {answer}");
            assert!(!answer.contains("canary"));
        }
    }
}

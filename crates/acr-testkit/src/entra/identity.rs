//! The identity services of Azure's platforms: that of virtual machines, and that of App Service.

#[cfg(feature = "serve")]
use std::io;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use acr_core::{Endpoint, Transport};
use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use serde_json::json;

#[cfg(feature = "serve")]
use super::listener::Listener;
use super::{
    answers::{json as json_answer, typed},
    desk::{self, Desk},
    plan::Plan,
    platform::Platform,
};
use crate::form::Form;

/// An identity service that exists only in this process, without TLS as the real ones.
///
/// ```
/// use acr_testkit::FakeIdentityService;
///
/// let service = FakeIdentityService::imds().token("<token>").in_process();
/// assert_eq!(service.url(), format!("{}/metadata/identity/oauth2/token", service.endpoint()));
/// ```
#[derive(Debug)]
pub struct FakeIdentityService {
    service: Arc<Service>,
    endpoint: Endpoint,
    #[cfg(feature = "serve")]
    _listener: Option<Listener>,
}

/// The settings of a [`FakeIdentityService`].
#[derive(Clone)]
#[must_use]
pub struct FakeIdentityServiceBuilder {
    platform: Platform,
    resource: String,
    identities: Vec<(&'static str, String)>,
    is_system_assigned: bool,
    token: String,
    lifetime: Duration,
}

struct Service {
    settings: FakeIdentityServiceBuilder,
    plan: Plan,
}

impl FakeIdentityService {
    /// The service of virtual machines: `GET /metadata/identity/oauth2/token` with the header
    /// `Metadata: true`. It has a system-assigned identity.
    pub fn imds() -> FakeIdentityServiceBuilder {
        Self::builder(Platform::VirtualMachine)
    }

    /// The service of Container Instances: as that of virtual machines, but a request without
    /// the header is refused in plain text. It has a system-assigned identity.
    pub fn container_instances() -> FakeIdentityServiceBuilder {
        Self::builder(Platform::ContainerInstances)
    }

    /// The service of App Service: `GET /msi/token` with this value in `X-IDENTITY-HEADER`. It
    /// has a system-assigned identity.
    pub fn app_service(header: impl Into<String>) -> FakeIdentityServiceBuilder {
        Self::builder(Platform::AppService { header: header.into() })
    }

    fn builder(platform: Platform) -> FakeIdentityServiceBuilder {
        FakeIdentityServiceBuilder {
            platform,
            resource: "https://containerregistry.azure.net".to_owned(),
            identities: Vec::new(),
            is_system_assigned: true,
            token: "canary-managed-identity-token".to_owned(),
            lifetime: LIFETIME,
        }
    }

    /// The address of the service.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The URL that tokens are asked at: `IDENTITY_ENDPOINT` in App Service.
    pub fn url(&self) -> String {
        format!("{}{}", self.endpoint, self.service.settings.platform.path())
    }

    /// A transport to this service that needs no socket, for one built
    /// [in process](FakeIdentityServiceBuilder::in_process).
    pub fn transport(&self) -> Transport {
        let desk: Arc<dyn Desk> = Arc::clone(&self.service) as Arc<dyn Desk>;
        desk::in_process(desk, self.endpoint.to_string())
    }

    /// How many requests came, probes included.
    pub fn calls(&self) -> usize {
        self.service.plan.calls()
    }

    /// Answers the next request with this JSON instead; several are answered in order.
    pub fn answer_next(&self, status: StatusCode, body: impl Into<String>) {
        self.service.plan.add(status, body.into());
    }
}

impl FakeIdentityServiceBuilder {
    /// The resource that tokens are given for; Azure Container Registry by default.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = resource.into();
        self
    }

    /// Adds a user-assigned identity by its client id.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.identities.push(("client_id", id.into()));
        self
    }

    /// Adds a user-assigned identity by its object id.
    pub fn object_id(mut self, id: impl Into<String>) -> Self {
        let [name, _] = self.platform.selectors();
        self.identities.push((name, id.into()));
        self
    }

    /// Adds a user-assigned identity by its resource id.
    pub fn resource_id(mut self, id: impl Into<String>) -> Self {
        let [_, name] = self.platform.selectors();
        self.identities.push((name, id.into()));
        self
    }

    /// Takes the system-assigned identity away.
    pub fn without_system_assigned(mut self) -> Self {
        self.is_system_assigned = false;
        self
    }

    /// The token that is handed out.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// How long tokens live, in whole seconds; a day less a second by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Serves it on a free port of `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened.
    #[cfg(feature = "serve")]
    pub async fn serve(self) -> io::Result<FakeIdentityService> {
        let service = Arc::new(Service { settings: self, plan: Plan::default() });
        let desk: Arc<dyn Desk> = Arc::clone(&service) as Arc<dyn Desk>;
        let listener = Listener::start(desk, None).await?;
        let endpoint = Endpoint::insecure_link_local(&listener.address.to_string());
        let endpoint = endpoint.map_err(io::Error::other)?;
        Ok(FakeIdentityService { service, endpoint, _listener: Some(listener) })
    }

    /// Makes it without a socket, as `http://169.254.169.254`.
    pub fn in_process(self) -> FakeIdentityService {
        let service = Arc::new(Service { settings: self, plan: Plan::default() });
        let endpoint = in_process_endpoint();
        FakeIdentityService {
            service,
            endpoint,
            #[cfg(feature = "serve")]
            _listener: None,
        }
    }
}

impl fmt::Debug for FakeIdentityServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIdentityServiceBuilder")
            .field("platform", &self.platform.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desk for Service {
    fn answer(&self, head: &Parts, _: &[u8]) -> Response<Bytes> {
        if let Some(planned) = self.plan.next() {
            return planned;
        }
        let platform = &self.settings.platform;
        if head.uri.path() != platform.path() {
            return typed(StatusCode::NOT_FOUND, "text/html", "<html>not found</html>");
        }
        if head.method != Method::GET {
            return typed(StatusCode::METHOD_NOT_ALLOWED, "text/html", "");
        }
        if !platform.admits(head) {
            return platform.not_admitted();
        }
        let query = Form::parse(head.uri.query().unwrap_or_default());
        if !query.filled("api-version").is_some_and(|v| platform.versions().contains(&v)) {
            let text = "api-version is invalid or was not specified in the request.";
            return platform.bad_request(text);
        }
        if query.filled("resource") != Some(&self.settings.resource) {
            return platform.bad_request("AADSTS500011: The resource principal was not found.");
        }
        match self.lack(&query) {
            Some(text) => platform.bad_request(text),
            None => self.grant(),
        }
    }
}

impl Service {
    /// Why there is no identity to give a token of.
    fn lack(&self, query: &Form) -> Option<&'static str> {
        let selectors: Vec<_> = query
            .names()
            .into_iter()
            .filter(|name| name != "api-version" && name != "resource")
            .collect();
        let known = &self.settings.identities;
        let is_there = match selectors.as_slice() {
            [] if self.settings.is_system_assigned => true,
            // The only one need not be named.
            [] if known.len() > 1 => return Some(SEVERAL),
            [] => known.len() == 1,
            [name] => known.iter().any(|(n, id)| n == name && query.get(name) == Some(id)),
            _ => false,
        };
        (!is_there).then_some("Identity not found")
    }

    fn grant(&self) -> Response<Bytes> {
        let seconds = self.settings.lifetime.as_secs();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // Both write numbers as texts; App Service leaves the relative ones out.
        let is_machine = !matches!(self.settings.platform, Platform::AppService { .. });
        let relative = is_machine.then(|| seconds.to_string());
        let mut body = json!({
            "access_token": self.settings.token,
            "client_id": "00000000-0000-0000-0000-00000000c11e",
            "expires_in": relative,
            "expires_on": (now + seconds).to_string(),
            "ext_expires_in": relative,
            "not_before": is_machine.then(|| now.to_string()),
            "resource": self.settings.resource,
            "token_type": "Bearer",
        });
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        json_answer(StatusCode::OK, body.to_string())
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant, and every test reads it")]
fn in_process_endpoint() -> Endpoint {
    Endpoint::insecure_link_local("169.254.169.254").expect("a constant address")
}

const SEVERAL: &str = "Multiple user assigned identities exist, please specify the clientId / \
                       resourceId of the identity in the token request";

/// As the real ones have it.
const LIFETIME: Duration = Duration::from_secs(86_399);

#[cfg(test)]
mod tests {
    use acr_core::http::Body;
    use tower_service::Service as _;

    use super::*;

    const RESOURCE: &str = "resource=https%3A%2F%2Fcontainerregistry.azure.net";

    async fn ask(
        service: &FakeIdentityService,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let uri = service.endpoint().uri(path_and_query).unwrap();
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (head, body) = service.transport().call(request).await.unwrap().into_parts();
        let body = body.bytes(10_000).await.unwrap();
        (head.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn a_virtual_machine_insists_on_every_part() {
        let service = FakeIdentityService::imds().client_id("c").in_process();
        let path = "/metadata/identity/oauth2/token";
        let good = format!("{path}?api-version=2018-02-01&{RESOURCE}");
        let header = [("metadata", "true")];
        let one = format!("{good}&client_id=c");
        for query in [&good, &one] {
            let (status, answer) = ask(&service, "GET", query, &header).await;
            assert!(status == 200 && answer.contains(r#""expires_in":"86399""#), "{answer}");
        }
        let forwarded = [("metadata", "true"), ("x-forwarded-for", "evil")];
        for (method, query, headers, expected) in [
            ("GET", good.clone(), &[][..], (400, "Required metadata header not specified")),
            ("GET", good.clone(), &[("metadata", "false")], (400, "Required metadata header")),
            ("GET", good.clone(), &forwarded, (400, "Required metadata header")),
            ("POST", good.clone(), &header, (405, "")),
            ("GET", format!("/other?{RESOURCE}"), &header, (404, "")),
            ("GET", format!("{path}?{RESOURCE}"), &header, (400, "api-version")),
            ("GET", good.replace("2018", "1999"), &header, (400, "api-version")),
            ("GET", good.replace("containerregistry", "x"), &header, (400, "AADSTS500011")),
            ("GET", format!("{good}&client_id=x"), &header, (400, "Identity not found")),
            ("GET", format!("{good}&object_id=c"), &header, (400, "Identity not found")),
            ("GET", format!("{one}&object_id=c"), &header, (400, "Identity not found")),
        ] {
            let (status, answer) = ask(&service, method, &query, headers).await;
            assert_eq!(status, expected.0, "{query}: {answer}");
            assert!(answer.contains(expected.1) && !answer.contains("canary"), "{answer}");
        }
        assert_eq!(service.calls(), 13);
    }

    #[tokio::test]
    async fn container_instances_refuse_in_plain_text() {
        let service = FakeIdentityService::container_instances().in_process();
        let query = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{RESOURCE}");
        assert_eq!(ask(&service, "GET", &query, &[("metadata", "true")]).await.0, 200);
        let refused = ask(&service, "GET", &query, &[]).await;
        let text = "Required metadata header not specified or not correct";
        assert_eq!(refused, (400, text.to_owned()));
    }

    #[tokio::test]
    async fn several_identities_must_be_told_apart_and_a_single_one_need_not() {
        let one = FakeIdentityService::imds().client_id("c").without_system_assigned();
        let query = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{RESOURCE}");
        let header = [("metadata", "true")];
        assert_eq!(ask(&one.clone().in_process(), "GET", &query, &header).await.0, 200);
        let two = one.client_id("d").in_process();
        let (status, answer) = ask(&two, "GET", &query, &header).await;
        assert!(status == 400 && answer.contains("Multiple user assigned"), "{answer}");
        assert_eq!(ask(&two, "GET", &format!("{query}&client_id=d"), &header).await.0, 200);
    }

    #[tokio::test]
    async fn app_service_insists_on_its_header() {
        let service = FakeIdentityService::app_service("h").object_id("o").in_process();
        let good = format!("/msi/token?api-version=2019-08-01&{RESOURCE}");
        let by_object = format!("{good}&principal_id=o");
        for query in [&good, &by_object] {
            let (status, answer) = ask(&service, "GET", query, &[("x-identity-header", "h")]).await;
            assert!(status == 200 && !answer.contains("expires_in"), "{answer}");
        }
        for headers in [&[][..], &[("x-identity-header", "x")], &[("metadata", "true")]] {
            let (status, answer) = ask(&service, "GET", &good, headers).await;
            assert!(status == 400 && answer.contains("statusCode"), "{answer}");
        }
    }
}

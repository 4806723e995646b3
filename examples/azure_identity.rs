//! Credentials of the Azure SDK for Rust at a registry, their requests sent through our transport.
//!
//! ```text
//! cargo run --example azure_identity
//! ```
//!
//! Talks to an emulated Entra authority and an emulated registry on loopback, both with TLS and
//! with authorities of their own, and to an emulated metadata service: a client secret, a
//! workload identity and a managed identity of `azure_identity` each list the repositories.
//! For your own registry leave out `cloud` and `identity_service` and take its name.
//!
//! Where the crate's own reqwest client will do, no `OurClient` is needed, and every line about
//! the transport can go.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{future::Future, pin::Pin, sync::Arc};

use acr_auth::{AuthLayer, Credential};
use acr_core::{Endpoint, Pipeline, TlsConfig, Transport, TransportBuilder, http::BoxError};
use acr_registry::RegistryClient;
use acr_testkit::{FakeEntra, FakeIdentityService, FakeRegistry, Tls};
use azure_core::{
    cloud::CustomConfiguration,
    credentials::TokenCredential,
    error::{Error as AzureError, ErrorKind as AzureErrorKind},
    http::{
        self as azure_http, AsyncRawResponse, Body as AzureBody, ClientOptions, HttpClient,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use tower_service::Service as _;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    for (name, repositories) in run().await? {
        println!("{name}: signed in, {repositories} repositories");
    }
    Ok(())
}

/// Signs in with each credential and counts the repositories it sees.
pub(crate) async fn run() -> Result<Vec<(&'static str, usize)>, BoxError> {
    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::On).await?;
    let entra = FakeEntra::builder()
        .tenant(TENANT)
        .client_secret("app", "s3cret")
        .assertion("pod", "an.assertion")
        .token(registry.entra_token())
        .serve()
        .await?;
    let machine = FakeIdentityService::imds().token(registry.entra_token()).serve().await?;
    let roots = [server.ca_pem().unwrap_or_default(), entra.ca_pem()].concat();
    let tls = TlsConfig::only_roots(roots.as_bytes())?;
    let transport = TransportBuilder::new().no_proxy().tls(tls).build()?;

    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = entra.endpoint().to_string();
    let client =
        OurClient { transport: transport.clone(), identity_service: Some(machine.endpoint()) };
    let client_options = ClientOptions {
        cloud: Some(Arc::new(cloud.into())),
        transport: Some(azure_http::Transport::new(Arc::new(client))),
        ..ClientOptions::default()
    };
    let folder = std::env::temp_dir().join(format!("acr-azure-identity-{}", std::process::id()));
    tokio::fs::create_dir_all(&folder).await?;
    let assertion = folder.join("assertion");
    tokio::fs::write(&assertion, "an.assertion").await?;
    let credentials = credentials(client_options, assertion)?;

    let mut seen = Vec::new();
    for (name, credential) in credentials {
        let endpoint = server.endpoint();
        let auth = AuthLayer::new(&endpoint, Credential::azure_core(credential))
            .trust_entra_for(endpoint.host());
        let pipeline =
            Pipeline::builder(endpoint).transport(transport.clone()).layer_per_hop(auth).build()?;
        let mut repositories = RegistryClient::new(pipeline).list_repositories();
        let mut count = 0;
        while repositories.try_next().await?.is_some() {
            count += 1;
        }
        seen.push((name, count));
    }
    tokio::fs::remove_dir_all(&folder).await?;
    server.shutdown().await;
    let calls = (entra.calls(), machine.calls());
    if calls != (2, 1) {
        return Err(format!("surprise: {calls:?} calls of authority and machine").into());
    }
    Ok(seen)
}

type Named = (&'static str, Arc<dyn TokenCredential>);

fn credentials(
    client_options: ClientOptions,
    assertion: std::path::PathBuf,
) -> Result<Vec<Named>, BoxError> {
    let secret = ClientSecretCredential::new(
        TENANT,
        "app".to_owned(),
        "s3cret".to_owned().into(),
        Some(ClientSecretCredentialOptions { client_options: client_options.clone() }),
    )?;
    let mut options = WorkloadIdentityCredentialOptions::default();
    options.credential_options.client_options = client_options.clone();
    options.tenant_id = Some(TENANT.to_owned());
    options.client_id = Some("pod".to_owned());
    options.token_file_path = Some(assertion);
    let pod = WorkloadIdentityCredential::new(Some(options))?;
    let options = ManagedIdentityCredentialOptions { client_options, ..Default::default() };
    let machine = ManagedIdentityCredential::new(Some(options))?;
    Ok(vec![("client secret", secret), ("workload identity", pod), ("managed identity", machine)])
}

/// The HTTP client of the Azure SDK over our transport: the same proxy, the same trusted
/// authorities, the same connections.
#[derive(Debug)]
struct OurClient {
    transport: Transport,
    /// Stands for the machine's own, which no other machine has.
    identity_service: Option<Endpoint>,
}

type Answer<'a> = Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'a>>;

// What `#[async_trait]` writes.
impl HttpClient for OurClient {
    fn execute_request<'a, 'b, 'c>(&'a self, request: &'b azure_http::Request) -> Answer<'c>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let request = translate(request, self.identity_service.as_ref());
        let mut transport = self.transport.clone();
        Box::pin(async move {
            let broken = |error: BoxError| AzureError::new(AzureErrorKind::Io, error);
            let answer = transport.call(request.map_err(broken)?).await;
            let (head, body) = answer.map_err(|error| broken(error.into()))?.into_parts();
            let mut headers = Headers::new();
            for (name, value) in &head.headers {
                if let Ok(value) = value.to_str() {
                    let name = HeaderName::from(name.as_str().to_owned());
                    headers.insert(name, HeaderValue::from(value.to_owned()));
                }
            }
            let body = body.bytes(MAX_ANSWER).await.map_err(|error| broken(error.into()))?;
            Ok(AsyncRawResponse::from_bytes(head.status.as_u16().into(), headers, body))
        })
    }
}

fn translate(
    request: &azure_http::Request,
    identity_service: Option<&Endpoint>,
) -> Result<acr_core::http::Request, BoxError> {
    let body = match request.body() {
        AzureBody::Bytes(bytes) => bytes.clone(),
        AzureBody::SeekableStream(_) => return Err("token requests have no streams".into()),
    };
    let url = request.url().as_str();
    let uri = match (url.strip_prefix("http://169.254.169.254"), identity_service) {
        (Some(path), Some(service)) => service.uri(path)?,
        _ => url.parse()?,
    };
    let mut ours = http::Request::builder().method(request.method().as_str()).uri(uri);
    for (name, value) in request.headers().iter() {
        ours = ours.header(name.as_str(), value.as_str());
    }
    Ok(ours.body(acr_core::http::Body::from(body))?)
}

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// Token answers are a few thousand bytes.
const MAX_ANSWER: usize = 64 * 1024;

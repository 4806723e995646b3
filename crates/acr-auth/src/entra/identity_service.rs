//! The identity services of Azure's platforms: which one is here, and how it is asked.

use std::{error::Error as _, time::Duration};

use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, PipelineBuilder, Secret,
    http::{Effect, Operation, Request, RequestBuilder, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::{
    answer, environment::Environment, failure::Failure, identity::ManagedIdentity,
    imds_retry::ImdsRetryLayer, named_identity::unusable, options::SourceOptions, platform_url,
};
use crate::access_token::AccessToken;

/// What the platform offers.
#[derive(Debug)]
pub(crate) enum IdentityService {
    /// Virtual machines, scale sets, and nodes of clusters.
    Imds { pipeline: Pipeline, probe: Pipeline },
    /// App Service, Functions, Container Apps.
    AppService { pipeline: Pipeline, uri: Uri, header: HeaderValue, secret: Secret },
    /// A platform, or variables of one, that we cannot use.
    Unusable(Failure),
}

impl IdentityService {
    /// Decides by the variables that the platforms set. What they hold may turn out to be of
    /// no use only when a token is needed: other links of a chain may come first.
    pub(crate) fn detect(options: &SourceOptions) -> Result<Self, Failure> {
        let environment = &options.environment;
        let found = if environment.is_set("IDENTITY_ENDPOINT") {
            if environment.is_set("IDENTITY_SERVER_THUMBPRINT") {
                return Ok(Self::unsupported("Azure Service Fabric"));
            }
            if environment.is_set("IMDS_ENDPOINT") || !environment.is_set("IDENTITY_HEADER") {
                return Ok(Self::unsupported("Azure Arc"));
            }
            Self::app_service(options, environment)
        } else if environment.is_set("MSI_ENDPOINT") {
            if environment.is_set("MSI_SECRET") {
                return Ok(Self::unsupported("Azure Machine Learning"));
            }
            let text = "managed identity of Azure Cloud Shell is not supported, where `az` has it";
            return Ok(Self::Unusable(Failure::unavailable(text)));
        } else if environment.is_set("IDENTITY_HEADER") {
            let found = "IDENTITY_HEADER is set, but IDENTITY_ENDPOINT is not";
            return Ok(Self::Unusable(unusable(found, "set both of them or none")));
        } else {
            Self::imds(options)
        };
        found.or_else(|failure| match failure {
            Failure::Failed(error) if error.kind() == ErrorKind::InvalidInput => {
                Err(Failure::Failed(error))
            }
            about_variables => Ok(Self::Unusable(about_variables)),
        })
    }

    fn unsupported(platform: &str) -> Self {
        let found = format!("managed identity of {platform} is not supported yet");
        let remedy = "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";
        Self::Unusable(unusable(&found, remedy))
    }

    fn imds(options: &SourceOptions) -> Result<Self, Failure> {
        let endpoint = options.imds_endpoint()?;
        let transport = options.local_transport()?;
        let builder = || match &transport {
            Some(transport) => Pipeline::builder(endpoint.clone()).transport(transport.clone()),
            None => Pipeline::builder(endpoint.clone()),
        };
        let pipeline = builder().layer_per_hop(ImdsRetryLayer).retry(ImdsRetryLayer::policy());
        let probe = builder().retry(SourceOptions::no_retry());
        Ok(Self::Imds { pipeline: pipeline.build()?, probe: probe.build()? })
    }

    fn app_service(options: &SourceOptions, environment: &Environment) -> Result<Self, Failure> {
        let url = platform_url::read(environment, "IDENTITY_ENDPOINT")?;
        let refuse = || {
            let found = "IDENTITY_HEADER is nothing that fits into a header";
            unusable(found, "correct or unset it")
        };
        let secret = Secret::new(environment.text("IDENTITY_HEADER").ok_or_else(refuse)?);
        let header = HeaderValue::from_str(secret.expose().trim());
        let mut header = header.map_err(|_| refuse())?;
        header.set_sensitive(true);
        let builder: PipelineBuilder = Pipeline::builder(url.endpoint.clone());
        let pipeline = match options.local_transport()? {
            Some(transport) => builder.transport(transport).build()?,
            None => builder.build()?,
        };
        let uri = url.endpoint.uri(&url.path)?;
        Ok(Self::AppService { pipeline, uri, header, secret })
    }

    /// Whether it is there, as far as that must be asked; within the limit.
    pub(crate) async fn find(&self, limit: Duration) -> Result<(), Failure> {
        let Self::Imds { probe, .. } = self else {
            return Ok(());
        };
        let nobody = |what: String| {
            let host = probe.endpoint();
            Failure::unavailable(format!("no identity service at `{host}`: {what}"))
        };
        // Without the header that every request needs: it answers at once, with a 400.
        let request = imds_request(probe.endpoint(), "probe_identity_service").build()?;
        let look = async {
            let answer = probe.send(request).await?;
            Ok::<_, Error>((answer.status(), is_identity_service(answer).await))
        };
        let (status, is_there) = match tokio::time::timeout(limit, look).await {
            Err(_) => return Err(nobody(format!("no answer within {limit:?}"))),
            Ok(Err(error)) => return Err(nobody(reason(&error))),
            Ok(Ok(seen)) => seen,
        };
        if is_there {
            return Ok(());
        }
        Err(nobody(format!("what answers there ({}) is none", status.as_u16())))
    }

    pub(crate) async fn fetch(
        &self,
        identity: &ManagedIdentity,
        resource: &str,
        has_answered: bool,
    ) -> Result<AccessToken, Failure> {
        match self {
            Self::Unusable(failure) => Err(failure.clone()),
            Self::AppService { pipeline, uri, header, secret } => {
                let request = RequestBuilder::to(Method::GET, uri.clone())
                    .query("api-version", APP_SERVICE_VERSION)
                    .header(IDENTITY_HEADER, header.clone());
                let names = ["client_id", "principal_id", "mi_res_id"];
                let request = complete(request, identity, names, resource)?;
                let answer = pipeline.send(request).await?;
                let status = answer.status();
                let token = answer::read(answer, Some(secret)).await;
                token.map_err(|error| match (status, identity) {
                    (StatusCode::BAD_REQUEST, ManagedIdentity::SystemAssigned) => {
                        unnamed("the system-assigned identity was refused", error)
                    }
                    _ => error.into(),
                })
            }
            Self::Imds { pipeline, .. } => {
                let metadata = HeaderValue::from_static("true");
                let request = imds_request(pipeline.endpoint(), "fetch_identity_token")
                    .header(METADATA, metadata)
                    .query("api-version", IMDS_VERSION);
                let names = ["client_id", "object_id", "msi_res_id"];
                let request = complete(request, identity, names, resource)?;
                let answer = match pipeline.send(request).await {
                    Err(error) if error.kind() == ErrorKind::Connect && !has_answered => {
                        let host = pipeline.endpoint();
                        let text = format!("no identity service at `{host}`: {}", reason(&error));
                        return Err(Failure::unavailable(text));
                    }
                    other => other?,
                };
                let status = answer.status();
                let token = answer::read(answer, None).await;
                token.map_err(|error| match (status, identity) {
                    (StatusCode::BAD_REQUEST, ManagedIdentity::SystemAssigned) => {
                        not_assigned(error)
                    }
                    _ => error.into(),
                })
            }
        }
    }
}

/// A machine without an identity is no failure. One with several is: there is somebody to be,
/// and it is not known who.
fn not_assigned(error: Error) -> Failure {
    let words = error.to_string().to_ascii_lowercase();
    if words.contains("multiple user assigned") || words.contains("specify the client") {
        return unnamed("several identities are assigned to this machine", error);
    }
    Failure::unavailable(format!("no identity is assigned to this machine: {error}"))
}

/// A failure that goes away when the identity is named.
fn unnamed(what: &str, error: Error) -> Failure {
    let text = format!(
        "{what}; set AZURE_CLIENT_ID to the client id of the one to use, or name it with \
         `ManagedIdentity`: {error}"
    );
    Error::new(error.kind(), text).with_source(error).into()
}

/// Judges the answer to a request without the header that every request needs. One in trouble
/// is there all the same; what answers anything else is something else.
async fn is_identity_service(answer: Response) -> bool {
    match answer.status().as_u16() {
        410 | 429 | 500..=599 => true,
        400 if is_json(&answer) => true,
        // Container Instances say it in plain text.
        400 => answer.into_body().bytes(MAX_PROBE_ANSWER).await.is_ok_and(|body| {
            let text = String::from_utf8_lossy(&body).to_ascii_lowercase();
            text.contains("metadata header")
        }),
        _ => false,
    }
}

fn is_json(answer: &Response) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

/// Why nobody can be reached, in the operating system's words where it has some.
fn reason(error: &Error) -> String {
    let mut cause = error.source();
    let mut words = None;
    while let Some(error) = cause {
        words = error.downcast_ref::<std::io::Error>().map(ToString::to_string).or(words);
        cause = error.source();
    }
    words.unwrap_or_else(|| "it cannot be reached".to_owned())
}

fn imds_request(endpoint: &Endpoint, operation: &'static str) -> RequestBuilder {
    RequestBuilder::new(Method::GET, endpoint, &["metadata", "identity", "oauth2", "token"])
        .operation(Operation::new(operation))
        .effect(Effect::Token)
}

/// Adds what is asked for, by the names that this service has for the three ids.
fn complete(
    request: RequestBuilder,
    identity: &ManagedIdentity,
    [client_id, object_id, resource_id]: [&str; 3],
    resource: &str,
) -> Result<Request, Failure> {
    let request = request
        .query("resource", resource)
        .accept_json()
        .operation(Operation::new("fetch_identity_token"))
        .effect(Effect::Token);
    let request = match identity {
        ManagedIdentity::SystemAssigned => request,
        ManagedIdentity::ClientId(id) => request.query(client_id, id),
        ManagedIdentity::ObjectId(id) => request.query(object_id, id),
        ManagedIdentity::ResourceId(id) => request.query(resource_id, id),
    };
    Ok(request.build()?)
}

/// One sentence.
const MAX_PROBE_ANSWER: usize = 16 * 1024;

const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-identity-header");
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";

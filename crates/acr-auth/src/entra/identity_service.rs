//! The identity services of Azure's platforms: which one is here, and how it is asked.

use std::{error::Error as _, time::Duration};

use acr_core::{
    Effect, Endpoint, Error, ErrorKind, Operation, Pipeline, PipelineBuilder, Request,
    RequestBuilder, Response, Secret,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::{
    answer, environment::Environment, failure::Failure, imds_retry::ImdsRetryLayer,
    managed_identity::ManagedIdentity, options::SourceOptions,
};
use crate::access_token::AccessToken;

/// What the platform offers.
#[derive(Debug)]
pub(crate) enum IdentityService {
    /// Virtual machines, scale sets, and nodes of clusters.
    Imds { pipeline: Pipeline, probe: Pipeline },
    /// App Service, Functions, Container Apps.
    AppService { pipeline: Pipeline, uri: Uri, header: HeaderValue, secret: Secret },
    /// A platform of which we know only the name.
    Unsupported(&'static str),
}

impl IdentityService {
    /// Decides by the variables that the platforms set.
    pub(crate) fn detect(options: &SourceOptions) -> Result<Self, Failure> {
        let environment = &options.environment;
        let Some(endpoint) = environment.text("IDENTITY_ENDPOINT") else {
            return match environment.is_set("MSI_ENDPOINT") {
                true if environment.is_set("MSI_SECRET") => {
                    Ok(Self::Unsupported("Azure Machine Learning"))
                }
                true => Ok(Self::Unsupported("Azure Cloud Shell")),
                false => Self::imds(options),
            };
        };
        if environment.is_set("IDENTITY_SERVER_THUMBPRINT") {
            return Ok(Self::Unsupported("Azure Service Fabric"));
        }
        if environment.is_set("IMDS_ENDPOINT") || !environment.is_set("IDENTITY_HEADER") {
            return Ok(Self::Unsupported("Azure Arc"));
        }
        Self::app_service(options, environment, endpoint.trim())
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

    fn app_service(
        options: &SourceOptions,
        environment: &Environment,
        endpoint: &str,
    ) -> Result<Self, Failure> {
        let refuse = || {
            let text = "IDENTITY_ENDPOINT is not an http URL of this machine";
            Failure::new(ErrorKind::InvalidInput, text)
        };
        let uri: Uri = endpoint.parse().map_err(|_| refuse())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority.filter(|_| uri.query().is_none()).ok_or_else(refuse)?;
        let endpoint = Endpoint::insecure_link_local(authority.as_str()).map_err(|_| refuse())?;
        let secret = Secret::new(environment.text("IDENTITY_HEADER").unwrap_or_default());
        let mut header = HeaderValue::from_str(secret.expose().trim()).map_err(|_| {
            Failure::new(ErrorKind::InvalidInput, "IDENTITY_HEADER fits into no header")
        })?;
        header.set_sensitive(true);
        let builder: PipelineBuilder = Pipeline::builder(endpoint.clone());
        let pipeline = match options.local_transport()? {
            Some(transport) => builder.transport(transport).build()?,
            None => builder.build()?,
        };
        let uri = endpoint.uri(uri.path())?;
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
        let answer = match tokio::time::timeout(limit, probe.send(request)).await {
            Err(_) => return Err(nobody(format!("no answer within {limit:?}"))),
            Ok(Err(error)) => return Err(nobody(reason(&error))),
            Ok(Ok(answer)) => answer,
        };
        let status = answer.status();
        // One in trouble is there all the same; what answers anything else is something else.
        let in_trouble = matches!(status.as_u16(), 410 | 429 | 500..=599);
        if in_trouble || (status == StatusCode::BAD_REQUEST && is_json(&answer)) {
            return Ok(());
        }
        Err(nobody(format!("what answers there ({}) is none", status.as_u16())))
    }

    pub(crate) async fn fetch(
        &self,
        identity: &ManagedIdentity,
        resource: &str,
    ) -> Result<AccessToken, Failure> {
        match self {
            Self::Unsupported(platform) => Err(Failure::unavailable(format!(
                "managed identity of {platform} is not supported"
            ))),
            Self::AppService { pipeline, uri, header, secret } => {
                let request = RequestBuilder::to(Method::GET, uri.clone())
                    .query("api-version", APP_SERVICE_VERSION)
                    .header(IDENTITY_HEADER, header.clone());
                let names = ["client_id", "principal_id", "mi_res_id"];
                let request = complete(request, identity, names, resource)?;
                let answer = pipeline.send(request).await?;
                Ok(answer::read(answer, Some(secret)).await?)
            }
            Self::Imds { pipeline, .. } => {
                let metadata = HeaderValue::from_static("true");
                let request = imds_request(pipeline.endpoint(), "fetch_identity_token")
                    .header(METADATA, metadata)
                    .query("api-version", IMDS_VERSION);
                let names = ["client_id", "object_id", "msi_res_id"];
                let request = complete(request, identity, names, resource)?;
                let answer = match pipeline.send(request).await {
                    Err(error) if error.kind() == ErrorKind::Connect => {
                        let host = pipeline.endpoint();
                        let text = format!("no identity service at `{host}`: {}", reason(&error));
                        return Err(Failure::unavailable(text));
                    }
                    other => other?,
                };
                let is_bad_request = answer.status() == StatusCode::BAD_REQUEST;
                match answer::read(answer, None).await {
                    Err(error)
                        if is_bad_request && *identity == ManagedIdentity::SystemAssigned =>
                    {
                        let text = format!("no identity is assigned to this machine: {error}");
                        Err(Failure::unavailable(text))
                    }
                    other => Ok(other?),
                }
            }
        }
    }
}

fn is_json(answer: &Response) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"))
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

const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-identity-header");
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";

//! What the requests about the content of manifests have in common.

use acr_core::{
    Error, ErrorKind, Reference, RepositoryName, Result,
    http::{Effect, Operation, RequestBuilder},
};
use http::{HeaderValue, Method, header};

use crate::{model::MediaType, repository::RepositoryClient};

pub(crate) fn read_request(
    method: Method,
    client: &RepositoryClient,
    reference: &Reference,
    operation: Operation,
    accept: Option<&[MediaType]>,
) -> Result<RequestBuilder> {
    let accept = match accept {
        None => HeaderValue::from_static(ACCEPT),
        Some(types) => {
            let list: Vec<&str> = types.iter().map(MediaType::as_str).collect();
            header_value(&list.join(", "))?
        }
    };
    let path = ["v2", client.name.as_str(), "manifests", reference.as_str()];
    Ok(RequestBuilder::new(method, client.pipeline.endpoint(), &path)
        .header(header::ACCEPT, accept)
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .operation(operation)
        .scope(client.pull.clone())
        .effect(Effect::Read))
}

pub(crate) fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the media type cannot stand in a header")
            .with_source(error)
    })
}

pub(crate) fn operation(
    name: &'static str,
    repository: &RepositoryName,
    reference: &Reference,
) -> Operation {
    let mark = if reference.digest().is_some() { '@' } else { ':' };
    Operation::new(name).on(format_args!("{repository}{mark}{reference}"))
}

/// Every manifest type there is. With a narrower list a registry answers 404 for
/// what it has, or the linux/amd64 child of an index in its place.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json, \
    application/vnd.cncf.oras.artifact.manifest.v1+json, \
    */*";

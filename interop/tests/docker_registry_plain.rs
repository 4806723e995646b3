//! Content operations against Debian's `docker-registry`, which asks nobody for a token.
#![cfg(feature = "servers")]

mod slice;

use acr_core::{Endpoint, Pipeline, http::RequestBuilder};
use acr_interop::RegistryProcess;
use http::{Method, header::LOCATION};

use crate::slice::Result;

#[tokio::test]
async fn content_with_relative_locations() -> Result {
    let registry = RegistryProcess::builder().start().await?;
    let pipeline = without_auth(&registry)?;
    assert!(upload_location(&pipeline).await?.starts_with("/v2/"));
    Box::pin(slice::run(&pipeline)).await
}

#[tokio::test]
async fn content_with_absolute_locations() -> Result {
    let registry = RegistryProcess::builder().absolute_locations().start().await?;
    let pipeline = without_auth(&registry)?;
    assert!(upload_location(&pipeline).await?.starts_with("http://127.0.0.1:"));
    Box::pin(slice::run(&pipeline)).await
}

#[tokio::test]
async fn two_registries_do_not_share_content() -> Result {
    let (one, other) =
        (RegistryProcess::builder().start().await?, RegistryProcess::builder().start().await?);
    let name = "library/one".parse()?;
    let digest = slice::put_something(&without_auth(&one)?, &name).await?;

    for (registry, present) in [(&one, true), (&other, false)] {
        let repository = acr_registry::RepositoryClient::new(without_auth(registry)?, name.clone());
        assert_eq!(repository.get_manifest(&digest).await.is_ok(), present);
    }
    Ok(())
}

/// Where the registry sends an upload, as it wrote it.
async fn upload_location(pipeline: &Pipeline) -> Result<String> {
    let path = ["v2", "library/probe", "blobs", "uploads/"];
    let request = RequestBuilder::new(Method::POST, pipeline.endpoint(), &path).build()?;
    let response = pipeline.send(request).await?;
    let location = response.headers().get(LOCATION).ok_or("no location")?;
    Ok(location.to_str()?.to_owned())
}

fn without_auth(registry: &RegistryProcess) -> Result<Pipeline> {
    let endpoint = Endpoint::insecure_loopback(registry.address())?;
    Ok(Pipeline::builder(endpoint).build()?)
}

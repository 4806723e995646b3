//! Signed images of Docker's schema 1, pushed by skopeo to `docker-registry`, which signs
//! them anew for whoever asks: never the same bytes, always the same digest.
#![cfg(feature = "servers")]

use std::error::Error;

use acr_core::{Endpoint, ErrorKind, Pipeline, Tag};
use acr_interop::{ImageLayout, RegistryProcess, RemoteImage, Skopeo};
use acr_registry::{MediaType, RepositoryClient};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::test]
async fn a10_a_signed_schema_1_image_is_got_and_tagged_again() -> Result {
    let registry = RegistryProcess::builder().schema1().start().await?;
    let image = RemoteImage::plain(registry.address().to_string(), "library/old:v1");
    let layout = ImageLayout::build().await?;
    let skopeo = Skopeo::new()?;
    skopeo.push_schema1(&layout, &image).await?;

    let endpoint = Endpoint::insecure_loopback(registry.address())?;
    let pipeline = Pipeline::builder(endpoint).build()?;
    let repo = RepositoryClient::new(pipeline, "library/old".parse()?);
    let (v1, v2): (Tag, Tag) = ("v1".parse()?, "v2".parse()?);
    let first = repo.get_manifest(&v1).await?;
    assert_eq!(first.media_type, MediaType::DOCKER_SCHEMA1_SIGNED);
    assert_eq!(first.digest, repo.resolve(&v1).await?);
    // What skopeo computes is the same, though it gets other bytes.
    assert_eq!(first.digest.to_string(), skopeo.inspect(&image).await?.digest);
    let again = repo.get_manifest(&first.digest).await?;
    assert_eq!(again.digest, first.digest);
    assert_ne!(again.content, first.content, "the registry signs anew");
    assert_eq!(again.document().unwrap_err().kind(), ErrorKind::Protocol);

    let moved = repo.retag(&v1, &v2).await?;
    assert_eq!(moved, first.digest);
    assert_eq!(repo.get_manifest(&v2).await?.digest, first.digest);
    // Under its digest as well, where the registry checks it.
    let put = repo.put_manifest(again.content).media_type(again.media_type);
    assert_eq!(put.await?, first.digest);
    let image = RemoteImage::plain(registry.address().to_string(), "library/old:v2");
    assert_eq!(skopeo.inspect(&image).await?.digest, first.digest.to_string());
    Ok(())
}

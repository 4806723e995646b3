//! Signed images of Docker's schema 1, pushed by skopeo: to `docker-registry`, which signs them
//! anew for whoever asks, never the same bytes, always the same digest; and to the emulator,
//! which keeps the bytes.
#![cfg(feature = "servers")]

use std::error::Error;

use acr_auth::{AuthLayer, Credential};
use acr_core::{Endpoint, ErrorKind, Pipeline, Tag, TlsConfig, TransportBuilder};
use acr_interop::{ImageLayout, RegistryProcess, RemoteImage, Skopeo};
use acr_registry::{MediaType, RepositoryClient};
use acr_testkit::{FakeRegistry, Profile, Tls};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const USER: &str = "tester";
const PASSWORD: &str = "secret";

#[tokio::test]
async fn a10_a_signed_schema_1_image_is_got_and_tagged_again() -> Result {
    let registry = RegistryProcess::builder().schema1().start().await?;
    let endpoint = Endpoint::insecure_loopback(registry.address())?;
    let pipeline = Pipeline::builder(endpoint).build()?;
    let named = |name: &str| RemoteImage::plain(registry.address().to_string(), name);
    got_and_tagged_again(pipeline, named, Signed::Anew).await
}

#[tokio::test]
async fn a10_the_emulator_takes_what_skopeo_signed() -> Result {
    let registry = FakeRegistry::builder().profile(Profile::Oci).user(USER, PASSWORD).build();
    let server = registry.serve(Tls::On).await?;
    let (endpoint, ca_pem) = (server.endpoint(), server.ca_pem().unwrap_or_default());
    let roots = TlsConfig::only_roots(ca_pem.as_bytes())?;
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(TransportBuilder::new().no_proxy().tls(roots).build()?)
        .layer_per_hop(AuthLayer::new(&endpoint, Credential::password(USER, PASSWORD)))
        .build()?;
    let named =
        |name: &str| RemoteImage::tls(endpoint.authority(), ca_pem, name).login(USER, PASSWORD);
    got_and_tagged_again(pipeline, named, Signed::Once).await?;
    server.shutdown().await;
    Ok(())
}

/// When the signatures are made that a registry gives.
#[derive(PartialEq, Eq)]
enum Signed {
    Once,
    Anew,
}

async fn got_and_tagged_again(
    pipeline: Pipeline,
    named: impl Fn(&str) -> RemoteImage,
    signed: Signed,
) -> Result {
    let image = named("library/old:v1");
    let layout = ImageLayout::build().await?;
    let skopeo = Skopeo::new()?;
    skopeo.push_schema1(&layout, &image).await?;

    let repo = RepositoryClient::new(pipeline, "library/old".parse()?);
    let (v1, v2): (Tag, Tag) = ("v1".parse()?, "v2".parse()?);
    let first = repo.get_manifest(&v1).await?;
    assert_eq!(first.media_type, MediaType::DOCKER_SCHEMA1_SIGNED);
    assert_eq!(first.digest, repo.resolve(&v1).await?);
    // What skopeo computes is the same, though it may get other bytes.
    assert_eq!(first.digest.to_string(), skopeo.inspect(&image).await?.digest);
    let again = repo.get_manifest(&first.digest).await?;
    assert_eq!(again.digest, first.digest);
    assert_eq!(again.content != first.content, signed == Signed::Anew);
    assert_eq!(again.document().err().map(|error| error.kind()), Some(ErrorKind::Protocol));

    let moved = repo.tag(&v1, &v2).await?;
    assert_eq!(moved, first.digest);
    assert_eq!(repo.get_manifest(&v2).await?.digest, first.digest);
    // Under its digest as well, where the registry checks it.
    let put = repo.put_manifest(again.content).media_type(again.media_type);
    assert_eq!(put.await?, first.digest);
    assert_eq!(skopeo.inspect(&named("library/old:v2")).await?.digest, first.digest.to_string());
    Ok(())
}

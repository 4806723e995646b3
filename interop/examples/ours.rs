//! Our clients as a program, for suites in other languages: pushes an image that others read, and
//! reads one that others pushed.
//!
//! ```text
//! ours push REPOSITORY TAG           # prints the digest
//! ours read REPOSITORY TAG DIGEST    # fails if anything of it is missing or differs
//! ```
//!
//! Goes to the emulator that ACR_ENDPOINT, ACR_CA and ACR_ENTRA_TOKEN name.

#![allow(clippy::print_stdout, reason = "a program of the test suites")]

use std::{
    env,
    error::Error,
    fs,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{Digest, Endpoint, Pipeline, RepositoryName, Tag, TlsConfig, TransportBuilder};
use acr_registry::{Descriptor, DescriptorView, Document, ImageManifest, RepositoryClient};

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["push", repository, tag] => push(repository, tag.parse()?).await,
        ["read", repository, tag, digest] => {
            Box::pin(read(repository, tag.parse()?, digest.parse()?)).await
        }
        _ => Err("usage: ours push REPOSITORY TAG | ours read REPOSITORY TAG DIGEST".into()),
    }
}

fn clients(repository: &str) -> Result<(BlobClient, RepositoryClient)> {
    let endpoint: Endpoint = env::var("ACR_ENDPOINT")?.parse()?;
    let tls = TlsConfig::only_roots(&fs::read(env::var("ACR_CA")?)?)?;
    let token = env::var("ACR_ENTRA_TOKEN")?;
    let source = credential_fn(move |_scopes| {
        let expiry = SystemTime::now() + Duration::from_secs(3600);
        let token = AccessToken::new(token.clone(), expiry);
        async move { Ok(token) }
    });
    let auth =
        AuthLayer::new(&endpoint, Credential::entra(source)).trust_entra_for(endpoint.host());
    let transport = TransportBuilder::new().tls(tls).build()?;
    let pipeline = Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?;
    let name: RepositoryName = repository.parse()?;
    Ok((BlobClient::new(pipeline.clone(), name.clone()), RepositoryClient::new(pipeline, name)))
}

async fn push(repository: &str, tag: Tag) -> Result {
    let (blobs, manifests) = clients(repository)?;
    let config = &br#"{"architecture":"amd64","os":"linux"}"#[..];
    let layer = vec![7u8; LAYER];
    blobs.upload(config).await?;
    blobs.upload(layer.clone()).chunk_size(1 << 20).await?;
    let config = Descriptor::of("application/vnd.oci.image.config.v1+json", config);
    let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", &layer);
    let manifest = ImageManifest::new(config).layer(layer).to_json()?;
    println!("{}", manifests.put_manifest(manifest).tag(&tag).await?);
    Ok(())
}

async fn read(repository: &str, tag: Tag, expected: Digest) -> Result {
    let (blobs, manifests) = clients(repository)?;
    let manifest = manifests.get_manifest(tag).await?;
    if manifest.digest != expected {
        return Err(format!("{} instead of {expected}", manifest.digest).into());
    }
    let Document::Image(image) = manifest.document()? else {
        return Err("it is no image".into());
    };
    let parts: Vec<&DescriptorView> = image.config.iter().chain(&image.layers).collect();
    if parts.len() < 2 {
        return Err("it has no layer".into());
    }
    for part in parts {
        // Verified by digest on the way.
        let content = blobs.download(part.digest()?).await?.bytes(1 << 26).await?;
        if Some(content.len() as u64) != part.size {
            return Err(format!("{} bytes instead of {:?}", content.len(), part.size).into());
        }
    }
    Ok(())
}

/// A few chunks.
const LAYER: usize = 2_500_000;

//! All of acr-registry and acr-blob over reqwest, for programs that have it already: its pool, its
//! proxies, its certificates.
//!
//! ```text
//! cargo run --example reqwest_transport
//! ```
//!
//! Talks to the emulator with TLS, and ends by itself. What to look at: `transport.rs`, which
//! is all it takes. What reqwest does by itself and a registry's client must do, is switched off:
//! redirects (a token must not follow one) and repetitions (there is one retry loop).

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

#[path = "reqwest_transport/transport.rs"]
mod transport;

use std::time::SystemTime;

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{Pipeline, Result, http::BoxError};
use acr_examples::push_samples;
use acr_registry::RegistryClient;
use acr_testkit::{FakeRegistry, Tls};
use reqwest::{Certificate, Client, redirect, retry};
use transport::over_reqwest;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let fake = FakeRegistry::new();
    let server = fake.serve(Tls::On).await?;
    let authority = Certificate::from_pem(server.ca_pem().unwrap_or_default().as_bytes())?;
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .tls_certs_only([authority])
        // The emulator is on this machine; leave this out for a registry.
        .no_proxy()
        .build()?;

    let endpoint = server.endpoint();
    let token = fake.entra_token();
    let credential = Credential::entra(credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + LIFETIME);
        async move { Ok(token) }
    }));
    let auth = AuthLayer::new(&endpoint, credential).trust_entra_for(endpoint.host());
    let pipeline =
        Pipeline::builder(endpoint).transport(over_reqwest(client)).layer_per_hop(auth).build()?;
    let result = look_around(&RegistryClient::new(pipeline.clone())).await;
    let result = result.and(there_and_back(pipeline).await);
    server.shutdown().await;
    Ok(result?)
}

async fn look_around(client: &RegistryClient) -> Result<()> {
    let repo = client.repository("library/app")?;
    let digests = push_samples(&repo, &["v1", "v2"]).await?;
    let mut names = client.list_repositories();
    while let Some(name) = names.try_next().await? {
        println!("{name}");
    }
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await? {
        println!("{}: {:?}", tag.name, digests.iter().position(|digest| *digest == tag.digest));
    }
    for digest in &digests {
        let manifest = repo.get_manifest(digest).await?;
        println!("{} bytes, deleted: {}", manifest.content.len(), {
            repo.delete_manifest(digest).await?;
            repo.get_manifest(digest).await.is_err_and(|error| error.is_not_found())
        });
    }
    Ok(())
}

/// Content goes through reqwest in both directions, chunk by chunk.
async fn there_and_back(pipeline: Pipeline) -> Result<()> {
    let blobs = BlobClient::new(pipeline, "library/app".parse()?);
    let layer = blobs.upload(vec![7; 10_000_000]).await?;
    let mut reader = blobs.download(&layer.digest).await?;
    let mut received = 0;
    while let Some(chunk) = reader.chunk().await? {
        received += chunk.len();
    }
    println!("{} bytes there, {received} bytes back", layer.size);
    Ok(())
}

/// Entra tokens live about an hour; nothing here runs longer.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(3600);

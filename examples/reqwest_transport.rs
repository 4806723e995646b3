//! All of acr-registry over reqwest, for programs that have it already: its pool, its proxies,
//! its certificates.
//!
//! ```text
//! cargo run --example reqwest_transport
//! ```
//!
//! Talks to the emulator with TLS, and ends by itself. What to look at: `over_reqwest`, which is
//! all it takes. What reqwest does by itself and a registry's client must do, is switched off:
//! redirects (a token must not follow one) and repetitions (there is one retry loop).

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::time::SystemTime;

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Error, ErrorKind, Pipeline, Result, Transport,
    http::{BoxError, Request},
};
use acr_examples::push_samples;
use acr_registry::RegistryClient;
use acr_testkit::{FakeRegistry, Tls};
use reqwest::{Certificate, Client, redirect, retry};
use tower::service_fn;

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
    let result = look_around(&RegistryClient::new(pipeline)).await;
    server.shutdown().await;
    Ok(result?)
}

/// reqwest as a transport. Its request bodies must be `Sync`, which ours are not: those of
/// acr-registry are bytes, so they are read whole.
fn over_reqwest(client: Client) -> Transport {
    Transport::new(service_fn(move |request: Request| {
        let client = client.clone();
        async move {
            let (head, body) = request.into_parts();
            let request = http::Request::from_parts(head, body.bytes(MAX_BODY).await?);
            let request = reqwest::Request::try_from(request).map_err(known)?;
            let answer = client.execute(request).await.map_err(known)?;
            Ok::<http::Response<reqwest::Body>, Error>(answer.into())
        }
    }))
}

/// What reqwest's errors mean is known to reqwest only. Their text has the URL in it.
fn known(error: reqwest::Error) -> Error {
    let kind = match &error {
        error if error.is_builder() => ErrorKind::InvalidInput,
        error if error.is_connect() => ErrorKind::Connect,
        error if error.is_timeout() => ErrorKind::Timeout,
        _ => ErrorKind::Transport,
    };
    Error::new(kind, "reqwest cannot do it").with_source(error.without_url())
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

/// A manifest has at most 4 MiB.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Entra tokens live about an hour; nothing here runs longer.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(3600);

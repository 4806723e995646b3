//! Registries that are not ours under our clients, behind a façade that signs in over TLS; a line that
//! breaks (`breaks`) leads to them without one.
//!
//! Run by `bash interop/run servers`, which builds what is not in Debian.
#![cfg(feature = "suites")]

mod blobs;
mod breaks;
mod manifests;
mod sign_in;
mod uploads;

#[path = "../support/mod.rs"]
mod support;

use acr_auth::{AuthLayer, Credential};
use acr_blob::BlobClient;
use acr_core::{Endpoint, Pipeline, RepositoryName, TlsConfig, TransportBuilder};
use acr_interop::{Facade, GuardedRegistry, RegistrySoftware, Trials};
use acr_registry::RepositoryClient;
use bytes::Bytes;

use crate::support::Result;

#[tokio::test]
async fn distribution_2() -> Result {
    run(RegistrySoftware::Distribution2).await
}

#[tokio::test]
async fn distribution_3() -> Result {
    run(RegistrySoftware::Distribution3).await
}

#[tokio::test]
async fn olareg() -> Result {
    run(RegistrySoftware::Olareg).await
}

#[tokio::test]
async fn go_containerregistry() -> Result {
    run(RegistrySoftware::GoContainerRegistry).await
}

/// A registry under test, and how to get there.
struct Server {
    software: RegistrySoftware,
    registry: GuardedRegistry,
    pipeline: Pipeline,
}

impl Server {
    fn blobs(&self, repository: &str) -> Result<BlobClient> {
        Ok(BlobClient::new(self.pipeline.clone(), repository.parse::<RepositoryName>()?))
    }

    fn repository(&self, repository: &str) -> Result<RepositoryClient> {
        Ok(RepositoryClient::new(self.pipeline.clone(), repository.parse::<RepositoryName>()?))
    }
}

async fn run(software: RegistrySoftware) -> Result {
    let registry = GuardedRegistry::builder().software(software).start().await?;
    let facade = registry.facade();
    let pipeline = pipeline(facade, support::entra(facade.accounts().entra_token()))?;
    let server = Server { software, registry, pipeline };
    let mut trials = Trials::new("servers", software.to_string(), software.version().await?);
    Box::pin(sign_in::run(&server, &mut trials)).await?;
    Box::pin(uploads::run(&server, &mut trials)).await?;
    Box::pin(blobs::run(&server, &mut trials)).await?;
    Box::pin(manifests::run(&server, &mut trials)).await?;
    Ok(trials.finish()?)
}

/// A pipeline through a façade: TLS under its authority, signed in with this credential.
pub(crate) fn pipeline(facade: &Facade, credential: Credential) -> Result<Pipeline> {
    let endpoint: Endpoint = facade.origin().parse()?;
    let ca_pem = facade.ca_pem().ok_or("the façade does not speak TLS")?;
    let transport = TransportBuilder::new()
        .no_proxy()
        .tls(TlsConfig::only_roots(ca_pem.as_bytes())?)
        .build()?;
    let auth = AuthLayer::new(&endpoint, credential).trust_entra_for("127.0.0.1");
    Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
}

/// Content that is the same in every run and repeats nowhere.
pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

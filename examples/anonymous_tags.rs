//! Lists the tags of a repository without signing in, where a registry allows that: what Go's
//! `Example_listTagsWithAnonymousAccess` and Python's `sample_list_tags` do.
//!
//! ```text
//! cargo run --example anonymous_tags [REPOSITORY]
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT`, or to an
//! emulator with anonymous pull. Reads only. With the default settings
//! `acr_auth::connect_anonymous(endpoint)` is all it takes.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_auth::{AuthLayer, Credential};
use acr_core::{Pipeline, Result, http::BoxError};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::{Order, RegistryClient};
use acr_testkit::{Anonymous, FakeRegistry};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "library/hello-world".to_owned());
    if let Some(registry) = Registry::anonymous_from_env().await? {
        return Ok(list(connect(&registry, &Wire::default())?, &name).await?);
    }
    let fake = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let registry = Registry::emulator(&fake).await?;
    let owner = RegistryClient::new(connect(&registry, &Wire::default())?);
    push_samples(&owner.repository(name.as_str())?, &["v1", "v2", "latest"]).await?;
    let nobody = AuthLayer::new(registry.endpoint(), Credential::anonymous());
    let pipeline = Pipeline::builder(registry.endpoint().clone())
        .transport(registry.transport()?)
        .layer_per_hop(nobody)
        .build()?;
    let result = list(pipeline, &name).await;
    registry.shutdown().await;
    Ok(result?)
}

async fn list(pipeline: Pipeline, name: &str) -> Result<()> {
    let repository = RegistryClient::new(pipeline).repository(name)?;
    let mut tags = repository.list_tags().order_by(Order::NEWEST_FIRST);
    while let Some(tag) = tags.try_next().await? {
        let updated = tag.updated_at.map(|time| time.to_string()).unwrap_or_default();
        println!("{}:{} {} {updated}", tag.repository, tag.name, tag.digest);
    }
    Ok(())
}

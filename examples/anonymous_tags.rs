//! Lists the tags of a repository without signing in, where a registry allows that: what Go's
//! `Example_listTagsWithAnonymousAccess` and Python's `sample_list_tags` do.
//!
//! ```text
//! cargo run --example anonymous_tags [REPOSITORY]
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT`, or to an
//! emulator with anonymous pull. Reads only.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_client::{Credential, Order, Registry, Result, http::BoxError};
use acr_examples::push_samples;
use acr_testkit::{Anonymous, FakeRegistry};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "library/hello-world".to_owned());
    if let Some(place) = acr_examples::Registry::anonymous_from_env().await? {
        return Ok(list(&place.builder().build()?, &name).await?);
    }
    let fake = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let place = acr_examples::Registry::emulator(&fake).await?;
    let owner = place.builder().build()?.repository(name.as_str())?;
    push_samples(owner.metadata(), &["v1", "v2", "latest"]).await?;
    // With a registry of your own: `Registry::builder("myregistry.azurecr.io")`, and the credential.
    let registry = place.builder_as(Credential::anonymous()).build()?;
    let result = list(&registry, &name).await;
    place.shutdown().await;
    Ok(result?)
}

async fn list(registry: &Registry, name: &str) -> Result<()> {
    let mut tags = registry.repository(name)?.list_tags().order_by(Order::NEWEST_FIRST);
    while let Some(tag) = tags.try_next().await? {
        let updated = tag.updated_at.map(|time| time.to_string()).unwrap_or_default();
        println!("{}:{} {} {updated}", tag.repository, tag.name, tag.digest);
    }
    Ok(())
}

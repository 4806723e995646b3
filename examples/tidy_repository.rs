//! Changes the properties of a repository, deletes one of its tags, or deletes all of it.
//!
//! ```text
//! cargo run -p acr-examples --example tidy_repository -- REPOSITORY lock
//! cargo run -p acr-examples --example tidy_repository -- REPOSITORY unlock
//! cargo run -p acr-examples --example tidy_repository -- REPOSITORY delete-tag TAG
//! cargo run -p acr-examples --example tidy_repository -- REPOSITORY delete
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! to the emulator, where it does all of it with a repository of two tags.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_core::{BoxError, Result, Tag};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::{Permissions, RegistryClient, RepositoryClient};

#[tokio::main]
async fn main() -> std::result::Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let registry = Registry::from_env().await?;
    let client = RegistryClient::new(connect(&registry, &Wire::default())?);
    match arguments[..] {
        [name, "lock"] => set(&client.repository(name)?, false).await?,
        [name, "unlock"] => set(&client.repository(name)?, true).await?,
        [name, "delete-tag", tag] => delete_tag(&client.repository(name)?, &tag.parse()?).await?,
        [name, "delete"] => delete(&client.repository(name)?).await?,
        [] if registry.is_emulator() => {
            let repository = client.repository("library/app")?;
            push_samples(&repository, &["v1", "v2"]).await?;
            set(&repository, false).await?;
            set(&repository, true).await?;
            delete_tag(&repository, &"v1".parse()?).await?;
            delete(&repository).await?;
        }
        _ => return Err("usage: tidy_repository REPOSITORY lock|unlock|delete-tag|delete".into()),
    }
    registry.shutdown().await;
    Ok(())
}

/// Allows or forbids that anything is pushed to the repository or deleted in it.
async fn set(repository: &RepositoryClient, allowed: bool) -> Result<()> {
    let permissions = Permissions::new().write(allowed).delete(allowed);
    let now = repository.update_properties(permissions).await?;
    println!("{}: {:?}", now.name, now.permissions);
    Ok(())
}

/// Deletes a name; the manifest stays, with its other tags or with none.
async fn delete_tag(repository: &RepositoryClient, tag: &Tag) -> Result<()> {
    let deletion = repository.delete_tag(tag).await?;
    println!("tag {tag}: {:?}", deletion.outcome);
    Ok(())
}

async fn delete(repository: &RepositoryClient) -> Result<()> {
    let deletion = repository.delete().await?;
    println!("repository {}: {:?}", repository.name(), deletion.outcome);
    Ok(())
}
